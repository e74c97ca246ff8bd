"""One connection to the server that looks like Redshift: PostgreSQL's messages, passed on or answered."""

from __future__ import annotations

import queue
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import suppress
from typing import BinaryIO, Protocol

from tools.servers.redshift_files import Column, S3Files, copy_lines, demand_fit, frame_of
from tools.servers.redshift_sql import Copy, RefusedError, Unload
from tools.servers.s3 import S3Server

SSL_REQUEST, GSS_REQUEST, CANCEL_REQUEST = 80877103, 80877104, 80877102
DRIVER_PARAMETERS = {
    "client_protocol_version",
    "driver_version",
    "os_version",
    "plugin_name",
    "driver_discovery_version",
    "idp_type",
    "provider_name",
    "token_type",
}
"""What Amazon's drivers say at the start, and PostgreSQL would not understand."""

ROWS_PER_MESSAGE = 10_000

_Message = tuple[bytes, bytes]
_GONE: _Message = (b"", b"")


class Proxy(Protocol):
    """What a connection asks its server."""

    s3: S3Server

    def translate(self, sql: str) -> str | Copy | Unload:
        """What to do about a statement."""

    def refusal_in(self, error: bytes) -> RefusedError | None:
        """The refusal that an error of PostgreSQL stands for."""


class Session:
    """One connection: a thread for each direction, of which the client's takes the answers while it is asking."""

    def __init__(self, proxy: Proxy, client: socket.socket, server: socket.socket) -> None:
        self._proxy = proxy
        self._client = client
        self._server = server
        self._answers: queue.Queue[_Message] = queue.Queue()
        self._asking = False
        self._turn = threading.Lock()
        self._prepared: dict[bytes, Copy | Unload] = {}
        self._portals: dict[bytes, Copy | Unload] = {}
        self._skips_to_sync = False
        self._status = b"I"  # of the transaction: idle, in one (T), or in a failed one (E)

    def run(self) -> None:
        """Pass everything on until one side is gone."""
        with self._client.makefile("rb") as requests, self._server.makefile("rb") as answers:
            if not self._start(requests):
                return
            passing = threading.Thread(target=self._pass_answers, args=(answers,), daemon=True)
            passing.start()
            try:
                for kind, body in _messages(requests):
                    self._pass_request(kind, body)
            finally:
                for side in (self._server, self._client):
                    with suppress(OSError):
                        side.shutdown(socket.SHUT_RDWR)
                passing.join()

    def _start(self, requests: BinaryIO) -> bool:
        """Pass the login on, without what only Amazon's drivers say; False where there is none to follow."""
        while True:
            body = _exactly(requests, struct.unpack("!I", _exactly(requests, 4))[0] - 4)
            code = struct.unpack("!I", body[:4])[0]
            if code not in (SSL_REQUEST, GSS_REQUEST):
                break
            self._client.sendall(b"N")
        if code == CANCEL_REQUEST:
            self._server.sendall(struct.pack("!I", len(body) + 4) + body)
            return False
        words = body[4:].rstrip(b"\0").split(b"\0")
        pairs = [pair for pair in zip(words[::2], words[1::2], strict=False) if _is_known(pair[0])]
        kept = body[:4] + b"".join(name + b"\0" + value + b"\0" for name, value in pairs) + b"\0"
        self._server.sendall(struct.pack("!I", len(kept) + 4) + kept)
        return True

    def _pass_answers(self, answers: BinaryIO) -> None:
        with suppress(OSError, EOFError):
            for kind, body in _messages(answers):
                with self._turn:
                    if self._asking:
                        self._answers.put((kind, body))
                        self._asking = kind != b"Z"  # what follows is the client's again
                        continue
                self._to_client(kind, body)
        self._answers.put(_GONE)
        with suppress(OSError):
            self._client.shutdown(socket.SHUT_RDWR)

    def _to_client(self, kind: bytes, body: bytes) -> None:
        if kind == b"S" and body.startswith(b"server_version\0"):
            body = b"server_version\x008.0.2\0"
        elif kind == b"E" and (refusal := self._proxy.refusal_in(body)) is not None:
            body = _error_body(refusal)
        self._client.sendall(_packed(kind, body))

    def _to_server(self, kind: bytes, body: bytes = b"") -> None:
        self._server.sendall(_packed(kind, body))

    def _pass_request(self, kind: bytes, body: bytes) -> None:
        if self._skips_to_sync and kind != b"S":
            return
        self._skips_to_sync = False
        if kind == b"Q":
            statement = self._proxy.translate(body[:-1].decode())
            if isinstance(statement, str):
                self._to_server(b"Q", statement.encode() + b"\0")
            else:
                self._answer_simple(statement)
            return
        if kind == b"P":
            body = self._parsed(body)
        elif kind == b"B":
            portal, prepared = body.split(b"\0", 2)[:2]
            _keep(self._portals, portal, self._prepared.get(prepared))
        elif kind == b"E" and (special := self._portals.get(body.split(b"\0", 1)[0])) is not None:
            self._execute(special)
            return
        self._to_server(kind, body)

    def _parsed(self, body: bytes) -> bytes:
        """The Parse message that the server gets: for COPY and UNLOAD, one of a statement without rows."""
        name, sql, rest = body.split(b"\0", 2)
        statement = self._proxy.translate(sql.decode())
        _keep(self._prepared, name, None if isinstance(statement, str) else statement)
        sent = statement if isinstance(statement, str) else "SET application_name = 'never executed'"
        return name + b"\0" + sent.encode() + b"\0" + rest

    def _answer_simple(self, statement: Copy | Unload) -> None:
        failure = self._run(statement)
        self._to_client(*(failure or _complete(statement)))
        self._to_client(b"Z", self._status)

    def _execute(self, statement: Copy | Unload) -> None:
        """Run the statement between the client's Bind and Sync, whose answers so far are waited for."""
        for kind, body in self._ask(b"S"):
            if kind == b"Z":
                break
            self._to_client(kind, body)
            self._skips_to_sync |= kind == b"E"
        if self._skips_to_sync:
            return
        failure = self._run(statement)
        self._to_client(*(failure or _complete(statement)))
        self._skips_to_sync = failure is not None

    def _run(self, statement: Copy | Unload) -> _Message | None:
        """Do it in the client's transaction; the error to tell it, after which the transaction is a failed one."""
        try:
            if isinstance(statement, Copy):
                self._copy(statement)
            else:
                self._unload(statement)
        except RefusedError as refusal:
            if self._status != b"E":
                for _ in self._ask(b"Q", b"redshift_failure\0"):
                    pass
            return b"E", _error_body(refusal)
        except _ServerError as error:
            return b"E", error.body
        return None

    def _copy(self, statement: Copy) -> None:
        columns = self._described(
            f"select {statement.columns.strip()[1:-1] or '*'} from {statement.table} limit 0"
        )
        frames = S3Files(self._proxy.s3, statement.credentials).parquet_of(statement)
        for frame in frames:
            demand_fit(frame, columns)
        for kind, _ in self._ask_or_raise(f"copy {statement.table} {statement.columns} from stdin"):
            if kind == b"G":
                for frame in frames:
                    for rows in frame.iter_slices(ROWS_PER_MESSAGE):
                        self._to_server(b"d", copy_lines(rows))
                self._to_server(b"c")

    def _unload(self, statement: Unload) -> None:
        columns = self._described(f"select * from ({statement.query}) as unloaded limit 0")
        lines = [
            body
            for kind, body in self._ask_or_raise(
                f"copy (select unloaded.*, 1 from ({statement.query}) as unloaded) to stdout"
            )
            if kind == b"d"
        ]
        names = [column.name for column in columns]
        if len(set(names)) < len(names):
            raise RefusedError(f"UNLOAD: a column is named twice: {', '.join(names)}", "42701")
        frame = frame_of(b"".join(lines), columns)
        S3Files(self._proxy.s3, statement.credentials).write(statement, frame)

    def _described(self, sql: str) -> list[Column]:
        for kind, body in list(self._ask_or_raise(sql)):
            if kind == b"T":
                return _columns(body)
        return []

    def _ask_or_raise(self, sql: str) -> Iterator[_Message]:
        """Answers to a query of the proxy's own.

        Raises:
            _ServerError: At the end, where one of them was an error.
        """
        failure = None
        for kind, body in self._ask(b"Q", sql.encode() + b"\0"):
            if kind == b"E":
                failure = body
            else:
                yield kind, body
        if failure is not None:
            raise _ServerError(failure)

    def _ask(self, kind: bytes, body: bytes = b"") -> Iterator[_Message]:
        """Send a message and take all answers to it, up to and with that the server is ready."""
        with self._turn:
            self._asking = True
        self._to_server(kind, body)
        while (answer := self._answers.get()) != _GONE:
            if answer[0] == b"Z":
                self._status = answer[1]
            yield answer
            if answer[0] == b"Z":
                return
        raise EOFError("The server is gone.")


