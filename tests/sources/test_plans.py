"""What a query reads, shown by its plan and by what it does not open."""

from __future__ import annotations

import datetime as dt
import gzip
import zipfile
from pathlib import Path

import polars as pl
import pytest

from aligned_dagster.features.schema import Schema
from aligned_dagster.request.retrieval_request import RetrievalRequest
from aligned_dagster.sources.local import FileSource

from .conftest import column

DAY = dt.date(2013, 1, 1)


def test_parquet_reads_wanted_columns_and_filters_in_the_scan(
    tmp_path: Path, rows: pl.DataFrame, request_for: RetrievalRequest
) -> None:
    source = FileSource.parquet_at(tmp_path / "r.parquet", mapping_keys={"Region": "region", "N": "count"})
    source.overwrite(rows.lazy(), request_for)
    query = source.all_data(request_for).filter(pl.col("region") == "south", pl.col("count") > 3)
    plan = query.select("station").explain()
    assert "PROJECT 3/6 COLUMNS" in plan
    assert "SELECTION: " in plan
    assert '(col("Region") == "south")' in plan
    assert '(col("N") > 3)' in plan
    assert "FILTER" not in plan
    between = source.all_between_dates(request_for.project(["count"]), DAY, DAY).explain()
    assert "PROJECT 2/6 COLUMNS" in between
    assert 'SELECTION: col("time").is_between' in between
    assert "FILTER" not in between


def test_parquet_with_optional_and_default_columns_still_projects(
    tmp_path: Path, rows: pl.DataFrame, request_for: RetrievalRequest, schema: Schema
) -> None:
    source = FileSource.parquet_at(tmp_path / "r.parquet")
    source.overwrite(rows.lazy(), request_for)
    wider = Schema((*schema.columns, column("note", "string", optional=True)))
    query = source.all_data(RetrievalRequest("readings", wider)).filter(pl.col("region") == "south")
    plan = query.select("station", "note").explain()
    assert "PROJECT 2/6 COLUMNS" in plan
    assert 'SELECTION: col("region") == "south"' in plan


@pytest.mark.parametrize("name", ["r.csv", "r.csv.gz"])
def test_csv_reads_wanted_columns_and_filters_text_in_the_scan(
    tmp_path: Path, rows: pl.DataFrame, request_for: RetrievalRequest, name: str
) -> None:
    source = FileSource.csv_at(tmp_path / name, mapping_keys={"Region": "region"})
    source.overwrite(rows.lazy(), request_for)
    query = source.all_data(request_for).filter(pl.col("region") == "south")
    plan = query.select("station", "count").explain()
    assert "PROJECT 3/6 COLUMNS" in plan
    assert 'SELECTION: col("Region") == "south"' in plan
    assert "Csv SCAN" in plan
    assert query.select("station", "count").collect().rows() == [("8", 3), ("8", 4)]


def test_zip_is_unpacked_when_collected_and_filtered_inside(
    tmp_path: Path, rows: pl.DataFrame, request_for: RetrievalRequest
) -> None:
    path = tmp_path / "r.zip"
    source = FileSource.csv_at(path)
    source.overwrite(rows.lazy(), request_for)
    query = source.all_data(request_for).filter(pl.col("region") == "south").select("count")
    plan = query.explain()
    assert "PROJECT" in plan
    assert 'SELECTION: col("region") == "south"' in plan
    header = "station,time,region,count,level,day\n"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("r.csv", header + "1,2013-01-01,south,99,,2013-01-01\n")
    assert query.collect()["count"].to_list() == [99]


def test_rows_of_a_csv_are_read_when_collected(tmp_path: Path, request_for: RetrievalRequest) -> None:
    path = tmp_path / "r.csv"
    header = "station,time,region,count,level,day\n"
    path.write_text(header)
    query = FileSource.csv_at(path).all_data(request_for)
    path.write_text(header + "1,2013-01-01,south,99,,2013-01-01\n")
    assert query.collect().height == 1
    with gzip.open(path, "wt") as stream:
        stream.write(header + "1,2013-01-01,south,99,,2013-01-01\n" * 2)
    assert query.collect().height == 2


def test_filter_on_a_partition_opens_its_files_only(
    tmp_path: Path, rows: pl.DataFrame, request_for: RetrievalRequest
) -> None:
    source = FileSource.partitioned_parquet_at(tmp_path / "r", ["region", "day"], {"R": "region"})
    source.overwrite(rows.lazy(), request_for)
    query = source.all_data(request_for).filter(pl.col("region") == "south", pl.col("day") == DAY)
    plan = query.select("count").explain()
    assert plan.count(".parquet") == 1
    assert "R=south/day=2013-01-01" in plan
    assert "other sources" not in plan
    for file in (tmp_path / "r").rglob("R=south/**/*.parquet"):
        file.write_bytes(b"damaged")
    needed = source.all_data(request_for.project(["count", "region"])).filter(pl.col("region") == "north")
    assert needed.collect()["count"].sum() == 3
