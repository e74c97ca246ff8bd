"""The view of sales on files of several sizes: it answers with its rows per unit of size, to be the same for all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import polars as pl

from benchmarks.cell import Task
from benchmarks.cells.by_hand_view import DERIVED


def sized(task: Task) -> Callable[[], Any]:
    """Another way, on the rows at a path that its arguments name."""
    module, _, function = task.args["cell"].partition(":")
    run = getattr(import_module(f"benchmarks.cells.{module}"), function)(
        replace(task, data=Path(task.args["at"]))
    )

    def counted() -> Any:
        written = run()
        return lambda: pl.scan_parquet(written).select(pl.len()).collect().item() // task.args["times"]

    return counted


def tree_by_hand(task: Task) -> Callable[[], Any]:
    """Sink into many partitions, with the row groups that keep memory low."""

    def run() -> Any:
        out = task.work / "tree"
        parted = pl.scan_parquet(task.data / "sales.parquet").with_columns(
            **DERIVED, part=pl.col("sale_id") % task.args["parts"]
        )
        rows = 20_000 if task.args.get("small") else None
        parted.sink_parquet(
            pl.PartitionBy(out, key="part", include_key=False), mkdir=True, row_group_size=rows
        )
        return out

    return run
