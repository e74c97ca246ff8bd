from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest

from aligned_dagster.request.retrieval_request import RetrievalRequest
from aligned_dagster.sources.local import CsvConfig, DateFormatter, FileSource, ParquetConfig

from .behaviours import Persists, Stored, Writes

RENAMED = {"Station Id": "station", "Zählung": "count"}


def filled(source: Any, request: RetrievalRequest) -> Stored:
    def stored(rows: pl.DataFrame) -> Any:
        source.overwrite(rows.lazy(), request)
        return source

    return stored


class TestCsv(Persists):
    @pytest.fixture
    def stored(self, tmp_path: Path, request_for: RetrievalRequest) -> Stored:
        return filled(FileSource.csv_at(tmp_path / "new" / "rows.csv", mapping_keys=RENAMED), request_for)


class TestParquet(Persists):
    @pytest.fixture
    def stored(self, tmp_path: Path, request_for: RetrievalRequest) -> Stored:
        return filled(FileSource.parquet_at(tmp_path / "new" / "rows.parquet", RENAMED), request_for)


class TestPartitionedParquet(Persists):
    @pytest.fixture
    def stored(self, tmp_path: Path, request_for: RetrievalRequest) -> Stored:
        directory = tmp_path / "new=1" / "rows"
        renamed = {**RENAMED, "Region": "region"}
        return filled(FileSource.partitioned_parquet_at(directory, ["region"], renamed), request_for)


class TestPartitionedByTwoKeys(Writes):
    @pytest.fixture
    def stored(self, tmp_path: Path, request_for: RetrievalRequest) -> Stored:
        source = FileSource.partitioned_parquet_at(
            tmp_path / "rows", ["day", "region"], config=ParquetConfig(compression="snappy")
        )
        return filled(source, request_for)


class TestPartitionedByTime(Writes):
    @pytest.fixture
    def stored(self, tmp_path: Path, request_for: RetrievalRequest) -> Stored:
        return filled(FileSource.partitioned_parquet_at(tmp_path / "rows", ["time"]), request_for)


class TestZippedCsv(Writes):
    @pytest.fixture
    def stored(self, tmp_path: Path, request_for: RetrievalRequest) -> Stored:
        return filled(FileSource.csv_at(tmp_path / "rows.csv.zip"), request_for)


class TestGzippedCsvWithOtherDates(Writes):
    @pytest.fixture
    def stored(self, tmp_path: Path, request_for: RetrievalRequest) -> Stored:
        source = FileSource.csv_at(
            tmp_path / "rows.csv",
            csv_config=CsvConfig(separator=";", compression="gzip", quote="'"),
            date_formatter=DateFormatter.unix_timestamp("ms"),
        )
        return filled(source, request_for)


class TestUtf16CsvWithoutHeader:
    def test_round_trip(self, tmp_path: Path, rows: pl.DataFrame, request_for: RetrievalRequest) -> None:
        config = CsvConfig(encoding="utf-16", header=False)
        source = FileSource.csv_at(tmp_path / "rows.csv", csv_config=config)
        source.overwrite(rows.lazy(), request_for)
        assert source.all_data(request_for).collect().equals(rows)
        assert (tmp_path / "rows.csv").read_text("utf-16").startswith("007,")


class TestParquetWithTextDates(Writes):
    @pytest.fixture
    def stored(self, tmp_path: Path, request_for: RetrievalRequest) -> Stored:
        formatter = DateFormatter.string_format("%d.%m.%Y %H:%M:%S", "Europe/Oslo")
        return filled(FileSource.parquet_at(tmp_path / "r.pq", date_formatter=formatter), request_for)
