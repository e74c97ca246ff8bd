"""A model behind HTTP: JSON is posted and JSON comes back; what each service says differs."""

from __future__ import annotations

import json
import re
from abc import abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any
from urllib.parse import urlsplit

import polars as pl
from pydantic import Field, field_validator

from aligned_dagster.errors import AccessDeniedError, ConfigurationError, SourceError, UnreadableSourceError
from aligned_dagster.sources.environment import from_environment
from aligned_dagster.sources.exposed.base import (
    ExposedModel,
    NoAnswerError,
    Outputs,
    Predictor,
    short_digest,
)
from aligned_dagster.sources.exposed.http_post import HttpAnswer, NoHttpAnswerError, post
from aligned_dagster.sources.fingerprint import Fingerprint

LARGEST_ANSWER = 512 * 1024 * 1024
"""Bytes of the largest answer that is read."""

TRIED_AGAIN = frozenset({408, 425, 429, 502, 503, 504})
"""Status codes by which a server says that it cannot answer now."""

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SHOWN = 300


class WebServiceModel(ExposedModel):
    """A model behind HTTP.

    Args:
        url: that JSON is posted to.
        headers_env: header to the environment variable with its whole value, such as `Bearer ...`; read on each use.
        timeout: seconds that an answer may take.
    """

    url: str
    headers_env: dict[str, str] = Field(default_factory=dict)
    timeout: float = Field(default=60.0, gt=0)

    @field_validator("url")
    @classmethod
    def _plain_url(cls, url: str) -> str:
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ConfigurationError(
                f"The URL of a model begins with http:// or https:// and a host, not with {parts.scheme!r}."
            )
        if "@" in parts.netloc or parts.query or parts.fragment:
            raise ConfigurationError(
                f"The URL of the model at {parts.hostname} has a user, a password or a query in it, which could be "
                "seen. Send secrets as headers: headers_env={'Authorization': 'NAME_OF_VARIABLE'}."
            )
        return url

    @field_validator("headers_env")
    @classmethod
    def _names_of_variables(cls, headers: dict[str, str]) -> dict[str, str]:
        for header, variable in headers.items():
            if not _VARIABLE.fullmatch(variable):
                raise ConfigurationError(
                    f"headers_env names for {header!r} no environment variable. Put the value into one, and name that: "
                    f"{{{header!r}: 'NAME_OF_VARIABLE'}}."
                )
        return headers

    @property
    def uri(self) -> str:
        """The URL."""
        return self.url

    def version(self) -> str:
        """See `ExposedModel.version`. Without a name it tells the URL apart, not what is behind it."""
        return self.version_name or f"url-{short_digest(self.uri.encode())}"

    def fingerprint(self) -> Fingerprint:
        """See `ExposedModel.fingerprint`. The service is not asked."""
        return Fingerprint(self.version())

    @contextmanager
    def opened(self) -> Iterator[Predictor]:
        """See `ExposedModel.opened`. The service is first asked with the first rows."""
        yield Predictor(self._answer, self.version())

    def _answer(self, features: pl.DataFrame, outputs: Outputs) -> pl.DataFrame:
        return self._read(self._posted(self._question(features, outputs)), outputs)

    @abstractmethod
    def _question(self, features: pl.DataFrame, outputs: Outputs) -> Any:
        """The JSON that is posted."""

    @abstractmethod
    def _read(self, answer: Any, outputs: Outputs) -> pl.DataFrame:
        """The frame that is in an answer."""

    def _posted(self, question: Any) -> Any:
        secrets = self._secrets()
        content = json.dumps(question, allow_nan=False, separators=(",", ":")).encode()
        try:
            answer = post(self.uri, content, secrets, self.timeout, LARGEST_ANSWER)
        except NoHttpAnswerError as failure:
            said = secrets.hidden_in(failure.said)
            raise NoAnswerError(f"{self.uri} does not answer: {said}.") from None
        if 200 <= answer.status < 300 and len(answer.content) <= LARGEST_ANSWER:
            with suppress(ValueError, RecursionError):
                return json.loads(answer.content)
        raise self._unusable(answer, secrets.hidden_in(answer.content.decode("utf-8", "replace"))[:_SHOWN])

    def _unusable(self, answer: HttpAnswer, said: str) -> SourceError:
        """The error for an answer that is no JSON.

        Args:
            answer: what came back.
            said: how its body begins, without secrets.
        """
        if answer.status in TRIED_AGAIN:
            return NoAnswerError(f"{self.uri} answered {answer.status}: {said}", answer.wait)
        if answer.status in {401, 403}:
            return AccessDeniedError(
                f"{self.uri} answered {answer.status}: {said}. "
                f"Look at {', '.join(self.headers_env.values()) or 'headers_env, which is empty'}."
            )
        if 300 <= answer.status < 400:
            return ConfigurationError(
                f"{self.uri} answered {answer.status} and points elsewhere. Name the address itself: headers are not "
                "sent on to another."
            )
        if not 200 <= answer.status < 300:
            return SourceError(f"{self.uri} answered {answer.status}: {said}")
        if len(answer.content) > LARGEST_ANSWER:
            return UnreadableSourceError(
                f"{self.uri} answered with more than {LARGEST_ANSWER:,} bytes. Ask for smaller batches."
            )
        return UnreadableSourceError(f"{self.uri} answered with something that is no JSON: {said}")

    def _strange(self, answer: Any, expected: str) -> UnreadableSourceError:
        """The error for JSON that does not follow the protocol."""
        shown = self._secrets().hidden_in(json.dumps(answer))[:_SHOWN]
        return UnreadableSourceError(f"{self.uri} answered with {shown}. It should answer with {expected}.")

    def _secrets(self) -> Secrets:
        found = {}
        for header, variable in self.headers_env.items():
            value = from_environment(variable, f"the header {header} of {self.uri}").strip()
            if not (value.isascii() and value.isprintable()):
                raise ConfigurationError(
                    f"The environment variable {variable}, the header {header} of {self.uri}, has a character in it "
                    "that no header may have, such as the end of a line. Correct its value."
                )
            found[header] = value
        return Secrets(found)


class Secrets(Mapping[str, str]):
    """Headers whose values are not shown.

    >>> secrets = Secrets({"Authorization": "Bearer abc"})
    >>> secrets, secrets.hidden_in("what is Bearer abc?"), secrets.hidden_in("abc")
    (Secrets(Authorization), 'what is ***?', '***')
    """

    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = dict(values)

    def __getitem__(self, header: str) -> str:
        return self._values[header]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return f"Secrets({', '.join(self._values)})"

    def hidden_in(self, text: str) -> str:
        """A text with the values, and their parts after a space such as a token, made unreadable."""
        for value in self._values.values():
            for secret in (value, value.rpartition(" ")[2]):
                for written in (secret, json.dumps(secret)[1:-1]):
                    text = text.replace(written, "***")
        return text
