"""Moto's S3 for a server process: ``moto_s3.py PORT``; as S3 does, it puts whole objects, one at a time.

Moto looks whether an object is there and then puts another, so that two conditional puts at once could both
succeed; and it keeps what has arrived of a body whose sender is gone.
"""

from __future__ import annotations

import io
import sys
import threading
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from moto.moto_server.werkzeug_app import (
    DomainDispatcherApplication,
    MotoRequestHandler,
    create_backend_app,
)
from werkzeug.serving import run_simple

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

INCOMPLETE = (
    b"<Error><Code>IncompleteBody</Code><Message>The body is shorter than announced.</Message></Error>"
)


class OneWriteAtATime:
    """An application whose requests that change something wait for each other, with their bodies at hand."""

    def __init__(self, application: WSGIApplication) -> None:
        self._application = application
        self._lock = threading.Lock()

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        if environ["REQUEST_METHOD"] in ("GET", "HEAD"):
            return self._application(environ, start_response)
        announced = int(environ.get("CONTENT_LENGTH") or 0)
        if announced:
            body = environ["wsgi.input"].read(announced)
            if len(body) < announced:
                start_response("400 Bad Request", [("Content-Type", "application/xml")])
                return [INCOMPLETE]
            environ["wsgi.input"] = io.BytesIO(body)
        with self._lock:
            return list(self._application(environ, start_response))


class QuietRequests(MotoRequestHandler):
    """Requests that the log does not list: thousands of lines would hide an error."""

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Say nothing."""


def serve(port: int) -> None:
    """Serve until the process is ended."""
    application: Any = DomainDispatcherApplication(create_backend_app)
    run_simple("127.0.0.1", port, OneWriteAtATime(application), threaded=True, request_handler=QuietRequests)


if __name__ == "__main__":
    serve(int(sys.argv[1]))
