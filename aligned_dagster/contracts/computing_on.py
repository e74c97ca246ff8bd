"""From the rows of a source to the rows of a contract, where an engine holds them; see `computing`."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from aligned_dagster.features.compiling import Compiled
from aligned_dagster.features.declared import Grouping
from aligned_dagster.features.dtypes import DataType
from aligned_dagster.features.engines.dialect import Dialect
from aligned_dagster.features.engines.names import Engine
from aligned_dagster.features.engines.native import native
from aligned_dagster.features.engines.replay import replay_on, with_derived_on
from aligned_dagster.features.engines.selecting import columns_on, select_on
from aligned_dagster.features.plan import needed
from aligned_dagster.request.moments_on import steps
from aligned_dagster.request.partition import Window

if TYPE_CHECKING:
    import narwhals as nw

_CELL = "__cell"
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MICROSECOND = dt.timedelta(microseconds=1)


def computed_on(
    frame: nw.LazyFrame[Any],
    compiled: Compiled,
    columns: tuple[str, ...],
    engine: Engine,
    *,
    cells: Sequence[Window] = (),
) -> nw.LazyFrame[Any]:
    """The wanted columns of the contract, in carried dtypes: the rows of `computed`, in no order.

    Of rows of an entity that have the same event timestamp, an engine may take any as the first or the last.

    Args:
        frame: the rows of the source in carried dtypes, with at least `source_columns`.
        compiled: what the contract says.
        columns: names of columns of the contract.
        engine: holds the rows.
        cells: windows of time in each of which entities are taken together for themselves; sorted and apart.

    Raises:
        UnsupportedError: the engine cannot compute a column; the message names it.
    """
    everything = {**compiled.inputs.derivations, **compiled.schema.derivations}
    found = needed({*columns, *compiled.schema.key} if compiled.groupings else columns, everything)
    types = {column.name: column.dtype for column in (*compiled.inputs.columns, *compiled.schema.columns)}
    before = {name: tree for name, tree in compiled.inputs.derivations.items() if name in found}
    frame = with_derived_on(frame, before, engine, types)
    if compiled.groupings:
        groupings = {name: grouping for name, grouping in compiled.groupings if name in found}
        frame = _taken_together(frame, compiled, groupings, cells, engine, types)
        after = {
            name: tree
            for name, tree in compiled.schema.derivations.items()
            if name in found and name not in before and name not in groupings
        }
        frame = with_derived_on(frame, after, engine, types)
    return columns_on(frame, columns, engine)


def _taken_together(
    frame: nw.LazyFrame[Any],
    compiled: Compiled,
    groupings: Mapping[str, Grouping],
    cells: Sequence[Window],
    engine: Engine,
    types: Mapping[str, DataType],
) -> nw.LazyFrame[Any]:
    """One row for each entity, or for each entity and time, with its aggregated columns."""
    entities, time, sql = compiled.inputs.entities, compiled.inputs.event_timestamp, Dialect(engine)
    keys = {f"__key {number}": name for number, name in enumerate(entities)}
    together = all(grouping.window is None for _, grouping in compiled.groupings)
    if not together and time is not None:
        keys["__key time"] = time
    frame = frame.with_columns(*(native(sql.name(name), engine).alias(key) for key, name in keys.items()))
    if together:
        frame = _of_entities(frame, compiled, groupings, cells, engine, types, list(keys))
    else:
        frame = _of_windows(frame, compiled, groupings, engine, types, list(keys))
    kept = {name: sql.name(key) for key, name in keys.items()}
    if together and time is not None:
        kept[time] = sql.name(time)
    values = {name: sql.cast(sql.name(name), types[name]) for name in groupings}
    return select_on(frame, {**kept, **values}, engine)


def _of_entities(
    frame: nw.LazyFrame[Any],
    compiled: Compiled,
    groupings: Mapping[str, Grouping],
    cells: Sequence[Window],
    engine: Engine,
    types: Mapping[str, DataType],
    keys: Sequence[str],
) -> nw.LazyFrame[Any]:
    import narwhals as nw

    time, trees, sql = compiled.inputs.event_timestamp, compiled.schema.derivations, Dialect(engine)
    values = [replay_on(trees[name], engine, types, order_by=time).alias(name) for name in groupings]
    by = list(keys)
    if time is None:
        return frame.group_by(*by).agg(*values)
    if len(cells) > 1:
        number = number_of_cell(sql.micros(sql.name(time), types[time]), cells)
        frame = frame.with_columns(native(number, engine).alias(_CELL)).filter(~nw.col(_CELL).is_null())
        by.append(_CELL)
    latest = native(f"MAX({sql.name(time)})", engine, aggregates=True).alias(time)
    return frame.group_by(*by).agg(latest, *values)


def _of_windows(
    frame: nw.LazyFrame[Any],
    compiled: Compiled,
    groupings: Mapping[str, Grouping],
    engine: Engine,
    types: Mapping[str, DataType],
    keys: Sequence[str],
) -> nw.LazyFrame[Any]:
    """Every row gets the values of the window that ends at it; those of one entity and time are alike then, and one stays."""
    time, sql = compiled.inputs.event_timestamp, Dialect(engine)
    assert time is not None
    by = ", ".join(sql.name(key) for key in keys[:-1])
    over = f"PARTITION BY {by} ORDER BY {sql.micros(sql.name(time), types[time])}"
    values = {}
    for name, grouping in groupings.items():
        assert grouping.window is not None
        reach = grouping.window // _MICROSECOND - 1
        window = f"{over} RANGE BETWEEN {reach} PRECEDING AND CURRENT ROW"
        tree = compiled.schema.derivations[name]
        values[name] = replay_on(tree, engine, types, order_by=time, window=window)
    return frame.with_columns(**values).unique(subset=list(keys), keep="any")


def number_of_cell(micros: str, cells: Sequence[Window]) -> str:
    """SQL of the place of the window in which a moment lies; null where it lies in none.

    Args:
        micros: SQL of the moment, in microseconds since 1970.
        cells: windows, sorted and apart.

    >>> hours = [dt.datetime(1970, 1, 1, hour, tzinfo=dt.UTC) for hour in (0, 1, 2)]
    >>> number_of_cell("x", [Window(hours[1], hours[2])])
    'CASE WHEN x < 7200000000 THEN CASE WHEN x < 3600000000 THEN NULL ELSE 0 END ELSE NULL END'
    """
    borders: list[int] = []
    places: list[int | None] = [None]
    for place, cell in enumerate(cells):
        start, end = ((moment - _EPOCH) // _MICROSECOND for moment in (cell.start, cell.end))
        if borders and borders[-1] == start:
            places[-1] = place
        else:
            borders.append(start)
            places.append(place)
        borders.append(end)
        places.append(None)
    return steps(micros, borders, places)
