"""A proxy before a server: counts what passes, answers with errors on request, and cuts connections."""

from __future__ import annotations

import re
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import BinaryIO, Literal, Self
from urllib.parse import urlsplit, urlunsplit

from tools.servers.process import LOOPBACK

PIECE = 65_536
_LENGTH = re.compile(rb"\r\ncontent-length:\s*(\d+)", re.IGNORECASE)
_CHUNKED = re.compile(rb"\r\ntransfer-encoding:[^\r]*chunked", re.IGNORECASE)
_CONTINUE = re.compile(rb"\r\nexpect:\s*100-continue", re.IGNORECASE)


@dataclass
class _Cut:
    """A cut to come: after so many bytes more of one direction, so many times."""

    every: int
    of: Literal["answers", "requests"]
    times: int
    left: int


class CountingProxy:
    """Passes connections on to a server unchanged, the Host header too, so that signatures stay good.

    Args:
        target: The server's address. Of an `http:` one the requests are counted and can be failed; anything
            else, such as `postgresql:` or `https:`, is bytes, and each connection counts as one request.

    Attributes:
        endpoint: `target` with the proxy's port: what a client is given.
        bytes_out_of_server: What the server has sent since the start or the last `reset`, headers included.
        bytes_into_server: What was sent to it.
        requests: How many requests were made, those that were failed included.
        seen: Method and path of each, in order.

    Example:
        ```python
        with CountingProxy(s3.endpoint) as proxy:
            proxy.fail_next(2)
            frame = pl.read_parquet(
                uri, storage_options={**s3.storage_options, "aws_endpoint_url": proxy.endpoint}
            )
            assert proxy.requests > 2
        ```
    """

    def __init__(self, target: str) -> None:
        parts = urlsplit(target)
        if parts.hostname is None or parts.port is None:
            raise ValueError(f"The proxy needs a target with a host and a port, not {target!r}.")
        self._server = (parts.hostname, parts.port)
        self._is_http = parts.scheme == "http"
        self._lock = threading.Lock()
        self._open: set[_Connection] = set()
        self._listener = socket.create_server((LOOPBACK, 0), backlog=128)
        login, at, _ = parts.netloc.rpartition("@")
        port = self._listener.getsockname()[1]
        self.endpoint = urlunsplit(parts._replace(netloc=f"{login}{at}{LOOPBACK}:{port}"))
        self.reset()

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut_now()

    def reset(self) -> None:
        """Count from zero, and fail and cut nothing more."""
        with self._lock:
            self.bytes_out_of_server = 0
            self.bytes_into_server = 0
            self.requests = 0
            self.seen: list[str] = []
            self._failures: list[int] = []
            self._cut: _Cut | None = None

    def fail_next(self, n: int, status: int = 503) -> None:
        """Answer the next `n` requests with this status; the server never hears of them."""
        with self._lock:
            self._failures = [status] * n

    def cut_after(
        self, n_bytes: int, *, of: Literal["answers", "requests"] = "answers", times: int = 1
    ) -> None:
        """Reset the connection that carries the byte after the next `n_bytes`, and that one `times` times."""
        with self._lock:
            self._cut = _Cut(n_bytes, of, times, n_bytes)

    def cut_now(self) -> int:
        """Reset all connections that are open; how many there were."""
        with self._lock:
            connections = list(self._open)
        for connection in connections:
            connection.cut()
        return len(connections)

    def _accept(self) -> None:
        with suppress(OSError):  # the listener is closed
            while True:
                client, _ = self._listener.accept()
                try:
                    server = socket.create_connection(self._server, timeout=10)
                except OSError:
                    client.close()
                    continue
                server.settimeout(None)
                connection = _Connection(client, server)
                with self._lock:
                    self._open.add(connection)
                requests = self._pass_requests if self._is_http else self._pass_bytes
                threading.Thread(target=requests, args=(connection,), daemon=True).start()
                threading.Thread(target=self._pass_answers, args=(connection,), daemon=True).start()

    def _pass_answers(self, connection: _Connection) -> None:
        with suppress(OSError):
            while piece := connection.server.recv(PIECE):
                passed, cut = self._count(len(piece), "answers")
                connection.client.sendall(piece[:passed])
                if cut:
                    connection.cut()
                    break
        self._close(connection)

    def _pass_bytes(self, connection: _Connection) -> None:
        self._count_request("connection")
        with suppress(OSError):
            while piece := connection.client.recv(PIECE):
                if not self._send(connection, piece):
                    return
        self._close(connection)

    def _pass_requests(self, connection: _Connection) -> None:
        with suppress(OSError), connection.client.makefile("rb") as stream:
            while head := _head(stream):
                status = self._count_request(b" ".join(head.split(b" ", 2)[:2]).decode("latin-1"))
                if status is not None:
                    if not _CONTINUE.search(head):
                        for _ in _body(head, stream):
                            pass
                    connection.client.sendall(_failure(status))
                    break
                if not self._send(connection, head):
                    return
                for piece in _body(head, stream):
                    if not self._send(connection, piece):
                        return
        self._close(connection)

    def _send(self, connection: _Connection, piece: bytes) -> bool:
        passed, cut = self._count(len(piece), "requests")
        connection.server.sendall(piece[:passed])
        if cut:
            connection.cut()
            self._close(connection)
        return not cut

    def _count_request(self, what: str) -> int | None:
        """Note a request; the status to fail it with."""
        with self._lock:
            self.requests += 1
            self.seen.append(what)
            return self._failures.pop() if self._failures and self._is_http else None

    def _count(self, size: int, of: Literal["answers", "requests"]) -> tuple[int, bool]:
        """Note bytes; how many of them may pass, and whether the connection is cut after them."""
        with self._lock:
            cut = self._cut
            cuts = cut is not None and cut.of == of and cut.left < size
            passed = cut.left if cut is not None and cuts else size
            if of == "answers":
                self.bytes_out_of_server += passed
            else:
                self.bytes_into_server += passed
            if cut is not None and cut.of == of:
                if cuts:
                    cut.times, cut.left = cut.times - 1, cut.every
                    self._cut = cut if cut.times > 0 else None
                else:
                    cut.left -= size
            return passed, cuts

    def _close(self, connection: _Connection) -> None:
        connection.close()
        with self._lock:
            self._open.discard(connection)


