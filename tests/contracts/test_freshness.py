"""How old data are: what is measured, by how little reading, and what it is held against."""

from __future__ import annotations

import datetime as dt
import os
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from aligned_dagster import (
    ContractStore,
    CreatedTimestamp,
    EventTimestamp,
    FeatureView,
    FileSource,
    InMemorySource,
    Int32,
    String,
    feature_view,
    publish,
)
from aligned_dagster.contracts.freshness import measure_freshness
from aligned_dagster.errors import UnknownContractError

NOW = dt.datetime(2026, 3, 10, 12, tzinfo=dt.UTC)
HOUR = dt.timedelta(hours=1)


def moments(*hours_ago: float | None) -> dict[str, list[Any]]:
    times = [None if ago is None else NOW - ago * HOUR for ago in hours_ago]
    return {"id": list(range(len(times))), "at": times}


def readings(source: Any, target: Any = None, **options: Any) -> FeatureView[Any]:
    @feature_view(source=source, materialized_source=target, **options)
    class Reading:
        id = Int32().as_entity()
        at = EventTimestamp().is_optional()

    return Reading


@pytest.mark.parametrize(
    ("hours", "status"), [(5, "fresh"), (6, "fresh"), (6.01, "warn"), (24, "warn"), (24.01, "stale")]
)
def test_it_warns_after_the_acceptable_age_and_is_stale_after_the_other(hours: float, status: str) -> None:
    view = readings(
        InMemorySource.from_values(moments(hours + 3, hours, None)),
        acceptable_freshness=6 * HOUR,
        unacceptable_freshness=24 * HOUR,
    )
    found = view.query().freshness(NOW)
    assert (found.newest, found.measured) == (NOW - hours * HOUR, "event timestamp")
    assert (found.age, found.status) == (hours * HOUR, status)


@pytest.mark.parametrize(
    ("options", "status"),
    [
        ({}, "unknown"),
        ({"acceptable_freshness": HOUR}, "warn"),
        ({"unacceptable_freshness": HOUR}, "stale"),
        ({"unacceptable_freshness": 3 * HOUR}, "fresh"),
    ],
)
def test_one_limit_alone_is_enough(options: Any, status: str) -> None:
    found = measure_freshness(readings(InMemorySource.from_values(moments(2)), **options), NOW)
    assert (found.age, found.status) == (2 * HOUR, status)


def test_the_data_count_and_not_when_they_were_written(tmp_path: Path) -> None:
    target = FileSource.parquet_at(str(tmp_path / "rows.parquet"))
    view = readings(InMemorySource.from_values(moments(48, 72)), target, unacceptable_freshness=24 * HOUR)
    assert measure_freshness(view, NOW).status == "unknown"  # nothing is stored yet
    publish(view)
    found = measure_freshness(view, NOW)
    assert (found.age, found.status) == (48 * HOUR, "stale")
    assert "2026-03-08 12:00:00 UTC, 2 days ago" in found.words


def test_no_rows_are_not_fresh() -> None:
    for times in ((), (None,)):
        values = pl.DataFrame(moments(*times), schema={"id": pl.Int32, "at": pl.Datetime("us", "UTC")})
        found = measure_freshness(readings(values, acceptable_freshness=HOUR), NOW)
        assert (found.newest, found.age, found.status) == (None, None, "unknown")
        assert "not known" in found.words


def test_a_created_timestamp_counts_where_there_is_no_event_timestamp(tmp_path: Path) -> None:
    @feature_view(source=InMemorySource.from_values(moments(2)))
    class Loaded:
        id = Int32().as_entity()
        at = CreatedTimestamp()

    assert measure_freshness(Loaded, NOW).measured == "created"
    assert measure_freshness(Loaded, NOW).age == 2 * HOUR

    file = tmp_path / "rows.csv"
    file.write_text("id\n1\n")
    os.utime(file, (NOW.timestamp(), NOW.timestamp()))

    @feature_view(source=FileSource.csv_at(str(file)), acceptable_freshness=HOUR)
    class Plain:
        id = Int32().as_entity()

    found = measure_freshness(Plain, NOW + 2 * HOUR)
    assert (found.newest, found.measured, found.status) == (NOW, "modified", "warn")
    assert found.words.startswith("The storage changed last at 2026-03-10 12:00:00 UTC")


