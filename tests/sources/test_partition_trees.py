"""Trees that others write are read, and a filter on a key opens the files of those partitions only."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import quote
from zoneinfo import ZoneInfo

import polars as pl
import pytest

from aligned_dagster.errors import CastError
from aligned_dagster.features.schema import Schema
from aligned_dagster.request.partition import PartitionSlice
from aligned_dagster.request.retrieval_request import RetrievalRequest
from aligned_dagster.sources.local import DateFormatter, FileSource
from aligned_dagster.sources.partitioned import PartitionedParquetSource

from .behaviours import same
from .conftest import column
from .opened import opened

OSLO = ZoneInfo("Europe/Oslo")
KEYS: list[tuple[str, list[Any]]] = [
    ("string", ["01", "1", "", "a/b", None]),
    ("json", ['{"a": 1}', "[]", None]),
    ("int8", [-128, 127]),
    ("int64", [-1, 0, 2**40, None]),
    ("uint8", [0, 255]),
    ("uint64", [2**64 - 1, 0, None]),
    ("bool", [True, False, None]),
    ("float32", [0.5, -2.25, float("inf")]),
    ("float64", [0.1, -2.5, 1e300, None]),
    ("decimal(38,2)", [Decimal("1.25"), Decimal("-3.00"), None]),
    ("date", [dt.date(2013, 1, 1), dt.date(1, 1, 1), None]),
    ("timestamp(us,UTC)", [dt.datetime(2013, 1, 1, 5, 0, 0, 1, tzinfo=dt.UTC), None]),
    ("timestamp(us,)", [dt.datetime(2013, 1, 1, 5), dt.datetime(2013, 1, 1, 5, 0, 0, 1), None]),
    ("timestamp(us,Europe/Oslo)", [dt.datetime(2013, 7, 1, hour, tzinfo=OSLO) for hour in (0, 5)]),
]
UNPRUNED: list[tuple[str, list[Any]]] = [
    ("time", [dt.time(5), dt.time(6, 30), dt.time(6, 30, 0, 500), None]),
    ("duration", [dt.timedelta(hours=1), dt.timedelta(0), None]),
]


def keyed(tmp_path: Path, dtype: str) -> tuple[PartitionedParquetSource, RetrievalRequest]:
    schema = Schema((column("id", "int64", "entity"), column("key", dtype, optional=True)))
    return FileSource.partitioned_parquet_at(tmp_path / "t", ["key"]), RetrievalRequest("t", schema)


@pytest.mark.parametrize(("dtype", "values"), [*KEYS, *UNPRUNED])
def test_keys_of_every_type(tmp_path: Path, dtype: str, values: list[Any]) -> None:
    source, request = keyed(tmp_path, dtype)
    rows = pl.DataFrame({"id": range(len(values)), "key": values}, schema=request.polars)
    source.overwrite(rows.lazy(), request)
    same(source.all_data(request), rows)
    source.upsert(rows.lazy(), request)
    same(source.all_data(request), rows)
    for value in values:
        part = pl.col("key").eq_missing(pl.lit(value, request.polars["key"]))
        same(source.all_data(request).filter(part), rows.filter(part))
        changed = rows.filter(part).with_columns(pl.col("id") + 10)
        source.replace(changed.lazy(), request, part)
        rows = pl.concat([rows.filter(~part), changed])
        same(source.all_data(request), rows)


@pytest.mark.parametrize(("dtype", "values"), KEYS)
def test_filter_on_a_key_opens_its_files_only(tmp_path: Path, dtype: str, values: list[Any]) -> None:
    source, request = keyed(tmp_path, dtype)
    rows = pl.DataFrame({"id": range(len(values)), "key": values}, schema=request.polars)
    source.overwrite(rows.lazy(), request)
    for value in values:
        part = PartitionSlice(keys=((("key", value),),)).predicate(request.schema)
        query = source.all_data(request).filter(part)
        plan = query.explain()
        assert plan.count(".parquet") == 1
        assert "other sources" not in plan
        with opened(tmp_path / "t") as files:
            same(query, rows.filter(part))
        assert len(files) == 1
    part = PartitionSlice(keys=tuple((("key", value),) for value in values[:2])).predicate(request.schema)
    with opened(tmp_path / "t") as files:
        same(source.all_data(request).filter(part), rows.filter(part))
    assert len(files - {min(source.files())}) <= 2


SPELLINGS: list[tuple[str, dict[str, Any]]] = [
    ("bool", {"True": True, "FALSE": False, "0": False, "t": True}),
    ("int32", {"007": 7, "-1": -1}),
    ("float64", {"1": 1.0, "1e-07": 1e-7}),
    ("date", {"2013-01-01": dt.date(2013, 1, 1), "2013-01-02 00:00:00": dt.date(2013, 1, 2)}),
    ("timestamp(us,UTC)", {"2013-01-01 05:00:00": dt.datetime(2013, 1, 1, 5, tzinfo=dt.UTC)}),
    ("timestamp(us,UTC)", {"2013-01-01T05:00:00+02:00": dt.datetime(2013, 1, 1, 3, tzinfo=dt.UTC)}),
    ("timestamp(us,Europe/Oslo)", {"2013-07-01 05:00:00": dt.datetime(2013, 7, 1, 5, tzinfo=OSLO)}),
    (
        "timestamp(us,)",
        {
            "2013-01-01 05:00:00.5": dt.datetime(2013, 1, 1, 5, 0, 0, 500_000),
            "2013-01-01T06:00:00": dt.datetime(2013, 1, 1, 6),
            "2013-01-02": dt.datetime(2013, 1, 2),
        },
    ),
]


@pytest.mark.parametrize(("dtype", "spelled"), SPELLINGS)
def test_spellings_of_others(tmp_path: Path, dtype: str, spelled: dict[str, Any]) -> None:
    source, request = keyed(tmp_path, dtype)
    values = [*spelled.values(), None]
    for number, text in enumerate([*(quote(text) for text in spelled), "__HIVE_DEFAULT_PARTITION__"]):
        directory = tmp_path / "t" / f"key={text}"
        directory.mkdir(parents=True)
        pl.DataFrame({"id": [number]}).write_parquet(directory / "part-00000-f3c1-c000.snappy.parquet")
    rows = pl.DataFrame({"id": range(len(values)), "key": values}, schema=request.polars)
    same(source.all_data(request), rows)
    for value in values:
        part = pl.col("key").eq_missing(pl.lit(value, request.polars["key"]))
        same(source.all_data(request).filter(part), rows.filter(part))
    first = pl.col("key") == pl.lit(values[0], request.polars["key"])
    source.replace(rows.filter(first).lazy(), request, first)
    same(source.all_data(request), rows)
    (tmp_path / "t" / f"key={quote(next(iter(spelled)))}x").mkdir()
    pl.DataFrame({"id": [1]}).write_parquet(
        tmp_path / "t" / f"key={quote(next(iter(spelled)))}x" / "a.parquet"
    )
    with pytest.raises(CastError, match=r"column 'key'"):
        source.all_data(request)


def test_keys_as_other_dates(tmp_path: Path) -> None:
    _, request = keyed(tmp_path, "date")
    for formatter in (DateFormatter.string_format("%d.%m.%Y"), DateFormatter.unix_timestamp()):
        source = FileSource.partitioned_parquet_at(
            tmp_path / formatter.kind, ["key"], date_formatter=formatter
        )
        days = [dt.date(2013, 1, 1), dt.date(2013, 1, 2), None]
        rows = pl.DataFrame({"id": range(3), "key": days}, schema=request.polars)
        source.overwrite(rows.lazy(), request)
        second = pl.col("key") == days[1]
        source.replace(rows.filter(second).lazy(), request, second)
        same(source.all_data(request), rows)
        same(source.all_data(request).filter(second), rows.filter(second))


@pytest.mark.parametrize("writer", ["duckdb", "pyarrow", "polars", "pandas"])
def test_trees_of_others(tmp_path: Path, writer: str) -> None:
    schema = Schema(
        (column("id", "int64", "entity"), column("k", "string"), column("n", "int32"), column("v", "float64"))
    )
    request = RetrievalRequest("t", schema)
    keys = ["a/b", "01", "æ ø", "a=b", "%25", None]
    rows = pl.DataFrame(
        {"id": range(12), "k": keys * 2, "n": [1, 2] * 6, "v": [0.5] * 12}, schema=request.polars
    )
    root = tmp_path / "t"
    if writer == "duckdb":
        import duckdb

        duckdb.from_arrow(rows.to_arrow()).write_parquet(str(root), partition_by=["k", "n"])
    elif writer == "pyarrow":
        import pyarrow.parquet as pq

        pq.write_to_dataset(rows.to_arrow(), root, partition_cols=["k", "n"])
    elif writer == "pandas":
        rows.to_pandas().to_parquet(root, partition_cols=["k", "n"])
    else:
        rows.lazy().sink_parquet(pl.PartitionBy(root, key=["k", "n"], include_key=False), mkdir=True)
    source = FileSource.partitioned_parquet_at(root, ["k", "n"])
    same(source.all_data(request), rows)
    same(source.all_data(request).filter(pl.col("k") == "a/b"), rows.filter(pl.col("k") == "a/b"))
    moved = rows.with_columns(k=pl.lit("a/b"))
    source.upsert(moved.lazy(), request)
    same(source.all_data(request), moved)


def spark_tree(root: Path, rows: pl.DataFrame, keys: list[str]) -> None:
    """As Spark's committer leaves it: two files a partition, checksums beside them, a marker at the top."""
    for values, part in rows.partition_by(keys, as_dict=True).items():
        names = [
            f"{key}={'__HIVE_DEFAULT_PARTITION__' if value is None else quote(str(value), safe=' ')}"
            for key, value in zip(keys, values, strict=True)
        ]
        directory = root.joinpath(*names)
        directory.mkdir(parents=True)
        for number, half in enumerate((part.head(1), part.slice(1))):
            name = f"part-0000{number}-5b2c7d1e-90aa-4c1b-8a53-5b0a4f9f0f11.c000.snappy.parquet"
            half.drop(keys).write_parquet(directory / name, compression="snappy")
            (directory / f".{name}.crc").write_bytes(b"crc")
    (root / "_SUCCESS").touch()
    (root / "._SUCCESS.crc").touch()
    (root / "_temporary" / "0").mkdir(parents=True)


