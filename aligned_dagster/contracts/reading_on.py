"""The rows of contracts on an engine: stored ones are read there, virtual ones are computed there."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import polars as pl

from aligned_dagster.contracts.computing import source_columns
from aligned_dagster.contracts.computing_on import computed_on
from aligned_dagster.contracts.joining import JoinSource
from aligned_dagster.contracts.training_on import training_rows_on
from aligned_dagster.contracts.training_source import TrainingSource
from aligned_dagster.contracts.unmaterialised import materialised
from aligned_dagster.contracts.view_source import ContractSource, FilterSource, RenameSource, ViewSource
from aligned_dagster.features.dtypes import DataType
from aligned_dagster.features.engines.dialect import Dialect
from aligned_dagster.features.engines.native import import_narwhals
from aligned_dagster.features.engines.replay import replay_on
from aligned_dagster.features.engines.selecting import select_on
from aligned_dagster.features.expression import Call, ColumnRef, Expression, Literal, inputs
from aligned_dagster.features.literals import Value
from aligned_dagster.features.schema import Schema
from aligned_dagster.request.partition import PartitionSlice, Window
from aligned_dagster.request.point_in_time_on import LookupOn, point_in_time_joins_on
from aligned_dagster.request.retrieval_request import RetrievalRequest
from aligned_dagster.sources.engines.session import EngineSession, Period, Types
from aligned_dagster.sources.source import DataSource, period_bounds

if TYPE_CHECKING:
    import narwhals as nw

    from aligned_dagster.contracts.feature_view import FeatureView

    Rows = nw.LazyFrame[Any]

_KEPT = "__kept"


@dataclass(frozen=True)
class Reader:
    """Reads contracts on one engine. Its frames are lazy, with the contract's names and in the dtypes that travel there.

    Args:
        session: the engine.
        frames: rows of views that are at hand, by name.
    """

    session: EngineSession
    frames: Mapping[str, pl.LazyFrame] = field(default_factory=dict)

    # --- contracts --------------------------------------------------------------------------------------

    def read(
        self,
        view: FeatureView[Any],
        columns: Iterable[str] | None = None,
        between: Period | None = None,
    ) -> Rows:
        """The rows of a contract as a consumer sees them; see `FeatureView.read`.

        Args:
            view: the contract.
            columns: the wanted columns in order; all of them if not given.
            between: the first and the last moment of its event timestamp.
        """
        wanted = view.read_columns(columns)
        types = _types(view.schema, wanted)
        if view.name in self.frames:
            return self.session.from_polars(self.frames[view.name].select(wanted), types)
        if view.schema.event_timestamp is None:
            between = None
        if view.materialized_source is not None:
            request = view.stored_request.project(wanted)
            with materialised(view):
                return self.session.read(view.materialized_source, request, between=between)
        if view.engine not in (None, self.session.name):
            rows = view.read(self.frames) if between is None else view.read_between(*between, self.frames)
            return self.session.from_polars(rows.select(wanted), types)
        if between is None:
            return self.compute(view, wanted)
        if view.compiled.groupings:
            time = view.need_event_timestamp()
            whole = self.compute(view, dict.fromkeys([*wanted, time]))
            return self._select(self.within(whole, view.request, view.schema, between), wanted)
        needed = source_columns(view.compiled, wanted) or (view.compiled.inputs.stored[0].name,)
        rows_of_source = self.source(view.source, view.request.project(needed), between)
        return computed_on(rows_of_source, view.compiled, wanted, self.session.name)

    def compute(
        self,
        view: FeatureView[Any],
        columns: Iterable[str] | None = None,
        part: PartitionSlice | None = None,
    ) -> Rows:
        """The rows computed from the source, whether or not they are also materialized; see `FeatureView.compute`.

        Args:
            view: the contract.
            columns: the wanted columns in order; all of them if not given.
            part: the partitions whose rows are wanted; all rows if not given.
        """
        wanted, engine = view.read_columns(columns), self.session.name
        if part is None:
            needed = source_columns(view.compiled, wanted) or (view.compiled.inputs.stored[0].name,)
            rows = self.source(view.source, view.request.project(needed))
            return computed_on(rows, view.compiled, wanted, engine)
        everything = tuple(dict.fromkeys([*wanted, *part.columns(view.schema)]))
        request = view.request.project(source_columns(view.compiled, everything))
        period = None if part.span is None else _with_history(view, part.span)
        rows = self.source(view.source, request, period)
        found = computed_on(rows, view.compiled, everything, engine, cells=part.cells)
        kept = self._filtered(found, _condition(part, view.schema), _types(view.schema, everything))
        return self._select(kept, wanted)

    # --- sources ----------------------------------------------------------------------------------------

    def source(self, source: DataSource, request: RetrievalRequest, between: Period | None = None) -> Rows:
        """The rows of a source in the types of the contract that asks: those of contracts are made on the engine.

        Args:
            source: where they are.
            request: the contract and the wanted columns.
            between: the first and the last moment of the contract's event timestamp.
        """
        if not isinstance(source, ContractSource):
            return self.session.read(source, request, between=between)
        time = request.event_timestamp if between is not None else None
        asked = request if time is None else request.project(dict.fromkeys([*request.columns, time]))
        known = source.columns()
        names = tuple(name for name in asked.columns if name in known) or tuple(known)[:1]
        rows = self._conformed(self._rows(source, names, between), asked, known)
        if time is None or between is None:
            return rows
        return self._select(self.within(rows, request, request.schema, between), request.columns)

    def within(self, rows: Rows, request: RetrievalRequest, schema: Schema, between: Period) -> Rows:
        """The rows of a period.

        Args:
            rows: of the engine.
            request: the contract that they are of.
            schema: its columns.
            between: the first and the last moment of its event timestamp.
        """
        time, *bounds = period_bounds(request, *between)
        low, high = pl.select(low=bounds[0], high=bounds[1]).row(0)
        column = ColumnRef(time)
        condition = Call("and_", Call("ge", column, Literal(low)), Call("le", column, Literal(high)))
        return self._filtered(rows, condition, _types(schema, rows.collect_schema().names()))

    def _rows(self, source: ContractSource, names: Sequence[str], between: Period | None = None) -> Rows:
        """The named columns of a source that is made of contracts, in the types that they have there."""
        if isinstance(source, ViewSource):
            return self.read(source.view, names, between)
        if isinstance(source, FilterSource):
            columns = source.columns()
            wanted = tuple(dict.fromkeys([*names, *sorted(inputs(source.condition))]))
            types = {name: columns[name] for name in wanted}
            return self._select(
                self._filtered(self._rows(source.source, wanted), source.condition, types), names
            )
        if isinstance(source, RenameSource):
            old = {new: name for name, new in source.names.items()}
            stored = {name: old.get(name, name) for name in names}
            return self._select(self._rows(source.source, tuple(stored.values())), stored)
        if isinstance(source, JoinSource):
            return self._joined(source, names)
        if isinstance(source, TrainingSource):
            return training_rows_on(self, source, names, between)
        columns = source.columns()
        types = {name: columns[name] for name in names}
        bound = source.bind(self.frames)
        assert isinstance(bound, ContractSource)
        return self.session.from_polars(bound.rows(tuple(names)), types)

    def _joined(self, source: JoinSource, names: Sequence[str]) -> Rows:
        """Two sources side by side; see `JoinSource.rows`."""
        added = {name: old for name, old in source.added().items() if name in names}
        own = [name for name in names if name in source.left.columns()]
        times = [time for time in (source.left_time,) if time]
        left = self._rows(source.left, tuple(dict.fromkeys([*source.left_on, *times, *own])))
        if source.how == "asof":
            return self._select(self._with_latest(source, left, added), names)
        right = self._rows(source.right, tuple(dict.fromkeys([*source.right_on, *added.values()])))
        # Neither side's names are in the way of the other's, and of no engine's.
        lefts, rights = (
            {name: f"{side} {n}" for n, name in enumerate(of)}
            for side, of in (("left", own), ("right", added))
        )
        keys = [f"key {number}" for number in range(len(source.left_on))]
        both = self._select(
            left, {**dict(zip(keys, source.left_on, strict=True)), **{a: n for n, a in lefts.items()}}
        ).join(
            self._select(
                right,
                {**dict(zip(keys, source.right_on, strict=True)), **{a: added[n] for n, a in rights.items()}},
            ),
            on=keys,
            how=source.how,
        )
        return self._select(both, {name: {**lefts, **rights}[name] for name in names})

    def _with_latest(self, source: JoinSource, left: Rows, added: Mapping[str, str]) -> Rows:
        """The rows of the left side with those columns of the latest earlier row of the right one."""
        assert source.right_time is not None
        new = {old: name for name, old in added.items()}
        wanted = tuple(dict.fromkeys([*source.right_on, source.right_time, *added.values()]))
        right = self._select(self._rows(source.right, wanted), {new.get(name, name): name for name in wanted})
        keys = dict(zip(source.left_on, source.right_on, strict=True))
        lookup = LookupOn(right, keys, source.right_time, None, {name: name for name in added})
        engine, at = self.session.name, source.left_time
        return point_in_time_joins_on(left, [lookup], engine=engine, fact_timestamp=at)

    # --- on the engine ----------------------------------------------------------------------------------

    def _select(self, rows: Rows, names: Iterable[str] | Mapping[str, str]) -> Rows:
        """These columns, of a mapping each under its new name."""
        sql = Dialect(self.session.name)
        stored = names if isinstance(names, Mapping) else {name: name for name in names}
        return select_on(rows, {new: sql.name(old) for new, old in stored.items()}, self.session.name)

    def _filtered(self, rows: Rows, condition: Expression | None, types: Types) -> Rows:
        if condition is None:
            return rows
        # Engines take a condition over groups of rows as a column, and not in a filter.
        kept = replay_on(condition, self.session.name, types)
        nw = import_narwhals(self.session.name)
        found: Rows = rows.with_columns(kept.alias(_KEPT)).filter(nw.col(_KEPT))
        return self._select(found, tuple(types))

    def _conformed(self, rows: Rows, request: RetrievalRequest, known: Mapping[str, DataType]) -> Rows:
        """The wanted columns in the contract's types; casts that can fail were refused when it was loaded."""
        made: dict[str, Expression] = {}
        for column in request.wanted:
            name, dtype = column.name, column.dtype.text
            if name not in known:
                made[name] = Call("cast", Literal(column.default), dtype)
                continue
            made[name] = (
                ColumnRef(name) if known[name] == column.dtype else Call("cast", ColumnRef(name), dtype)
            )
            if column.has_default and column.default is not None:
                made[name] = Call("fill_null", made[name], column.default)
        engine = self.session.name
        return rows.select(*(replay_on(tree, engine, known).alias(name) for name, tree in made.items()))


