"""Hive-partitioned rows, which several workloads read and write."""

from __future__ import annotations

from pathlib import Path

import polars as pl

COLUMNS = 12


def rows(number: int, parts: int) -> pl.LazyFrame:
    """So many rows in so many partitions: a key, the partition, a text and numbers."""
    n = pl.int_range(number, dtype=pl.Int64)
    noise = (n.hash(3) // 2**11).cast(pl.Int64)
    numbers = {
        f"c{column:02}": (noise // (column + 1) % 99_991).cast(pl.Float64) / 100
        for column in range(2, COLUMNS)
    }
    return pl.LazyFrame().select(
        id=n,
        part=(n * parts // number).cast(pl.Int32),
        state=pl.format("state-{}", noise % 1_009),
        **numbers,
    )


def make(folder: Path, number: int, parts: int) -> None:
    """The tree `stored`, a file in each partition; `new.parquet` with 1 % of its rows, and `late.parquet` with a tenth
    of those of the last four partitions, all with other values."""
    made = rows(number, parts).collect()
    for (part,), group in made.partition_by("part", as_dict=True, maintain_order=True).items():
        directory = folder / "stored" / f"part={part}"
        directory.mkdir(parents=True)
        group.drop("part").write_parquet(directory / "rows.parquet")
    changed = pl.col("^c.*$") + 1000
    made.filter(pl.col("id") % 100 == 0).with_columns(changed).write_parquet(folder / "new.parquet")
    late = (pl.col("part") >= parts - 4) & (pl.col("id") % 10 == 0)
    made.filter(late).with_columns(changed).write_parquet(folder / "late.parquet")
