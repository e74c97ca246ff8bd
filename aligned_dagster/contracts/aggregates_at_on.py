"""Aggregations over windows that end at each fact's time, where an engine holds the rows; see `aggregates_at`.

Each moment that is asked about meets the rows of its window, and no others: time is cut into pieces as long as the window,
so a window lies in two of them, and rows meet moments by entity and piece.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from aligned_dagster.contracts.features_join import Asked
from aligned_dagster.features.compiling import Compiled
from aligned_dagster.features.dtypes import DataType
from aligned_dagster.features.engines.dialect import Dialect
from aligned_dagster.features.engines.names import Engine
from aligned_dagster.features.engines.native import native
from aligned_dagster.features.engines.replay import replay_on, with_derived_on
from aligned_dagster.features.engines.selecting import select_on
from aligned_dagster.features.plan import needed
from aligned_dagster.request.moments_on import moment_on
from aligned_dagster.request.point_in_time_on import key_type

if TYPE_CHECKING:
    import narwhals as nw

    from aligned_dagster.contracts.reading_on import Reader

    Rows = nw.LazyFrame[Any]

_NOW, _AT, _WRITTEN, _PIECE, _FOUND = (f"__{name}" for name in ("now", "at", "written", "piece", "found"))
_MICROSECOND = timedelta(microseconds=1)


def aggregated_at_on(reader: Reader, asked: Asked, facts: Rows, fact_timestamp: str) -> Rows:
    """The facts with what is asked of a virtual view that aggregates, over the rows that were known at each fact's time.

    Args:
        reader: reads contracts on the engine.
        asked: what is asked of the view.
        facts: rows with the columns of the entities, and others that are kept.
        fact_timestamp: their column with the time.
    """
    view, engine = asked.want.view, reader.session.name
    compiled, time, sql = view.compiled, view.need_event_timestamp(), Dialect(engine)
    derivations = {**compiled.inputs.derivations, **compiled.schema.derivations}
    created = compiled.inputs.created_timestamp
    wanted = needed({*asked.names, *view.schema.entities, time, *([created] if created else [])}, derivations)
    types = {column.name: column.dtype for column in (*compiled.inputs.columns, *compiled.schema.columns)}
    stored = tuple(column.name for column in compiled.inputs.stored if column.name in wanted)
    rows = reader.source(view.source, view.request.project(stored))
    before = {name: tree for name, tree in compiled.inputs.derivations.items() if name in wanted}
    rows = with_derived_on(rows, before, engine, types)

    given, known = facts.collect_schema().to_polars(), rows.collect_schema().to_polars()
    pairs = [(column, entity) for entity, column in asked.want.entities.items()]
    dtypes = [key_type(a, given[a], b, known[b]) for a, b in pairs]
    keys = {f"__key {number}": entity for number, (_, entity) in enumerate(pairs)}
    aside = {f"__given {number}": name for number, name in enumerate(given)}
    theirs = {
        **{away: sql.name(name) for away, name in aside.items()},
        **{key: sql.cast(sql.name(a), t) for key, (a, _), t in zip(keys, pairs, dtypes, strict=True)},
        _NOW: moment_on(fact_timestamp, given[fact_timestamp], engine, zone=view.time_zone),
    }
    numbered = select_on(facts, theirs, engine)

    def read(name: str) -> str:
        return moment_on(name, known[name], engine, zone=view.time_zone, ambiguous="latest")

    values = {f"__value {number}": name for number, name in enumerate(known)}
    mine = {
        **{value: sql.name(name) for value, name in values.items()},
        **{key: sql.cast(sql.name(b), t) for key, (_, b), t in zip(keys, pairs, dtypes, strict=True)},
        _AT: read(time),
        _WRITTEN: read(created) if created else "CAST(NULL AS bigint)",
    }
    events = select_on(rows, mine, engine).drop_nulls([*keys, _AT])
    answered = points = numbered.select(*keys, _NOW).drop_nulls().unique()
    windows = _windows(compiled, wanted)
    for window in windows:
        met = select_on(
            _met(points, events, list(keys), window.length, engine),
            {
                **{name: sql.name(value) for value, name in values.items()},
                **{name: sql.name(name) for name in (*keys, _NOW, _AT)},
            },
            engine,
        )
        found = _taken(met, compiled, window, types, list(keys), engine, asked.max_age)
        answered = answered.join(found, on=[*keys, _NOW], how="left")
    rows = numbered.join(answered, on=[*keys, _NOW], how="left")

    own = {name: sql.name(column) for window in windows for column, name in window.columns.items()}
    times = [sql.name(window.time) for window in windows]
    told = {
        **{away: sql.name(away) for away in aside},
        **{entity: sql.name(key) for key, entity in keys.items()},
        **own,
        time: f"GREATEST({', '.join(times)})" if len(times) > 1 else times[0],
        _FOUND: " OR ".join(f"{name} IS NOT NULL" for name in times),
    }
    after = {
        name: tree
        for name, tree in compiled.schema.derivations.items()
        if name in wanted and name not in before and name not in own
    }
    rows = with_derived_on(select_on(rows, told, engine), after, engine, types)
    answer = {
        **{name: sql.name(away) for away, name in aside.items()},
        **{called: sql.name(column) for column, called in asked.names.items()},
        **({} if asked.found is None else {asked.found: sql.name(_FOUND)}),
    }
    return select_on(rows, answer, engine)


@dataclass(frozen=True)
class _Window:
    """Aggregations over windows of one length.

    Args:
        length: in microseconds; None reaches back before any time.
        columns: name on the way to the name in the contract.
        time: name on the way of the time of the last row in a window; null where there is no row.
    """

    length: int | None
    columns: Mapping[str, str]
    time: str


def _windows(compiled: Compiled, wanted: Collection[str]) -> list[_Window]:
    """The wanted aggregations by the length of their windows; one that holds all rows where none is wanted."""
    found: dict[int | None, list[str]] = {}
    for name, grouping in compiled.groupings:
        if name in wanted:
            length = None if grouping.window is None else grouping.window // _MICROSECOND
            found.setdefault(length, []).append(name)
    return [
        _Window(length, {f"__answer {number} {n}": name for n, name in enumerate(names)}, f"__last {number}")
        for number, (length, names) in enumerate((found or {None: []}).items())
    ]


def _met(points: Rows, events: Rows, keys: Sequence[str], length: int | None, engine: Engine) -> Rows:
    """For each moment the rows of the window that ends there, as far as they were written by then."""
    import narwhals as nw

    known = [
        native(f"{_WRITTEN} IS NULL OR {_WRITTEN} <= {_NOW}", engine),
        native(f"{_AT} <= {_NOW}", engine),
    ]
    if length is None:
        return points.join(events, on=list(keys), how="inner").filter(*known)

    def piece(moment: str, later: int = 0) -> nw.Expr:
        start = f"{moment} - (({moment} % {length} + {length}) % {length}) + {later}"
        return native(start, engine).alias(_PIECE)

    twice = nw.concat([events.with_columns(piece(_AT)), events.with_columns(piece(_AT, length))])
    pairs = points.with_columns(piece(_NOW)).join(twice, on=[*keys, _PIECE], how="inner")
    return pairs.filter(*known, native(f"{_AT} > {_NOW} - {length}", engine))


def _taken(
    met: Rows,
    compiled: Compiled,
    window: _Window,
    types: Mapping[str, DataType],
    keys: Sequence[str],
    engine: Engine,
    max_age: timedelta | None,
) -> Rows:
    """For each moment what the rows of its window come to; none for one whose last row is too old."""
    time, sql = compiled.inputs.event_timestamp, Dialect(engine)
    assert time is not None
    values = [
        replay_on(compiled.schema.derivations[name], engine, types, order_by=time).alias(column)
        for column, name in window.columns.items()
    ]
    last = [
        native(f"MAX({sql.name(name)})", engine, aggregates=True).alias(alias)
        for name, alias in ((time, window.time), (_AT, _AT))
    ]
    found = met.group_by(*keys, _NOW).agg(*last, *values)
    if max_age is not None:
        found = found.filter(native(f"{_NOW} - {_AT} <= {max_age // _MICROSECOND}", engine))
    kept = {
        **{name: sql.name(name) for name in (*keys, _NOW, window.time)},
        **{column: sql.cast(sql.name(column), types[name]) for column, name in window.columns.items()},
    }
    return select_on(found, kept, engine)
