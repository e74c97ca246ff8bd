"""Serve the Dagster UI of a project: the web server and the daemon as children of this process."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

from aligned_dagster.errors import AlignedError, ConfigurationError
from aligned_dagster.orchestration.project import PROJECT, ProjectSettings

HOST = "127.0.0.1"
PATIENCE = 120.0
"""Seconds that the UI has to answer for the first time."""
LOGS = "server_logs"
"""The directory of the logs in DAGSTER_HOME. What is in `logs` there, Dagster takes for telemetry, moves and sends away."""
_GRACE = 10.0


class ServerError(AlignedError):
    """The UI did not start, or ended by itself."""


def check_port(port: int) -> None:
    """Make sure that the UI can listen on a port.

    Raises:
        ConfigurationError: another process listens there, or the port cannot be used.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except (OSError, OverflowError) as error:
            raise ConfigurationError(
                f"Port {port} cannot be used: {getattr(error, 'strerror', None) or error}. End what listens "
                f"there, or choose another port: make run PORT={port + 1} "
                f"(that is, aligned-dagster run --port {port + 1})."
            ) from error


def serve(settings: ProjectSettings, port: int, say: Callable[[str], None]) -> None:
    """Serve until Ctrl-C or SIGTERM, and end every child then.

    Args:
        settings: the project; DAGSTER_HOME must be set.
        port: to listen on, on 127.0.0.1 only.
        say: prints a line.

    Raises:
        ServerError: the web server ended by itself or never answered.
    """
    logs = Path(os.environ["DAGSTER_HOME"]) / LOGS
    logs.mkdir(parents=True, exist_ok=True)
    url = f"http://{HOST}:{port}"
    workspace = (
        ["--workspace", str(settings.workspace)]
        if settings.workspace.is_file()
        else ["--module-name", settings.definitions]
    )
    web = ["dagster_webserver", "--host", HOST, "--port", str(port), "--log-level", "warning", *workspace]
    daemon = ["dagster._daemon", "run", "--log-level", "warning", *workspace]
    with _signals_as_interrupt(), _children(settings, logs, {"webserver": web, "daemon": daemon}) as children:
        say(f"Starting the Dagster UI (logs in {logs}) ...")
        try:
            _wait_until_up(url, children, logs)
            say(f"The Dagster UI is at {url}, the lineage at {url}/asset-groups  (Ctrl-C ends it)")
            while True:
                _check_alive(children, logs)
                time.sleep(0.5)
        except KeyboardInterrupt:
            say("Ending the Dagster UI ...")
            raise


def _wait_until_up(url: str, children: dict[str, subprocess.Popen[bytes]], logs: Path) -> None:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        _check_alive(children, logs)
        try:
            with urllib.request.urlopen(f"{url}/server_info", timeout=2) as answer:
                if answer.status == 200:
                    return
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    raise ServerError(
        f"The UI did not answer at {url} within {PATIENCE:.0f} s.{_tail(logs / 'webserver.log')}"
    )


def _check_alive(children: dict[str, subprocess.Popen[bytes]], logs: Path) -> None:
    for name, child in children.items():
        code = child.poll()
        if code is not None:
            raise ServerError(f"The {name} ended by itself with code {code}.{_tail(logs / f'{name}.log')}")


@contextmanager
def _children(
    settings: ProjectSettings, logs: Path, modules: dict[str, list[str]]
) -> Iterator[dict[str, subprocess.Popen[bytes]]]:
    """Processes in groups of their own, so that they and what they start can be ended together."""
    environ = {**os.environ, PROJECT: str(settings.root), "PYTHONWARNINGS": "ignore"}
    started: dict[str, subprocess.Popen[bytes]] = {}
    try:
        for name, (module, *arguments) in modules.items():
            with (logs / f"{name}.log").open("wb") as log:
                started[name] = subprocess.Popen(
                    [sys.executable, "-m", module, *arguments],
                    cwd=settings.root,
                    env=environ,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
        yield started
    finally:
        _end(list(started.values()))


def _end(children: Sequence[subprocess.Popen[bytes]]) -> None:
    """End process groups: politely, and after a while by force."""
    for child in children:
        _signal(child, signal.SIGTERM)
    deadline = time.monotonic() + _GRACE
    for child in children:
        with suppress(subprocess.TimeoutExpired):
            child.wait(max(0.0, deadline - time.monotonic()))
        _signal(child, signal.SIGKILL)  # whatever of the group is left
        child.wait()


def _signal(child: subprocess.Popen[bytes], number: signal.Signals) -> None:
    try:
        os.killpg(child.pid, number)
    except (ProcessLookupError, PermissionError):
        return


def _tail(log: Path, lines: int = 15) -> str:
    """The end of a log as part of a message."""
    try:
        text = log.read_text("utf-8", "replace").strip()
    except OSError:
        return ""
    return f" The end of {log}:\n" + "\n".join(text.splitlines()[-lines:]) if text else f" {log} is empty."


@contextmanager
def _signals_as_interrupt() -> Iterator[None]:
    """SIGTERM and SIGHUP end the block like Ctrl-C does, which works even where a shell had it ignored."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    former = {
        number: signal.signal(number, interrupt) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    }
    try:
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)
