"""A project with its web server and its daemon in processes of their own, which are there to be killed."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

import dagster as dg
import polars as pl

from aligned_dagster import ContractStore
from aligned_dagster.contracts.feature_view import FeatureView
from tools.servers.process import ServerProcess, on_free_port

T = TypeVar("T")
REPOSITORY = Path(__file__).resolve().parents[2]
PATIENCE = 180.0
"""Seconds for whatever a run, the daemon or a server does, on a busy machine."""
WORKSPACE = """
load_from:
  - python_module:
      module_name: definitions
      location_name: shop
      working_directory: {project}
"""
LAUNCH = """mutation($params: ExecutionParams!) { launchPipelineExecution(executionParams: $params) {
  __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message stack }
  ... on InvalidSubsetError { message } ... on RunConfigValidationInvalid { errors { message } } } }"""
REEXECUTE = """mutation($params: ReexecutionParams!) { launchPipelineReexecution(reexecutionParams: $params) {
  __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message stack }
  ... on InvalidSubsetError { message } } }"""
BACKFILL = """mutation($params: LaunchBackfillParams!) { launchPartitionBackfill(backfillParams: $params) {
  __typename ... on LaunchBackfillSuccess { backfillId } ... on PythonError { message stack } } }"""


class NoAnswerError(Exception):
    """The web server says that it cannot."""


class Deployment:
    """What `aligned-dagster run` starts, each part by itself.

    Args:
        project: the directory with contracts.py and definitions.py.
        settings: of dagster.yaml.
        environ: variables for all processes.
    """

    def __init__(self, project: Path, settings: str, environ: Mapping[str, str]) -> None:
        self.project = project
        self.home = project / "dagster_home"
        self.home.mkdir()
        (self.home / "dagster.yaml").write_text(settings, "utf-8")
        (project / "workspace.yaml").write_text(WORKSPACE.format(project=project), "utf-8")
        (project / "pyproject.toml").write_text(
            '[tool.aligned_dagster]\ncontracts = "contracts.py"\n', "utf-8"
        )
        shutil.copy(Path(__file__).with_name("stopping.py"), project)
        path = os.pathsep.join(filter(None, [str(REPOSITORY), os.environ.get("PYTHONPATH")]))
        self.environ = {
            **os.environ,
            "DAGSTER_HOME": str(self.home),
            "ALIGNED_PROJECT": str(project),
            "PYTHONPATH": path,
            "PYTHONWARNINGS": "ignore",
            **environ,
        }
        self.url = ""
        self.daemon: ServerProcess | None = None
        self._started: list[ServerProcess] = []

    def start_web(self) -> None:
        """Serve the UI, whose GraphQL the tests use."""
        on_free_port(self._web)

    def start_daemon(self) -> None:
        """Start the daemon."""
        program = Path(__file__).with_name("quick_daemon.py")
        self.daemon = self._process("daemon", [str(program), "run", "--log-level", "warning"], lambda _: True)

    def start(
        self,
        command: list[str],
        name: str,
        ready: Callable[[int], bool] = lambda _: True,
        end_signal: signal.Signals = signal.SIGTERM,
    ) -> ServerProcess:
        """Start a further program of the deployment, which ends with it."""
        log = self.project / f"{name}-{len(self._started)}.log"
        started = ServerProcess(
            name, command, log=log, ready=ready, environ=self.environ, end_signal=end_signal
        )
        self._started.append(started)
        return started

    def stop(self) -> None:
        """End all that is running."""
        (self.project / "go").touch()
        for process in reversed(self._started):
            process.stop()
        self._started.clear()

    def kill_daemon(self, *, with_its_runs: bool) -> None:
        """End the daemon without a warning, alone or with the runs and whatever else it has started."""
        assert self.daemon is not None
        if with_its_runs:
            os.killpg(self.daemon.pid, signal.SIGKILL)
        else:
            os.kill(self.daemon.pid, signal.SIGKILL)
        self.until(lambda: self.daemon is not None and not self.daemon.is_running, "the end of the daemon")

    def launch(self, *assets: str, tags: Mapping[str, str] | None = None) -> str:
        """Ask for a run of assets as the UI does, and return its id."""
        params = {
            "selector": {
                "repositoryName": "__repository__",
                "repositoryLocationName": "shop",
                "pipelineName": "__ASSET_JOB",
                "assetSelection": [{"path": [asset]} for asset in assets],
            },
            "runConfigData": {},
            "executionMetadata": {"tags": [{"key": k, "value": v} for k, v in (tags or {}).items()]},
        }
        return str(self.ask(LAUNCH, params)["run"]["runId"])

    def reexecute(self, run_id: str) -> str:
        """Press "Re-execute from failure", and return the id of the new run."""
        params = {"parentRunId": run_id, "strategy": "FROM_FAILURE"}
        return str(self.ask(REEXECUTE, params)["run"]["runId"])

    def backfill(self, asset: str, partitions: Sequence[str], tags: Mapping[str, str]) -> str:
        """Ask for a backfill as the UI does, and return its id."""
        params = {
            "assetSelection": [{"path": [asset]}],
            "partitionNames": list(partitions),
            "tags": [{"key": key, "value": value} for key, value in tags.items()],
        }
        return str(self.ask(BACKFILL, params)["backfillId"])

    def ask(self, query: str, params: Mapping[str, Any]) -> dict[str, Any]:
        """The answer to a mutation."""
        body = json.dumps({"query": query, "variables": {"params": params}}).encode()
        request = urllib.request.Request(
            f"{self.url}/graphql", body, {"Content-Type": "application/json"}, method="POST"
        )
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
                found = json.load(answer)
        except urllib.error.HTTPError as error:
            raise NoAnswerError(f"{error}: {error.read()!r}") from error
        assert "errors" not in found, found
        [result] = found["data"].values()
        assert "Success" in result["__typename"], result
        return dict(result)

    @contextmanager
    def instance(self) -> Iterator[dg.DagsterInstance]:
        """Dagster's storage, as another process sees it."""
        with dg.DagsterInstance.from_config(str(self.home)) as instance:
            yield instance

    def until_ended(self, run_id: str) -> dg.DagsterRunStatus:
        """How a run ended."""

        with self.instance() as instance:

            def ended() -> dg.DagsterRunStatus | None:
                run = instance.get_run_by_id(run_id)
                assert run is not None
                return run.status if run.is_finished else None

            return self.until(ended, f"the end of run {run_id}")

    def steps_of(self, run_id: str) -> list[str]:
        """The steps that a run has finished, in their order."""
        with self.instance() as instance:
            entries = instance.all_logs(run_id, of_type=dg.DagsterEventType.STEP_SUCCESS)
        return [str(entry.step_key) for entry in entries]

    def said_by(self, run_id: str) -> str:
        """All messages of a run, and its errors."""
        with self.instance() as instance:
            entries = instance.all_logs(run_id)
        return "\n".join(f"{entry.message} {_error(entry)}" for entry in entries)

    def stop_at(self, place: str, number: int = 1) -> None:
        """Let the next process that comes there wait."""
        for name in ("stop", "stopped", "go"):
            (self.project / name).unlink(missing_ok=True)
        (self.project / "stop").write_text(f"{place} {number}", "utf-8")

    def until_stopped(self) -> int:
        """The id of the process that waits; no other one will."""
        stopped = self.project / "stopped"
        self.until(stopped.exists, "a process that comes to the point")
        (self.project / "stop").unlink()
        return int(stopped.read_text("utf-8"))

    def go(self) -> None:
        """Let it go on."""
        (self.project / "go").touch()

    def until(self, found: Callable[[], T | None], what: str) -> T:
        """What a function gives as soon as it is true."""
        deadline = time.monotonic() + PATIENCE
        while not (value := found()):
            assert time.monotonic() < deadline, f"waited in vain for {what}:\n{self.logs()}"
            time.sleep(0.2)
        return value

    def logs(self) -> str:
        """The end of what the processes said."""
        return "\n".join(process.log_tail() for process in self._started)

    def stored(self, name: str) -> pl.DataFrame:
        """The rows of a contract that any reader finds now."""
        return self.view(name).read().collect()

    def view(self, name: str) -> FeatureView[Any]:
        """A contract as it is now."""
        return ContractStore.discover(str(self.project / "contracts.py")).views[name]

    def _web(self, port: int) -> ServerProcess:
        self.url = f"http://127.0.0.1:{port}"
        return self._process(
            "webserver",
            ["-m", "dagster_webserver", "--host", "127.0.0.1", "--port", str(port)],
            lambda _: _answers(f"{self.url}/server_info"),
        )

    def _process(self, name: str, command: list[str], ready: Callable[[int], bool]) -> ServerProcess:
        workspace = str(self.project / "workspace.yaml")
        return self.start([sys.executable, *command, "--workspace", workspace], name, ready)


def _answers(url: str) -> bool:
    with suppress(urllib.error.URLError, OSError), urllib.request.urlopen(url, timeout=5) as answer:
        return bool(answer.status == 200)
    return False


def _error(entry: dg.EventLogEntry) -> str:
    event = entry.dagster_event
    data = event.event_specific_data if event is not None else None
    return str(getattr(data, "error_display_string", "") or getattr(data, "error", None) or "")