def _types(schema: Schema, names: Iterable[str]) -> dict[str, DataType]:
    return {name: schema.column(name).dtype for name in names}


def _with_history(view: FeatureView[Any], span: Window) -> Period:
    """The period of a span of windows, with what aggregations over windows look back on."""
    windows = [grouping.window for _, grouping in view.compiled.groupings if grouping.window]
    return span.start - max(windows, default=timedelta()), span.last


def _condition(part: PartitionSlice, schema: Schema) -> Expression | None:
    """True for the rows that belong to some partitions; None where all rows do. See `PartitionSlice.predicate`."""
    conditions: list[Expression] = []
    time = schema.event_timestamp
    if part.windows and time is not None:
        zone = schema.column(time).dtype.time_zone
        within = [
            Call(
                "and_",
                Call("ge", ColumnRef(time), Literal(_local(window.start, zone))),
                Call("lt", ColumnRef(time), Literal(_local(window.end, zone))),
            )
            for window in part.windows
        ]
        conditions.append(_combined("or_", within))
    columns = {tuple(name for name, _ in key) for key in part.keys}
    if len(columns) == 1 and len(next(iter(columns))) == 1:
        ((name,),) = columns
        conditions.append(_is_one_of(name, [key[0][1] for key in part.keys]))
    elif part.keys:
        keys = [_combined("and_", [_is_one_of(name, [value]) for name, value in key]) for key in part.keys]
        conditions.append(_combined("or_", keys))
    return _combined("and_", conditions) if conditions else None


def _is_one_of(name: str, values: Sequence[Value]) -> Expression:
    known = tuple(value for value in values if value is not None)
    found: list[Expression] = [Call("is_in", ColumnRef(name), known)] if known else []
    if len(known) < len(values):
        found.append(Call("is_null", ColumnRef(name)))
    return _combined("or_", found)


def _combined(method: str, conditions: Sequence[Expression]) -> Expression:
    return functools.reduce(lambda left, right: Call(method, left, right), conditions)


def _local(moment: datetime, zone: str | None) -> datetime:
    local = moment.astimezone(ZoneInfo(zone or "UTC"))
    return local if zone else local.replace(tzinfo=None)
