"""aligned 0.0.138: features at the time of each fact."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import polars as pl
from aligned import EventTimestamp, FileSource, Float64, Int64, feature_view

from benchmarks.cell import Task
from benchmarks.cells.by_hand_point_in_time import FEATURES


def joined(task: Task) -> Callable[[], Any]:
    """The answer of one view."""

    def run() -> Any:
        source = FileSource.parquet_at(str(task.data / f"{task.args['order']}_0.parquet"))

        @feature_view(name="accounts", source=source)
        class Accounts:
            account = Int64().as_entity()
            at = EventTimestamp()
            balance = Float64()
            share = Float64()
            visits = Int64()
            rate = Float64()
            clicks = Int64()

        async def work() -> pl.DataFrame:
            facts = pl.read_parquet(task.data / "facts.parquet").rename({"at": "event_timestamp"})
            view: Any = Accounts
            job = view.query().features_for(
                facts.to_dict(as_series=False), event_timestamp_column="event_timestamp"
            )
            found: pl.DataFrame = (await job.to_lazy_polars()).collect()
            named = {name: f"{name}_0" for name in FEATURES}
            return found.select("account", "event_timestamp", *FEATURES).rename(named)

        found = asyncio.run(work()).rename({"event_timestamp": "at"})
        facts = pl.read_parquet(task.data / "facts.parquet")
        return facts.join(found, on=["account", "at"], how="left") if "label" not in found.columns else found

    return run
