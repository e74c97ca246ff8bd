"""Replacing a part of a partitioned directory touches the partitions of that part and no other."""

from __future__ import annotations

import datetime as dt
import threading
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from aligned_dagster.errors import PublishError, UnreadableSourceError
from aligned_dagster.features.schema import Schema
from aligned_dagster.request.partition import PartitionSlice, Window
from aligned_dagster.request.retrieval_request import RetrievalRequest
from aligned_dagster.sources.local import FileSource
from aligned_dagster.sources.partitioned import PartitionedParquetSource

from .behaviours import same
from .conftest import column
from .opened import opened

DAYS = [dt.date(2020, 1, 1) + dt.timedelta(days=number) for number in range(1000)]


def inodes(root: Path) -> dict[str, int]:
    return {str(file.relative_to(root)): file.stat().st_ino for file in root.rglob("*.parquet")}


@pytest.fixture
def by_region(tmp_path: Path, rows: pl.DataFrame, request_for: RetrievalRequest) -> PartitionedParquetSource:
    source = FileSource.partitioned_parquet_at(tmp_path / "t", ["region"])
    source.overwrite(rows.lazy(), request_for)
    return source


def test_one_day_of_a_thousand(tmp_path: Path) -> None:
    schema = Schema(
        (column("id", "int64", "entity"), column("day", "date"), column("note", "string", optional=True))
    )
    request = RetrievalRequest("t", schema)
    rows = pl.DataFrame({"id": range(2000), "day": DAYS * 2, "note": ["old"] * 2000}, schema=request.polars)
    source = FileSource.partitioned_parquet_at(tmp_path / "t", ["day"])
    source.overwrite(rows.lazy(), request)
    before = inodes(tmp_path / "t")
    part = PartitionSlice(keys=((("day", DAYS[500]),),)).predicate(schema)
    new = rows.filter(part).with_columns(note=pl.lit("new"))
    with opened(tmp_path / "t") as files, source.stage(new.lazy(), request, "replace", where=part) as staged:
        same(staged.part, new)
        published = staged.publish()
    assert files == set()
    assert published.files == tuple(str(file) for file in (tmp_path / "t" / f"day={DAYS[500]}").iterdir())
    after = inodes(tmp_path / "t")
    assert {name for name in after if after[name] != before[name]} == {
        str(Path(file).relative_to(tmp_path / "t")) for file in published.files
    }
    with opened(tmp_path / "t") as files:
        same(source.all_data(request).filter(part), new)
    assert len(files) == 2, "the first, to see the columns, and the one with the rows"
    with opened(tmp_path / "t") as files, source.stage(new.lazy(), request, "replace", where=part) as staged:
        same(staged.frame.filter(part), new)
    assert len(files) == 1
    with opened(tmp_path / "t") as files:
        source.insert(new.lazy(), request)
    assert len(files) == 1, "an insert looks into the partitions that it adds to"


def test_other_partitions_may_be_damaged(
    by_region: PartitionedParquetSource, tmp_path: Path, rows: pl.DataFrame, request_for: RetrievalRequest
) -> None:
    for file in (tmp_path / "t").rglob("*.parquet"):
        file.write_bytes(b"nonsense that is long enough")
    by_region.replace(rows.head(2).lazy(), request_for, pl.col("region") == "north")
    with pytest.raises(UnreadableSourceError, match="region=south"):
        by_region.replace(rows.clear().lazy(), request_for, pl.col("count") == 3)
    assert (tmp_path / "t" / "region=south").exists()
    by_region.replace(rows.tail(2).lazy(), request_for, pl.col("region").is_in(["south"]))
    same(by_region.all_data(request_for), rows)


def test_partition_that_loses_its_rows_goes(
    by_region: PartitionedParquetSource, tmp_path: Path, rows: pl.DataFrame, request_for: RetrievalRequest
) -> None:
    before = inodes(tmp_path / "t")
    by_region.replace(rows.clear().lazy(), request_for, pl.col("region") == "south")
    assert [entry.name for entry in (tmp_path / "t").iterdir()] == ["region=north"]
    assert inodes(tmp_path / "t").items() < before.items()
    by_region.replace(rows.clear().lazy(), request_for, pl.col("count") < 3)
    assert list((tmp_path / "t").iterdir()) == []
    same(by_region.all_data(request_for), rows.clear())


