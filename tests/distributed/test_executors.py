"""The steps of a project's run are done by the workers of Dask or of Celery."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
import polars as pl
import pytest

from aligned_dagster.errors import ConfigurationError
from aligned_dagster.orchestration.executors import Executor, checked_executor, executor_named
from tests.daemon.running import PATIENCE, command, environment
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


ASSETS = """
import os
import signal
import time
from pathlib import Path

import dagster as dg

from aligned_dagster.orchestration.executors import executor_named

HERE = Path(__file__).parent


@dg.asset(partitions_def=dg.StaticPartitionsDefinition(["a", "b"]))
def readings(context):
    (HERE / context.partition_key).touch()
    deadline = time.monotonic() + 60
    while not (HERE / "a").exists() or not (HERE / "b").exists():
        assert time.monotonic() < deadline, "the other partition has not begun"
        time.sleep(0.05)


def alone():
    (HERE / "busy").mkdir()  # which is an error where it is there
    time.sleep(3)
    (HERE / "busy").rmdir()


@dg.asset(pool="narrow")
def first():
    alone()


@dg.asset(pool="narrow")
def second():
    alone()


@dg.asset(deps=[first, second])  # which then have a worker each
def fragile():
    with (HERE / "tries").open("a") as tries:
        print(os.getpid(), file=tries)
    if len((HERE / "tries").read_text().splitlines()) == 1:
        os.kill(os.getpid(), signal.SIGKILL)


@dg.asset
def deadly():
    os.kill(os.getpid(), signal.SIGKILL)


defs = dg.Definitions([readings, first, second, fragile, deadly], executor=executor_named("dask"))
"""
RUNNING = """
import sys
from pathlib import Path

import dagster as dg
from dagster._core.definitions.reconstruct import ReconstructableRepository

if __name__ == "__main__":
    assets, *partition = sys.argv[1:]
    code = ReconstructableRepository.for_file(str(Path(__file__).with_name("assets.py")), "defs")
    with dg.DagsterInstance.get() as instance:
        ended = dg.execute_job(
            code.get_reconstructable_job("__ASSET_JOB"),
            instance,
            asset_selection=[dg.AssetKey(asset) for asset in assets.split(",")],
            tags={"dagster/partition": one for one in partition},
        )
    sys.exit(not ended.success)
"""


def new_project(folder: Path, executor: Executor) -> Path:
    """A project of two contracts, one of which reads the other, and some assets."""
    folder.mkdir()
    settings = f'[tool.aligned_dagster]\ncontracts = "contracts.py"\nexecutor = "{executor}"\n'
    for name, text in {
        "pyproject.toml": settings,
        "contracts.py": CONTRACTS,
        "raw.csv": "id\n1\n2\n",
        "assets.py": ASSETS,
        "running.py": RUNNING,
    }.items():
        (folder / name).write_text(text, "utf-8")
    return folder


@dataclass(frozen=True)
class DaskCluster:
    """A scheduler of Dask and two workers of a project, as `dagster.dask.yaml` starts them.

    Args:
        project: the directory of the project.
        environ: the environment of whatever works on it.
        workers: the process that starts the workers, and starts them anew.
    """

    project: Path
    environ: dict[str, str]
    workers: ServerProcess

    def run(self, *runs: Sequence[str]) -> list[int]:
        """The exit codes of processes at a time, each of which is a run of assets: their names, and a partition if any."""
        with (self.project / "run.log").open("ab") as log, ExitStack() as stack:
            started = []
            for arguments in runs:
                process = subprocess.Popen(
                    [sys.executable, str(self.project / "running.py"), *arguments],
                    env=self.environ,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                )
                started.append(stack.enter_context(process))
                stack.callback(process.kill)
            return [process.wait(PATIENCE) for process in started]

    def said(self) -> str:
        """What the runs have said."""
        return (self.project / "run.log").read_text("utf-8")

    def instance(self) -> dg.DagsterInstance:
        """Dagster's storage."""
        return dg.DagsterInstance.from_config(str(self.project / "dagster_home"))