class _ServerError(Exception):
    """An error of PostgreSQL, as it came."""

    def __init__(self, body: bytes) -> None:
        super().__init__()
        self.body = body


def _messages(stream: BinaryIO) -> Iterator[_Message]:
    while kind := stream.read(1):
        yield kind, _exactly(stream, struct.unpack("!I", _exactly(stream, 4))[0] - 4)


def _exactly(stream: BinaryIO, size: int) -> bytes:
    data = stream.read(size)
    if len(data) < size:
        raise EOFError
    return data


def _packed(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack("!I", len(body) + 4) + body


def _error_body(refusal: RefusedError) -> bytes:
    fields = {"S": "ERROR", "V": "ERROR", "C": refusal.code, "M": str(refusal)}
    return b"".join(f"{name}{value}".encode() + b"\0" for name, value in fields.items()) + b"\0"


def _columns(description: bytes) -> list[Column]:
    """What a RowDescription says."""
    found, rest = [], description[2:]
    for _ in range(struct.unpack("!H", description[:2])[0]):
        name, _, rest = rest.partition(b"\0")
        _, _, oid, _, modifier, _ = struct.unpack("!IHIhih", rest[:18])
        found.append(Column(name.decode(), oid, modifier))
        rest = rest[18:]
    return found


def _complete(statement: Copy | Unload) -> _Message:
    return b"C", b"COPY\0" if isinstance(statement, Copy) else b"UNLOAD\0"


def _keep(where: dict[bytes, Copy | Unload], name: bytes, statement: Copy | Unload | None) -> None:
    where.pop(name, None)
    if statement is not None:
        where[name] = statement


def _is_known(parameter: bytes) -> bool:
    return parameter.decode("latin-1") not in DRIVER_PARAMETERS
