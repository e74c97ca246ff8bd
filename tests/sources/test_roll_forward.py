"""A publish into a directory that is interrupted, or meets what others have put there."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from aligned_dagster import FileSource
from aligned_dagster.errors import PublishError, UnreadableSourceError
from aligned_dagster.features.schema import Schema
from aligned_dagster.request.retrieval_request import RetrievalRequest
from aligned_dagster.sources.partitioned import PartitionedParquetSource
from aligned_dagster.sources.roll_forward import Journal

from .behaviours import same
from .conftest import column

REQUEST = RetrievalRequest("texts", Schema(tuple(column(name, "string") for name in ("part", "text"))))
FIRST = pl.DataFrame({"part": ["x", "y"], "text": ["1", "2"]})


@pytest.fixture
def stored(tmp_path: Path) -> PartitionedParquetSource:
    source = FileSource.partitioned_parquet_at(tmp_path / "t", ["part"])
    source.overwrite(FIRST.lazy(), REQUEST)
    return source


def test_files_beside_a_link_that_leads_nowhere_are_listed(
    stored: PartitionedParquetSource, tmp_path: Path
) -> None:
    (tmp_path / "t" / "loop").symlink_to("loop")
    assert [file.parent.name for file in stored.files() if file.suffix == ".parquet"] == ["part=x", "part=y"]


def test_an_interruption_right_after_the_journal_was_written_loses_nothing(
    stored: PartitionedParquetSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace = os.replace

    def interrupted(source: Any, target: Any) -> None:
        replace(source, target)
        if str(target).endswith(".journal"):
            raise KeyboardInterrupt

    new = pl.DataFrame({"part": ["y", "z"], "text": ["3", "4"]})
    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", interrupted)
        with pytest.raises(KeyboardInterrupt):
            stored.overwrite(new.lazy(), REQUEST)
    same(stored.all_data(REQUEST), new)
    stored.insert(FIRST.lazy(), REQUEST)
    same(stored.all_data(REQUEST), pl.concat([FIRST, new]))


def test_a_staged_file_that_is_gone_stops_the_publish_before_anything_is_removed(
    stored: PartitionedParquetSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(Journal, "carry_out", lambda _: None)
        stored.overwrite(pl.LazyFrame({"part": ["z"], "text": ["3"]}), REQUEST)
    journal = Journal.pending(tmp_path / "t")
    assert journal is not None
    (tmp_path / journal.moves[0][0]).unlink()
    with pytest.raises(UnreadableSourceError, match="is gone"):
        stored.insert(FIRST.lazy(), REQUEST)
    assert len(list((tmp_path / "t").rglob("*.parquet"))) == 2


def test_readers_between_two_moves_know_the_value_of_a_long_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = FileSource.partitioned_parquet_at(tmp_path / "t", ["part", "kind"])
    schema = Schema(tuple(column(name, "string") for name in ("part", "kind", "text")))
    request = RetrievalRequest("texts", schema)
    rows = pl.DataFrame({"part": ["p" * 300] * 2, "kind": ["a", "b"], "text": ["1", "2"]})
    seen: list[pl.DataFrame] = []
    move = Journal._move

    def looked(self: Journal, *arguments: Any) -> None:
        move(self, *arguments)
        seen.append(source.all_data(request).collect())

    with monkeypatch.context() as patch:
        patch.setattr(Journal, "_move", looked)
        source.overwrite(rows.lazy(), request)
    assert len(seen) >= 2
    for found in seen:
        same(found, rows)


def test_a_hidden_directory_of_others_keeps_its_partition_and_stops_no_writer(
    stored: PartitionedParquetSource, tmp_path: Path
) -> None:
    kept = tmp_path / "t" / "part=x" / ".ipynb_checkpoints"
    kept.mkdir()
    new = FIRST.tail(1)
    stored.overwrite(new.lazy(), REQUEST)
    same(stored.all_data(REQUEST), new)
    assert kept.is_dir() and Journal.pending(tmp_path / "t") is None
    stored.insert(FIRST.lazy(), REQUEST)


def test_a_new_partition_has_the_group_bit_of_the_directory(
    stored: PartitionedParquetSource, tmp_path: Path
) -> None:
    (tmp_path / "t").chmod(0o2775)
    stored.insert(pl.LazyFrame({"part": ["z"], "text": ["3"]}), REQUEST)
    assert (tmp_path / "t" / "part=z").stat().st_mode & 0o2000


def test_all_partitions_are_written_anew_only_if_no_column_is_lost(
    stored: PartitionedParquetSource, tmp_path: Path
) -> None:
    [file] = (tmp_path / "t" / "part=x").glob("*.parquet")
    pl.read_parquet(file, hive_partitioning=False).with_columns(more=pl.lit(1)).write_parquet(file)
    with (
        stored.stage(pl.LazyFrame({"part": ["y"], "text": ["3"]}), REQUEST, "insert") as staged,
        pytest.raises(PublishError, match="more"),
    ):
        staged.keep(staged.frame)
