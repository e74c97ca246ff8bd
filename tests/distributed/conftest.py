"""The servers of a deployment of several workers, of which a test may end any."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from aligned_dagster.sources.sql.connection import close_idle_connections
from tools.servers.broker import Broker, broker_server
from tools.servers.postgres import PostgresServer


@pytest.fixture(scope="module")
def broker() -> Iterator[Broker]:
    """A broker of its own for a module."""
    with broker_server() as server:
        yield server


@pytest.fixture(scope="module")
def database() -> Iterator[PostgresServer]:
    """A PostgreSQL server of its own for a module."""
    with PostgresServer() as server:
        yield server
        close_idle_connections()
