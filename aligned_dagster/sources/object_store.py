"""What an object store can do, in the few words that files and directories need."""

from __future__ import annotations

import datetime as dt
import uuid
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aligned_dagster.errors import ConflictError

ATTEMPTS = 5
"""Times that a request is sent which is throttled, or to which no answer comes, with longer and longer pauses."""


AT_ONCE = 8
"""Requests for small things that are under way at a time."""


@dataclass(frozen=True)
class StoredObject:
    """What a store tells of an object.

    Args:
        key: its name in the bucket or container.
        size: bytes.
        modified: when it was written, in UTC.
        etag: changes when the content does.
    """

    key: str
    size: int
    modified: dt.datetime
    etag: str


@dataclass(frozen=True)
class Expected:
    """What must stand at a key for a put to be done.

    Args:
        etag: of the object; None where there must be none.
    """

    etag: str | None


class ObjectStore(ABC):
    """A bucket or container. Each method raises an error of ours that names it and holds no secret.

    Every one may raise `SourceNotFoundError` (no such bucket), `AccessDeniedError`, `UnavailableSourceError` (throttled
    or unreachable, after `ATTEMPTS` tries) and `ConfigurationError` (an environment variable is missing).
    """

    @property
    @abstractmethod
    def uri(self) -> str:
        """The bucket or container, such as s3://bucket."""

    @property
    @abstractmethod
    def bucket(self) -> str:
        """Its name."""

    @property
    @abstractmethod
    def options(self) -> Mapping[str, Any]:
        """Arguments of polars' scans; they name secrets and do not hold them."""

    @abstractmethod
    def head(self, key: str) -> StoredObject | None:
        """What is told of an object; None where there is none."""

    @abstractmethod
    def list(self, prefix: str) -> Iterator[StoredObject]:
        """All objects whose keys begin with a text, in order."""

    @abstractmethod
    def children(self, prefix: str) -> Iterator[str]:
        """The names right below a prefix that ends with `/`, those of "directories" with a `/` at their end."""

    @abstractmethod
    def get(self, key: str) -> tuple[bytes, str]:
        """The content of an object, and its etag.

        Raises:
            FileNotFoundError: it is not there.
        """

    def put(self, key: str, content: Path | bytes, expected: Expected | None = None) -> None:
        """Write an object, whole or not at all.

        A put whose answer is lost is sent again and then meets its own object, which its mark tells from others.

        Args:
            key: its name.
            content: bytes, or a file of this machine, which is streamed.
            expected: what must stand there; anything if not given.

        Raises:
            ConflictError: something else stands there.
        """
        mark = uuid.uuid4().hex
        try:
            self._send(key, content, expected, mark)
        except (ConflictError, FileNotFoundError):
            if self._mark_of(key) != mark:
                raise ConflictError(f"{self.uri}/{key} was changed by another writer.") from None

    @abstractmethod
    def _send(self, key: str, content: Path | bytes, expected: Expected | None, mark: str) -> None:
        """See `put`; the mark is kept with the object."""

    @abstractmethod
    def _mark_of(self, key: str) -> str | None:
        """The mark that an object was put with; None where there is none."""

    @abstractmethod
    def copy(self, source: str, target: str) -> None:
        """Copy an object within the store, unless another writer changes the target meanwhile and the store can tell.

        Raises:
            FileNotFoundError: the source is not there.
        """

    @abstractmethod
    def delete(self, keys: Iterable[str]) -> None:
        """Remove objects; those that are gone already do not matter."""