def test_times_without_a_zone_are_read_in_utc() -> None:
    @feature_view(source=InMemorySource.from_values({"id": [1], "at": [dt.datetime(2026, 3, 10, 11)]}))
    class Naive:
        id = Int32().as_entity()
        at = EventTimestamp(time_zone=None)

    assert measure_freshness(Naive, NOW.replace(tzinfo=None)).age == HOUR

    @feature_view(source=InMemorySource.from_values(moments(1)))
    class Zoned:
        id = Int32().as_entity()
        at = EventTimestamp(time_zone="Europe/Oslo")

    assert measure_freshness(Zoned, NOW).newest == NOW - HOUR


def test_a_virtual_view_is_as_old_as_the_rows_that_it_would_give() -> None:
    source = readings(InMemorySource.from_values(moments(1, 5)))

    @feature_view(source=source.filter("old", lambda row: row.id == 1))
    class Old:
        id = Int32().as_entity()
        at = EventTimestamp()

    assert measure_freshness(Old, NOW).age == 5 * HOUR


async def test_it_is_awaited_and_asked_of_a_store() -> None:
    view = readings(InMemorySource.from_values(moments(1)))
    assert (await view.freshness(NOW)).age == HOUR
    store = ContractStore([view])
    assert store.freshness_for(now=NOW) == store.freshness_for(["reading"], NOW)
    assert store.freshness_for([view], NOW)["reading"].age == HOUR
    assert store.freshness_for("reading", NOW)["reading"].age == HOUR
    with pytest.raises(UnknownContractError, match="Did you mean 'reading'"):
        store.freshness_for(["readin"])


def test_only_the_newest_partitions_are_opened(tmp_path: Path) -> None:
    times = [dt.datetime(year, month, 5, tzinfo=dt.UTC) for year in (2024, 2025) for month in (2, 12)]

    @feature_view(
        source=InMemorySource.from_values({"id": [1, 2, 3, 4], "at": times, "town": list("abab")}),
        materialized_source=FileSource.partitioned_parquet_at(
            str(tmp_path / "rows"), partition_keys=["town", "month", "year"]
        ),
    )
    class Reading:
        id = Int32().as_entity()
        at = EventTimestamp()
        town = String()
        year = at.year()
        month = at.month()

    publish(Reading)
    files = sorted((tmp_path / "rows").rglob("*.parquet"))
    for file in files:
        if "year=2025" not in str(file) or "month=12" not in str(file):  # a damaged footer cannot be read
            file.write_bytes(b"PAR1" + b"\0" * 20 + b"PAR1")
    assert len(files) == 4
    assert measure_freshness(Reading, NOW).newest == times[-1]


def test_a_key_that_is_the_time_itself_and_a_newest_partition_without_rows(tmp_path: Path) -> None:
    times = [dt.datetime(2026, 3, day, tzinfo=dt.UTC) for day in (1, 9, 3)]

    @feature_view(
        source=InMemorySource.from_values({"id": [1, 2, 3], "at": times}),
        materialized_source=FileSource.partitioned_parquet_at(str(tmp_path / "rows"), partition_keys=["at"]),
    )
    class Reading:
        id = Int32().as_entity()
        at = EventTimestamp()

    publish(Reading)
    assert measure_freshness(Reading, NOW).newest == times[1]
    [newest] = [file for file in (tmp_path / "rows").rglob("*.parquet") if "-09" in str(file)]
    pl.read_parquet(newest, hive_partitioning=False).clear().write_parquet(newest)
    assert measure_freshness(Reading, NOW).newest == times[2]
