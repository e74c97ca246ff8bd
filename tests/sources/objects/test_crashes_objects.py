"""Objects are written whole: whoever is killed or cut off in mid-write, and however many write at once."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from aligned_dagster.sources.source import WritableSource
from tools.servers.proxy import CountingProxy

from ..behaviours import same
from ..crashing import (
    READINGS,
    REQUEST,
    WRITERS,
    Writers,
    kill_at_random_moments,
    sources_at,
    state_of,
    upsert_at_once,
    writers_to,
)
from ..writing_forever import UPSERTS, write
from .conftest import Config

KILLS = 6
"""For each of two sources and three ways to write, on each store."""

CUTS = 6
"""For each of the same."""


@pytest.fixture(scope="module")
def sources(both: tuple[Config, Config, CountingProxy]) -> dict[str, WritableSource]:
    return sources_at(both[0].directory("crashes"))


@pytest.fixture(scope="module")
def writers(
    sources: dict[str, WritableSource], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Writers]:
    with writers_to(sources, tmp_path_factory.mktemp("plan")) as writers:
        yield writers


@pytest.mark.parametrize("way", ["overwrite", "upsert", "partitions"])
@pytest.mark.parametrize("name", ["parquet", "hive"])
def test_killed_at_random_moments(
    writers: Writers, sources: dict[str, WritableSource], name: str, way: str
) -> None:
    kill_at_random_moments(writers, sources[name], name, way, kills=KILLS, within=0.4)


@pytest.mark.parametrize("way", ["together", "elsewhere"])
def test_writers_in_several_processes_lose_nothing(
    writers: Writers, sources: dict[str, WritableSource], way: str
) -> None:
    assert upsert_at_once(writers, sources["parquet"], "parquet", way) == 0


def test_one_of_two_writers_gets_a_conflict(writers: Writers, sources: dict[str, WritableSource]) -> None:
    assert 0 < upsert_at_once(writers, sources["hive"], "hive", "once") < WRITERS * UPSERTS


@pytest.mark.usefixtures("pauses")
@pytest.mark.parametrize("way", ["overwrite", "upsert", "partitions"])
@pytest.mark.parametrize("name", ["parquet", "hive"])
def test_connections_cut_at_random_moments(
    behind: Config, direct: Config, proxy: CountingProxy, name: str, way: str
) -> None:
    source = sources_at(direct.directory("cuts"))[name]
    cut = sources_at(behind.directory("cuts"))[name]
    source.overwrite(READINGS.lazy(), REQUEST)
    write(cut, REQUEST, READINGS, way, 0)
    moved = {"requests": proxy.bytes_into_server, "answers": proxy.bytes_out_of_server}
    chance = random.Random(f"{name} {way}")
    for number in range(1, CUTS + 1):
        of = chance.choice(["requests", "answers"])
        proxy.cut_after(chance.randrange(moved[of]), of=of)
        write(cut, REQUEST, READINGS, way, number)
        assert state_of(source, way) == number
    proxy.reset()
    source.upsert(READINGS.lazy(), REQUEST)
    same(source.all_data(REQUEST), READINGS)
