"""One POST over HTTP: no redirect is followed, so that no header goes to a host that was not named."""

from __future__ import annotations

import http.client
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from typing import IO, Any


class NoHttpAnswerError(Exception):
    """No answer came, or not all of it.

    Args:
        said: what the system said.
    """

    def __init__(self, said: str) -> None:
        super().__init__(said)
        self.said = said


@dataclass(frozen=True)
class HttpAnswer:
    """What came back.

    Args:
        status: the code.
        content: the body.
        wait: seconds after which the server asks to be tried again; None where it does not tell.
    """

    status: int
    content: bytes
    wait: float | None


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Any, newurl: str
    ) -> None:
        """Follow none: the redirect is the answer."""


def post(url: str, content: bytes, headers: Mapping[str, str], timeout: float, largest: int) -> HttpAnswer:
    """Post JSON.

    Args:
        url: http or https.
        content: the JSON.
        headers: to send besides.
        timeout: seconds to wait for the server, each time that it is waited for.
        largest: bytes of the answer to read; one more is read where there are more.

    Raises:
        NoHttpAnswerError: the server was not reached, or broke off.
    """
    request = urllib.request.Request(
        url,
        content,
        {"Content-Type": "application/json", "Accept": "application/json", **headers},
        method="POST",
    )
    opener = urllib.request.build_opener(_NoRedirect)
    try:
        with opener.open(request, timeout=timeout) as response:
            return _answer(response, largest)
    except urllib.error.HTTPError as error:
        with error:
            return _answer(error, largest)
    except urllib.error.URLError as error:
        raise NoHttpAnswerError(str(error.reason)) from None
    except (http.client.HTTPException, OSError) as error:
        raise NoHttpAnswerError(f"{type(error).__name__}: {error}") from None


def _answer(response: Any, largest: int) -> HttpAnswer:
    try:
        content: bytes = response.read(largest + 1)
    except (http.client.HTTPException, OSError) as error:
        raise NoHttpAnswerError(f"it broke off ({type(error).__name__}: {error})") from None
    announced = response.headers.get("Content-Length") or ""
    if announced.isdecimal() and len(content) < min(int(announced), largest):  # which read() does not tell
        raise NoHttpAnswerError(f"it broke off after {len(content):,} of {int(announced):,} bytes")
    return HttpAnswer(response.status, content, _seconds(response.headers.get("Retry-After")))


def _seconds(text: str | None) -> float | None:
    try:
        return None if text is None else max(float(text), 0.0)
    except ValueError:
        return None
