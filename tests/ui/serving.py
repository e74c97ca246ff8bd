"""A project served by the real command, which is ended by the pid that was started."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
STARTS_WITHIN = 240.0
"""Seconds for one command, or for materialising and serving a project, on a busy machine."""
ENDS_WITHIN = 30.0


@dataclass(frozen=True)
class Served:
    """A project whose UI is up."""

    url: str
    project: Path


def demo_project(folder: Path) -> Path:
    """A project with the demo's contracts; their relative paths are below this folder."""
    contracts = os.path.relpath(REPOSITORY / "aligned_dagster" / "demo" / "contracts", folder)
    (folder / "pyproject.toml").write_text(
        f'[tool.aligned_dagster]\ncontracts = "{contracts}/*.py"\n', "utf-8"
    )
    shutil.copy(REPOSITORY / "workspace.yaml", folder)
    (folder / "dagster_home").mkdir()
    shutil.copy(REPOSITORY / "dagster_home" / "dagster.yaml", folder / "dagster_home")
    return folder


@contextmanager
def serving(project: Path, *options: str) -> Iterator[str]:
    """The address of the project's UI, once `aligned-dagster run` has it up; no process is left afterwards."""
    port = _free_port()
    log = project / "run.log"
    with log.open("wb") as output:
        command = subprocess.Popen(
            [sys.executable, "-m", "aligned_dagster.cli", "run", "--port", str(port), *options],
            cwd=project,
            env=environ(project),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    url = f"http://127.0.0.1:{port}"
    try:
        _wait_until_up(url, command, log)
        yield url
    finally:
        left = _end(command, _descendants(command.pid))
    assert not left, f"'aligned-dagster run' ended and left processes behind: {left}"


def environ(project: Path) -> dict[str, str]:
    """The environment in which a command works on the project alone."""
    path = os.pathsep.join(filter(None, [str(REPOSITORY), os.environ.get("PYTHONPATH")]))
    return {
        **os.environ,
        "ALIGNED_PROJECT": str(project),
        "DAGSTER_HOME": str(project / "dagster_home"),
        "PYTHONPATH": path,
    }


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        number: int = probe.getsockname()[1]
        return number


def _wait_until_up(url: str, command: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + STARTS_WITHIN
    while time.monotonic() < deadline:
        code = command.poll()
        if code is not None:
            pytest.fail(
                f"'aligned-dagster run' ended with code {code}:\n{log.read_text('utf-8', 'replace')}",
                pytrace=False,
            )
        if "The Dagster UI is at" in log.read_text("utf-8", "replace") and _answers(f"{url}/server_info"):
            return
        time.sleep(0.2)
    pytest.fail(
        f"No UI at {url} within {STARTS_WITHIN:.0f} s:\n{log.read_text('utf-8', 'replace')}", pytrace=False
    )


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def _end(command: subprocess.Popen[bytes], started: set[tuple[int, int]]) -> list[str]:
    """End the command as Ctrl-C's sibling does; what it left of its processes, which are then ended too."""
    with suppress(ProcessLookupError):
        command.send_signal(signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        command.wait(ENDS_WITHIN)
    deadline = time.monotonic() + 5
    while (left := [process for process in started if _is_running(*process)]) and time.monotonic() < deadline:
        time.sleep(0.1)
    found = [f"{pid} {_command_line(pid)}" for pid, _ in left]
    for pid, _ in left:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    command.wait()
    return found


def _descendants(pid: int) -> set[tuple[int, int]]:
    """A process and all that it started, each with the time of its start, as process ids are used again."""
    table = {
        int(folder.name): status
        for folder in Path("/proc").glob("[0-9]*")
        if (status := _status(folder.name))
    }
    found = {pid}
    while more := {child for child, (parent, _) in table.items() if parent in found} - found:
        found |= more
    return {(number, table[number][1]) for number in found if number in table}


def _is_running(pid: int, started: int) -> bool:
    status = _status(pid)
    return status is not None and status[1] == started


def _status(pid: int | str) -> tuple[int, int] | None:
    """Parent and start time of a process; None for one that is gone, or has ended and not been waited for."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else (int(fields[1]), int(fields[19]))


def _command_line(pid: int) -> str:
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")[:200]
    return ""
