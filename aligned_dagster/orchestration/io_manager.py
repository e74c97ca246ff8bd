"""How the rows of contracts reach the assets downstream: one IO manager that asks each contract."""

from __future__ import annotations

import sys
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any

import dagster as dg
import polars as pl

from aligned_dagster.errors import AlignedError, UnsupportedError
from aligned_dagster.orchestration.partitions import Partitions
from aligned_dagster.orchestration.registry import ContractRegistry
from aligned_dagster.sources.schema_versioned import SchemaVersionedSource

if TYPE_CHECKING:
    from aligned_dagster.contracts.feature_view import FeatureView

ROWS, ALL = "rows", "all"
"""`AssetIn(metadata={ROWS: ALL})` asks for all rows, whatever the partitions of the run are."""

_FILES = {"parquet": "Parquet", "csv": "CSV"}
_STORES = {"s3": " in S3", "azure": " in Azure Blob Storage"}
_TABLES = {
    "postgres": "tables of PostgreSQL",
    "redshift": "tables of Redshift",
    "memory": "the memory of the process",
}


class ContractIOManager(dg.IOManager):
    """Reads a contract for an asset that takes it as an input, in the type that the input is annotated with.

    `pl.LazyFrame` (also without annotation), `pl.DataFrame` and `pandas.DataFrame` are known. With
    `AssetIn(metadata={"columns": ["a", "b"]})` only those columns are read.

    An input with partitions gets the rows of those that it is mapped to, of as many as are stored; an asset
    without partitions that depends on all of them gets the whole.

    It never writes: what a contract holds is published by its own asset, after the audit.

    Args:
        registry: the contracts by asset key.
    """

    def __init__(self, registry: ContractRegistry) -> None:
        self.registry = registry

    def load_input(self, context: dg.InputContext) -> pl.LazyFrame | pl.DataFrame | Any:
        """The rows of the upstream contract.

        Raises:
            Failure: they cannot be read, or the annotation is none of the three types.
        """
        try:
            view = self.registry.view_at(context.asset_key)
            metadata = context.definition_metadata or {}
            frame = self.registry.rows(view) if metadata.get(ROWS) == ALL else self._rows(view, context)
            columns = metadata.get("columns")
            if columns is not None:
                frame = frame.select([view.schema.column(name).name for name in columns])
            return as_annotated(frame, context.dagster_type.typing_type, view.name)
        except AlignedError as error:
            raise dg.Failure(description=str(error), allow_retries=False) from error

    def _rows(self, view: FeatureView[Any], context: dg.InputContext) -> pl.LazyFrame:
        """The rows of the partitions that the input has; all of them where it has none, or every one."""
        frame = self.registry.rows(view)
        partitions = self.registry.partitions.get(view.name)
        if partitions is None or not context.has_asset_partitions:
            return frame
        keys = list(context.asset_partition_keys)
        if whole_table(context, partitions, keys):
            return frame
        if not keys:
            return frame.clear()
        if partitions.scheme.version is None:
            return frame.filter(partitions.predicate(keys, view.schema))
        return pl.concat(
            _at_version(view, version).filter(partitions.predicate(found, view.schema))
            for version, found in partitions.by_version(keys).items()
        )

    def handle_output(self, context: dg.OutputContext, obj: object) -> None:
        """Nothing is written here.

        Raises:
            Failure: an asset that is no contract names this IO manager for its own output.
        """
        raise dg.Failure(
            f"{context.asset_key.to_user_string()!r} uses the IO manager of contracts for its output, which "
            "only reads. Publish a function's rows as a contract with @produces(TheContract), or name "
            "another IO manager.",
            allow_retries=False,
        )


def as_annotated(frame: pl.LazyFrame, annotation: Any, contract: str) -> Any:
    """The frame in the type of an annotation: lazy, eager, or pandas.

    Args:
        frame: the rows.
        annotation: `pl.LazyFrame`, `pl.DataFrame`, `pandas.DataFrame`, or `typing.Any` for a lazy frame.
        contract: whose rows they are, for the message.

    Raises:
        UnsupportedError: the annotation is another type.
    """
    if annotation in (Any, None, pl.LazyFrame):
        return frame
    if annotation is pl.DataFrame:
        return frame.collect(engine="streaming")
    pandas = sys.modules.get("pandas")  # whoever annotates with pandas has imported it
    if pandas is not None and annotation is pandas.DataFrame:
        return frame.collect(engine="streaming").to_pandas()
    raise UnsupportedError(
        f"The rows of {contract!r} cannot be given as {annotation!r}. "
        "Annotate the input with pl.LazyFrame, pl.DataFrame or pandas.DataFrame."
    )


def _at_version(view: FeatureView[Any], version: str) -> pl.LazyFrame:
    """The rows of a contract as they are stored under a schema version, in its present columns."""
    source = view.materialized_source
    if version == view.version or not isinstance(source, SchemaVersionedSource):
        return view.read()
    return source.at_version(version).all_data(view.stored_request)


def whole_table(context: dg.InputContext, partitions: Partitions, keys: Sequence[str]) -> bool:
    """Whether an input without partitions of its own reads every partition, also those that nobody registered."""
    try:
        step = context.step_context
        if step.entity_partitions_def is not None:
            return False
    except dg.DagsterInvariantViolationError:
        return False  # loaded outside of a run
    return len(set(keys)) == len(partitions.keys(step.instance))


def place_of(view: FeatureView[Any]) -> str:
    """Where the rows of a contract are, in words: "Parquet files", "tables of PostgreSQL", "computed when they are read"."""
    if view.is_virtual:
        return "computed when they are read"
    kind, place = view.storage.kind, getattr(getattr(view.storage, "location", None), "kind", "local")
    if kind in _FILES:
        return f"{_FILES[kind]} files{_STORES.get(place, '')}"
    return _TABLES.get(kind, kind)


def contract_io_manager(
    registry: ContractRegistry, names: Collection[str] | None = None
) -> dg.IOManagerDefinition:
    """The IO manager as a resource whose page in the UI says what it does.

    Args:
        registry: the contracts by asset key.
        names: of the contracts that name this resource, for its description; all of them if not given.
    """
    views = [view for name, view in registry.views.items() if names is None or name in names]
    places = sorted({place_of(view) for view in views})
    contracts = "\n".join(f"- {view.name}" for view in sorted(views, key=lambda view: view.name))

    def rows_of_contracts(_context: dg.InitResourceContext) -> ContractIOManager:
        return ContractIOManager(registry)

    return dg.IOManagerDefinition(
        resource_fn=rows_of_contracts,
        description=(
            f"Reads the rows of {len(views)} contract{'' if len(views) == 1 else 's'} for the assets downstream: "
            f"{', '.join(places)}. Annotate an input with pl.LazyFrame, pl.DataFrame or pandas.DataFrame. "
            f"Only a contract's own asset writes.\n\n{contracts}"
        ),
    )
