"""Contracts on rows in Hive partitions."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl

from aligned_dagster import FeatureView, FileSource, Float, Int32, Int64, String, feature_view
from benchmarks.cell import Task
from benchmarks.cells.by_hand_trees import copied
from benchmarks.workloads.trees import COLUMNS


def tree_view(directory: Path, *, part_in_key: bool = True) -> FeatureView[Any]:
    """The contract on a tree, whose partition is part of the key or not."""
    source = FileSource.partitioned_parquet_at(directory, ["part"])
    part = Int32().as_entity() if part_in_key else Int32()
    columns = {f"c{column:02}": Float().lower_bound(0) for column in range(2, COLUMNS)}
    made: Any = feature_view(name="measured", source=source)(
        type("Measured", (), {"id": Int64().as_entity(), "part": part, "state": String(), **columns})
    )
    assert isinstance(made, FeatureView)
    return made


def upsert(task: Task) -> Callable[[], Any]:
    """Audit the new rows, and put them in place of those of the same key."""
    tree = copied(task)

    def run() -> Any:
        tree_view(tree, part_in_key=task.args.get("part_in_key", True)).query().upsert(
            pl.scan_parquet(task.data / task.args["new"])
        )
        return tree

    return run


def one_partition(task: Task) -> Callable[[], Any]:
    """Two columns of one partition."""

    def run() -> Any:
        query = tree_view(task.data / "stored").query()
        return query.filter(pl.col("part") == task.args["part"]).select("id", "c07").collect()

    return run
