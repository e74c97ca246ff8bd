"""The servers that tests talk to: each is started by the first test that asks for it, and ended after the last."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tools.servers.azure import AzuriteServer
from tools.servers.postgres import PostgresServer
from tools.servers.redshift import RedshiftServer
from tools.servers.s3 import S3Server, juicefs_server, moto_server

SLOW = ("operations", "daemon", "test_component.py", "test_crashes.py", "test_demo_storage.py")
"""Parts of the paths of modules that take minutes, each a whole deployment or a process for each test."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Slow modules first, so that the workers that share out the modules end at about the same time."""
    items.sort(key=lambda item: not any(part in SLOW for part in item.path.parts))


_crashed: list[str] = []


@pytest.hookimpl(optionalhook=True)
def pytest_handlecrashitem(crashitem: str, report: pytest.TestReport, sched: Any) -> None:
    """The test during which a worker's interpreter died is run again once, and fails if that happens once more.

    The scheduler of xdist puts all modules of a dead worker back, those that are done too; a worker that is given one
    of those waits for ever for its next test.
    """
    for module in [name for name, tests in sched.workqueue.items() if all(tests.values())]:
        del sched.workqueue[module]
    if crashitem not in _crashed:
        report.outcome = "passed"
    _crashed.append(crashitem)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Tell of the interpreters that died."""
    for test in _crashed:
        terminalreporter.write_line(f"An interpreter died during {test}", yellow=True)


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