def test_tree_of_spark_with_three_levels(tmp_path: Path) -> None:
    schema = Schema(
        (
            column("id", "int64", "entity"),
            column("country", "string", optional=True),
            column("year", "int16"),
            column("good", "bool"),
            column("v", "int64"),
            column("note", "string", optional=True),
        )
    )
    request = RetrievalRequest("t", schema)
    rows = pl.DataFrame(
        {
            "id": range(24),
            "country": ["no", "a/b", None] * 8,
            "year": [2023, 2024] * 12,
            "good": [True] * 12 + [False] * 12,
            "v": [7] * 24,
            "note": [None] * 24,
        },
        schema=request.polars,
    )
    root = tmp_path / "t"
    keys = ["country", "year", "good"]
    spark_tree(root, rows.drop("note").with_columns(v=pl.col("v").cast(pl.Int32)), keys)
    source = FileSource.partitioned_parquet_at(root, keys)
    same(source.all_data(request), rows)
    same(source.all_data(request.project(["year", "id"])), rows.select("year", "id"))
    assert source.all_data(request.project(["good"])).collect()["good"].sum() == 12
    key = (("country", None), ("year", 2024), ("good", False))
    part = PartitionSlice(keys=(key,)).predicate(schema)
    assert source.all_data(request).filter(part).explain().count(".parquet") == 2
    new = rows.filter(part).with_columns(v=pl.lit(2**40), note=pl.lit("new"))
    source.replace(new.lazy(), request, part)
    wanted = pl.concat([rows.filter(~part), new])
    same(source.all_data(request), wanted)
    assert (root / "_SUCCESS").exists()
    source.upsert(wanted.with_columns(v=pl.lit(8, pl.Int64)).lazy(), request)
    same(source.all_data(request), wanted.with_columns(v=pl.lit(8, pl.Int64)))
    source.replace(wanted.clear().lazy(), request, pl.col("year") == 2023)
    same(source.all_data(request), wanted.filter(year=2024).with_columns(v=pl.lit(8, pl.Int64)))
    left = {path.name for path in root.rglob("year=*") if any(path.rglob("*.parquet"))}
    assert left == {"year=2024"}


