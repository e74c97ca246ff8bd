"""A run whose worker is gone is told from one whose worker is busy, by what the workers themselves say."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from celery import Celery
from celery.result import AsyncResult
from dagster._core.launcher import CheckRunHealthResult
from dagster_celery.tags import DAGSTER_CELERY_TASK_ID_TAG

from aligned_dagster.orchestration.celery_launcher import WatchedCeleryRunLauncher
from tools.servers.broker import Broker
from tools.servers.process import ServerProcess

from .fleet import worker_command

TASKS = """
import time
from pathlib import Path
from celery import Celery

app = Celery("dagster")
app.conf.task_default_queue = "dagster"
app.conf.task_track_started = True


@app.task(name="work")
def work(until):
    while not Path(until).exists():
        time.sleep(0.05)
"""
ANSWERS_WITHIN = 60.0
# Celery 5.7 notes a state by a method that redis-py 8 has under another name.
pytestmark = pytest.mark.filterwarnings("ignore:Call to deprecated setex:DeprecationWarning")


@pytest.fixture(scope="module")
def app(broker: Broker) -> Iterator[Celery]:
    """What sends tasks and notes their states."""
    with Celery("dagster", broker=broker.queue_url, backend=broker.results_url) as made:
        yield made


@pytest.fixture(scope="module")
def worker(broker: Broker, app: Celery, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The name of a worker that is up."""
    folder = tmp_path_factory.mktemp("worker")
    (folder / "waiting.py").write_text(TASKS, "utf-8")
    command = ["waiting" if one == "dagster_celery.app" else one for one in worker_command("one")]
    environ = {"PYTHONPATH": str(folder), "CELERY_BROKER_URL": broker.queue_url}
    environ |= {"CELERY_RESULT_BACKEND": broker.results_url, "PYTHONWARNINGS": "ignore"}
    process = ServerProcess(
        "A worker",
        command,
        log=folder / "worker.log",
        ready=lambda _: bool(app.control.ping(timeout=0.5)),
        environ=environ,
    )
    try:
        [[name]] = app.control.ping(timeout=1.0)
        yield name
    finally:
        process.stop()


@pytest.fixture
def launcher(broker: Broker) -> WatchedCeleryRunLauncher:
    """One that waits half a second for workers that are silent."""
    return WatchedCeleryRunLauncher(
        0.5, broker=broker.queue_url, backend=broker.results_url, default_queue="dagster"
    )


def health(launcher: WatchedCeleryRunLauncher, task: str | None) -> CheckRunHealthResult:
    """What the daemon is told of a run that is this task."""
    run = dg.DagsterRun("job", tags={DAGSTER_CELERY_TASK_ID_TAG: task} if task else {}, run_id=str(task))
    return launcher.check_run_worker_health(run)


def begun(app: Celery, end: Path) -> AsyncResult:
    """A task at which the worker is, until a file is there."""
    task = app.send_task("work", [str(end)], queue="dagster")
    deadline = time.monotonic() + ANSWERS_WITHIN
    while task.state != "STARTED":
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return task


def test_a_worker_at_work_is_alive(
    launcher: WatchedCeleryRunLauncher, app: Celery, worker: str, tmp_path: Path
) -> None:
    end = tmp_path / "end"
    task = begun(app, end)
    try:
        assert [health(launcher, task.id).status.value for _ in range(2)] == ["RUNNING", "RUNNING"]
    finally:
        end.touch()
    task.get(timeout=ANSWERS_WITHIN)
    found = health(launcher, task.id)
    assert found.status.value == "FAILED", "the run would be finished if it had told so"
    assert found.msg is not None and "has ended as SUCCESS, and nobody told how the run did" in found.msg


def test_a_worker_that_was_started_anew_has_it_no_more(
    launcher: WatchedCeleryRunLauncher, app: Celery, worker: str
) -> None:
    app.backend.store_result("before", {"pid": 1, "hostname": worker}, "STARTED")
    found = health(launcher, "before")
    assert found.status.value == "FAILED"
    assert found.msg is not None and f"The worker {worker} was started anew since" in found.msg


def test_a_silent_worker_is_given_time(launcher: WatchedCeleryRunLauncher, app: Celery) -> None:
    app.backend.store_result("silent", {"pid": 1, "hostname": "gone@elsewhere"}, "STARTED")
    assert health(launcher, "silent").status.value == "RUNNING"
    time.sleep(0.5)
    found = health(launcher, "silent")
    assert found.status.value == "FAILED"
    assert found.msg is not None and "The worker gone@elsewhere does not answer: it was killed" in found.msg


def test_a_run_whose_task_is_not_known_yet_is_alive(launcher: WatchedCeleryRunLauncher) -> None:
    assert health(launcher, None).status.value == "RUNNING"


def test_a_task_that_celery_has_forgotten_is_asked_for_everywhere(
    launcher: WatchedCeleryRunLauncher, app: Celery, worker: str, tmp_path: Path
) -> None:
    end = tmp_path / "end"
    task = begun(app, end)
    app.backend.delete(app.backend.get_key_for_task(task.id))  # as Celery does after a day
    try:
        assert health(launcher, task.id).status.value == "RUNNING"
    finally:
        end.touch()


def test_a_broker_that_is_away_fails_no_run() -> None:
    from kombu.exceptions import OperationalError
    from redis.exceptions import ConnectionError as NoConnectionError

    away = WatchedCeleryRunLauncher(
        0, broker="redis://127.0.0.1:1/0", backend="redis://127.0.0.1:1/1", default_queue="dagster"
    )
    away.celery.conf.result_backend_transport_options = {"retry_policy": {"max_retries": 0}}
    with pytest.raises((OperationalError, NoConnectionError)):
        health(away, "any")
