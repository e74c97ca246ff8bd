"""A project with a real `dagster-daemon`, which is ended by the pid that was started."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.scheduler.instigation import InstigatorState, TickStatus

REPOSITORY = Path(__file__).resolve().parents[2]
PATIENCE = 180.0
"""Seconds that anything may take on a busy machine."""
ENDS_WITHIN = 30.0
_NOT_LOADED = "Error while importing code"


@dataclass(frozen=True)
class Daemon:
    """A daemon that is up.

    Args:
        instance: what it works on.
        process: the daemon.
        log: what it prints.
    """

    instance: dg.DagsterInstance
    process: subprocess.Popen[bytes]
    log: Path

    def wait_until(self, what: str, holds: Callable[[], bool]) -> None:
        """Fails with the end of the daemon's log if it does not come to hold."""
        deadline = time.monotonic() + PATIENCE
        while not holds():
            code, told = self.process.poll(), self.log.read_text("utf-8", "replace")
            if code is not None or time.monotonic() > deadline or _NOT_LOADED in told:
                ended = f"The daemon ended with code {code}" if code is not None else "In vain"
                tail = "\n".join(told.splitlines()[-60:])
                pytest.fail(f"{ended}, waiting until {what}:\n{tail}", pytrace=False)
            time.sleep(0.2)

    def state_of(self, name: str) -> InstigatorState | None:
        """Of a sensor or schedule; None until the daemon has seen it."""
        return next((state for state in self.instance.all_instigator_state() if state.name == name), None)

    def ticks(self, name: str, after: float = 0.0) -> list[TickStatus]:
        """How the ticks of a sensor ended that began after a time; those that are over."""
        state = self.state_of(name)
        if state is None:
            return []
        found = self.instance.get_ticks(state.instigator_origin_id, state.selector_id, after=after)
        return [tick.status for tick in found if tick.status != TickStatus.STARTED]

    def wait_for_ticks(self, number: int, *names: str) -> None:
        """Until each of the sensors has begun and ended so many more ticks, with no run under way."""
        now = time.time()
        self.wait_until(
            f"{', '.join(names)} ticked {number} times",
            lambda: all(len(self.ticks(name, now)) >= number for name in names) and not self.busy(),
        )

    def busy(self) -> bool:
        """Whether a run is waiting or under way."""
        from dagster._core.storage.dagster_run import NOT_FINISHED_STATUSES

        return self.instance.get_runs_count(dg.RunsFilter(statuses=list(NOT_FINISHED_STATUSES))) > 0

    def materialized(self) -> Counter[str]:
        """How often each asset was materialised."""
        return Counter(
            {
                key.to_user_string(): len(self.instance.fetch_materializations(key, limit=1000).records)
                for key in self.instance.all_asset_keys()
            }
        )


@contextmanager
def running(project: Path, environ: Mapping[str, str], *arguments: str) -> Iterator[Daemon]:
    """A daemon that works on a project, whose Dagster home is `dagster_home` below it.

    Args:
        project: the directory of its pyproject.toml.
        environ: the environment, as `environment` makes it.
        arguments: of `dagster-daemon run`: which definitions.
    """
    log = project / "daemon.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "dagster._daemon", "run", "--log-level", "info", *arguments],
            cwd=project,
            env={**environ, "PYTHONWARNINGS": "ignore"},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        with dg.DagsterInstance.from_config(str(project / "dagster_home")) as instance:
            yield Daemon(instance, process, log)
    finally:
        process.send_signal(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            process.wait(ENDS_WITHIN)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # its group: what it started and left
        process.wait()


def environment(project: Path, **variables: str) -> dict[str, str]:
    """The environment in which commands and the daemon work on a project alone."""
    home = project / "dagster_home"
    home.mkdir(exist_ok=True)
    if not (home / "dagster.yaml").exists():
        shutil.copy(REPOSITORY / "dagster_home" / "dagster.yaml", home)
    path = os.pathsep.join(filter(None, [str(REPOSITORY), str(project), os.environ.get("PYTHONPATH")]))
    return {
        **os.environ,
        **variables,
        "ALIGNED_PROJECT": str(project),
        "ALIGNED_PROJECT_ROOT": str(project),
        "DAGSTER_HOME": str(home),
        "PYTHONPATH": path,
    }


def command(project: Path, environ: Mapping[str, str], *arguments: str) -> str:
    """What `aligned-dagster` prints."""
    ran = subprocess.run(
        [sys.executable, "-m", "aligned_dagster.cli", *arguments],
        cwd=project,
        env=dict(environ),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout
