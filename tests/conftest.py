"""The servers that tests talk to: each is started by the first test that asks for it, and ended after the last."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from tools.servers.azure import AzuriteServer
from tools.servers.postgres import PostgresServer
from tools.servers.redshift import RedshiftServer
from tools.servers.s3 import S3Server, juicefs_server, moto_server

# Polars tries as often as ever, and waits less in between.
os.environ.setdefault("POLARS_CLOUD_RETRY_INIT_BACKOFF_MS", "10")
os.environ.setdefault("POLARS_CLOUD_RETRY_MAX_BACKOFF_MS", "200")

SLOW = (
    "distributed",
    "engines",
    "operations",
    "daemon",
    "ui",
    "test_component.py",
    "test_crashes.py",
    "test_demo_storage.py",
)
"""Parts of the paths of modules that take minutes, each a whole deployment or a process for each test."""

TOGETHER = {
    "tests/engines/": "one Spark",
    "tests/operations/": "one deployment",
    "tests/ui/test_asset_page.py": "the demo",
    "tests/ui/test_checks_page.py": "the demo",
    "tests/ui/test_lineage_graph.py": "the demo",
    "tests/ui/test_running.py": "the demo",
}
"""Beginnings of the paths of modules that share what takes long to start: one process runs all of them."""

if TYPE_CHECKING:
    from xdist.remote import Producer
    from xdist.scheduler import LoadFileScheduling


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadFileScheduling | None:
    """Share out modules as `--dist loadfile` does, and those of `TOGETHER` as if they were one."""
    if config.getvalue("dist") != "loadfile":
        return None
    from xdist.scheduler import LoadFileScheduling

    class Sharing(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            found = (scope for path, scope in TOGETHER.items() if nodeid.startswith(path))
            return next(found, super()._split_scope(nodeid))

    return Sharing(config, log)


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