@pytest.fixture(scope="module")
def dask(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaskCluster]:
    """One for all tests of this module."""
    folder = tmp_path_factory.mktemp("dask")
    made = new_project(folder / "project", "dask")
    environ = environment(made, PYTHONWARNINGS="ignore", DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES="1")

    def scheduler(port: int) -> tuple[str, ServerProcess]:
        options = ["--host", "127.0.0.1", "--port", str(port), "--no-dashboard"]
        log = folder / "scheduler.log"
        program = [sys.executable, "-m", "distributed.cli.dask_scheduler", *options]
        ready = f"tcp://127.0.0.1:{port}"
        process = ServerProcess(
            "Dask's scheduler",
            program,
            log=log,
            ready=lambda _: ready in log.read_text("utf-8"),
            environ=environ,
        )
        return ready, process

    with ExitStack() as running:
        environ["DASK_SCHEDULER_ADDRESS"], process = on_free_port(scheduler)
        running.callback(process.stop)
        address = environ["DASK_SCHEDULER_ADDRESS"]
        options = ["--nworkers", "2", "--nthreads", "1", "--no-dashboard", "--local-directory", str(folder)]
        log = folder / "worker.log"
        workers = ServerProcess(
            "Dask's workers",
            [sys.executable, "-m", "distributed.cli.dask_worker", address, *options],
            log=log,
            ready=lambda _: log.read_text("utf-8").count("Registered to") == 2,
            environ=environ,
        )
        running.callback(workers.stop)
        cluster = DaskCluster(made, environ, workers)
        with cluster.instance() as instance:  # makes the tables, which two runs at a time must not
            assert (len(instance.get_runs()), len(instance.all_asset_keys())) == (0, 0)
        yield cluster


@pytest.fixture
def running() -> Iterator[ExitStack]:
    """Ends what a test starts."""
    with ExitStack() as stack:
        yield stack


def materialised(project: Path, environ: dict[str, str]) -> set[int]:
    """The processes in which the steps were done."""
    command(project, environ, "materialize")
    assert pl.read_parquet(project / "doubled.parquet").sort("id").rows() == [(1, 2), (2, 4)]
    with dg.DagsterInstance.from_config(str(project / "dagster_home")) as instance:
        run, *_ = instance.get_runs()  # the newest
        entries = instance.all_logs(run.run_id, of_type=dg.DagsterEventType.STEP_START)
    events = [entry.get_dagster_event() for entry in entries]
    assert {event.step_key for event in events} >= {"orders", "doubled"}
    return {event.pid for event in events if event.pid is not None}


def test_dask(dask: DaskCluster) -> None:
    processes = materialised(dask.project, dask.environ)
    assert {os.getpgid(process) for process in processes} == {dask.workers.pid}


def test_two_runs_of_one_asset_on_dask_are_two(dask: DaskCluster) -> None:
    assert dask.run(["readings", "a"], ["readings", "b"]) == [0, 0], dask.said()
    with dask.instance() as instance:
        assert instance.get_materialized_partitions(dg.AssetKey("readings")) == {"a", "b"}


def test_pools_hold_steps_on_dask_back_and_a_dead_worker_does_not(dask: DaskCluster) -> None:
    with dask.instance() as instance:
        instance.event_log_storage.set_concurrency_slots("narrow", 1)
    assert dask.run(["first,second,fragile"]) == [0], dask.said()
    assert len((dask.project / "tries").read_text("utf-8").splitlines()) == 2


def test_a_step_that_no_worker_of_dask_survives_fails(dask: DaskCluster) -> None:
    assert dask.run(["deadly"]) == [1]
    assert "Dask could not do it: KilledWorker" in dask.said()


def test_celery(tmp_path: Path, broker: Broker, running: ExitStack) -> None:
    project = new_project(tmp_path / "project", "celery")
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
    [process] = materialised(project, environ)
    assert os.getpgid(process) == worker.pid


def test_names_of_executors(monkeypatch: pytest.MonkeyPatch) -> None:
    assert executor_named("in_process") is dg.in_process_executor
    assert executor_named("multiprocess") is dg.multiprocess_executor
    with pytest.raises(
        ConfigurationError, match=r"executor = 'daks'. Did you mean 'dask'\? Use one of: 'in_pro"
    ):
        checked_executor("daks", "pyproject.toml")
    monkeypatch.setitem(sys.modules, "distributed", None)
    monkeypatch.delitem(sys.modules, "aligned_dagster.orchestration.dask_executor", raising=False)
    with pytest.raises(ConfigurationError, match=r"pip install 'aligned-dagster\[dask\]'"):
        executor_named("dask")
