from __future__ import annotations

import os
from pathlib import Path

import dagster as dg
import polars as pl
import pytest

from aligned_dagster import FileSource
from aligned_dagster.orchestration.source_versions import SourceVersion, source_version
from aligned_dagster.sources.source import DataSource

KEY = dg.AssetKey(["raw", "file"])
ROOMY = 1 << 20


def csv_file(root: Path) -> tuple[DataSource, Path]:
    (root / "a.csv").write_text("id\n1\n", "utf-8")
    return FileSource.csv_at(str(root / "a.csv")), root / "a.csv"


def directory(root: Path) -> tuple[DataSource, Path]:
    file = root / "parts" / "day=1" / "rows.parquet"
    file.parent.mkdir(parents=True)
    pl.DataFrame({"id": [1]}).write_parquet(file)
    return FileSource.partitioned_parquet_at(str(root / "parts"), ["day"]), file


def versioned(root: Path) -> tuple[DataSource, Path]:
    file = root / "versions" / ("0" * 32) / "rows.parquet"
    file.parent.mkdir(parents=True)
    pl.DataFrame({"id": [1]}).write_parquet(file)
    return FileSource.directory(str(root)).with_schema_version("versions").parquet_at("rows.parquet"), file


@pytest.fixture(params=[csv_file, directory, versioned])
def stored(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[DataSource, Path]:
    made: tuple[DataSource, Path] = request.param(tmp_path)
    return made


def look(source: DataSource, instance: dg.DagsterInstance, limit: int = ROOMY) -> SourceVersion:
    """The version now, which is then recorded if it is new."""
    found = source_version(source, KEY, instance, limit)
    if not found.is_recorded:
        instance.report_runless_asset_event(found.observation(KEY))
    return found


def test_the_same_bytes_are_the_same_version_whenever_they_were_written(
    stored: tuple[DataSource, Path], instance: dg.DagsterInstance
) -> None:
    source, file = stored
    first = look(source, instance)
    assert not first.is_recorded

    file.write_bytes(file.read_bytes())
    os.utime(file, ns=(1, 1))
    again = look(source, instance)

    assert again.found.data_version != first.found.data_version
    assert again.version == first.version
    assert again.is_recorded


def test_other_bytes_are_another_version(
    stored: tuple[DataSource, Path], instance: dg.DagsterInstance
) -> None:
    source, file = stored
    first = look(source, instance)

    other = pl.DataFrame({"id": [2]})
    other.write_csv(file) if file.suffix == ".csv" else other.write_parquet(file)
    changed = look(source, instance)

    assert changed.version != first.version
    assert not changed.is_recorded


def test_nothing_is_read_where_the_fingerprint_is_known(
    stored: tuple[DataSource, Path], instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, _ = stored
    first = look(source, instance)
    monkeypatch.setattr(type(source), "content", lambda *_: pytest.fail("the content was read"))

    assert look(source, instance).version == first.version


def test_what_was_read_before_is_not_read_again(
    stored: tuple[DataSource, Path], instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, file = stored
    look(source, instance)
    os.utime(file, ns=(1, 1))  # the same bytes, of which no observation tells
    before = source_version(source, KEY, instance, ROOMY)
    monkeypatch.setattr(type(source), "content", lambda *_: pytest.fail("the content was read"))

    again = source_version(source, KEY, instance, ROOMY, before)

    assert again == before and again.is_recorded


def test_of_more_bytes_than_the_limit_the_fingerprint_decides(
    stored: tuple[DataSource, Path], instance: dg.DagsterInstance
) -> None:
    source, file = stored
    size = file.stat().st_size
    assert source.content(size) is not None
    first = look(source, instance, limit=size - 1)
    assert first.version == first.found.data_version

    os.utime(file, ns=(1, 1))

    assert not look(source, instance, limit=size - 1).is_recorded
