"""pandera: a schema on a polars frame."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import polars as pl

from benchmarks.cell import Task
from benchmarks.cells.by_hand_view import COUNTRIES, DERIVED, STATES


def _schema(key: bool) -> Any:
    import pandera.polars as pa

    check = pa.Check
    return pa.DataFrameSchema(
        {
            "sale_id": pa.Column(pl.Int64, check.ge(0), unique=key),
            "sold_at": pa.Column(pl.Datetime("us", "UTC")),
            "customer": pa.Column(pl.String, check.str_startswith("customer-")),
            "country": pa.Column(pl.String, check.isin(COUNTRIES)),
            "state": pa.Column(pl.String, check.isin(STATES)),
            "quantity": pa.Column(pl.Int32, [check.ge(1), check.le(12)]),
            "price": pa.Column(pl.Float64, [check.ge(0), check.le(1000)]),
            "discount": pa.Column(pl.Float64, [check.ge(0), check.le(0.5)]),
        }
    )


def validated(task: Task) -> Callable[[], Any]:
    """Collect, for a lazy frame is not looked at; derive, validate, write."""
    schema = _schema(True)

    def run() -> Any:
        out = task.work / "out.parquet"
        frame = pl.scan_parquet(task.data / "sales.parquet").with_columns(**DERIVED).collect()
        schema.validate(frame, lazy=True).write_parquet(out)
        return out

    return run


def check(task: Task) -> Callable[[], Any]:
    """Validate only."""
    schema = _schema(task.args.get("key", False))
    source = task.data / "sales.parquet"
    frame = pl.read_parquet(source) if task.args["in_memory"] else None

    def run() -> Any:
        schema.validate(pl.read_parquet(source) if frame is None else frame, lazy=True)
        return 0

    return run
