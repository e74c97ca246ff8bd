from __future__ import annotations

from typing import Any

import polars as pl
import pytest

from aligned_dagster.features.dtypes import DataType
from aligned_dagster.features.schema import Column, Schema
from aligned_dagster.request.retrieval_request import RetrievalRequest


def column(name: str, dtype: str, role: Any = "feature", **facts: Any) -> Column:
    return Column(name, DataType.from_text(dtype), role, **facts)


@pytest.fixture
def schema() -> Schema:
    """Readings of stations over time, in the types that sources store differently."""
    return Schema(
        (
            column("station", "string", "entity"),
            column("time", "timestamp(us,UTC)", "event_timestamp"),
            column("region", "string"),
            column("count", "int32"),
            column("level", "float64", optional=True),
            column("day", "date"),
        )
    )


@pytest.fixture
def request_for(schema: Schema) -> RetrievalRequest:
    return RetrievalRequest("readings", schema)


@pytest.fixture
def rows(schema: Schema) -> pl.DataFrame:
    return frame(
        schema,
        [
            ("007", 1, "north", 1, 0.5, 1),
            ("007", 2, "north", 2, None, 2),
            ("8", 1, "south", 3, 1.5, 1),
            ("8", 3, "south", 4, -2.0, 3),
        ],
    )


def readings_over(source: Any) -> Any:
    """A store of two contracts, `readings` and `again`, over one source of the schema above."""
    from aligned_dagster import ContractStore, Date, EventTimestamp, Float, Int32, String, feature_view

    class Readings:
        station = String().as_entity()
        time = EventTimestamp()
        region = String()
        count = Int32()
        level = Float().is_optional()
        day = Date()

    class Again(Readings):
        pass

    views = [
        feature_view(name=name, source=source)(cls)
        for name, cls in {"readings": Readings, "again": Again}.items()
    ]
    return ContractStore(views)


def frame(schema: Schema, rows: list[tuple[str, int, str, int, float | None, int]]) -> pl.DataFrame:
    """Rows of the schema above; times and days are given as days of January 2013."""
    import datetime as dt

    full = [
        (station, dt.datetime(2013, 1, time, 5, tzinfo=dt.UTC), region, count, level, dt.date(2013, 1, day))
        for station, time, region, count, level, day in rows
    ]
    return pl.DataFrame(full, schema=schema.polars, orient="row")
