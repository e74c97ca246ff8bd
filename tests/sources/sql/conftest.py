from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import polars as pl
import pytest

from aligned_dagster import PostgreSQLConfig
from aligned_dagster.features.dtypes import DataType
from aligned_dagster.features.schema import Column, Schema
from aligned_dagster.request.retrieval_request import RetrievalRequest
from aligned_dagster.sources.sql.connection import close_idle_connections, session
from tools.servers.postgres import PostgresServer

VARIABLE = "ALIGNED_TEST_DATABASE"


@pytest.fixture
def database(postgres_database: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[PostgreSQLConfig]:
    """An empty database."""
    monkeypatch.setenv(VARIABLE, postgres_database)
    yield PostgreSQLConfig(env_var=VARIABLE)
    close_idle_connections()


Run = Callable[..., list[tuple[Any, ...]]]


@pytest.fixture
def run(database: PostgreSQLConfig) -> Run:
    """Runs statements in one transaction, and gives the rows of the last one."""

    def execute(*statements: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        with session(database) as opened:
            rows = [opened.rows(statement, parameters) for statement in statements]
            opened.commit()
        return rows[-1]

    return execute


@pytest.fixture
def statements(postgres: PostgresServer, postgres_database: str) -> Callable[[], list[str]]:
    """Gives the statements that the server got since it was asked last, without those to its catalog."""
    name = postgres_database.rpartition("/")[2]
    postgres.execute(f"ALTER DATABASE \"{name}\" SET log_statement = 'all'")
    close_idle_connections()  # the setting holds for new ones
    position = postgres.log.stat().st_size

    def told() -> list[str]:
        nonlocal position
        with postgres.log.open(encoding="utf-8", errors="replace") as log:
            log.seek(position)
            text = log.read()
            position = log.tell()
        found = re.findall(
            r"LOG:  (?:statement|execute [^:]*): (.*?)(?=\n\d{4}-\d\d-\d\d |\Z)", text, re.DOTALL
        )
        return [line.strip() for line in found if re.match(r"COPY|SELECT set_config", line.strip())]

    return told


def request(name: str = "rows", /, **columns: str) -> RetrievalRequest:
    """A request for columns of these types; a role may stand before the type: 'entity int32'."""
    made = []
    for column, text in columns.items():
        role, _, dtype = text.rpartition(" ")
        made.append(Column(column, DataType.from_text(dtype), role or "feature"))  # type: ignore[arg-type]  # roles that tests write
    return RetrievalRequest(name, Schema(tuple(made)))


def fill(config: PostgreSQLConfig, table: str, frame: pl.DataFrame, schema: str | None = None) -> None:
    """Creates a table of a frame, by plain ingestion."""
    with session(config) as opened:
        opened.ingest(table, frame, schema=schema, create=True)
        opened.commit()
