"""The newest time of a table or query is looked for by the server."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

import polars as pl
import pytest

from aligned_dagster import EventTimestamp, FeatureView, Int32, PostgreSQLConfig, feature_view
from aligned_dagster.sources.source import DataSource

NEWEST = dt.datetime(2026, 3, 10, 12, tzinfo=dt.UTC)


def view_of(source: DataSource) -> FeatureView[object]:
    @feature_view(source=source)
    class Reading:
        id = Int32().as_entity()
        at = EventTimestamp().is_optional()

    return Reading


@pytest.mark.parametrize("kind", ["table", "query", "text"])
def test_the_server_is_asked_for_one_value(
    database: PostgreSQLConfig, statements: Callable[[], list[str]], kind: str
) -> None:
    table = database.table("readings", mapping_values={"when": "at"})
    request = view_of(table).request
    rows = pl.DataFrame({"id": [1, 2, 3], "at": [NEWEST - dt.timedelta(days=1), NEWEST, None]})
    table.overwrite(rows.lazy(), request)
    asked = {"query": 'SELECT id, "when" FROM readings', "text": 'SELECT id, "when"::text FROM readings'}
    source: DataSource = table
    if kind != "table":
        source = database.fetch(asked[kind], mapping_values={"when": "at"})
    statements()
    found = view_of(source).measured_freshness(NEWEST + dt.timedelta(hours=1))
    assert (found.newest, found.age) == (NEWEST, dt.timedelta(hours=1))
    assert any('max("when")' in statement for statement in statements()) == (kind != "text")


def test_no_rows_and_no_table_tell_no_time(database: PostgreSQLConfig) -> None:
    table = database.table("readings")
    view = view_of(table)
    assert view.measured_freshness().status == "unknown"
    table.overwrite(pl.LazyFrame({"id": [], "at": []}), view.request)
    assert view.measured_freshness().newest is None
