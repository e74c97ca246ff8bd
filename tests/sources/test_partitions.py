from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from aligned_dagster.errors import (
    CastError,
    ConfigurationError,
    MissingColumnError,
    SourceError,
    UnreadableSourceError,
)
from aligned_dagster.features.schema import Schema
from aligned_dagster.request.explain import explained
from aligned_dagster.request.retrieval_request import RetrievalRequest
from aligned_dagster.sources import publishing
from aligned_dagster.sources.local import FileSource
from aligned_dagster.sources.partition_path import (
    decode_partition,
    encode_partition,
    is_cut,
    partition_directory,
    write_long_values,
)
from aligned_dagster.sources.partition_writer import StagedPartitions
from aligned_dagster.sources.roll_forward import Journal

from .behaviours import same
from .conftest import column

TEXTS = st.one_of(st.none(), st.text(), st.text(st.sampled_from("./\\=%~_*[] 0aA")), st.text(min_size=150))


@given(first=TEXTS, second=TEXTS)
@example(first=None, second="__HIVE_DEFAULT_PARTITION__")
@example(first="../../evil", second="%2E%2E%2Fevil")
def test_encoding_is_contained_injective_and_short(first: str | None, second: str | None) -> None:
    one, two = encode_partition("k", first), encode_partition("k", second)
    assert (one == two) == (first == second)
    for name in (one, two):
        assert "/" not in name
        assert len(name.encode()) <= 255
        assert partition_directory(Path("/base"), {"k": first}).parent == Path("/base")


@given(value=TEXTS)
def test_encoding_is_reversible(tmp_path_factory: pytest.TempPathFactory, value: str | None) -> None:
    directory = partition_directory(Path("/base"), {"k": value})
    if is_cut(directory.name):
        directory = partition_directory(tmp_path_factory.mktemp("long"), {"k": value})
        directory.mkdir()
        assert write_long_values(directory, {"k": value})
    assert decode_partition(directory) == ("k", value)


def test_row_that_moves_leaves_its_old_partition(
    tmp_path: Path, rows: pl.DataFrame, request_for: RetrievalRequest
) -> None:
    source = FileSource.partitioned_parquet_at(tmp_path / "t", ["region"])
    source.overwrite(rows.lazy(), request_for)
    south = {file: file.stat().st_ino for file in (tmp_path / "t" / "region=south").iterdir()}
    moved = rows.head(2).with_columns(region=pl.lit("west"))
    source.upsert(moved.lazy(), request_for)
    assert sorted(entry.name for entry in (tmp_path / "t").iterdir()) == ["region=south", "region=west"]
    assert south == {file: file.stat().st_ino for file in (tmp_path / "t" / "region=south").iterdir()}
    same(source.all_data(request_for), pl.concat([moved, rows.tail(2)]))


def test_only_file_of_a_partition_is_replaced_under_its_own_name(
    tmp_path: Path, rows: pl.DataFrame, request_for: RetrievalRequest
) -> None:
    source = FileSource.partitioned_parquet_at(tmp_path / "t", ["region"])
    source.overwrite(rows.lazy(), request_for)
    before = sorted((tmp_path / "t").rglob("*.parquet"))
    source.upsert(rows.lazy(), request_for)
    assert sorted((tmp_path / "t").rglob("*.parquet")) == before


@pytest.mark.parametrize("mode", ["insert", "upsert"])
@pytest.mark.parametrize("region", ["north", "south"])
def test_damaged_file_is_an_error_and_stays(
    tmp_path: Path, rows: pl.DataFrame, request_for: RetrievalRequest, mode: Any, region: str
) -> None:
    source = FileSource.partitioned_parquet_at(tmp_path / "t", ["region"])
    source.overwrite(rows.lazy(), request_for)
    bad = next((tmp_path / "t" / f"region={region}").iterdir())
    bad.write_bytes(b"nonsense that is long enough")
    with pytest.raises(UnreadableSourceError, match=str(tmp_path)), explained("readings", source.uri):
        source.all_data(request_for).collect()
    with pytest.raises(UnreadableSourceError, match=f"region={region}"):
        source.stage(rows.lazy(), request_for, mode)
    assert bad.read_bytes() == b"nonsense that is long enough"
    assert [p.name for p in tmp_path.iterdir() if "staging" in p.name] == []


def test_files_that_lack_a_needed_column(tmp_path: Path) -> None:
    request = RetrievalRequest(
        "t", Schema((column("id", "int64", "entity"), column("k", "string"), column("v", "int64")))
    )
    for key, names in {"a": ["id", "v"], "b": ["id"]}.items():
        (tmp_path / "t" / f"k={key}").mkdir(parents=True)
        pl.DataFrame({name: [1] for name in names}).write_parquet(tmp_path / "t" / f"k={key}" / "x.parquet")
    source = FileSource.partitioned_parquet_at(tmp_path / "t", ["k"])
    with pytest.raises(MissingColumnError, match=r"lacks a column.*v"), explained("t"):
        source.all_data(request).collect()
    optional = Schema((*request.schema.columns[:2], column("v", "int64", optional=True)))
    found = source.all_data(RetrievalRequest("t", optional)).collect()
    assert sorted(found.rows(), key=repr) == [(1, "a", 1), (1, "b", None)]


