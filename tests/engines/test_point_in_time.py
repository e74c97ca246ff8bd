"""The point-in-time join of engines: whatever the facts and the history, the answers are those of polars."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Any

import duckdb
import narwhals as nw
import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from aligned_dagster.errors import RequestError, UnknownFeatureError
from aligned_dagster.request.join_keys import moment
from aligned_dagster.request.moments_on import moment_on
from aligned_dagster.request.point_in_time import Lookup, point_in_time_joins
from aligned_dagster.request.point_in_time_on import LookupOn, point_in_time_joins_on

DAY = dt.datetime(2024, 1, 1)
FACTS = {"id": pl.Int64, "name": pl.String, "at": pl.Datetime("us"), "row": pl.Int64}
FEATURES = {
    "id": pl.Int32,
    "name": pl.String,
    "ts": pl.Datetime("us", "UTC"),
    "created": pl.Datetime("us", "UTC"),
    "value": pl.Int16,
    "tags": pl.List(pl.String),
}
times = st.sampled_from([None, 0, 1, 2, 3, 4, 5, 6, 7, 8])
ids = st.sampled_from([1, 1, 1, -2, None])
names = st.sampled_from(["a", "a", "a", "a", "b", None])
facts_rows = st.lists(st.tuples(ids, names, times), max_size=12)
feature_rows = st.lists(st.tuples(ids, names, times, times), max_size=25)


def minute(number: int | None) -> dt.datetime | None:
    return None if number is None else DAY + dt.timedelta(minutes=number)


@pytest.fixture(scope="module")
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        connection.sql("SET TimeZone = 'UTC'")
        yield connection


def in_duckdb(connection: duckdb.DuckDBPyConnection, frame: pl.DataFrame) -> nw.LazyFrame[Any]:
    return nw.from_native(connection.from_arrow(frame.to_arrow()))


def facts_frame(rows: list[Any]) -> pl.DataFrame:
    return pl.DataFrame(
        [(i, n, minute(t), number) for number, (i, n, t) in enumerate(rows)], schema=FACTS, orient="row"
    )


def features_frame(rows: list[Any]) -> pl.DataFrame:
    # Of rows with the same times the last one wins in polars, the one with the greatest values on engines.
    return pl.DataFrame(
        [
            (i, n, minute(t), minute(c), None if p % 5 == 0 else p, [str(p), None] if p % 3 else None)
            for p, (i, n, t, c) in enumerate(rows)
        ],
        schema=FEATURES,
        orient="row",
    ).with_row_index("order")


def lookups(
    features: Any, kind: Any, *, event: bool, created: bool, timed: bool, age: int | None
) -> list[Any]:
    shared: dict[str, Any] = {
        "entities": {"id": "id", "name": "name"},
        "event_timestamp": "ts" if event else None,
        "created_timestamp": "created" if created else None,
        "max_age": None if age is None or not timed else dt.timedelta(minutes=age),
    }
    order = {"order": "order"} if kind is LookupOn else {}
    return [
        kind(
            features,
            columns={"value": "value", "my.tags": "tags", "at `1`": "ts"},
            found="hit",
            **shared,
            **order,
        ),
        kind(features, columns={"again": "value"}, **{**shared, "entities": {"id": "id"}}, **order),
    ]


@settings(max_examples=30, deadline=None)
@given(
    facts=facts_rows,
    features=feature_rows,
    event=st.booleans(),
    created=st.booleans(),
    timed=st.booleans(),
    age=st.none() | st.integers(0, 6),
)
def test_duckdb_finds_what_polars_finds(
    connection: duckdb.DuckDBPyConnection,
    facts: list[Any],
    features: list[Any],
    event: bool,
    created: bool,
    timed: bool,
    age: int | None,
) -> None:
    asked, known = facts_frame(facts), features_frame(features)
    how: dict[str, Any] = {"event": event, "created": created, "timed": timed, "age": age}
    at = "at" if timed else None
    expected = point_in_time_joins(asked.lazy(), lookups(known.lazy(), Lookup, **how), fact_timestamp=at)
    got = point_in_time_joins_on(
        in_duckdb(connection, asked),
        lookups(in_duckdb(connection, known), LookupOn, **how),
        engine="duckdb",
        fact_timestamp=at,
    )
    assert_frame_equal(got.sort("row").collect("polars").to_native(), expected.collect())


@settings(max_examples=8, deadline=None)
@given(
    times=st.lists(
        st.datetimes(dt.datetime(1901, 1, 1), dt.datetime(2099, 1, 1))
        | st.datetimes(dt.datetime(2023, 10, 29, 1), dt.datetime(2023, 10, 29, 4)),
        min_size=1,
        max_size=50,
    ),
    zone=st.sampled_from(["Europe/Oslo", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe"]),
    ambiguous=st.sampled_from(["earliest", "latest"]),
)
@example(
    times=[dt.datetime(1949, 5, 1)], zone="Europe/Oslo", ambiguous="earliest"
)  # databases of zones differ
def test_naive_times_are_read_as_by_polars(
    connection: duckdb.DuckDBPyConnection, times: list[dt.datetime], zone: str, ambiguous: Any
) -> None:
    frame = pl.DataFrame({"at": times}, schema={"at": pl.Datetime("us")})
    there = pl.col("at").dt.replace_time_zone(zone, ambiguous="earliest", non_existent="null")
    frame = frame.filter(there.is_not_null())  # polars refuses times that a change of clocks leaves out
    expected = frame.select(moment("at", pl.Datetime("us"), zone=zone, unit="us", ambiguous=ambiguous))
    text = moment_on("at", pl.Datetime("us"), "duckdb", zone=zone, ambiguous=ambiguous)
    got = connection.from_arrow(frame.to_arrow()).select(duckdb.SQLExpression(text))
    assert [row[0] for row in got.fetchall()] == expected.to_series().to_list()


def test_dates_mean_their_midnight_and_other_types_are_refused(connection: duckdb.DuckDBPyConnection) -> None:
    facts = pl.DataFrame({"id": [1, 1], "at": [dt.datetime(2024, 1, 1, 22), dt.datetime(2024, 1, 1, 23)]})
    known = pl.DataFrame({"id": [1], "day": [dt.date(2024, 1, 2)], "value": [7]})
    asked = LookupOn(
        in_duckdb(connection, known), {"id": "id"}, "day", None, {"value": "value"}, zone="Europe/Oslo"
    )
    naive = LookupOn(in_duckdb(connection, known), {"id": "id"}, "value", None, {"day": "day"})
    zoned = facts.with_columns(pl.col("at").dt.replace_time_zone("UTC"))
    got = point_in_time_joins_on(in_duckdb(connection, zoned), [asked], engine="duckdb", fact_timestamp="at")
    assert got.sort("at").collect("polars").to_native()["value"].to_list() == [None, 7]
    with pytest.raises(RequestError, match="'value' should be a timestamp and is Int64"):
        point_in_time_joins_on(in_duckdb(connection, facts), [naive], engine="duckdb", fact_timestamp="at")


def test_what_cannot_be_asked_is_refused_as_by_polars(connection: duckdb.DuckDBPyConnection) -> None:
    facts, known = in_duckdb(connection, facts_frame([])), in_duckdb(connection, features_frame([]))
    cases: list[tuple[dict[str, Any], type[Exception], str]] = [
        ({"columns": {"value": "vlaue"}}, UnknownFeatureError, "Did you mean 'value'"),
        ({"columns": {"name": "name"}}, RequestError, "already have the columns 'name'"),
        ({"entities": {"idd": "id"}}, RequestError, "Did you mean 'id'"),
        ({"entities": {"id": "name"}}, RequestError, "cannot be compared"),
        ({"max_age": dt.timedelta(-1)}, RequestError, "must not be negative"),
    ]
    right: dict[str, Any] = {
        "entities": {"id": "id"}, "event_timestamp": "ts", "created_timestamp": None, "columns": {"value": "value"}
    }  # fmt: skip
    for wrong, error, words in cases:
        with pytest.raises(error, match=words):
            point_in_time_joins_on(
                facts, [LookupOn(known, **{**right, **wrong})], engine="duckdb", fact_timestamp="at"
            )
