"""Launch runs as tasks of Celery, and tell whether the worker of a run is alive: dagster-celery's own launcher does not."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, cast

import dagster as dg
from dagster._core.launcher import CheckRunHealthResult, WorkerStatus
from dagster._serdes import ConfigurableClassData

from aligned_dagster.errors import ConfigurationError

try:
    from dagster_celery.launcher import CeleryRunLauncher
    from dagster_celery.tags import DAGSTER_CELERY_TASK_ID_TAG
except ImportError as error:
    raise ConfigurationError(
        "The run launcher of dagster.yaml, WatchedCeleryRunLauncher, needs the package dagster-celery: "
        "pip install 'aligned-dagster[celery]'"
    ) from error

_ANSWERS_WITHIN = 2.0
"""Seconds that a look waits for workers; one that is alive answers within milliseconds, however busy its runs are."""
_ENDED = ("SUCCESS", "FAILURE", "REVOKED")
_WHAT_NOW = "What was published is whole; what was not is as before. Re-execute it from failure"


class WatchedCeleryRunLauncher(CeleryRunLauncher):
    """The launcher of dagster-celery, with a health check that asks the workers.

    Celery keeps the state of a task as "started" for ever when the worker that had it was killed, and dagster-celery
    believes that. Here the daemon asks the worker whether it still has the run. If it says no, or does not answer, and
    the run writes no event either for `patience_seconds`, the run is failed, its places in pools are freed, and
    `run_retries` starts it anew on another worker. A broker that cannot be reached fails nothing.

    A worker that was told to stop (SIGTERM) finishes its runs, and answers no more from that moment: only what those
    runs write shows that they go on. So a worker is drained before it is stopped, as `dagster.celery.yaml` tells.

    In dagster.yaml, beside `run_monitoring`:

    ```yaml
    run_launcher:
      module: aligned_dagster.orchestration.celery_launcher
      class: WatchedCeleryRunLauncher
      config:
        broker:
          env: CELERY_BROKER_URL
        backend:
          env: CELERY_RESULT_BACKEND
        patience_seconds: 60
    ```

    Workers need the pool `prefork`, Celery's default: one of the pool `solo` does not answer while it works. Each needs a
    name of its own (`--hostname`): of two with one name only one is heard.

    Args:
        patience_seconds: how long a worker and its run may be silent before the run is failed.
        inst_data: what Dagster made it of.
        options: of `CeleryRunLauncher`.
    """

    def __init__(
        self,
        patience_seconds: float = 60.0,
        inst_data: ConfigurableClassData | None = None,
        **options: Any,
    ) -> None:
        super().__init__(inst_data=inst_data, **options)
        self._patience = patience_seconds
        self._silent_since: dict[str, float] = {}

    @classmethod
    def config_type(cls) -> dict[str, Any]:
        """The settings of `CeleryRunLauncher`, and how long a worker and its run may be silent."""
        patience = dg.Field(
            dg.Int,
            default_value=60,
            description="Seconds that a worker and its run may be silent before the run is told to have failed.",
        )
        return {**cast("dict[str, Any]", super().config_type()), "patience_seconds": patience}

    def check_run_worker_health(self, run: dg.DagsterRun) -> CheckRunHealthResult:
        """Whether a worker still has a run; it is believed to, until it has been silent for long enough."""
        task = run.tags.get(DAGSTER_CELERY_TASK_ID_TAG)
        if task is None:
            return CheckRunHealthResult(WorkerStatus.RUNNING, "It began before its task was noted.")
        worker = self._worker_of(task)
        answers = self._asked(task, worker)
        if any(task in known for known in answers.values()):
            self._silent_since.pop(run.run_id, None)
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        state = str(self.celery.AsyncResult(task).state)  # read last: it may have ended since
        if state in _ENDED:
            told = f"Its task has ended as {state}, and nobody told how the run did: was its database away? {_WHAT_NOW}"
        elif not self._is_out_of_patience(run.run_id):
            return CheckRunHealthResult(WorkerStatus.RUNNING, "No worker says at the moment that it has it.")
        elif worker in answers:
            told = f"The worker {worker} was started anew since, and does not have it. {_WHAT_NOW}"
        else:
            told = f"The worker {worker or 'that had it'} does not answer: it was killed, or its machine was. {_WHAT_NOW}"
        self._silent_since.pop(run.run_id, None)
        return CheckRunHealthResult(WorkerStatus.FAILED, told)

    def _worker_of(self, task: str) -> str | None:
        """The worker that began a task, where Celery knows it."""
        info = self.celery.AsyncResult(task).info
        return info.get("hostname") if isinstance(info, dict) else None

    def _asked(self, task: str, worker: str | None) -> Mapping[str, Mapping[str, Any]]:
        """What a worker, or all of them where it is not known which, say of a task; those that do not answer are missing."""
        inspect = self.celery.control.inspect(
            destination=None if worker is None else [worker], timeout=_ANSWERS_WITHIN
        )
        return inspect.query_task(task) or {}

    def _is_out_of_patience(self, run_id: str) -> bool:
        """Whether the worker of a run was silent for long enough, and so was the run."""
        now = time.time()
        since = self._silent_since.setdefault(run_id, now)
        if now - since < self._patience:
            return False
        newest = self._instance.get_records_for_run(run_id, limit=1, ascending=False).records
        return all(now - record.event_log_entry.timestamp >= self._patience for record in newest)
