"""aligned 0.0.138 on rows in Hive partitions."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow  # noqa: F401, TID253  # it writes with it; the import is not what is measured
from aligned import FileSource, Float64, Int32, Int64, String, feature_view

from benchmarks.cell import Task
from benchmarks.cells.by_hand_trees import copied

COLUMNS = 12


def _view(directory: Path) -> Any:
    columns = {f"c{column:02}": Float64().lower_bound(0) for column in range(2, COLUMNS)}
    declared = {"id": Int64().as_entity(), "part": Int32().as_entity(), "state": String(), **columns}
    source = FileSource.partitioned_parquet_at(str(directory), partition_keys=["part"])
    annotations: dict[str, Any] = {"__annotations__": {}}
    return feature_view(name="measured", source=source)(type("Measured", (), declared | annotations))


def upsert(task: Task) -> Callable[[], Any]:
    """Its upsert: the partitions that change are removed, and then written."""
    tree = copied(task)

    def run() -> Any:
        async def work() -> None:
            new = pl.read_parquet(task.data / task.args["new"])
            await _view(tree).query().upsert(new.to_dict(as_series=False))

        asyncio.run(work())
        return tree

    return run


def one_partition(task: Task) -> Callable[[], Any]:
    """Two columns of one partition."""

    def run() -> Any:
        async def work() -> pl.DataFrame:
            job = _view(task.data / "stored").query().all().filter(pl.col("part") == task.args["part"])
            found: pl.DataFrame = (await job.to_lazy_polars()).select("id", "c07").collect()
            return found

        return asyncio.run(work())

    return run
