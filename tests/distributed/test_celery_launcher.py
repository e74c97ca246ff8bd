"""A run whose worker is gone is told from one whose worker is busy, by what the workers and the run itself say."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import dagster as dg
import pytest
import yaml
from celery import Celery
from celery.result import AsyncResult
from dagster._core.launcher import CheckRunHealthResult
from dagster_celery.tags import DAGSTER_CELERY_TASK_ID_TAG

from aligned_dagster.errors import ConfigurationError
from aligned_dagster.orchestration import celery_launcher
from aligned_dagster.orchestration.celery_launcher import WatchedCeleryRunLauncher
from tools.servers.broker import Broker
from tools.servers.process import ServerProcess

from .fleet import shipped, worker_command

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
PATIENCE = 0.5
# Celery 5.7 notes a state by a method that redis-py 8 has under another name.
pytestmark = pytest.mark.filterwarnings("ignore:Call to deprecated setex:DeprecationWarning")


@pytest.fixture(scope="module")
def app(broker: Broker) -> Iterator[Celery]:
    """What sends tasks and notes their states."""
    with Celery("dagster", broker=broker.queue_url, backend=broker.results_url) as made:
        yield made


@contextmanager
def started(broker: Broker, app: Celery, folder: Path, name: str) -> Iterator[tuple[str, ServerProcess]]:
    """A worker that is up, and the name under which it is known."""
    (folder / "waiting.py").write_text(TASKS, "utf-8")
    command = ["waiting" if one == "dagster_celery.app" else one for one in worker_command(name)]
    environ = {"PYTHONPATH": str(folder), "CELERY_BROKER_URL": broker.queue_url}
    environ |= {"CELERY_RESULT_BACKEND": broker.results_url, "PYTHONWARNINGS": "ignore"}
    found: list[str] = []

    def is_up(_: int) -> bool:
        answers = app.control.ping(timeout=0.5)
        found.extend(worker for answer in answers for worker in answer if worker.startswith(f"{name}@"))
        return bool(found)

    process = ServerProcess(
        "A worker",
        command,
        log=folder / "worker.log",
        ready=is_up,
        environ=environ,
    )
    try:
        yield found[0], process
    finally:
        process.stop()


@pytest.fixture(scope="module")
def worker(broker: Broker, app: Celery, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The name of a worker that is up."""
    with started(broker, app, tmp_path_factory.mktemp("worker"), "one") as (name, _):
        yield name


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    """What keeps the events of runs."""
    with dg.DagsterInstance.ephemeral() as made:
        yield made


def watching(broker: Broker, instance: dg.DagsterInstance, patience: float) -> WatchedCeleryRunLauncher:
    """A launcher that waits so many seconds for workers that are silent."""
    made = WatchedCeleryRunLauncher(
        patience, broker=broker.queue_url, backend=broker.results_url, default_queue="dagster"
    )
    made.register_instance(instance)
    return made


@pytest.fixture
def launcher(broker: Broker, instance: dg.DagsterInstance) -> WatchedCeleryRunLauncher:
    """One that waits half a second."""
    return watching(broker, instance, PATIENCE)


def health(launcher: WatchedCeleryRunLauncher, task: str | None) -> CheckRunHealthResult:
    """What the daemon is told of a run that is this task."""
    return launcher.check_run_worker_health(run_of(task))


def run_of(task: str | None) -> dg.DagsterRun:
    """The run that a task is."""
    return dg.DagsterRun("job", tags={DAGSTER_CELERY_TASK_ID_TAG: task} if task else {}, run_id=str(task))


def begun(app: Celery, end: Path) -> AsyncResult:
    """A task at which the worker is, until a file is there."""
    task = app.send_task("work", [str(end)], queue="dagster")
    until(lambda: task.state == "STARTED")
    return task


def until(holds: Callable[[], bool]) -> None:
    """Wait for something."""
    deadline = time.monotonic() + ANSWERS_WITHIN
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


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
    assert health(launcher, "before").status.value == "RUNNING", "another one may have its name"
    time.sleep(PATIENCE)
    found = health(launcher, "before")
    assert found.status.value == "FAILED"
    assert found.msg is not None and f"The worker {worker} was started anew since" in found.msg


def test_a_silent_worker_is_given_time(launcher: WatchedCeleryRunLauncher, app: Celery) -> None:
    app.backend.store_result("silent", {"pid": 1, "hostname": "gone@elsewhere"}, "STARTED")
    assert health(launcher, "silent").status.value == "RUNNING"
    time.sleep(PATIENCE)
    found = health(launcher, "silent")
    assert found.status.value == "FAILED"
    assert found.msg is not None and "The worker gone@elsewhere does not answer: it was killed" in found.msg


def test_a_run_that_writes_events_is_alive_while_its_worker_is_silent(
    broker: Broker, app: Celery, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    launcher = watching(broker, instance, 60)
    later = 0.0
    monkeypatch.setattr(celery_launcher, "time", SimpleNamespace(time=lambda: time.time() + later))
    monkeypatch.setattr(celery_launcher, "_ANSWERS_WITHIN", 0.01)
    app.backend.store_result("writing", {"pid": 1, "hostname": "gone@elsewhere"}, "STARTED")
    later = -600
    assert health(launcher, "writing").status.value == "RUNNING"
    instance.report_engine_event("A step goes on.", run_of("writing"))
    later = 0
    assert health(launcher, "writing").status.value == "RUNNING"
    later = 60
    assert health(launcher, "writing").status.value == "FAILED"


def test_a_worker_that_is_drained_answers_and_one_that_is_ended_does_not(
    launcher: WatchedCeleryRunLauncher, broker: Broker, app: Celery, worker: str, tmp_path: Path
) -> None:
    end = tmp_path / "end"
    app.control.cancel_consumer("dagster", destination=[worker], reply=True)
    with started(broker, app, tmp_path, "two") as (name, process):
        try:
            task = begun(app, end)
        finally:
            app.control.add_consumer("dagster", destination=[worker], reply=True)
        app.control.cancel_consumer("dagster", destination=[name], reply=True)
        assert health(launcher, task.id).status.value == "RUNNING"
        time.sleep(PATIENCE)
        assert health(launcher, task.id).status.value == "RUNNING"

        os.kill(process.pid, signal.SIGTERM)
        until(lambda: "Warm shutdown" in (tmp_path / "worker.log").read_text("utf-8"))
        until(lambda: health(launcher, task.id).status.value == "FAILED")
        assert process.is_running, "it finishes what it has"
        end.touch()
        task.get(timeout=ANSWERS_WITHIN)


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


def test_without_its_package_dagster_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, WatchedCeleryRunLauncher.__module__)
    monkeypatch.setitem(sys.modules, "dagster_celery.launcher", None)
    for name in ("CELERY_BROKER_URL", "CELERY_RESULT_BACKEND"):
        monkeypatch.setenv(name, "redis://127.0.0.1:1/0")
    settings = {"run_launcher": shipped("celery")["run_launcher"]}
    (tmp_path / "dagster.yaml").write_text(yaml.safe_dump(settings), "utf-8")
    with (
        dg.DagsterInstance.from_config(str(tmp_path)) as made,
        pytest.raises(ConfigurationError, match=r"pip install 'aligned-dagster\[celery\]'"),
    ):
        assert made.run_launcher