def test_files_of_different_age(tmp_path: Path) -> None:
    """Columns and widths that came later; what a file lacks and the contract needs is an error, never null."""
    old = Schema((column("id", "int64", "entity"), column("k", "string"), column("v", "int32")))
    new = Schema(
        (
            *old.columns[:2],
            column("v", "int64"),
            column("note", "string", optional=True),
            column("grade", "int8", has_default=True, default=3),
        )
    )
    source = FileSource.partitioned_parquet_at(tmp_path / "t", ["k"])
    before, after = RetrievalRequest("t", old), RetrievalRequest("t", new)
    first = pl.DataFrame({"id": range(100), "k": [f"{n:02}" for n in range(100)], "v": [1] * 100})
    source.overwrite(first.cast(before.polars).lazy(), before)  # type: ignore[arg-type]  # a dict of dtypes
    part = pl.col("k") == "50"
    row = pl.DataFrame(
        {"id": [50], "k": ["50"], "v": [2**40], "note": ["x"], "grade": [None]}, schema=after.polars
    )
    source.replace(row.lazy(), after, part)
    found = source.all_data(after)
    assert found.filter(part).collect().row(0) == (50, "50", 2**40, "x", 3)
    with opened(tmp_path / "t") as files:
        assert source.all_data(after).filter(pl.col("k") == "51").collect().row(0) == (51, "51", 1, None, 3)
    assert len(files) <= 3, "one for each set of columns, and the one with the row"
    assert found.select(pl.len(), pl.col("v").sum(), pl.col("grade").sum()).collect().row(0) == (
        100,
        2**40 + 99,
        300,
    )
