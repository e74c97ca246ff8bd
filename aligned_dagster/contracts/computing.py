"""From the rows of a source to the rows of a contract: derive, and where it says so, take rows together."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import polars as pl

from aligned_dagster.features.compiling import Compiled
from aligned_dagster.features.declared import Grouping
from aligned_dagster.features.expression import replay
from aligned_dagster.features.plan import needed, with_derived
from aligned_dagster.request.partition import PartitionSlice, Window, number_of_window

_CELL = "__cell"


def source_columns(compiled: Compiled, columns: Iterable[str]) -> tuple[str, ...]:
    """The stored columns that the wanted ones are made of, in the contract's order."""
    wanted = set(columns)
    if compiled.groupings:
        wanted |= {*compiled.schema.key}
    found = needed(wanted, {**compiled.inputs.derivations, **compiled.schema.derivations})
    return tuple(column.name for column in compiled.inputs.stored if column.name in found)


def computed(
    frame: pl.LazyFrame, compiled: Compiled, columns: tuple[str, ...], *, cells: Sequence[Window] = ()
) -> pl.LazyFrame:
    """The wanted columns of the contract, in order.

    Args:
        frame: the rows of the source, with at least `source_columns`.
        compiled: what the contract says.
        columns: names of columns of the contract.
        cells: windows of time in each of which entities are taken together for themselves; sorted and apart.
    """
    everything = {**compiled.inputs.derivations, **compiled.schema.derivations}
    found = needed({*columns, *compiled.schema.key} if compiled.groupings else columns, everything)
    before = {name: tree for name, tree in compiled.inputs.derivations.items() if name in found}
    frame = with_derived(frame, before)
    if compiled.groupings:
        groupings = {name: grouping for name, grouping in compiled.groupings if name in found}
        frame = _taken_together(frame, compiled, groupings, cells)
        after = {
            name: tree
            for name, tree in compiled.schema.derivations.items()
            if name in found and name not in before and name not in groupings
        }
        frame = with_derived(frame, after)
    return frame.select(columns)


def _taken_together(
    frame: pl.LazyFrame, compiled: Compiled, groupings: dict[str, Grouping], cells: Sequence[Window]
) -> pl.LazyFrame:
    entities, time = list(compiled.inputs.entities), compiled.inputs.event_timestamp
    trees = compiled.schema.derivations
    if all(grouping.window is None for _, grouping in compiled.groupings):
        if time:
            frame = frame.sort(time, maintain_order=True)
        latest = [pl.col(time).max()] if time else []
        values = [replay(trees[name]).alias(name) for name in groupings]
        by = [pl.col(name) for name in entities]
        if time and len(cells) > 1:
            starts = [cell.start for cell in cells]
            by.append(number_of_window(starts, compiled.inputs).alias(_CELL))
            frame = frame.filter(PartitionSlice(tuple(cells)).predicate(compiled.inputs))
        return frame.group_by(by, maintain_order=True).agg(*latest, *values)
    assert time is not None
    ordered = frame.sort(*entities, time, maintain_order=True)
    windows: dict[Grouping, list[str]] = {}
    for name, grouping in groupings.items():
        windows.setdefault(grouping, []).append(name)
    joined = ordered.select(*entities, time).unique(maintain_order=True)
    for grouping, names in windows.items():
        assert grouping.window is not None
        values = [replay(trees[name]).alias(name) for name in names]
        rolled = (
            ordered.rolling(index_column=time, period=grouping.window, group_by=entities, closed="right")
            .agg(*values)
            .unique(subset=[*entities, time], keep="last", maintain_order=True)
        )
        joined = joined.join(
            rolled, on=[*entities, time], how="left", maintain_order="left", nulls_equal=True
        )
    return joined
