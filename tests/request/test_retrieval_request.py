from __future__ import annotations

import polars as pl
import pytest

from aligned_dagster.errors import UnknownFeatureError
from aligned_dagster.features.dtypes import DataType
from aligned_dagster.features.schema import Column, Schema
from aligned_dagster.request.retrieval_request import RetrievalRequest

SCHEMA = Schema(
    (
        Column("id", DataType("int32"), "entity"),
        Column("at", DataType("timestamp", time_zone="UTC"), "event_timestamp"),
        Column("written", DataType("timestamp", time_zone="UTC"), "created_timestamp"),
        Column("age", DataType("float64")),
    )
)


def test_a_request_is_for_all_columns_unless_said() -> None:
    request = RetrievalRequest("person", SCHEMA)
    assert request.columns == SCHEMA.names
    assert request.features == ("written", "age")
    assert request.event_timestamp == "at"
    assert request.created_timestamp == "written"
    assert request == RetrievalRequest("person", SCHEMA, SCHEMA.names)


def test_a_projection_keeps_the_order_that_was_asked_for() -> None:
    request = RetrievalRequest("person", SCHEMA).project(["age", "id"])
    assert list(request.polars.items()) == [("age", pl.Float64()), ("id", pl.Int32())]
    assert request.features == ("age",)
    assert request.entities == ("id",)
    assert request.project(["at"]).columns == ("at",)


def test_an_unknown_column_is_named_with_the_closest() -> None:
    with pytest.raises(UnknownFeatureError, match=r"'person' has no column 'aeg'\. Did you mean 'age'\?"):
        RetrievalRequest("person", SCHEMA).project(["aeg"])
