"""A deployment of several workers: Celery over a broker on loopback, Dagster's runs and events in PostgreSQL."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

import dagster as dg
import yaml

from tests.operations.deployment import Deployment
from tools.servers.broker import Broker
from tools.servers.postgres import PostgresServer
from tools.servers.process import ServerProcess

HOMES = Path(__file__).parents[2] / "dagster_home"
QUICK: dict[str, dict[str, Any]] = {
    "run_queue": {"dequeue_interval_seconds": 1},
    "run_monitoring": {"enabled": True, "poll_interval_seconds": 2},
}
"""How often the daemon looks in tests; everything else is as it is shipped."""


def shipped(profile: str) -> dict[str, Any]:
    """What a file of `dagster_home` says."""
    return dict(yaml.safe_load((HOMES / f"dagster.{profile}.yaml").read_text("utf-8")))


def worker_command(name: str) -> list[str]:
    """What starts a worker of one run or step at a time, as `dagster.celery.yaml` says it."""
    program = [sys.executable, "-m", "celery", "-A", "dagster_celery.app", "worker"]
    options = ["--queues", "dagster", "--concurrency", "1", "--disable-prefetch", "--loglevel", "warning"]
    return [*program, *options, "--hostname", f"{name}@%h", "--", "worker.redirect_stdouts=false"]


class Fleet(Deployment):
    """A project whose runs are tasks of workers.

    Args:
        project: the directory with contracts.py and definitions.py.
        broker: where tasks wait.
        database: keeps Dagster's runs and events.
        environ: further variables for all processes.
    """

    def __init__(
        self, project: Path, broker: Broker, database: PostgresServer, environ: dict[str, str]
    ) -> None:
        settings = {**shipped("celery"), **QUICK, "freshness": {"enabled": False}}
        del settings["compute_logs"]  # which would be in a bucket: they are in files of the home
        settings["run_launcher"]["config"]["patience_seconds"] = 10
        settings["concurrency"]["runs"]["max_concurrent_runs"] = 4
        address = database.new_database().replace("postgresql://", "postgresql+psycopg2://")
        self.secrets = {
            "DAGSTER_PG_URL": address,
            "CELERY_BROKER_URL": broker.queue_url,
            "CELERY_RESULT_BACKEND": broker.results_url,
        }
        super().__init__(
            project, yaml.safe_dump(settings), {**self.secrets, "POLARS_MAX_THREADS": "1", **environ}
        )
        self.workers: list[ServerProcess] = []

    def start_worker(self) -> None:
        """Start one more worker, of one run at a time."""
        name = f"worker{len(self.workers)}"
        self.workers.append(self.start(worker_command(name), name, end_signal=signal.SIGKILL))

    def printed_by(self, run_id: str) -> str:
        """What the steps of a run wrote to the terminal of its worker, where the UI looks for it."""
        with self.instance() as instance:
            found = []
            for entry in instance.all_logs(run_id, of_type=dg.DagsterEventType.LOGS_CAPTURED):
                assert entry.dagster_event is not None
                captured = entry.dagster_event.logs_captured_data
                key = instance.compute_log_manager.build_log_key_for_run(run_id, captured.file_key)
                data = instance.compute_log_manager.get_log_data(key)
                found += [part for part in (data.stdout, data.stderr) if part]
        return b"".join(found).decode()

    def kill_worker_of(self, process: int) -> None:
        """End a worker and its processes without a warning, one of which is this."""
        [killed] = [worker for worker in self.workers if worker.pid == os.getpgid(process)]
        os.killpg(killed.pid, signal.SIGKILL)
        self.until(lambda: not killed.is_running, "the end of the worker")
