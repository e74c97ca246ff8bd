"""The daemon is killed in the middle of a backfill."""

from __future__ import annotations

import dagster as dg
from dagster._core.execution.backfill import BulkActionStatus
from dagster._core.storage.dagster_run import IN_PROGRESS_RUN_STATUSES

from .deployment import Deployment
from .shop import DAYS, READINGS_A_DAY

ONE_MORE_TIME = {"dagster/max_retries": "1"}
READINGS = dg.AssetKey("readings")


def test_a_backfill_outlives_the_daemon(shop: Deployment) -> None:
    shop.stop_at("/readings.parquet")
    backfill = shop.backfill("readings", DAYS, ONE_MORE_TIME)
    shop.until_stopped()
    shop.kill_daemon(with_its_runs=False)
    shop.go()  # what runs already is a process of its own, and goes on
    shop.until(lambda: not in_progress(shop), "the end of the runs that were under way")
    assert 0 < len(done(shop)) < len(DAYS)

    shop.stop_at("/readings.parquet")
    shop.start_daemon()
    shop.until_stopped()
    shop.until(lambda: in_progress(shop) == [dg.DagsterRunStatus.STARTED] * 2, "two runs that have begun")
    before = done(shop)
    assert len(before) < len(DAYS)
    shop.kill_daemon(with_its_runs=True)  # as a power cut does
    rows = shop.stored("readings")
    assert sorted(rows["at"].dt.strftime("%Y-%m-%d").unique()) == sorted(before)
    assert rows.height == READINGS_A_DAY * len(before)

    shop.start_daemon()

    def status() -> BulkActionStatus | None:
        with shop.instance() as instance:
            found = instance.get_backfill(backfill)
        assert found is not None
        return None if found.status == BulkActionStatus.REQUESTED else found.status

    assert shop.until(status, "the end of the backfill") == BulkActionStatus.COMPLETED_SUCCESS
    assert sorted(done(shop)) == DAYS
    rows = shop.stored("readings")
    assert sorted(rows["id"]) == list(range(READINGS_A_DAY * len(DAYS)))
    with shop.instance() as instance:
        runs = instance.get_runs(dg.RunsFilter(tags={"dagster/backfill": backfill}))
    dead = [run.run_id for run in runs if run.status == dg.DagsterRunStatus.FAILURE]
    assert dead
    assert all("it was killed, or the machine was" in shop.said_by(run) for run in dead)
    assert all(run.is_finished for run in runs)


def in_progress(shop: Deployment) -> list[dg.DagsterRunStatus]:
    """The states of the runs that are under way."""
    with shop.instance() as instance:
        return [run.status for run in instance.get_runs(dg.RunsFilter(statuses=IN_PROGRESS_RUN_STATUSES))]


def done(shop: Deployment) -> list[str]:
    """The days that Dagster knows to be materialised, each once."""
    with shop.instance() as instance:
        return sorted(instance.get_materialized_partitions(READINGS))