class _Connection:
    """A client's socket and the one to the server for it."""

    def __init__(self, client: socket.socket, server: socket.socket) -> None:
        self.client = client
        self.server = server

    def cut(self) -> None:
        """Close both with a reset, whatever is still to be sent."""
        for side in (self.client, self.server):
            with suppress(OSError):
                side.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()

    def close(self) -> None:
        """Close both."""
        for side in (self.client, self.server):
            with suppress(OSError):
                side.shutdown(
                    socket.SHUT_RDWR
                )  # wakes the thread that waits for it, which close alone does not
            side.close()


def _head(stream: BinaryIO) -> bytes:
    """The request line and headers; empty at the end of the connection."""
    lines = []
    while line := stream.readline(PIECE):
        lines.append(line)
        if line in (b"\r\n", b"\n") and len(lines) > 1:
            return b"".join(lines)
    return b""


def _body(head: bytes, stream: BinaryIO) -> Iterator[bytes]:
    """The request's body in pieces, as it was sent."""
    if _CHUNKED.search(head):
        while line := stream.readline(PIECE):
            yield line
            size = int(line.split(b";")[0], 16)
            if size == 0:
                while (trailer := stream.readline(PIECE)) not in (b"\r\n", b"\n", b""):
                    yield trailer
                yield trailer
                return
            yield from _pieces(stream, size + 2)
    elif found := _LENGTH.search(head):
        yield from _pieces(stream, int(found[1]))


def _pieces(stream: BinaryIO, size: int) -> Iterator[bytes]:
    while size > 0 and (piece := stream.read(min(size, PIECE))):
        size -= len(piece)
        yield piece


def _failure(status: int) -> bytes:
    body = b'<?xml version="1.0"?><Error><Code>SlowDown</Code><Message>Injected by a test.</Message></Error>'
    head = f"HTTP/1.1 {status} Injected\r\nContent-Type: application/xml\r\nContent-Length: {len(body)}\r\n"
    return head.encode() + b"Connection: close\r\n\r\n" + body
