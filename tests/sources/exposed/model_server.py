"""A web service on loopback that does to each request what the test says."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True)
class Reply:
    """What the server says; a body that is no text is written as JSON."""

    body: Any
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class ModelServer:
    """A server that is up.

    Attributes:
        url: its address.
        steps: what the next requests get, in order; None breaks the connection off.
        always: what later requests get.
        asked: the questions that came, each with its headers.
    """

    url: str
    always: Callable[[Any], Reply]
    steps: list[Callable[[Any], Reply] | None] = field(default_factory=list)
    asked: list[tuple[Any, dict[str, str]]] = field(default_factory=list)

    def reply(self, question: Any, headers: dict[str, str]) -> Reply | None:
        self.asked.append((question, headers))
        step = self.steps.pop(0) if self.steps else self.always
        return None if step is None else step(question)


def doubling(question: Any) -> Reply:
    """The protocol of `ExposedModel.http`: twice the column x."""
    at = question["columns"].index("x")
    rows = [[None if row[at] is None else row[at] * 2] for row in question["rows"]]
    return Reply({"columns": question["outputs"][:1], "rows": rows})


def saying(body: Any, status: int = 200, **headers: str) -> Callable[[Any], Reply]:
    """A step that says the same to all."""
    return lambda _: Reply(body, status, {name.replace("_", "-"): value for name, value in headers.items()})


@contextmanager
def model_server() -> Iterator[ModelServer]:
    """A server, as long as the block lasts."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            question = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            reply = told.reply(question, dict(self.headers))
            if reply is None:
                self.close_connection = True
                return
            body = reply.body.encode() if isinstance(reply.body, str) else json.dumps(reply.body).encode()
            self.send_response(reply.status)
            for name, value in {"Content-Length": str(len(body)), **reply.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    told = ModelServer(f"http://127.0.0.1:{server.server_port}/predict", doubling)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield told
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
