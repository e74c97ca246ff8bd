"""A writer that is killed at any moment leaves all old or all new rows, and the next one goes on."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from aligned_dagster.sources.local import FileSource
from aligned_dagster.sources.source import WritableSource

from .crashing import Writers, kill_at_random_moments, sources_at, upsert_at_once, writers_to

KILLS = 18
"""For each of three sources and four ways to write."""


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> dict[str, WritableSource]:
    return sources_at(FileSource.directory(tmp_path_factory.mktemp("crashes")))


@pytest.fixture(scope="module")
def writers(
    sources: dict[str, WritableSource], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Writers]:
    with writers_to(sources, tmp_path_factory.mktemp("plan")) as writers:
        yield writers


@pytest.mark.parametrize("way", ["overwrite", "upsert", "partitions", "window"])
@pytest.mark.parametrize("name", ["csv", "parquet", "hive"])
def test_killed_at_random_moments(
    writers: Writers, sources: dict[str, WritableSource], name: str, way: str
) -> None:
    kill_at_random_moments(writers, sources[name], name, way, kills=KILLS, within=0.06)


@pytest.mark.parametrize("name", ["csv", "parquet", "hive"])
def test_writers_in_several_processes_lose_nothing(
    writers: Writers, sources: dict[str, WritableSource], name: str
) -> None:
    assert upsert_at_once(writers, sources[name], name, "together") == 0
