"""The database is killed: that of the rows, and that of Dagster's own runs and events."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import suppress

import dagster as dg
import pytest

from aligned_dagster.orchestration.run_launcher import is_alive
from tools.servers.postgres import PostgresServer

from .deployment import Deployment, NoAnswerError
from .shop import ALL_REGIONS, SETTINGS, amount_of, publish_all, write_orders, write_shop

INSTANCE = """
storage:
  postgres:
    postgres_url:
      env: DAGSTER_PG_URL
"""


def kill(server: PostgresServer) -> None:
    """End the server as a crash does."""
    os.kill(server.pid, signal.SIGQUIT)
    server.process.stop()


def test_the_database_of_the_rows(shop: Deployment, database: PostgresServer) -> None:
    old, new = amount_of(shop.stored("sums")), 30
    write_orders(shop.project, new)
    shop.stop_at("commit", 2)  # sales are committed, the rows of sums are in a transaction
    run = shop.launch("orders", "sales", "sums")
    shop.until_stopped()
    kill(database)
    shop.go()
    assert shop.until_ended(run) == dg.DagsterRunStatus.FAILURE
    database.restart()
    assert [amount_of(shop.stored(name)) for name in ("orders", "sales", "sums")] == [new, new, old]

    again = shop.reexecute(run)
    assert shop.until_ended(again) == dg.DagsterRunStatus.SUCCESS, shop.said_by(again)
    assert [shop.steps_of(one) for one in (run, again)] == [["orders", "sales"], ["sums"]]
    sums = shop.stored("sums")
    assert amount_of(sums) == new
    assert sums["doubled"].unique().to_list() == [2 * new]


def pressed(shop: Deployment, run: str) -> str | None:
    """The id of the run that the button has started."""
    with suppress(NoAnswerError):
        return shop.reexecute(run)
    return None


@pytest.fixture
def on_postgres(
    tmp_path_factory: pytest.TempPathFactory, database: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Deployment]:
    """A shop whose Dagster keeps its runs and events in PostgreSQL."""
    uri = database.new_database()
    monkeypatch.setenv("PSQL_DB_URL", uri)
    address = database.new_database().replace("postgresql://", "postgresql+psycopg2://")
    monkeypatch.setenv("DAGSTER_PG_URL", address)
    project = tmp_path_factory.mktemp("postgres-shop").resolve()
    write_shop(project)
    publish_all(project)
    deployment = Deployment(project, INSTANCE + SETTINGS, {})
    try:
        deployment.start_web()
        deployment.start_daemon()
        yield deployment
    finally:
        deployment.stop()


def test_the_database_of_dagster(on_postgres: Deployment, database: PostgresServer) -> None:
    shop, new = on_postgres, 2
    write_orders(shop.project, new)
    shop.stop_at("/regions/", 2)
    run = shop.launch("orders", "regions", "totals", tags=ALL_REGIONS)
    worker = shop.until_stopped()
    kill(database)
    shop.go()
    shop.until(lambda: not is_alive(worker, time.time()), "the end of the run's process")
    assert [amount_of(shop.stored(name)) for name in ("orders", "regions", "totals")] == [new, new, 1]
    database.restart()
    assert shop.until_ended(run) == dg.DagsterRunStatus.FAILURE  # found dead by the daemon

    # A daemon that looked for the contracts while the database was away fails a run, and finds them for the next one.
    for _ in range(3):
        again = shop.until(
            lambda: pressed(shop, run), "the web server to notice that its connections are gone"
        )
        if shop.until_ended(again) == dg.DagsterRunStatus.SUCCESS:
            break
    assert shop.until_ended(again) == dg.DagsterRunStatus.SUCCESS, shop.said_by(again)
    assert [amount_of(shop.stored(name)) for name in ("orders", "regions", "totals")] == [new, new, new]
