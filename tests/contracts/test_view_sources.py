"""A contract as a source does what every source does: virtual or stored, derived, filtered, joined, renamed, bound."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest

from aligned_dagster import (
    Date,
    EventTimestamp,
    FeatureView,
    FileSource,
    Float,
    InMemorySource,
    Int32,
    String,
    feature_view,
    publish,
)
from aligned_dagster.contracts.view_source import BoundView, FilterSource, RenameSource, ViewSource
from aligned_dagster.request.retrieval_request import RetrievalRequest

from ..sources.behaviours import Holds, Stored, same
from ..sources.conftest import request_for, rows, schema

__all__ = ["request_for", "rows", "schema"]  # fixtures


def readings(source: Any, target: Any = None) -> FeatureView[Any]:
    @feature_view(source=source, materialized_source=target)
    class Readings:
        station = String().as_entity()
        time = EventTimestamp()
        region = String()
        count = Int32()
        level = Float().is_optional()
        day = Date()

    return Readings


class TestVirtualView(Holds):
    @pytest.fixture
    def stored(self) -> Stored:
        return lambda rows: readings(InMemorySource(rows)).as_source()

    def test_is_lazy(self, rows: pl.DataFrame, request_for: RetrievalRequest) -> None:
        source = readings(InMemorySource(rows)).as_source()
        assert isinstance(source, ViewSource)
        assert source.depends_on() == {"readings"}
        assert source.uri == "view://readings"


class TestStoredView(Holds):
    @pytest.fixture
    def stored(self, tmp_path: Path) -> Stored:
        def stored(rows: pl.DataFrame) -> Any:
            view = readings(InMemorySource(rows), FileSource.parquet_at(tmp_path / "readings.parquet"))
            publish(view)
            return view.as_source()

        return stored


class TestViewOverPartitionedParquet(Holds):
    @pytest.fixture
    def stored(self, tmp_path: Path, request_for: RetrievalRequest) -> Stored:
        def stored(rows: pl.DataFrame) -> Any:
            files = FileSource.partitioned_parquet_at(tmp_path / "readings", ["region"])
            files.overwrite(rows.lazy(), request_for)
            return readings(files).as_source()

        return stored


class TestViewOverAView(Holds):
    @pytest.fixture
    def stored(self) -> Stored:
        return lambda rows: readings(readings(InMemorySource(rows))).as_source()


class TestDerivedColumns(Holds):
    @pytest.fixture
    def stored(self) -> Stored:
        def stored(rows: pl.DataFrame) -> Any:
            raw = rows.select(
                "station", "time", "region", "day", before=pl.col("count") - 1, half=pl.col("level") / 2
            )

            @feature_view(source=InMemorySource(raw))
            class Readings:
                station = String().as_entity()
                time = EventTimestamp()
                region = String()
                before = Int32()
                half = Float().is_optional()
                day = Date()
                count = before + 1
                level = half * 2

            return Readings.as_source()

        return stored


class TestFilter(Holds):
    @pytest.fixture
    def stored(self) -> Stored:
        def stored(rows: pl.DataFrame) -> Any:
            other = rows.with_columns(pl.col("count") - 100, station=pl.lit("other"))
            source = readings(InMemorySource(pl.concat([other, rows, other]))).filter(
                "kept", lambda row: row.count > 0
            )
            assert isinstance(source.source, FilterSource)
            return source.source

        return stored


class TestViewOverAFilter(Holds):
    @pytest.fixture
    def stored(self) -> Stored:
        def stored(rows: pl.DataFrame) -> Any:
            other = rows.with_columns(region=pl.lit("west"))
            whole = readings(InMemorySource(pl.concat([other, rows])))
            return whole.filter("kept", lambda row: row.region != "west").as_source()

        return stored


class TestJoin(Holds):
    @pytest.fixture
    def stored(self, tmp_path: Path) -> Stored:
        def stored(rows: pl.DataFrame) -> Any:
            @feature_view(source=InMemorySource(rows.select("station", "time", "region", "count")))
            class Count:
                station = String().as_entity()
                time = EventTimestamp()
                region = String()
                count = Int32()

            @feature_view(
                source=InMemorySource(rows.select("station", "time", "level", "day").reverse()),
                materialized_source=FileSource.csv_at(tmp_path / "levels.csv"),
            )
            class Level:
                station = String().as_entity()
                time = EventTimestamp()
                level = Float().is_optional()
                day = Date()

            publish(Level)
            return Count.join(Level, on=["station", "time"])

        return stored

    def test_depends_on_both(self, stored: Stored, rows: pl.DataFrame) -> None:
        assert stored(rows).depends_on() == {"count", "level"}


class TestAsOfJoin(Holds):
    @pytest.fixture
    def stored(self) -> Stored:
        def stored(rows: pl.DataFrame) -> Any:
            @feature_view(source=InMemorySource(rows.drop("level")))
            class Count:
                station = String().as_entity()
                time = EventTimestamp()
                region = String()
                count = Int32()
                day = Date()

            earlier = rows.select("station", pl.col("time").dt.offset_by("-1h"), "level")

            @feature_view(source=InMemorySource(earlier))
            class Level:
                station = String().as_entity()
                time = EventTimestamp()
                level = Float().is_optional()

            return Count.join_asof(Level, on="station")

        return stored


class TestRename(Holds):
    @pytest.fixture
    def stored(self) -> Stored:
        def stored(rows: pl.DataFrame) -> Any:
            @feature_view(source=InMemorySource(rows.rename({"station": "place"})))
            class Readings:
                place = String().as_entity()
                time = EventTimestamp()
                region = String()
                count = Int32()
                level = Float().is_optional()
                day = Date()

            source = Readings.with_entity_renaming("station").source
            assert isinstance(source, RenameSource)
            return source

        return stored


class TestBoundView(Holds):
    @pytest.fixture
    def stored(self) -> Stored:
        def stored(rows: pl.DataFrame) -> Any:
            source = readings(InMemorySource(rows.clear())).as_source()
            bound = source.bind({"readings": rows.lazy()})
            assert isinstance(bound, BoundView)
            return bound

        return stored

    def test_other_frames_do_not_matter(self, rows: pl.DataFrame, request_for: RetrievalRequest) -> None:
        source = readings(InMemorySource(rows)).as_source()
        assert source.bind({"others": rows.clear().lazy()}) is source
        same(source.all_data(request_for), rows)
