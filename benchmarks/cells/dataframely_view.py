"""dataframely: a schema on a polars frame."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import dataframely as dy
import polars as pl

from benchmarks.cell import Task
from benchmarks.cells.by_hand_view import COUNTRIES, DERIVED, STATES


class Sales(dy.Schema):  # type: ignore[misc]
    """What is stored of a sale, and its ten rules."""

    sale_id = dy.Int64(min=0, primary_key=True)
    sold_at = dy.Datetime(time_zone="UTC")
    customer = dy.String(regex="^customer-")
    country = dy.String(check=lambda column: column.is_in(COUNTRIES))
    state = dy.String(check=lambda column: column.is_in(STATES))
    quantity = dy.Int32(min=1, max=12)
    price = dy.Float64(min=0, max=1000)
    discount = dy.Float64(min=0, max=0.5)


class Derived(Sales):
    """The five columns that are derived."""

    total = dy.Float64()
    net = dy.Float64()
    weekday = dy.Int8()
    is_large = dy.Bool()
    customer_name = dy.String()


def validated(task: Task) -> Callable[[], Any]:
    """Scan, derive, validate, write."""

    def run() -> Any:
        out = task.work / "out.parquet"
        frame = pl.scan_parquet(task.data / "sales.parquet").with_columns(**DERIVED).collect()
        Derived.validate(frame).write_parquet(out)
        return out

    return run


def check(task: Task) -> Callable[[], Any]:
    """Validate only."""
    source = task.data / "sales.parquet"
    frame = pl.read_parquet(source) if task.args["in_memory"] else None

    def run() -> Any:
        Sales.validate(pl.read_parquet(source) if frame is None else frame)
        return 0

    return run
