"""A writer that is killed, or whose connection is cut, at any moment leaves all old or all new rows."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from aligned_dagster.sources.postgresql import PostgreSQLConfig, PostgreSQLTable
from tools.servers.postgres import PostgresServer

from .stopping import Blow, Database, WritersToServer, stop_at_random_moments, writers_to_server

BLOWS = 20
"""For each of four ways to write and two ways to stop it: 80 kills and 80 cuts."""


@pytest.fixture(scope="module")
def database(postgres: PostgresServer) -> Iterator[Database]:
    name = postgres.new_database().rpartition("/")[2]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CRASH_DB_URL", postgres.uri(name))
        database = Database(postgres, name)
        yield database
        database.drop()


@pytest.fixture(scope="module")
def source(database: Database) -> PostgreSQLTable:
    return PostgreSQLConfig("CRASH_DB_URL").table("readings")


@pytest.fixture(scope="module")
def writers(source: PostgreSQLTable, tmp_path_factory: pytest.TempPathFactory) -> Iterator[WritersToServer]:
    with writers_to_server({"readings": source}, tmp_path_factory.mktemp("plan")) as writers:
        yield writers


@pytest.mark.parametrize("blow", ["kill", "cut"])
@pytest.mark.parametrize("way", ["overwrite", "upsert", "insert", "window"])
def test_stopped_at_random_moments(
    writers: WritersToServer, database: Database, source: PostgreSQLTable, way: str, blow: Blow
) -> None:
    stop_at_random_moments(writers, database, source, "readings", way, blow, blows=BLOWS)
