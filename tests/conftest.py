"""The servers that tests talk to: each is started by the first test that asks for it, and ended after the last."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.sharing import (
    pytest_collection_modifyitems,
    pytest_handlecrashitem,
    pytest_terminal_summary,
    pytest_xdist_make_scheduler,
)
from tools.servers.azure import AzuriteServer
from tools.servers.postgres import PostgresServer
from tools.servers.redshift import RedshiftServer
from tools.servers.s3 import S3Server, juicefs_server, moto_server

__all__ = [
    "pytest_collection_modifyitems",
    "pytest_handlecrashitem",
    "pytest_terminal_summary",
    "pytest_xdist_make_scheduler",
]

# Polars tries as often as ever, and waits less in between.
os.environ.setdefault("POLARS_CLOUD_RETRY_INIT_BACKOFF_MS", "10")
os.environ.setdefault("POLARS_CLOUD_RETRY_MAX_BACKOFF_MS", "200")


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL server."""
    with PostgresServer() as server:
        yield server


@pytest.fixture
def postgres_database(postgres: PostgresServer) -> Iterator[str]:
    """The address of an empty database, removed after the test."""
    uri = postgres.new_database()
    yield uri
    postgres.drop_database(uri.rpartition("/")[2])


@pytest.fixture(scope="session")
def s3() -> Iterator[S3Server]:
    """An S3 server that checks keys and signatures, and ignores conditions on puts."""
    with juicefs_server() as server:
        yield server


@pytest.fixture(scope="session")
def s3_conditional() -> Iterator[S3Server]:
    """An S3 server that honours conditions on puts, and takes any key."""
    with moto_server() as server:
        yield server


@pytest.fixture(scope="session")
def azurite() -> Iterator[AzuriteServer]:
    """An Azure Blob server that takes the account's key."""
    with AzuriteServer() as server:
        yield server


@pytest.fixture(scope="session")
def azurite_oauth() -> Iterator[AzuriteServer]:
    """An Azure Blob server by https that takes the tokens of a service principal too."""
    with AzuriteServer(oauth=True) as server:
        yield server


@pytest.fixture(scope="session")
def redshift(postgres: PostgresServer, s3: S3Server) -> Iterator[RedshiftServer]:
    """A PostgreSQL server that looks like Redshift, with COPY and UNLOAD over the S3 server."""
    with RedshiftServer(postgres, s3) as server:
        yield server
