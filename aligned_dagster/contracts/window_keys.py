"""What a window of time tells of the partition keys that are computed from the event timestamp."""

from __future__ import annotations

import functools
import operator
from typing import TYPE_CHECKING, Any

import polars as pl

from aligned_dagster.features import expression as ex
from aligned_dagster.request.partition import PartitionSlice

if TYPE_CHECKING:
    from aligned_dagster.contracts.feature_view import FeatureView

_MONOTONIC = frozenset({"dt.convert_time_zone", "dt.truncate", "dt.date", "dt.year", "cast"})
"""Calls that never put a later time before an earlier one."""


def partition_condition(view: FeatureView[Any], part: PartitionSlice) -> pl.Expr:
    """The condition of a part, with all that its windows tell of the partition keys of the view's storage.

    A window of the event timestamp alone would make a reader open every file; the day that the files are divided
    by, computed from that timestamp, tells which few hold the window.

    Args:
        view: a materialized contract.
        part: some of its partitions.
    """
    condition = part.predicate(view.schema)
    time = view.schema.event_timestamp
    if part.span is None or time is None:
        return condition
    ends = pl.DataFrame({time: [part.span.start, part.span.last]}).cast({time: view.schema.polars[time]})
    bounds: list[pl.Expr] = []
    for name in getattr(view.materialized_source, "partition_keys", ()):
        tree = view.all_derivations.get(name)
        if tree is not None and _keeps_order(tree, time):
            low, high = ends.select(ex.replay(tree)).to_series().cast(view.schema.polars[name]).to_list()
            bounds.append(pl.col(name).is_between(pl.lit(low), pl.lit(high)))
    return functools.reduce(operator.and_, bounds, condition)


def _keeps_order(tree: ex.Expression, time: str) -> bool:
    """Whether a column is computed from the event timestamp alone, so that it grows with it."""
    nodes = list(ex.postorder(tree))
    calls = {node.method for node in nodes if isinstance(node, ex.Call)}
    targets = {node.args[1] for node in nodes if isinstance(node, ex.Call) and node.method == "cast"}
    return ex.inputs(tree) == {time} and calls <= _MONOTONIC and "string" not in targets
