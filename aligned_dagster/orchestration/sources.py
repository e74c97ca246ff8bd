"""Raw sources and models as external assets that are observed: their data version is the fingerprint."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import dagster as dg

from aligned_dagster.errors import AlignedError
from aligned_dagster.orchestration.metadata import definition_metadata
from aligned_dagster.orchestration.previews import accepted_previews
from aligned_dagster.orchestration.registry import ContractRegistry
from aligned_dagster.orchestration.source_versions import source_version
from aligned_dagster.orchestration.translator import ContractTranslator

if TYPE_CHECKING:
    from aligned_dagster.contracts.feature_view import FeatureView
    from aligned_dagster.sources.exposed.base import ExposedModel
    from aligned_dagster.sources.source import DataSource


def source_assets(registry: ContractRegistry, translator: ContractTranslator) -> list[dg.AssetsDefinition]:
    """One observable asset a raw source, each with its own op so that one missing file stops no other."""
    observed = frozenset(registry.observed())
    return [
        _observable(
            source,
            registry.source_keys[uri],
            description=f"Raw data, observed and never written. Read by {', '.join(registry.readers[uri])}.",
            group_name=translator.get_source_group_name(source),
            kinds=translator.get_source_kinds(source),
            limit=translator.settings.content_limit,
            once=observed if _behind_virtual(registry, uri) else frozenset(),
        )
        for uri, source in sorted(registry.sources.items())
    ]


def model_assets(registry: ContractRegistry, translator: ContractTranslator) -> list[dg.AssetsDefinition]:
    """One observable asset a model that predicts and that no asset of the user writes."""
    predicts: dict[dg.AssetKey, list[str]] = {}
    for name, key in registry.model_keys.items():
        predicts.setdefault(key, []).append(name)
    return [
        _observable(
            model,
            key,
            description=f"The model that predicts {', '.join(predicts[key])}; observed and never written.",
            group_name=translator.get_model_group_name(model),
            kinds=translator.get_model_kinds(model),
            limit=translator.settings.content_limit,
            once=frozenset(),
        )
        for key, model in sorted(registry.models.items(), key=lambda item: item[0].to_user_string())
    ]


def read_only_assets(registry: ContractRegistry, translator: ContractTranslator) -> list[dg.AssetSpec]:
    """External assets for contracts that are read here and defined elsewhere; they load like any other.

    A virtual one, such as a filtered view, keeps its place in the graph: what reads it runs after what it reads.
    """
    return [_read_only(registry.views[name], registry, translator) for name in sorted(registry.read_only)]


def _read_only(
    view: FeatureView[Any], registry: ContractRegistry, translator: ContractTranslator
) -> dg.AssetSpec:
    metadata = definition_metadata(view, registry, translator, lineage=view.is_virtual)
    with accepted_previews():
        spec = dg.AssetSpec(
            registry.key_of(view.name),
            deps=registry.parents(view) if view.is_virtual else (),
            description=translator.get_description(view),
            group_name=translator.get_group_name(view),
            kinds=translator.get_kinds(view),
            tags=translator.get_tags(view),
            metadata=metadata,
            is_virtual=view.is_virtual,
            partitions_def=registry.partitions_def(view),
        )
        return spec.with_io_manager_key(translator.get_io_manager_key(view))


def _behind_virtual(registry: ContractRegistry, uri: str) -> bool:
    return any(registry.views[name].is_virtual for name in registry.readers[uri])


def _observable(
    source: DataSource | ExposedModel,
    key: dg.AssetKey,
    *,
    description: str,
    group_name: str | None,
    kinds: set[str],
    limit: int,
    once: frozenset[dg.AssetKey],
) -> dg.AssetsDefinition:
    """An asset that is looked at.

    Args:
        source: what is looked at.
        key: its asset.
        description: the text on the asset's page.
        group_name: its group.
        kinds: its kinds.
        limit: the most bytes that are read to tell whether the content changed.
        once: in a run of nothing but these assets a version that is recorded already is left alone. Behind a contract
            that is not stored Dagster compares times and not versions, and an observation makes stale what reads it.
    """

    def observe(context: dg.OpExecutionContext) -> Iterator[dg.ObserveResult]:
        try:
            now = source_version(source, key, context.instance, limit)
        except AlignedError as error:
            raise dg.Failure(description=str(error)) from error
        selected = context.run.asset_selection
        if now.is_recorded and selected and once.issuperset(selected):
            context.log.info(f"{source.uri} has not changed: its version {now.version} is recorded already.")
            return
        yield dg.ObserveResult(asset_key=key, data_version=dg.DataVersion(now.version), metadata=now.metadata)

    observe.__annotations__["context"] = dg.OpExecutionContext  # Dagster reads no text for it
    # It asks for the signature and the types some ten times, and takes both from here if they are there.
    setattr(observe, "__signature__", inspect.signature(observe, eval_str=True))  # noqa: B010  # no attribute of it
    spec = dg.AssetSpec(
        key,
        skippable=True,
        description=description,
        group_name=group_name,
        kinds=kinds,
        metadata={"dagster/uri": source.uri, "dagster/storage_kind": source.kind},
    )
    with accepted_previews():
        decorate: Any = dg.multi_observable_source_asset(
            specs=[spec], name=f"observe__{key.to_python_identifier()}"
        )
        asset: dg.AssetsDefinition = decorate(observe)
    return asset
