"""A feature view: columns, the source of their rows, and what is promised of them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from functools import cached_property
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar, cast

import polars as pl

from aligned_dagster.contracts.computing import computed, source_columns
from aligned_dagster.contracts.joining import JoinSource, joined
from aligned_dagster.contracts.partitioning import Every
from aligned_dagster.contracts.schema_check import check_fit
from aligned_dagster.contracts.unmaterialised import materialised
from aligned_dagster.contracts.view_source import (
    ContractSource,
    FilterSource,
    RenameSource,
    ReplaceView,
    ViewSource,
    leaves,
)
from aligned_dagster.errors import (
    ContractError,
    NotCalledError,
    UnknownColumnError,
    UnknownFeatureError,
    did_you_mean,
)
from aligned_dagster.features.compiling import Compiled
from aligned_dagster.features.constraints import OnViolation, Reference
from aligned_dagster.features.declared import Origin
from aligned_dagster.features.deriving import feature_of
from aligned_dagster.features.expression import Expression
from aligned_dagster.features.feature import Feature
from aligned_dagster.features.location import SourceLocation, at, caller
from aligned_dagster.features.naming import check_name
from aligned_dagster.features.plan import stored_inputs
from aligned_dagster.features.schema import Schema
from aligned_dagster.request.partition import PartitionSlice
from aligned_dagster.request.retrieval_request import RetrievalRequest
from aligned_dagster.request.waiting import to_be_called
from aligned_dagster.sources.custom import CustomMethodDataSource
from aligned_dagster.sources.in_memory_source import InMemorySource
from aligned_dagster.sources.source import DataSource

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy
    from pandera.polars import DataFrameSchema

    from aligned_dagster.contracts.freshness import Freshness
    from aligned_dagster.contracts.lineage_drawing import LineageDrawing
    from aligned_dagster.contracts.query import FeatureViewQuery
    from aligned_dagster.features.engines.names import Engine
    from aligned_dagster.sources.engines.spark_config import SparkConfig

T = TypeVar("T")
_VIEW = "__aligned_view__"
_NOT_OF_THE_ROWS = (
    "description",
    "tags",
    "contacts",
    "schedule",
    "automation",
    "acceptable_freshness",
    "unacceptable_freshness",
    "engine",
)
"""What a contract states that leaves its rows, and what is demanded of them, as they are."""


@dataclass(frozen=True, eq=False)
class FeatureView(Generic[T]):
    """A contract on the rows of one source. Made by `@feature_view`; called, it gives its columns: `Titanic().age`.

    Args:
        name: unique in a store.
        compiled: what the class states.
        source: where the rows come from.
        materialized_source: where the computed rows are kept; None for a virtual view.
        engine: what computes and audits its rows when it is published; None where nothing says so, which is polars.
        spark: how Spark is reached; by the environment if not given.
        declaration: the class that was decorated; None where the contract was read from JSON.
        referenced: name to view of what its references point to.
    """

    name: str
    compiled: Compiled
    source: DataSource
    materialized_source: DataSource | None = None
    description: str = ""
    tags: tuple[str, ...] = ()
    contacts: tuple[str, ...] = ()
    acceptable_freshness: timedelta | None = None
    unacceptable_freshness: timedelta | None = None
    on_violation: OnViolation = "block"
    schedule: str | None = None
    automation: Any = None
    materialize_from: date | None = None
    every: Every | None = None
    lookback: timedelta | None = None
    materialize_until: date | None = None
    time_zone: str = "UTC"
    engine: Engine | None = None
    spark: SparkConfig | None = field(default=None, repr=False)
    location: SourceLocation | None = None
    declaration: type[T] | None = field(default=None, repr=False)
    referenced: Mapping[str, FeatureView[Any]] = field(default_factory=dict, repr=False)

    def __repr__(self) -> str:
        return f"<feature view {self.name}: {len(self.schema.columns)} columns from {self.source.label}>"

    def _repr_html_(self) -> str:
        from aligned_dagster.contracts.contract_html import contract_page

        return contract_page(self)

    def __call__(self) -> T:
        """The columns, for other contracts, for filters and for requests."""
        made: Any = object.__new__(self._columns_class)
        for column in self.schema.columns:
            declared = getattr(self.declaration, column.name, None)
            feature = feature_of(column.dtype) if declared is None else declared
            origin = Origin(self.name, column.name, self)
            made.__dict__[column.name] = feature.copy_with(tree=None, grouping=None, origin=origin)
        made.__dict__[_VIEW] = self
        return cast(T, made)

    if not TYPE_CHECKING:  # a type checker would take every name for an attribute

        def __getattr__(self, name: str) -> Any:
            if name.startswith("_"):
                raise AttributeError(f"A contract has no attribute {name!r}.")
            title = title_of(self)
            if name in self.schema:
                raise NotCalledError(
                    f"{title} is a contract; write {title}().{name} for its column.{at(caller())}"
                )
            methods = [option for option in dir(type(self)) if not option.startswith("_")]
            hint = did_you_mean(name, methods)
            column = did_you_mean(name, self.schema.names)
            if column and not hint:
                hint = f" Its columns are those of {title}(), as in {title}().{column.split(chr(39))[1]}."
            if hasattr(type(self.query()), name):
                hint = f" Ask a query for it: {title}.query().{name}(...)."
            raise UnknownColumnError(f"{title} is a contract, and has no {name!r}.{hint}{at(caller())}")

    @cached_property
    def _columns_class(self) -> type:
        """The class of its columns: the one that was decorated, which says so where it has no such column."""
        declared = self.declaration or _Columns

        def missing(columns: Any, name: str) -> Any:
            if name.startswith("_"):
                raise AttributeError(f"{title_of(self)} has no attribute {name!r}.")
            if hasattr(type(self), name):
                raise UnknownColumnError(
                    f"{name} is asked of the contract, without the brackets: {title_of(self)}.{name}{at(caller())}"
                )
            raise UnknownColumnError(
                f"{self.name} has no column {name!r}.{did_you_mean(name, self.schema.names)} "
                f"Columns: {', '.join(self.schema.names)}.{at(caller())}"
            )

        about = {
            "__getattr__": missing,
            "__module__": declared.__module__,
            "__qualname__": declared.__qualname__,
        }
        return type(declared.__name__, (declared,), {**about, "__doc__": declared.__doc__})

    # --- what is promised -----------------------------------------------------------------------------

    @property
    def schema(self) -> Schema:
        """The columns of the contract."""
        return self.compiled.schema

    @property
    def version(self) -> str:
        """32 hex digits over the stored columns."""
        return self.compiled.inputs.version

    @cached_property
    def code_version(self) -> str:
        """A digest of all that decides what the rows are: columns, derivations, constraints, source."""
        form = self.to_json()
        for words in _NOT_OF_THE_ROWS:
            form.pop(words, None)
        form["source"].pop(
            "acceptable", None
        )  # of a model: it decides what is warned of, not what is predicted
        for part in (form["schema"], form["inputs"]):
            for column in part["columns"]:
                column.pop("description", None)
                column.pop("tags", None)
        return hashlib.sha256(json.dumps(form, sort_keys=True).encode()).hexdigest()[:32]

    @property
    def all_derivations(self) -> Mapping[str, Expression]:
        """Name to expression of every derived column, those before a grouping included."""
        return {**self.compiled.inputs.derivations, **self.schema.derivations}

    @property
    def is_virtual(self) -> bool:
        """Whether its rows are computed when they are read and kept nowhere."""
        return self.materialized_source is None

    @property
    def is_immutable(self) -> bool:
        """Whether rows that are stored never change."""
        return False

    @property
    def may_have_engine(self) -> bool:
        """Whether another engine than polars can compute its rows."""
        return True

    @property
    def storage(self) -> DataSource:
        """Where its rows are read: the materialized source, or the source of a virtual view."""
        return self.materialized_source or self.source

    @property
    def request(self) -> RetrievalRequest:
        """What it asks of its source."""
        return RetrievalRequest(
            self.name,
            Schema(self.compiled.inputs.stored),
            version=self.version,
            promise=self.compiled.inputs,
            referenced=self.upstream_views,
        )

    @property
    def stored_request(self) -> RetrievalRequest:
        """What it asks of its materialized source, and writes there."""
        made = {
            c.name: c.derivation for c in self.schema.derived if c.derivation is not None and not c.aggregated
        }
        derivations = tuple(made.items())  # an older file that lacks one is read all the same
        stored = self.schema.as_stored()
        return RetrievalRequest(self.name, stored, version=self.version, derivations=derivations)

    def pandera_schema(self) -> DataFrameSchema:
        """The same promise as a pandera schema, for collected frames."""
        from aligned_dagster.quality.pandera_schema import pandera_schema

        return pandera_schema(self.schema, self.name)

    # --- lineage --------------------------------------------------------------------------------------

    def depends_on(self) -> frozenset[str]:
        """Names of the views that its source reads."""
        return self.source.depends_on()

    def references(self) -> frozenset[str]:
        """Names of the views that its references point to."""
        rules = (rule for column in self.schema.columns for rule in column.constraints)
        return frozenset(rule.view for rule in rules if isinstance(rule, Reference))

    @cached_property
    def upstream_views(self) -> Mapping[str, FeatureView[Any]]:
        """The views that it reads or refers to, by name."""
        read = {leaf.view.name: leaf.view for leaf in leaves(self.source) if isinstance(leaf, ViewSource)}
        return {**self.referenced, **read}

    @property
    def raw_sources(self) -> tuple[DataSource, ...]:
        """The sources that it reads itself, not through another view."""
        return tuple(leaf for leaf in leaves(self.source) if not isinstance(leaf, ViewSource))

    def column_lineage(self) -> dict[str, tuple[tuple[str, str], ...]]:
        """For every column the columns that it is made of: names of views, or URIs of raw sources, with the stored name."""
        derivations = self.all_derivations
        made_of = stored_inputs(self.schema.names, derivations)
        origins = self._origins({column for columns in made_of.values() for column in columns})
        return {
            name: tuple(sorted({origin for column in made_of[name] for origin in origins[column]}))
            for name in self.schema.names
        }

    def plot_lineage(self) -> LineageDrawing:
        """A drawing of what it reads, which shows itself in a notebook: `Titanic.plot_lineage().save("lineage.svg")`.

        What reads the contract in turn is known to a store: `store.plot_lineage("titanic")`.
        """
        from aligned_dagster.contracts.lineage_drawing import drawing_of

        return drawing_of([self])

    def _origins(self, columns: Iterable[str]) -> dict[str, tuple[tuple[str, str], ...]]:
        source = self.source
        if isinstance(source, ContractSource):
            known = source.columns()
            return {column: source.origins(column) if column in known else () for column in columns}
        uri = source.uri
        mapping: Mapping[str, str] = getattr(source, "mapping_keys", None) or {}
        stored = {new: old for old, new in reversed(list(mapping.items()))}
        return {column: ((uri, stored.get(column, column)),) for column in columns}

    # --- rows -----------------------------------------------------------------------------------------

    def read(
        self, frames: Mapping[str, pl.LazyFrame] | None = None, columns: Iterable[str] | None = None
    ) -> pl.LazyFrame:
        """The rows as a consumer sees them: from the materialized source where there is one, computed otherwise.

        Args:
            frames: rows of views that are at hand, by name.
            columns: the wanted columns in order; all of them if not given.

        Raises:
            UnknownFeatureError: a column is not in the contract.
        """
        wanted = self.read_columns(columns)
        if frames and self.name in frames:
            return frames[self.name].select(wanted)
        if self.materialized_source is not None:
            with materialised(self):
                return self.materialized_source.all_data(self.stored_request.project(wanted))
        return self.compute(frames, wanted)

    def compute(
        self,
        frames: Mapping[str, pl.LazyFrame] | None = None,
        columns: Iterable[str] | None = None,
        part: PartitionSlice | None = None,
    ) -> pl.LazyFrame:
        """The rows computed from the source, whether or not they are also materialized.

        A part with windows of time asks the source for exactly their span (and, for aggregations over windows,
        for the history that they look back on).

        Args:
            frames: rows of views that are at hand, by name.
            columns: the wanted columns in order; all of them if not given.
            part: the partitions whose rows are wanted; all rows if not given.
        """
        wanted = self.read_columns(columns)
        source = self.source.bind(frames or {})
        if part is None:
            needed = source_columns(self.compiled, wanted) or (self.compiled.inputs.stored[0].name,)
            return computed(source.all_data(self.request.project(needed)), self.compiled, wanted)
        everything = tuple(dict.fromkeys([*wanted, *part.columns(self.schema)]))
        request = self.request.project(source_columns(self.compiled, everything))
        if part.span is None:
            rows = source.all_data(request)
        else:
            windows = [grouping.window for _, grouping in self.compiled.groupings if grouping.window]
            start = part.span.start - max(windows, default=timedelta())
            rows = source.all_between_dates(request, start, part.span.last)
        found = computed(rows, self.compiled, everything, cells=part.cells)
        return found.filter(part.predicate(self.schema)).select(wanted)

    def read_between(
        self, start: date, end: date, frames: Mapping[str, pl.LazyFrame] | None = None
    ) -> pl.LazyFrame:
        """The rows whose event timestamp lies between two times, both included.

        Raises:
            ContractError: the contract has no event timestamp.
        """
        self.need_event_timestamp()
        if self.materialized_source is not None:
            with materialised(self):
                return self.materialized_source.all_between_dates(self.stored_request, start, end)
        if self.compiled.groupings:
            from aligned_dagster.sources.frame import FrameSource

            source = FrameSource.of(self.compute(frames), self.name)
            return source.all_between_dates(self.stored_request, start, end)
        needed = source_columns(self.compiled, self.schema.names)
        rows = self.source.bind(frames or {}).all_between_dates(self.request.project(needed), start, end)
        return computed(rows, self.compiled, self.schema.names)

    def need_event_timestamp(self) -> str:
        """The name of the event timestamp.

        Raises:
            ContractError: the contract has none.
        """
        time = self.schema.event_timestamp
        if time is None:
            raise ContractError(
                f"{self.name} has no EventTimestamp, so it has no rows between dates.{at(self.location)}"
            )
        return time

    def read_columns(self, columns: Iterable[str] | None) -> tuple[str, ...]:
        """The wanted names, or all of them.

        Raises:
            UnknownFeatureError: a name is not in the contract.
        """
        if columns is None:
            return self.schema.names
        wanted = tuple(columns)
        for name in wanted:
            if name not in self.schema:
                raise UnknownFeatureError(
                    f"{self.name} has no column {name!r}.{did_you_mean(name, self.schema.names)} "
                    f"Columns: {', '.join(self.schema.names)}."
                )
        return wanted

    def strategy(
        self,
        min_size: int = 0,
        max_size: int = 10,
        columns: Iterable[str] | None = None,
        references: Mapping[str, pl.DataFrame | pl.LazyFrame] | None = None,
    ) -> SearchStrategy[pl.DataFrame]:
        """A hypothesis strategy of frames that keep the contract: `@given(rows=Titanic.strategy())`.

        Args:
            min_size: rows at least.
            max_size: rows at most; the contract's keys may allow fewer.
            columns: the wanted columns in order; all of them, the derived ones included, if not given.
            references: rows of the views that references point to, by name; random rows (seed 0) if not given.

        Raises:
            ConfigurationError: hypothesis is not installed.
        """
        from aligned_dagster.contracts.strategy import rows_of

        return rows_of(self, min_size, max_size, columns, references)

    @to_be_called
    def query(self) -> FeatureViewQuery:
        """Ask for rows: `View.query().all()`, `.features_for(...)`, `.between_dates(...)`."""
        from aligned_dagster.contracts.query import FeatureViewQuery

        return FeatureViewQuery(self)

    async def freshness(self, now: datetime | None = None) -> Freshness:
        """How old the newest stored row is, to be awaited; see `measure_freshness`.

        Args:
            now: the moment to measure from; the present one if not given.
        """
        import asyncio

        return await asyncio.to_thread(self.measured_freshness, now)

    def measured_freshness(self, now: datetime | None = None) -> Freshness:
        """How old the newest stored row is: `freshness` without await.

        Args:
            now: the moment to measure from; the present one if not given.

        Raises:
            SourceError: the storage cannot be read.
        """
        from aligned_dagster.contracts.freshness import measure_freshness

        return measure_freshness(self, now)

    # --- views made of this one -----------------------------------------------------------------------

    def as_source(self) -> ViewSource:
        """Its rows as the source of another contract."""
        return ViewSource(view=self)

    def join(
        self,
        other: Any,
        on: str | list[str] | None = None,
        how: str = "inner",
        *,
        left_on: str | list[str] | None = None,
        right_on: str | list[str] | None = None,
        suffix: str | None = None,
    ) -> JoinSource:
        """Its rows beside those of another view, as the source of a contract.

        Args:
            other: a view, its columns (`Planes()`) or another join.
            on: key columns of both sides.
            how: "inner", "left", "full", "semi" or "anti".
            left_on: key columns of this view, where the names differ.
            right_on: key columns of the other.
            suffix: put behind names that both sides have; `_<other view>` if not given.

        Raises:
            ContractError: the keys do not fit together.
        """
        return join_sources(self.as_source(), other, on, how, left_on, right_on, suffix)

    def join_asof(
        self, other: Any, on: str | list[str] | None = None, *, left_on: str | list[str] | None = None,
        right_on: str | list[str] | None = None, suffix: str | None = None,
    ) -> JoinSource:  # fmt: skip
        """Each of its rows beside the latest earlier row of another view with the same key, by the event timestamps.

        Of rows with the same key and times the last one is taken on polars, that with the greatest values on another engine.

        Raises:
            ContractError: one of the two has no event timestamp, or the keys do not fit together.
        """
        right = view_of(other)
        for view in (self, right):
            if view.schema.event_timestamp is None:
                raise ContractError(f"join_asof needs an EventTimestamp in {view.name}.{at(view.location)}")
        times = (self.schema.event_timestamp, right.schema.event_timestamp)
        return joined(
            self.as_source(), right.as_source(), on=on, left_on=left_on, right_on=right_on, how="asof",
            suffix=suffix or f"_{right.name}", times=times,
        )  # fmt: skip

    def filter(self, name: str, where: Feature | Callable[[T], Feature]) -> FeatureView[T]:
        """A view of the rows for which a condition holds.

        Args:
            name: of the new view.
            where: over this view's columns, as in `Titanic().age > 18` or `lambda row: row.age > 18`.
        """
        condition = where if isinstance(where, Feature) else where(self())
        source = FilterSource(source=self.as_source(), condition=condition.expression)
        return self._made_of(name, source, self.schema)

    def with_source(self, source: Any) -> FeatureView[T]:
        """The same contract over another source; nothing is materialized.

        Raises:
            SchemaMismatchError: the source is a view that does not fit.
        """
        made = replace(
            self,
            source=as_source(source, self.name),
            materialized_source=None,
            materialize_from=None,
            every=None,
            lookback=None,
            materialize_until=None,
        )
        check_fit(self.name, self.compiled.inputs, made.source, self.location)
        return made

    def reading(self, replace_view: ReplaceView) -> Self:
        """The same contract over other views, where it reads or refers to some.

        Args:
            replace_view: gives for a view the one that takes its place.
        """
        source = self.source.over(replace_view) if isinstance(self.source, ContractSource) else self.source
        referenced = {name: replace_view(view) for name, view in self.referenced.items()}
        return replace(self, source=source, referenced=referenced)

    def with_entity_renaming(self, names: str | Mapping[str, str], name: str | None = None) -> FeatureView[T]:
        """A view whose entities bear other names, for facts that name them otherwise.

        Args:
            names: old name to new name; the new name alone where there is one entity.
            name: of the new view; `<view>_by_<new names>` if not given.

        Raises:
            ContractError: a name is not one of an entity.
        """
        entities = self.schema.entities
        if isinstance(names, str):
            if len(entities) != 1:
                raise ContractError(
                    f"{self.name} has the entities {', '.join(entities)}; say which by a dict."
                )
            names = {entities[0]: names}
        for old in names:
            if old not in entities:
                raise ContractError(
                    f"{old!r} is no entity of {self.name}.{did_you_mean(old, entities)} Entities: {', '.join(entities)}."
                )
        columns = tuple(replace(c, name=names.get(c.name, c.name)) for c in self.schema.as_stored().columns)
        source = RenameSource(source=self.as_source(), names=dict(names))
        made = self._made_of(name or f"{self.name}_by_{'_'.join(names.values())}", source, Schema(columns))
        return replace(made, declaration=None)

    def _made_of(self, name: str, source: ContractSource, schema: Schema) -> FeatureView[T]:
        stored = schema.as_stored()
        return replace(
            self,
            name=check_name(name),
            compiled=Compiled(stored, stored),
            source=source,
            materialized_source=None,
            schedule=None,
            automation=None,
            materialize_from=None,
            every=None,
            lookback=None,
            materialize_until=None,
            location=caller(),
        )

    # --- JSON -----------------------------------------------------------------------------------------

    def json_schema(self, columns: Iterable[str] | None = None) -> dict[str, Any]:
        """The JSON Schema (draft 2020-12) of one row, in the form in which `aligned-dagster query --json` prints it.

        Rules that JSON Schema cannot say, such as uniqueness, stand in a `$comment`. NaN and infinity have no JSON.

        Args:
            columns: the wanted columns in order; all of them, the derived ones included, if not given.

        Raises:
            UnknownFeatureError: a column is not in the contract.
        """
        from aligned_dagster.contracts.json_schema import row_schema

        return row_schema(self, columns)

    def to_odcs(self) -> dict[str, Any]:
        """The contract in the Open Data Contract Standard, version 3: what its YAML file holds, without any secret."""
        from aligned_dagster.contracts.odcs import document

        return document(self)

    def to_json(self) -> dict[str, Any]:
        """The stable JSON form; a source that has none is named by its URI."""
        from aligned_dagster.contracts.serialisation import view_to_json

        return view_to_json(self, strict=False)


class _Columns:
    """The columns of a contract that was read from JSON."""


def title_of(view: FeatureView[Any]) -> str:
    """The name by which code calls a contract: that of its class, where it has one."""
    return view.declaration.__name__ if view.declaration else view.name


def view_of(other: Any) -> FeatureView[Any]:
    """The view behind a view or its columns.

    Raises:
        ContractError: it is neither.
    """
    if isinstance(other, FeatureView):
        return other
    found = getattr(other, "__dict__", {}).get(_VIEW)
    if found is None:
        raise ContractError(
            f"Expected a feature view or its columns, as in Planes or Planes(); got {other!r}.{at(caller())}"
        )
    return cast("FeatureView[Any]", found)


def join_sources(
    left: ContractSource,
    other: Any,
    on: str | list[str] | None,
    how: str,
    left_on: str | list[str] | None,
    right_on: str | list[str] | None,
    suffix: str | None,
) -> JoinSource:
    """Join a source with a view, its columns or another join."""
    right = other if isinstance(other, ContractSource) else view_of(other).as_source()
    behind = suffix or f"_{right.label.split()[0]}"
    return joined(left, right, on=on, left_on=left_on, right_on=right_on, how=how, suffix=behind)


def as_source(source: Any, contract: str) -> DataSource:
    """What a contract may read: a source, a view or its columns, a function, or a polars frame.

    Raises:
        ContractError: it is none of these.
    """
    if isinstance(source, DataSource):
        return source
    if isinstance(source, FeatureView) or _VIEW in getattr(source, "__dict__", {}):
        return view_of(source).as_source()
    if isinstance(source, pl.DataFrame):
        return InMemorySource(source)
    if isinstance(source, type):
        raise ContractError(
            f"{contract} reads the class {source.__name__}, which is no contract. Decorate it with @feature_view.{at(caller())}"
        )
    if callable(source):
        return CustomMethodDataSource.from_load(source)
    hint = "Write FileSource.csv_at(...), another view, a function that gives a frame, ..."
    if isinstance(source, str | PurePath):
        end = str(source).lower()
        kind = "csv_at" if ".csv" in end else "parquet_at" if end.endswith((".parquet", ".pq")) else ""
        hint = f"Write source=FileSource.{kind}({str(source)!r})." if kind else hint
    raise ContractError(f"{contract} needs a source, and got {source!r}. {hint}{at(caller())}")
