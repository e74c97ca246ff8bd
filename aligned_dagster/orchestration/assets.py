"""One asset for every contract: stored ones are computed, audited and published, virtual ones are audited."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import dagster as dg
import polars as pl
from dagster._core.definitions.resource_annotation import get_resource_args
from dagster._core.storage.tags import GLOBAL_CONCURRENCY_TAG

from aligned_dagster.errors import AlignedError, UnsupportedError
from aligned_dagster.orchestration.checks import check_specs
from aligned_dagster.orchestration.io_manager import ALL, ROWS
from aligned_dagster.orchestration.metadata import definition_metadata
from aligned_dagster.orchestration.partition_mapping import partition_mapping
from aligned_dagster.orchestration.previews import accepted_previews
from aligned_dagster.orchestration.publishing import failure, publish_and_report
from aligned_dagster.orchestration.registry import ContractRegistry
from aligned_dagster.orchestration.translator import ContractTranslator
from aligned_dagster.orchestration.versions import Versions

if TYPE_CHECKING:
    from aligned_dagster.contracts.feature_view import FeatureView

_REGISTRY = "__aligned_registry__"


def contract_asset(
    view: FeatureView[Any], registry: ContractRegistry, translator: ContractTranslator
) -> dg.AssetsDefinition:
    """The asset of a contract, whose inputs are the contracts that it reads and refers to, loaded lazily.

    Args:
        view: the contract.
        registry: the assets of the others.
        translator: decides how it looks.
    """
    upstream = sorted((view.depends_on() | view.references()) - {view.name})
    inputs = {f"in_{number}": name for number, name in enumerate(upstream)}

    def compute(
        context: dg.AssetExecutionContext, **loaded: pl.LazyFrame
    ) -> Iterator[dg.AssetCheckResult | dg.MaterializeResult[Any]]:
        try:
            versions = Versions(registry, context.instance, translator.settings.content_limit)
            versions.observe(context, view)
            version = versions.of_result(view, translator.get_code_version(view))
        except AlignedError as error:
            raise failure(error, registry.key_of(view.name)) from error
        frames = {name: loaded[argument] for argument, name in inputs.items()}
        yield from publish_and_report(
            context, view, registry, translator, frames=frames, data_version=version
        )

    return define_asset(
        compute,
        view,
        registry,
        translator,
        ins={
            argument: dg.AssetIn(
                registry.key_of(name),
                metadata=_what_to_load(view, name, registry),
                partition_mapping=mapping_to(registry.key_of(name), view, registry, translator),
            )
            for argument, name in inputs.items()
        },
        deps=[key for key in registry.parents(view) if key not in {registry.key_of(n) for n in upstream}],
        code_version=translator.get_code_version(view),
        metadata=definition_metadata(view, registry, translator),
    )


def define_asset(
    compute: Callable[..., Any],
    view: FeatureView[Any],
    registry: ContractRegistry,
    translator: ContractTranslator,
    *,
    ins: Mapping[str, dg.AssetIn],
    deps: list[dg.AssetKey],
    code_version: str | None,
    metadata: Mapping[str, Any],
    io_manager: dg.IOManagerDefinition | None = None,
    **options: Any,
) -> dg.AssetsDefinition:
    """An asset with everything that the translator says about a contract.

    Args:
        compute: yields check results and a materialisation; it publishes the rows itself.
        view: the contract.
        registry: knows the asset's key.
        translator: decides how it looks.
        ins: argument to upstream asset.
        deps: upstream assets that are not loaded.
        code_version: changes when other rows would be computed.
        metadata: of the definition.
        io_manager: what reads the rows for others, which the asset then brings along; the resource that the
            translator names if not given.
        options: whatever else `dagster.asset` takes.
    """
    key = registry.key_of(view.name)
    partitions_def = registry.partitions_def(view)
    if "partitions_def" in options:
        raise UnsupportedError(
            f"The partitions of {view.name!r} follow from its contract: from materialize_from=... and from the "
            "partition keys of its materialized_source. Leave partitions_def away."
        )
    op_tags = {**translator.get_op_tags(view), **options.pop("op_tags", {})}
    if GLOBAL_CONCURRENCY_TAG not in op_tags:  # an older way to name a pool
        options = {"pool": translator.get_pool(view, registry.pools.get(view.name)), **options}
    resources = {*options.pop("required_resource_keys", ()), *registry.resource_keys.get(view.name, ())}
    if resources and not get_resource_args(compute):  # Dagster takes the one or the other
        options["required_resource_keys"] = resources
    if partitions_def is not None:
        options = {"backfill_policy": translator.get_backfill_policy(view), **options}
    # Dagster wants types, not their names; with this return type nothing goes through the IO manager.
    compute.__annotations__ |= {"context": dg.AssetExecutionContext, "return": dg.MaterializeResult}
    # It asks for the signature and the types some thirty times, and takes both from here if they are there.
    for name, value in (("__signature__", inspect.signature(compute, eval_str=True)), (_REGISTRY, registry)):
        setattr(compute, name, value)
    with accepted_previews():
        decorate: Any = dg.asset(
            key=key,
            ins=dict(ins),
            deps=[
                dg.AssetDep(dep, partition_mapping=mapping_to(dep, view, registry, translator))
                for dep in deps
            ],
            description=translator.get_description(view),
            metadata=metadata,
            tags=translator.get_tags(view),
            op_tags=op_tags,
            kinds=translator.get_kinds(view),
            owners=list(translator.get_owners(view)),
            group_name=translator.get_group_name(view),
            code_version=code_version,
            io_manager_key=None if io_manager else translator.get_io_manager_key(view),
            io_manager_def=io_manager,
            check_specs=check_specs(view, key, translator),
            partitions_def=partitions_def,
            automation_condition=translator.get_automation_condition(view),
            freshness_policy=translator.get_freshness_policy(view),
            is_virtual=view.is_virtual,
            output_required=False,
            **options,
        )
        asset: dg.AssetsDefinition = decorate(compute)
    return asset


def registry_of(asset: dg.AssetsDefinition) -> ContractRegistry | None:
    """The contracts among which a contract's asset was made; None for any other asset."""
    compute = getattr(asset.node_def, "compute_fn", None) if asset.is_executable else None
    found: ContractRegistry | None = getattr(getattr(compute, "decorated_fn", None), _REGISTRY, None)
    return found


def mapping_to(
    key: dg.AssetKey, view: FeatureView[Any], registry: ContractRegistry, translator: ContractTranslator
) -> dg.PartitionMapping | None:
    """Which partitions of an upstream asset a contract's depend on; None where it is no contract with partitions."""
    if not registry.partitions or registry.names.get(key) not in registry.partitions:
        return None
    name = registry.names[key]
    upstream, known = registry.views[name], registry.partitions
    inferred = partition_mapping(view, known.get(view.name), upstream, known[name])
    return translator.get_partition_mapping(view, upstream, inferred)


def _what_to_load(view: FeatureView[Any], upstream: str, registry: ContractRegistry) -> dict[str, Any]:
    """All rows of a contract, lazily, for the plan filters them; of one that is only referred to these columns."""
    from aligned_dagster.features.constraints import Reference

    rows = {ROWS: ALL} if upstream in registry.partitions else {}
    if upstream in view.depends_on():
        return rows
    references = (c for column in view.schema.columns for c in column.constraints if isinstance(c, Reference))
    columns = {reference.column for reference in references if reference.view == upstream}
    return {**rows, "columns": sorted(columns)}
