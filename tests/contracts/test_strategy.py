"""A contract's rows as a hypothesis strategy."""

from __future__ import annotations

import sys

import polars as pl
import pytest
from hypothesis import HealthCheck, find, given, settings

from aligned_dagster import (
    EventTimestamp,
    FileSource,
    Float,
    Int32,
    Int64,
    String,
    feature_view,
    rule,
)
from aligned_dagster.errors import ConfigurationError, UnknownFeatureError
from aligned_dagster.quality.audit import audit

SETTINGS = settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))


@feature_view(source=FileSource.csv_at("no_such_file.csv"))
class Plane:
    tail = String().as_entity().validate_starts_with("N")
    seats = Int32().lower_bound(1)


@feature_view(source=FileSource.csv_at("no_such_file.csv"))
class Flight:
    number = Int64().as_entity()
    at = EventTimestamp()
    tail = String().reference_to(Plane().tail)
    delay = Int64().is_optional()
    distance = Float().bounded_between(0, 20_000)
    air_time = Float()
    note = String().is_optional().max_length(5)
    is_late = delay > 15
    flown = rule(air_time <= distance)


@SETTINGS
@given(rows=Flight.strategy(max_size=8))
def test_rows_keep_the_contract(rows: pl.DataFrame) -> None:
    assert rows.height <= 8
    known = {"plane": pl.LazyFrame({"tail": rows["tail"]})}
    report = audit(rows.lazy(), Flight.schema, contract="flight", references=known)
    assert report.passed, str(report)


@SETTINGS
@given(
    rows=Flight.strategy(
        min_size=2, columns=["is_late", "tail"], references={"plane": pl.DataFrame({"tail": ["N1"]})}
    )
)
def test_columns_sizes_and_references(rows: pl.DataFrame) -> None:
    assert rows.columns == ["is_late", "tail"]
    assert rows.height >= 2
    assert set(rows["tail"]) == {"N1"}


def test_extremes_are_found_and_shrunk() -> None:
    quick = settings(max_examples=500, deadline=None, database=None)
    rows = find(Flight.strategy(), lambda rows: (rows["delay"].drop_nulls() < -1_000).any(), settings=quick)
    assert rows.height == 1
    assert rows["delay"].item() == -1_001


def test_errors(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UnknownFeatureError, match=r"Did you mean 'tail'\?"):
        Flight.strategy(columns=["tial"])
    monkeypatch.setitem(sys.modules, "hypothesis", None)
    with pytest.raises(ConfigurationError, match="pip install hypothesis"):
        Flight.strategy()