def test_rows_move_into_other_partitions_within_a_window(
    by_region: PartitionedParquetSource, tmp_path: Path, rows: pl.DataFrame, request_for: RetrievalRequest
) -> None:
    first = dt.datetime(2013, 1, 1, tzinfo=dt.UTC)
    window = PartitionSlice((Window(first, first + dt.timedelta(days=1)),)).predicate(request_for.schema)
    before = inodes(tmp_path / "t")
    new = rows.filter(window).with_columns(region=pl.lit("north"))
    by_region.replace(new.lazy(), request_for, window)
    wanted = pl.concat([rows.filter(~window), new])
    same(by_region.all_data(request_for), wanted)
    third = PartitionSlice((Window(first + dt.timedelta(days=2), first + dt.timedelta(days=3)),)).predicate(
        request_for.schema
    )
    north = {name: node for name, node in inodes(tmp_path / "t").items() if "north" in name}
    by_region.replace(rows.filter(third).lazy(), request_for, third)
    same(by_region.all_data(request_for), wanted)
    assert north.items() < inodes(tmp_path / "t").items(), "untouched: it has no row of that window"
    assert before.keys() == inodes(tmp_path / "t").keys(), "files keep their names"


def test_columns_that_the_contract_does_not_know_are_not_lost(
    by_region: PartitionedParquetSource, tmp_path: Path, rows: pl.DataFrame, request_for: RetrievalRequest
) -> None:
    file = next((tmp_path / "t" / "region=south").iterdir())
    wider = rows.tail(2).drop("region").with_columns(email=pl.lit("a@b"))
    file.unlink()
    wider.write_parquet(file.with_name("part-00000-f3c1-c000.snappy.parquet"))
    with pytest.raises(PublishError, match="would lose: email"):
        by_region.replace(rows.tail(1).lazy(), request_for, pl.col("count") == 4)
    by_region.replace(rows.head(1).lazy(), request_for, pl.col("count") == 1)
    same(by_region.all_data(request_for), rows)
    by_region.replace(rows.tail(2).lazy(), request_for, pl.col("region") == "south")
    same(by_region.all_data(request_for), rows)


def test_parts_are_replaced_side_by_side(
    by_region: PartitionedParquetSource, rows: pl.DataFrame, request_for: RetrievalRequest
) -> None:
    south, north = (by_region_rows for _, by_region_rows in rows.group_by("region", maintain_order=True))
    both = threading.Barrier(2)

    def write(part: pl.DataFrame) -> None:
        where = pl.col("region") == part["region"][0]
        new = part.with_columns(level=pl.lit(9.0)).lazy()
        with by_region.stage(new, request_for, "replace", where=where) as staged:
            both.wait(20)
            same(staged.part, new.collect())
            staged.publish()

    threads = [threading.Thread(target=write, args=(part,)) for part in (south, north)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    same(by_region.all_data(request_for), rows.with_columns(level=pl.lit(9.0)))


def test_replaces_equal_a_filter(tmp_path_factory: pytest.TempPathFactory) -> None:
    schema = Schema(
        (column("k", "string", optional=True), column("b", "bool", optional=True), column("v", "int64"))
    )
    request = RetrievalRequest("t", schema)
    keys, flags = st.sampled_from(["a", "b", "../c", "", None]), st.sampled_from([True, False, None])
    rows = st.lists(st.tuples(keys, flags, st.integers(0, 3)), max_size=6)
    key = st.builds(lambda k: pl.col("k").eq_missing(pl.lit(k, pl.String)), keys)
    conditions = st.one_of(
        key,
        st.builds(lambda k, b: k & pl.col("b").eq_missing(pl.lit(b, pl.Boolean)), key, flags),
        st.builds(lambda v: pl.col("v") == v, st.integers(0, 3)),
        st.builds(lambda k, v: k | (pl.col("v") > v), key, st.integers(0, 3)),
        st.just(pl.col("b")),
    )

    @settings(max_examples=25, deadline=None)
    @given(first=rows, steps=st.lists(st.tuples(conditions, rows), max_size=3))
    def check(first: list[tuple[object, ...]], steps: list[tuple[pl.Expr, list[tuple[object, ...]]]]) -> None:
        base = tmp_path_factory.mktemp("replaces")
        sources = [
            FileSource.partitioned_parquet_at(base / "hive", ["k", "b"]),
            FileSource.parquet_at(base / "rows.parquet"),
            FileSource.csv_at(base / "rows.csv"),
        ]
        held = pl.DataFrame(first, schema=request.polars, orient="row")
        for source in sources:
            source.overwrite(held.lazy(), request)
        for where, batch in steps:
            incoming = pl.DataFrame(batch, schema=request.polars, orient="row").filter(where)
            held = pl.concat([held.filter(where.fill_null(False).not_()), incoming])
            for source in sources:
                source.replace(incoming.lazy(), request, where)
                assert_frame_equal(source.all_data(request).collect(), held, check_row_order=False)

    check()
