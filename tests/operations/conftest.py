"""One deployment on SQLite and a database of its own, which all tests of this directory kill parts of."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from aligned_dagster.sources.sql.connection import close_idle_connections
from tools.servers.postgres import PostgresServer

from .deployment import Deployment
from .shop import SETTINGS, publish_all, write_shop


@pytest.fixture(scope="package")
def database() -> Iterator[PostgresServer]:
    """A PostgreSQL server that a test may kill."""
    with PostgresServer() as server:
        yield server
        close_idle_connections()


@pytest.fixture(scope="package")
def shop(tmp_path_factory: pytest.TempPathFactory, database: PostgresServer) -> Iterator[Deployment]:
    """The shop with its web server and daemon, and with old rows; nothing has run."""
    with pytest.MonkeyPatch.context() as patch:
        uri = database.new_database()
        patch.setenv("PSQL_DB_URL", uri)
        project = tmp_path_factory.mktemp("shop").resolve()
        write_shop(project)
        publish_all(project)
        deployment = Deployment(project, SETTINGS, {"PSQL_DB_URL": uri})
        try:
            deployment.start_web()
            deployment.start_daemon()
            yield deployment
        finally:
            deployment.stop()
