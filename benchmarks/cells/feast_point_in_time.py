"""Feast 0.67: historical features, of its default store or that on DuckDB."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pandas as pd  # noqa: TID253
import pyarrow.parquet  # noqa: F401, TID253
from feast import Entity, FeatureStore, FeatureView, Field, FileSource, RepoConfig
from feast.types import Float64, Int64
from feast.value_type import ValueType

from benchmarks.cell import Task

TYPES = {"balance": Float64, "share": Float64, "visits": Int64, "rate": Float64, "clicks": Int64}


def joined(task: Task) -> Callable[[], Any]:
    """Features of one view for facts in a pandas frame, which is what it takes."""
    store = FeatureStore(
        config=RepoConfig(
            project="benchmark",
            provider="local",
            registry=str(task.work / "registry.db"),
            offline_store={"type": task.args["store"]},
            online_store={"type": "sqlite", "path": str(task.work / "online.db")},
            entity_key_serialization_version=3,
        ),
    )
    entity = Entity(name="account", join_keys=["account"], value_type=ValueType.INT64)
    source = FileSource(
        path=str(task.data / f"{task.args['order']}_0.parquet"), timestamp_field="at", name="rows"
    )
    schema = [Field(name=name, dtype=dtype) for name, dtype in TYPES.items()]
    view = FeatureView(
        name="accounts", entities=[entity], ttl=timedelta(0), schema=schema, source=source, online=False
    )
    store.apply([entity, view])

    def run() -> Any:
        facts = pd.read_parquet(task.data / "facts.parquet").rename(columns={"at": "event_timestamp"})
        names = [f"accounts:{name}" for name in TYPES]
        found = store.get_historical_features(entity_df=facts, features=names).to_df()

        def answer() -> Any:
            renamed = {"event_timestamp": "at", **{name: f"{name}_0" for name in TYPES}}
            out = Path(task.work) / "answer.parquet"
            found.rename(columns=renamed).to_parquet(out, index=False)
            return out

        return answer

    return run
