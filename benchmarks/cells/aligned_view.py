"""aligned 0.0.138: a feature view that is read and written."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import polars as pl
from aligned import EventTimestamp, FileSource, Float64, Int32, Int64, String, feature_view

from benchmarks.cell import Task
from benchmarks.cells.by_hand_view import COUNTRIES, STATES


def published(task: Task) -> Callable[[], Any]:
    """Compute and write; its validation is a call of its own, which looks for rows that break rules."""

    def run() -> Any:
        out = task.work / "out.parquet"

        @feature_view(name="sales", source=FileSource.parquet_at(str(task.data / "sales.parquet")))
        class Sales:
            sale_id = Int64().as_entity()
            sold_at = EventTimestamp()
            customer = String()
            country = String().accepted_values(COUNTRIES)
            state = String().accepted_values(STATES)
            quantity = Int32().lower_bound(1).upper_bound(12)
            price = Float64().lower_bound(0).upper_bound(1000)
            discount = Float64().lower_bound(0).upper_bound(0.5)

            total = price * quantity
            net = price * quantity * (discount * -1 + 1)
            weekday = sold_at.transform_polars(pl.col("sold_at").dt.weekday(), as_dtype=Int32())
            is_large = price >= 500
            customer_name = customer.transform_polars(
                pl.col("customer").str.to_uppercase(), as_dtype=String()
            )

        async def work() -> None:
            view: Any = Sales
            job = view.query().all()
            await job.drop_invalid().write_to_source(FileSource.parquet_at(str(out)))

        asyncio.run(work())
        return out

    return run