def test_what_is_no_partition(tmp_path: Path, rows: pl.DataFrame, request_for: RetrievalRequest) -> None:
    source = FileSource.partitioned_parquet_at(tmp_path / "t", ["day"])
    source.overwrite(rows.lazy(), request_for)
    (tmp_path / "t" / "_SUCCESS").touch()
    (tmp_path / "t" / ".hidden.parquet").touch()
    (tmp_path / "t" / "_temporary" / "day=2013-01-01").mkdir(parents=True)
    same(source.all_data(request_for), rows)
    rows.write_parquet(tmp_path / "t" / "stray.parquet")
    with pytest.raises(UnreadableSourceError, match=r"stray\.parquet is in no directory day="):
        source.all_data(request_for)
    (tmp_path / "t" / "stray.parquet").unlink()
    (tmp_path / "t" / "day=monday").mkdir()
    rows.drop("day").write_parquet(tmp_path / "t" / "day=monday" / "x.parquet")
    with pytest.raises(CastError, match=r"'monday'.*'day'"):
        source.all_data(request_for)


def test_configuration(tmp_path: Path, request_for: RetrievalRequest) -> None:
    with pytest.raises(ConfigurationError, match="needs partition_keys"):
        FileSource.partitioned_parquet_at("t", [])
    with pytest.raises(ConfigurationError, match="named twice"):
        FileSource.partitioned_parquet_at("t", ["a", "a"])
    with pytest.raises(ConfigurationError, match=r"Did you mean 'region'\?"):
        FileSource.partitioned_parquet_at(tmp_path, ["regin"]).all_data(request_for)


def test_crash_after_the_commit_is_rolled_forward(
    tmp_path: Path, rows: pl.DataFrame, request_for: RetrievalRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = FileSource.partitioned_parquet_at(tmp_path / "t", ["region"])
    source.overwrite(rows.lazy(), request_for)
    changed = rows.with_columns(count=pl.col("count") * 10, region=pl.lit("west"))

    class Killed(BaseException):
        pass

    def killed(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(Journal, "carry_out", killed)
        with pytest.raises(Killed):
            source.upsert(changed.lazy(), request_for)
    same(source.all_data(request_for), changed)
    patient = source.fingerprint()
    assert patient.rows == 4
    journal = Journal.pending(tmp_path / "t")
    assert journal is not None
    first, second = journal.moves[0], journal.removes[0]
    (tmp_path / first[1]).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / first[0]).rename(tmp_path / first[1])
    (tmp_path / second).unlink()
    same(source.all_data(request_for), changed)
    source.insert(rows.lazy(), request_for)
    assert Journal.pending(tmp_path / "t") is None
    same(source.all_data(request_for), pl.concat([changed, rows]))
    assert sorted(p.name for p in tmp_path.iterdir()) == [".t.lock", "t"]
    (tmp_path / ".t.journal").write_text("{")
    with pytest.raises(UnreadableSourceError, match="journal"):
        source.all_data(request_for)


def test_staging_left_behind_is_removed_after_a_day(
    tmp_path: Path, rows: pl.DataFrame, request_for: RetrievalRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = FileSource.partitioned_parquet_at(tmp_path / "t", ["region"])
    staged = source.stage(rows.lazy(), request_for, "overwrite")
    assert isinstance(staged, StagedPartitions)
    left = [p for p in tmp_path.iterdir() if "staging" in p.name]
    source.overwrite(rows.lazy(), request_for)
    assert left[0].exists()
    monkeypatch.setattr(publishing, "STALE_AFTER", -1.0)
    source.overwrite(rows.lazy(), request_for)
    assert not left[0].exists()


def test_lock_waits_and_gives_up(tmp_path: Path) -> None:
    with publishing.WriterLock(tmp_path / "t"):
        started = time.monotonic()
        with pytest.raises(SourceError, match="Another writer"):
            publishing.WriterLock(tmp_path / "t", timeout=0.05).acquire()
        assert time.monotonic() - started < 5
    publishing.WriterLock(tmp_path / "t", timeout=0.05).acquire()


def test_upserts_equal_a_dictionary(tmp_path_factory: pytest.TempPathFactory) -> None:
    schema = Schema(
        (column("id", "int8", "entity"), column("k", "string", optional=True), column("v", "int64"))
    )
    request = RetrievalRequest("t", schema)
    row = st.tuples(
        st.one_of(st.none(), st.integers(0, 5)),
        st.sampled_from(["a", "b", "../c", "", None]),
        st.integers(0, 9),
    )

    @settings(max_examples=25, deadline=None)
    @given(batches=st.lists(st.lists(row, max_size=5), min_size=1, max_size=4))
    def check(batches: list[list[tuple[Any, ...]]]) -> None:
        base = tmp_path_factory.mktemp("upserts")
        sources = [
            FileSource.partitioned_parquet_at(base / "hive", ["k"]),
            FileSource.parquet_at(base / "rows.parquet"),
            FileSource.csv_at(base / "rows.csv"),
        ]
        held: dict[Any, tuple[Any, ...]] = {}
        for batch in batches:
            held |= {item[0]: item for item in batch}
            wanted = pl.DataFrame(list(held.values()), schema=request.polars, orient="row")
            for source in sources:
                source.upsert(pl.LazyFrame(batch, schema=request.polars, orient="row"), request)
                assert_frame_equal(source.all_data(request).collect(), wanted, check_row_order=False)

    check()
