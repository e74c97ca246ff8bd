"""Rows that are larger than the memory that a process and all it starts may hold."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl

from aligned_dagster import publish
from benchmarks.cell import Task
from benchmarks.cells.scale_rows import contract
from benchmarks.processes import limit_memory, watched

DERIVED = {
    "spread": pl.col("c00") - pl.col("c01"),
    "weighted": pl.col("c00") * pl.col("c02") + pl.col("c01"),
    "weekday": pl.col("read_at").dt.weekday(),
    "is_hot": pl.col("c00") >= 900,
    "machine_name": pl.col("machine").str.to_uppercase(),
}


def published(task: Task) -> Callable[[], Any]:
    """Compute, audit and publish the contract, on its engine."""
    view = contract(task)

    def work() -> Path:
        publish(view)
        [written] = task.work.glob("out*")
        return written

    return _limited(task, work)


def in_memory(task: Task) -> Callable[[], Any]:
    """By hand: read all, derive, check, write."""

    def work() -> Path:
        rows = pl.read_parquet(task.data / "rows.parquet").with_columns(**DERIVED)
        assert rows["reading_id"].n_unique() == rows.height
        out = task.work / "out.parquet"
        rows.write_parquet(out)
        return out

    return _limited(task, work)


def sink(task: Task) -> Callable[[], Any]:
    """By hand: scan, derive, sink; nothing is checked."""

    def work() -> Path:
        out = task.work / "out.parquet"
        pl.scan_parquet(task.data / "rows.parquet").with_columns(**DERIVED).sink_parquet(out)
        return out

    return _limited(task, work)


def _limited(task: Task, work: Callable[[], Path]) -> Callable[[], Any]:
    def run() -> Path:
        if task.args["limit"]:
            limit_memory(task.args["limit"])
        with watched() as family:
            written = work()
        stored = sum(file.stat().st_size for file in (task.data / "tree").rglob("*.parquet"))
        task.figures["peak MB of all processes"] = round(family.peak / 1e6)
        task.figures["processor seconds of all"] = round(family.processors, 1)
        task.figures["MB a second and core"] = round(stored / 1e6 / family.processors, 1)
        return written

    return run
