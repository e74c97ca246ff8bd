"""What people write with polars: a scan, derived columns, a sink; and one `select` that counts what is wrong."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import polars as pl

from benchmarks.cell import Task

DERIVED = {
    "total": pl.col("price") * pl.col("quantity"),
    "net": pl.col("price") * pl.col("quantity") * (1 - pl.col("discount")),
    "weekday": pl.col("sold_at").dt.weekday(),
    "is_large": pl.col("price") >= 500,
    "customer_name": pl.col("customer").str.to_uppercase(),
}
COUNTRIES = ["no", "se", "dk", "fi", "de", "fr", "uk", "nl"]
STATES = ["open", "sent", "paid", "lost"]
BROKEN = {
    "sale_id": pl.col("sale_id") < 0,
    "price_lower": pl.col("price") < 0,
    "price_upper": pl.col("price") > 1000,
    "discount_lower": pl.col("discount") < 0,
    "discount_upper": pl.col("discount") > 0.5,
    "quantity_lower": pl.col("quantity") < 1,
    "quantity_upper": pl.col("quantity") > 12,
    "country": ~pl.col("country").is_in(COUNTRIES),
    "state": ~pl.col("state").is_in(STATES),
    "customer": ~pl.col("customer").str.starts_with("customer-"),
}


def sink(task: Task) -> Callable[[], Any]:
    """Scan, derive, sink; nothing is checked."""

    def run() -> Any:
        out = task.work / "out.parquet"
        pl.scan_parquet(task.data / "sales.parquet").with_columns(**DERIVED).sink_parquet(out)
        return out

    return run


def sink_and_check(task: Task) -> Callable[[], Any]:
    """The same, and then a look at what was written."""

    def run() -> Any:
        out, staged = task.work / "out.parquet", task.work / "staged.parquet"
        pl.scan_parquet(task.data / "sales.parquet").with_columns(**DERIVED).sink_parquet(staged)
        frame = pl.scan_parquet(staged)
        figures = _counts(frame, key=True)
        assert not any(figures.values()), figures
        staged.rename(out)
        return out

    return run


def check(task: Task) -> Callable[[], Any]:
    """Count what breaks each of ten rules, in one pass; with `key` also the rows that repeat a key."""
    source = task.data / "sales.parquet"
    frame = pl.read_parquet(source).lazy() if task.args["in_memory"] else pl.scan_parquet(source)

    def run() -> Any:
        return sum(_counts(frame, key=task.args.get("key", False)).values())

    return run


def _counts(frame: pl.LazyFrame, *, key: bool) -> dict[str, int]:
    counts = {name: broken.sum() for name, broken in BROKEN.items()}
    if key:
        counts["key"] = pl.len() - pl.col("sale_id").n_unique()
        counts["null"] = pl.sum_horizontal(pl.all().null_count())
    return frame.select(**counts).collect(engine="streaming").row(0, named=True)
