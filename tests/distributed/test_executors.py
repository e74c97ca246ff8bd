"""The steps of a project's run are done by the workers of Dask or of Celery."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import dagster as dg
import polars as pl
import pytest

from aligned_dagster.errors import ConfigurationError
from aligned_dagster.orchestration.executors import Executor, checked_executor, executor_named
from tests.daemon.running import command, environment
from tools.servers.broker import Broker
from tools.servers.process import ServerProcess, on_free_port

from .fleet import worker_command

CONTRACTS = """
from pathlib import Path

from aligned_dagster import FileSource, Int64, feature_view

HERE = Path(__file__).parent


@feature_view(
    name="orders",
    source=FileSource.csv_at(str(HERE / "raw.csv")),
    materialized_source=FileSource.parquet_at(str(HERE / "orders.parquet")),
)
class Orders:
    id = Int64().as_entity()


@feature_view(
    name="doubled", source=Orders, materialized_source=FileSource.parquet_at(str(HERE / "doubled.parquet"))
)
class Doubled:
    id = Int64().as_entity()
    twice = id * 2
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project of two contracts, one of which reads the other."""
    (tmp_path / "contracts.py").write_text(CONTRACTS, "utf-8")
    (tmp_path / "raw.csv").write_text("id\n1\n2\n", "utf-8")
    return tmp_path


@pytest.fixture
def running() -> Iterator[ExitStack]:
    """Ends what a test starts."""
    with ExitStack() as stack:
        yield stack


def materialised(project: Path, executor: Executor, environ: dict[str, str]) -> set[int]:
    """The processes in which the steps were done."""
    (project / "pyproject.toml").write_text(
        f'[tool.aligned_dagster]\ncontracts = "contracts.py"\nexecutor = "{executor}"\n', "utf-8"
    )
    command(project, environ, "materialize")
    assert pl.read_parquet(project / "doubled.parquet").sort("id").rows() == [(1, 2), (2, 4)]
    with dg.DagsterInstance.from_config(str(project / "dagster_home")) as instance:
        [run] = instance.get_runs()
        entries = instance.all_logs(run.run_id, of_type=dg.DagsterEventType.STEP_START)
    events = [entry.get_dagster_event() for entry in entries]
    assert {event.step_key for event in events} >= {"orders", "doubled"}
    return {event.pid for event in events if event.pid is not None}


def test_dask(project: Path, running: ExitStack) -> None:
    environ = environment(project, PYTHONWARNINGS="ignore")

    def scheduler(port: int) -> tuple[str, ServerProcess]:
        options = ["--host", "127.0.0.1", "--port", str(port), "--no-dashboard"]
        log = project / "scheduler.log"
        program = [sys.executable, "-m", "distributed.cli.dask_scheduler", *options]
        ready = f"tcp://127.0.0.1:{port}"
        started = ServerProcess(
            "Dask's scheduler",
            program,
            log=log,
            ready=lambda _: ready in log.read_text("utf-8"),
            environ=environ,
        )
        return ready, started

    address, process = on_free_port(scheduler)
    running.callback(process.stop)
    environ["DASK_SCHEDULER_ADDRESS"] = address
    log = project / "worker.log"
    worker = ServerProcess(
        "Dask's worker",
        [sys.executable, "-m", "distributed.cli.dask_worker", address, "--nthreads", "1", "--no-nanny"],
        log=log,
        ready=lambda _: "Registered to" in log.read_text("utf-8"),
        environ=environ,
    )
    running.callback(worker.stop)
    assert materialised(project, "dask", environ) == {worker.pid}


def test_celery(project: Path, broker: Broker, running: ExitStack) -> None:
    environ = environment(
        project,
        PYTHONWARNINGS="ignore",
        CELERY_BROKER_URL=broker.queue_url,
        CELERY_RESULT_BACKEND=broker.results_url,
    )
    worker = ServerProcess(
        "Celery's worker",
        worker_command("steps"),
        log=project / "worker.log",
        ready=lambda _: True,
        environ=environ,
    )
    running.callback(worker.stop)
    [process] = materialised(project, "celery", environ)
    assert os.getpgid(process) == worker.pid


def test_names_of_executors(monkeypatch: pytest.MonkeyPatch) -> None:
    assert executor_named("in_process") is dg.in_process_executor
    assert executor_named("multiprocess") is dg.multiprocess_executor
    with pytest.raises(
        ConfigurationError, match=r"executor = 'daks'. Did you mean 'dask'\? Use one of: 'in_pro"
    ):
        checked_executor("daks", "pyproject.toml")
    monkeypatch.setitem(sys.modules, "dagster_dask", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'aligned-dagster\[dask\]'"):
        executor_named("dask")
