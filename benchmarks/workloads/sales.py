"""Rows of sales, which several workloads read."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import polars as pl

START = datetime(2024, 1, 1, tzinfo=UTC)
COUNTRIES = ("no", "se", "dk", "fi", "de", "fr", "uk", "nl")
STATES = ("open", "sent", "paid", "lost")


def frame(rows: int) -> pl.LazyFrame:
    """So many sales, over 365 days, that keep every rule."""
    n = pl.int_range(rows, dtype=pl.Int64)
    noise = (n.hash(1) // 2**11).cast(pl.Int64)
    return pl.LazyFrame().select(
        sale_id=n,
        sold_at=pl.lit(START).dt.cast_time_unit("us")
        + pl.duration(microseconds=(n * (365 * 86_400_000_000 // rows))),
        customer=pl.format("customer-{}", noise % 100_003),
        country=pl.lit(pl.Series(COUNTRIES)).gather((noise // 7 % len(COUNTRIES)).cast(pl.UInt32)),
        state=pl.lit(pl.Series(STATES)).gather((noise // 11 % len(STATES)).cast(pl.UInt32)),
        quantity=(noise % 12 + 1).cast(pl.Int32),
        price=(noise % 99_991).cast(pl.Float64) / 100,
        discount=(noise % 17).cast(pl.Float64) / 34,
    )


def make(folder: Path, rows: int) -> None:
    """Write them to one file."""
    frame(rows).collect().write_parquet(folder / "sales.parquet", row_group_size=250_000)
