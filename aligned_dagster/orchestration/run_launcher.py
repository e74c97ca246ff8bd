"""Launch runs as processes of this machine, and tell whether those are alive: Dagster's own launcher does not."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg
from dagster._core.launcher import CheckRunHealthResult, DefaultRunLauncher, LaunchRunContext, WorkerStatus
from dagster._core.remote_origin import ManagedGrpcPythonEnvCodeLocationOrigin

if TYPE_CHECKING:
    from dagster._core.events.log import EventLogEntry

MACHINE = ".dagster/aligned_machine"
"""The tag of a run that names the machine on which its process is; the UI does not show it."""

_AT_ONCE = 2.0
"""Seconds by which the clock of the system may differ from that of an event."""


def on_this_machine() -> Mapping[str, str]:
    """The tags of a run whose process is on this machine, so that it can be found dead."""
    return {MACHINE: platform.node()}


class WatchedRunLauncher(DefaultRunLauncher):
    """Dagster's default launcher, with a health check: a run whose process is gone is told to have failed.

    A run that was killed is noticed by the process that holds the definitions, unless that died too: with the
    machine, the container, or the database of the instance. Such a run would be "started" for ever, and take one of
    the places of `max_concurrent_runs`. With this launcher and `run_monitoring`, the daemon looks for its process.

    In dagster.yaml:

    ```yaml
    run_launcher:
      module: aligned_dagster.orchestration.run_launcher
      class: WatchedRunLauncher
    run_monitoring:
      enabled: true
    ```

    A run on another machine, or in a container with a name of its own, is believed to be alive, as it is by default.
    """

    @property
    def supports_check_run_worker_health(self) -> bool:
        """True: the daemon asks."""
        return True

    def launch_run(self, context: LaunchRunContext) -> None:
        """Start the process of a run, and note on which machine that is."""
        origin = context.dagster_run.remote_job_origin
        if origin is not None and isinstance(
            origin.repository_origin.code_location_origin, ManagedGrpcPythonEnvCodeLocationOrigin
        ):
            self._instance.add_run_tags(context.dagster_run.run_id, on_this_machine())
        super().launch_run(context)

    def check_run_worker_health(self, run: dg.DagsterRun) -> CheckRunHealthResult:
        """Whether the process of a run is alive; it is believed to be where that cannot be told from here."""
        if run.tags.get(MACHINE) != platform.node():
            return CheckRunHealthResult(WorkerStatus.RUNNING, "It is on another machine.")
        found = self._process(run)
        if found is None:
            return CheckRunHealthResult(WorkerStatus.RUNNING, "It has not said in which process it is.")
        pid, since = found
        if is_alive(pid, since):
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        return CheckRunHealthResult(
            WorkerStatus.FAILED,
            f"Its process {pid} on {platform.node()} is gone: it was killed, or the machine was. What was published "
            "is whole; what was not is as before. Re-execute it from failure",
        )

    def _process(self, run: dg.DagsterRun) -> tuple[int, float] | None:
        """The process id of a run's worker, and when it was told."""
        entries = self._instance.all_logs(run.run_id, of_type=dg.DagsterEventType.ENGINE_EVENT)
        return next((found for entry in entries if (found := _told(entry)) is not None), None)


def is_alive(pid: int, since: float) -> bool:
    """Whether a process that was there at a time is still there, and not another one under its number.

    Args:
        pid: its number.
        since: the time, in seconds since 1970.

    >>> import time
    >>> is_alive(os.getpid(), time.time())
    True
    """
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # of another user
    try:
        fields = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()
        booted = re.search(r"^btime (\d+)$", Path("/proc/stat").read_text("utf-8"), re.MULTILINE)
    except OSError:
        return True  # no Linux
    if fields[0] in "ZX" or booted is None:
        return booted is None
    started = int(booted[1]) + int(fields[19]) / os.sysconf("SC_CLK_TCK")
    return started <= since + _AT_ONCE


def _told(entry: EventLogEntry) -> tuple[int, float] | None:
    event = entry.dagster_event
    pid = event.engine_event_data.metadata.get("pid") if event is not None else None
    return (int(str(pid.value)), entry.timestamp) if pid is not None else None
