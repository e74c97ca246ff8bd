"""A PostgreSQL server that looks like Redshift on the wire, with COPY and UNLOAD over an S3 server.

Not Redshift: the storage, the planner and the errors are PostgreSQL's, and what is refused or done otherwise is a
model after the documentation (`redshift_sql`). No statement was ever compared with a cluster.
"""

from __future__ import annotations

import re
import socket
import threading
from contextlib import suppress
from typing import Self
from urllib.parse import urlsplit, urlunsplit

from tools.servers.postgres import PostgresServer
from tools.servers.process import LOOPBACK
from tools.servers.redshift_session import Session
from tools.servers.redshift_sql import Copy, RefusedError, Unload, translated, without_credentials
from tools.servers.s3 import S3Server


class RedshiftServer:
    """A proxy on a free loopback port, in threads of this process; logins are PostgreSQL's.

    Args:
        postgres: The server that holds the tables.
        s3: The server that `s3://` means; a COPY or UNLOAD with an IAM role has its keys.

    Attributes:
        statements: What clients have sent, without credentials, in order.
    """

    def __init__(self, postgres: PostgresServer, s3: S3Server) -> None:
        self.postgres = postgres
        self.s3 = s3
        self.statements: list[str] = []
        self._refusals: dict[str, RefusedError] = {}
        self._listener = socket.create_server((LOOPBACK, 0), backlog=128)
        self.port: int = self._listener.getsockname()[1]

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def uri(self, database: str = "postgres", user: str | None = None, password: str | None = None) -> str:
        """The address of a database of the PostgreSQL server, through the proxy."""
        return self._through_proxy(self.postgres.uri(database, user, password))

    def new_database(self, name: str | None = None) -> str:
        """The address of a new, empty database; its name is unique unless given."""
        return self._through_proxy(self.postgres.new_database(name))

    def translate(self, sql: str) -> str | Copy | Unload:
        """What to do about a statement; one that is refused becomes a word that PostgreSQL cannot parse.

        So the refusal comes when and where an error of the server would, in each of the two protocols.
        """
        self.statements.append(without_credentials(sql))
        try:
            return translated(sql)
        except RefusedError as refusal:
            word = f"redshift_refusal_{len(self._refusals)}"
            self._refusals[word] = refusal
            return word

    def refusal_in(self, error: bytes) -> RefusedError | None:
        """The refusal that an error of PostgreSQL stands for."""
        found = re.search(rb'"(redshift_refusal_\d+)"', error)
        return self._refusals[found[1].decode()] if found else None

    def _through_proxy(self, uri: str) -> str:
        parts = urlsplit(uri)
        login = parts.netloc.rpartition("@")[0]
        return urlunsplit(parts._replace(netloc=f"{login}@{LOOPBACK}:{self.port}"))

    def _accept(self) -> None:
        with suppress(OSError):  # the listener is closed
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with suppress(OSError, EOFError), client:
            server = socket.create_connection((LOOPBACK, self.postgres.port))
            with server:
                for side in (client, server):
                    side.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                Session(self, client, server).run()
