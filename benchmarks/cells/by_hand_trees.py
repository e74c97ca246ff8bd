"""What people write with polars and DuckDB for rows in Hive partitions."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl

from benchmarks.cell import Task


def copied(task: Task) -> Path:
    """A tree that may be written."""
    tree = task.work / "tree"
    shutil.copytree(task.data / "stored", tree)
    return tree


def upsert(task: Task) -> Callable[[], Any]:
    """Read the partitions that change, put the new rows in place of those of the same key, swap the directories."""
    tree = copied(task)

    def run() -> Any:
        new = pl.scan_parquet(task.data / task.args["new"])
        parts = new.select("part").unique().collect()["part"].to_list()
        old = pl.scan_parquet(tree, hive_partitioning=True, hive_schema={"part": pl.Int32})
        old = old.filter(pl.col("part").is_in(parts))
        merged = pl.concat([old.join(new, on="id", how="anti"), new.select(old.collect_schema().names())])
        staged = task.work / "staged"
        merged.sink_parquet(pl.PartitionBy(staged, key="part", include_key=False), mkdir=True)
        for part in parts:
            shutil.rmtree(tree / f"part={part}")
            (staged / f"part={part}").rename(tree / f"part={part}")
        return tree

    return run


def one_partition(task: Task) -> Callable[[], Any]:
    """Two columns of one partition, by a filter on the tree."""

    def run() -> Any:
        frame = pl.scan_parquet(task.data / "stored", hive_partitioning=True)
        return frame.filter(pl.col("part") == task.args["part"]).select("id", "c07").collect()

    return run


def one_file(task: Task) -> Callable[[], Any]:
    """Two columns of the one file, by its name: the least that can be read."""

    def run() -> Any:
        file = task.data / "stored" / f"part={task.args['part']}" / "rows.parquet"
        return pl.scan_parquet(file).select("id", "c07").collect()

    return run


def one_partition_by_duckdb(task: Task) -> Callable[[], Any]:
    """Two columns of one partition, by SQL."""
    import duckdb
    import pyarrow  # noqa: F401  # its import is not what is measured

    def run() -> Any:
        files = task.data / "stored" / "**" / "*.parquet"
        query = "SELECT id, c07 FROM read_parquet(?, hive_partitioning = true) WHERE part = ?"
        return pl.from_arrow(
            duckdb.connect().sql(query, params=[str(files), task.args["part"]]).to_arrow_table()
        )

    return run
