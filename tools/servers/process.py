"""The process of a server: started in a group of its own, ended by pid, and with the process that started it."""

from __future__ import annotations

import atexit
import os
import re
import signal
import socket
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Self, TypeVar

LOOPBACK = "127.0.0.1"
STARTS_WITHIN = 60.0
"""Seconds; a server needs one to four on a machine that is not busy."""
ENDS_WITHIN = 10.0
PORT_ATTEMPTS = 5
TAIL = 4_000
"""Characters of a log that an error shows."""

_PORT_TAKEN = re.compile(r"address already in use|EADDRINUSE|already in use", re.IGNORECASE)
_CHILD = Path(__file__).with_name("child.py")

Started = TypeVar("Started")


class ServerNotStartedError(Exception):
    """A server ended, or did not answer in time; with the end of its log."""


class PortTakenError(ServerNotStartedError):
    """Another process took the port between its choice and its use."""


def free_port() -> int:
    """A port of the loopback interface that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        number: int = probe.getsockname()[1]
        return number


def on_free_port(start: Callable[[int], Started]) -> Started:
    """What ``start`` returns for a free port; tried again with others where one was taken in between."""
    for _ in range(PORT_ATTEMPTS - 1):
        with suppress(PortTakenError):
            return start(free_port())
    return start(free_port())


def accepts_connections(port: int) -> bool:
    """Whether somebody listens on this port of the loopback interface."""
    try:
        with socket.create_connection((LOOPBACK, port), timeout=1):
            return True
    except OSError:
        return False


class ServerProcess:
    """One running program, its log and its end.

    Args:
        name: What errors call the server.
        command: The program, by its path, and its arguments.
        log: The file that takes what the program says; written anew.
        ready: Whether the program with this process id answers; asked until it does.
        environ: The program's whole environment; this process' own by default.
        user: User and group ids to give up root for.
        end_signal: Asks the program to end.

    Raises:
        PortTakenError: The log says that the port is in use.
        ServerNotStartedError: The program ended, or was not ready in time.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str | Path],
        *,
        log: Path,
        ready: Callable[[int], bool],
        environ: Mapping[str, str] | None = None,
        user: tuple[int, int] | None = None,
        end_signal: signal.Signals = signal.SIGTERM,
    ) -> None:
        self.name = name
        self.log = log
        self.end_signal = end_signal
        uid, gid = user or (-1, -1)
        launcher = [sys.executable, "-I", "-S", _CHILD, end_signal.value, os.getpid(), uid, gid]
        # The system ends the child with the thread that made it, so this one lives as long as the process.
        self._process = (
            _starting_thread()
            .submit(self._launch, [*map(str, launcher), *map(str, command)], log, environ)
            .result()
        )
        atexit.register(self.stop)
        try:
            self._wait_until(ready)
        except BaseException:
            self.stop()
            raise

    @property
    def pid(self) -> int:
        """The program's process id, which is also that of its group."""
        return self._process.pid

    @property
    def is_running(self) -> bool:
        """Whether the program has not ended."""
        return self._process.poll() is None

    def stop(self) -> None:
        """End the program, and what it started; without effect where it has ended."""
        atexit.unregister(self.stop)
        if self.is_running:
            self._process.send_signal(self.end_signal)
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(ENDS_WITHIN)
        with suppress(ProcessLookupError, PermissionError):  # nobody is left in the group
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def log_tail(self) -> str:
        """The end of what the program has said."""
        return self.log.read_text("utf-8", "replace")[-TAIL:].strip()

    @staticmethod
    def _launch(command: list[str], log: Path, environ: Mapping[str, str] | None) -> subprocess.Popen[bytes]:
        with log.open("wb") as output:
            return subprocess.Popen(
                command,
                cwd="/",
                env=dict(environ) if environ is not None else None,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def _wait_until(self, ready: Callable[[int], bool]) -> None:
        deadline = time.monotonic() + STARTS_WITHIN
        while time.monotonic() < deadline:
            if not self.is_running:
                self._fail(f"ended with code {self._process.returncode}")
            if ready(self.pid):
                if self.is_running:
                    return
                continue
            time.sleep(0.02)
        self._fail(f"was not ready within {STARTS_WITHIN:.0f} s")

    def _fail(self, what: str) -> None:
        said = self.log_tail()
        error = PortTakenError if _PORT_TAKEN.search(said) else ServerNotStartedError
        raise error(f"{self.name} {what}. The end of its log:\n{said or '(empty)'}")


class Server(ABC):
    """A server that runs in a process of its own, and in a `with` block as long as that."""

    name: str
    """What errors call it."""

    _process: ServerProcess | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @abstractmethod
    def start(self) -> None:
        """Serve.

        Raises:
            ServerNotStartedError: With the end of the server's log.
        """

    @abstractmethod
    def stop(self) -> None:
        """End the server, and remove its directory where it is a temporary one."""

    @property
    def process(self) -> ServerProcess:
        """The server's first process.

        Raises:
            RuntimeError: The server is not running.
        """
        if self._process is None:
            raise RuntimeError(f"{self.name} is not running.")
        return self._process

    @property
    def pid(self) -> int:
        """The id of the server's first process."""
        return self.process.pid


@cache
def _starting_thread() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max_workers=1, thread_name_prefix="server-starter")
