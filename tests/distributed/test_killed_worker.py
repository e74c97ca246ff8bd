"""A backfill of a year by days over four workers, of which one is killed while it publishes; and one that a pool holds back."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence

import dagster as dg
import polars as pl
import pytest
from dagster._core.execution.backfill import BulkActionStatus
from polars.testing import assert_frame_equal

from aligned_dagster.contracts.publish import publish
from tests.operations.stopping import COMMIT
from tools.servers.broker import Broker
from tools.servers.postgres import PostgresServer

from .fleet import Fleet

CONTRACTS = """
from datetime import date

from aligned_dagster import EventTimestamp, Float, Int64, PostgreSQLConfig, feature_view

database = PostgreSQLConfig(env_var="PSQL_DB_URL")


@feature_view(
    name="readings",
    source=database.table("measured"),
    materialized_source=database.table("readings"),
    materialize_from=date(2023, 1, 1),
    every="daily",
)
class Readings:
    id = Int64().as_entity()
    at = EventTimestamp()
    value = Float().lower_bound(0)
    doubled = value * 2
"""
DAYS_A_RUN = 15
DEFINITIONS = f"""
from pathlib import Path

import dagster as dg
import stopping
from aligned_dagster.orchestration import ContractTranslator, build_definitions
from aligned_dagster.orchestration.project import ProjectSettings


class ManyDaysEach(ContractTranslator):
    def get_backfill_policy(self, view):
        return dg.BackfillPolicy.multi_run(max_partitions_per_run={DAYS_A_RUN})


stopping.arm(Path(__file__).parent)
defs = build_definitions(
    ProjectSettings.find().load_store(), ManyDaysEach(), executor=dg.in_process_executor
)
"""
DAYS = [str(dt.date(2023, 1, 1) + dt.timedelta(days=day)) for day in range(365)]
READINGS_A_DAY = 3
READINGS = dg.AssetKey("readings")
POOL = "postgres_PSQL_DB_URL"
WORKERS = 4


@pytest.fixture(scope="module")
def fleet(
    tmp_path_factory: pytest.TempPathFactory, broker: Broker, database: PostgresServer
) -> Iterator[Fleet]:
    """Four workers, a daemon and a web server, over a database with a year of measurements."""
    with pytest.MonkeyPatch.context() as patch:
        uri = database.new_database()
        patch.setenv("PSQL_DB_URL", uri)
        project = tmp_path_factory.mktemp("fleet").resolve()
        (project / "contracts.py").write_text(CONTRACTS, "utf-8")
        (project / "definitions.py").write_text(DEFINITIONS, "utf-8")
        measure(uri)
        made = Fleet(project, broker, database, {"PSQL_DB_URL": uri})
        for name, value in made.secrets.items():
            patch.setenv(name, value)
        try:
            for _ in range(WORKERS):
                made.start_worker()
            made.start_web()
            made.start_daemon()
            yield made
        finally:
            made.stop()


def measure(uri: str) -> None:
    """A table with some measurements for each day of the year."""
    number = pl.int_range(pl.len(), dtype=pl.Int64)
    hour = pl.duration(hours=number % READINGS_A_DAY)
    days = pl.DataFrame({"at": DAYS * READINGS_A_DAY}).with_columns(
        pl.col("at").str.to_datetime(time_zone="UTC")
    )
    rows = days.sort("at").select(id=number, at=pl.col("at") + hour, value=number.cast(pl.Float64) / 7)
    rows.write_database("measured", uri, engine="adbc")


def test_a_killed_worker_loses_nothing(fleet: Fleet, broker: Broker) -> None:
    fleet.stop_at(COMMIT, 2)
    backfill = fleet.backfill("readings", DAYS, {})
    fleet.kill_worker_of(fleet.until_stopped())  # the rows of some days are in a transaction
    fleet.go()  # for others that came to their own second commit meanwhile
    assert 0 < len(done(fleet)) < len(DAYS)
    assert_whole(fleet)

    runs = until_complete(fleet, backfill)
    assert done(fleet) == DAYS
    assert at_once(runs) > 1
    [dead] = [one.dagster_run.run_id for one in runs if one.dagster_run.status == dg.DagsterRunStatus.FAILURE]
    assert "does not answer: it was killed, or its machine was" in fleet.said_by(dead)
    assert len(runs) - 1 == -(-len(DAYS) // DAYS_A_RUN)
    assert broker.password not in fleet.logs() + fleet.said_by(dead)
    for run in runs:
        if run.dagster_run.run_id != dead:
            assert "STEP_SUCCESS" in fleet.printed_by(run.dagster_run.run_id)

    by_many = fleet.stored("readings").sort("id")
    assert by_many.height == READINGS_A_DAY * len(DAYS)
    publish(fleet.view("readings"))
    assert_frame_equal(by_many, fleet.stored("readings").sort("id"))


def test_a_pool_holds_runs_back(fleet: Fleet) -> None:
    with fleet.instance() as instance:
        instance.event_log_storage.set_concurrency_slots(POOL, 1)
    backfill = fleet.backfill("readings", DAYS[: 5 * DAYS_A_RUN], {})
    runs = until_complete(fleet, backfill)
    assert len(runs) == 5
    assert at_once(runs) == 1


def until_complete(fleet: Fleet, backfill: str) -> Sequence[dg.RunRecord]:
    """The runs of a backfill, all of which succeeded in the end."""
    with fleet.instance() as instance:

        def ended() -> BulkActionStatus | None:
            found = instance.get_backfill(backfill)
            return found.status if found is not None and found.status != BulkActionStatus.REQUESTED else None

        assert fleet.until(ended, "the end of the backfill") == BulkActionStatus.COMPLETED_SUCCESS
        runs = instance.get_run_records(dg.RunsFilter(tags={"dagster/backfill": backfill}))
    assert all(one.dagster_run.is_finished for one in runs)
    return runs


def assert_whole(fleet: Fleet) -> None:
    """The days of each run are there with all their rows, or none of them is."""
    day = (pl.col("at").dt.ordinal_day() - 1).alias("day")
    days = fleet.stored("readings").group_by(day).len()
    assert set(days["len"]) == {READINGS_A_DAY}
    runs = dict(days.group_by(pl.col("day") // DAYS_A_RUN).len().iter_rows())
    assert runs == {run: len(DAYS[run * DAYS_A_RUN :][:DAYS_A_RUN]) for run in runs}


def at_once(runs: Sequence[dg.RunRecord]) -> int:
    """The most runs that were at work at one time."""
    times = [(one.start_time or 0.0, one.end_time or 0.0) for one in runs]
    return max(sum(start <= moment < end for start, end in times) for moment, _ in times)


def done(fleet: Fleet) -> list[str]:
    """The days that Dagster knows to be materialised, each once."""
    with fleet.instance() as instance:
        return sorted(instance.get_materialized_partitions(READINGS))
