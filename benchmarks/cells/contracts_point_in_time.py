"""Contracts whose features are asked for at the time of each fact."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import polars as pl

from aligned_dagster import ContractStore, EventTimestamp, FileSource, Float, Int64, feature_view
from benchmarks.cell import Task
from benchmarks.cells.by_hand_point_in_time import FEATURES


class _Columns:
    """What every view has: five features of an account at a time."""

    account = Int64().as_entity()
    at = EventTimestamp()
    balance = Float()
    share = Float()
    visits = Int64()
    rate = Float()
    clicks = Int64()


def joined(task: Task) -> Callable[[], Any]:
    """The store's answer."""

    def run() -> Any:
        views = range(task.args["views"])
        contracts: list[Any] = [
            feature_view(
                name=f"view_{view}",
                source=FileSource.parquet_at(task.data / f"{task.args['order']}_{view}.parquet"),
            )(type(f"View{view}", (_Columns,), {}))
            for view in views
        ]
        features = {f"{name}_{view}": f"view_{view}:{name}" for view in views for name in FEATURES}
        facts = pl.scan_parquet(task.data / "facts.parquet")
        return ContractStore(contracts).features_for(facts, features, "at").collect()

    return run
