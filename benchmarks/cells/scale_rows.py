"""Rows of measurements that compress little, as one file and as Hive partitions, and a contract on either."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl

from aligned_dagster import (
    ContractStore,
    EventTimestamp,
    FeatureView,
    FileSource,
    Float,
    Int32,
    Int64,
    SparkConfig,
    String,
    feature_view,
)
from benchmarks.cell import Task

NUMBERS = tuple(f"c{number:02}" for number in range(20))
START = datetime(2024, 1, 1, tzinfo=UTC)
_MOST = 250_000
_GROUP = 50_000


def rows(first: int, number: int, part: int) -> pl.DataFrame:
    """So many measurements of a partition, that keep every rule.

    Args:
        first: number of the first row, of all partitions.
        number: how many.
        part: of the partition.
    """
    n = pl.int_range(first, first + number, dtype=pl.Int64)
    numbers = {
        name: (n.hash(seed) % 2**53).cast(pl.Float64) / 2**53 * 1_000
        for seed, name in enumerate(NUMBERS, start=10)
    }
    columns: dict[str, pl.Expr] = {
        "reading_id": n,
        "part": pl.repeat(part, number, dtype=pl.Int32),
        "read_at": pl.lit(START).dt.cast_time_unit("us") + pl.duration(seconds=n),
        "machine": pl.format("machine-{}", n.hash(1) % 50_021),
        "trace": pl.format("{}-{}", n.hash(2), n.hash(3)),
    }
    return pl.select(value.alias(name) for name, value in {**columns, **numbers}.items())


def make(folder: Path, number: int, parts: int) -> None:
    """Write them as one file, and as a file for each partition."""
    size = number // parts
    for part in range(parts):
        home = folder / "tree" / f"part={part}"
        home.mkdir(parents=True)
        frame = rows(part * size, size, part)
        frame.drop("part").write_parquet(home / "rows.parquet", row_group_size=_GROUP)
    # one after another: the streaming engine would hold more of them than a small machine has
    files = pl.scan_parquet(
        folder / "tree" / "**/*.parquet", hive_partitioning=True, hive_schema={"part": pl.Int32}
    )
    files.sink_parquet(folder / "rows.parquet", row_group_size=_GROUP)


class Readings:
    """What is measured: its key, its rules, and five columns that are derived."""

    reading_id = Int64().as_entity().lower_bound(0)
    part = Int32().lower_bound(0)
    read_at = EventTimestamp()
    machine = String().validate_starts_with("machine-")
    trace = String()
    c00 = Float().lower_bound(0).upper_bound(1_000)
    c01 = Float().lower_bound(0).upper_bound(1_000)
    c02 = Float().lower_bound(0).upper_bound(1_000)

    spread = c00 - c01
    weighted = c00 * c02 + c01
    weekday = read_at.weekday()
    is_hot = c00 >= 900
    machine_name = machine.to_uppercase()


def contract(task: Task) -> FeatureView[Any]:
    """The contract, from the rows of a file to a file, or from partitions to partitions."""
    data, out, parted = task.data, task.work / "out", task.args["partitions"]
    numbers = {name: Float().lower_bound(0).upper_bound(1_000) for name in NUMBERS[3:]}
    decorate: Any = feature_view(
        name="readings",
        source=FileSource.partitioned_parquet_at(data / "tree", ["part"])
        if parted
        else FileSource.parquet_at(data / "rows.parquet"),
        materialized_source=FileSource.partitioned_parquet_at(out, ["part"])
        if parted
        else FileSource.parquet_at(out.with_suffix(".parquet")),
        engine=task.args.get("engine"),
    )
    view = decorate(type("Readings", (Readings,), numbers))
    assert isinstance(view, FeatureView)
    if "heap" not in task.args:
        return view
    settings = {
        "spark.driver.memory": task.args["heap"],
        "spark.sql.shuffle.partitions": "16",
        "spark.hadoop.parquet.block.size": str(16 << 20),
    }
    return (
        ContractStore([view])
        .with_engine(spark=SparkConfig(master="local[2]", config=settings))
        .view("readings")
    )
