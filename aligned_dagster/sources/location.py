"""Where files are: on this machine or in an object store. Formats and partitions work on any location alike."""

from __future__ import annotations

import datetime as dt
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import IO, Any, Literal, Self

from pydantic import ConfigDict

from aligned_dagster.errors import NothingStoredError
from aligned_dagster.sources.settings import Settings


@dataclass(frozen=True)
class StoredFile:
    """What can be told of a file without opening it.

    Args:
        path: a `Path` on this machine; elsewhere the bucket or container, followed by the key.
        size: bytes.
        modified: when it was written, in UTC.
        mark: a text that changes when the content does: the etag of an object; time and inode of a local file.
    """

    path: PurePath
    size: int
    modified: dt.datetime
    mark: str


@dataclass(frozen=True)
class Readable:
    """A file as polars and others read it.

    Args:
        address: the path or URI that polars scans.
        open: opens its bytes, seekable, for what polars cannot scan.
        options: of polars' scans: where the store is, and who asks. They name secrets and do not hold them.
    """

    address: str
    open: Callable[[], IO[bytes]] = field(repr=False)
    options: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @staticmethod
    def local(path: Path) -> Readable:
        """A file of this machine."""
        return Readable(str(path), lambda: path.open("rb"))

    def __str__(self) -> str:
        return self.address


class LocationWriter(ABC):
    """What publishes at a place: finished files of this machine take the places of others.

    Attributes:
        staging: an empty directory of this machine in which the files are made.
    """

    staging: Path

    @abstractmethod
    def begin(self) -> None:
        """From here to the end no other writer changes the place unnoticed; what a killed one left is finished.

        A second call does nothing.

        Raises:
            PublishError: another writer holds it for too long.
        """

    def undisturbed(self) -> AbstractContextManager[None]:
        """Raise what goes wrong while old rows are read as a conflict, where another writer replaced them meanwhile."""
        return nullcontext()

    @abstractmethod
    def close(self) -> None:
        """Let others write, and remove what was staged and not published."""


class FileWriter(LocationWriter):
    """Puts one finished file in the place of another, or where none was, in one step."""

    @abstractmethod
    def publish(self, staged: Path) -> None:
        """Make a file of the staging directory the one that readers see.

        Raises:
            ConflictError: another writer was faster since `begin`.
            PublishError: it could not be written; the old one is still there.
            UnavailableSourceError: no answer came, so that it may be there or not.
        """


class TreeWriter(LocationWriter):
    """Puts files into a directory and takes others away, all of them or, after a crash, all of them later."""

    @abstractmethod
    def publish(self, moves: Iterable[tuple[Path, PurePath]], removes: Iterable[PurePath]) -> None:
        """Move staged files to their places and remove others, for readers all at once.

        Raises:
            ConflictError: another writer was faster since `begin`.
            PublishError: it could not be done; the old files are still there.
            UnavailableSourceError: no answer came, so that it may be done or not.
        """


class Location(Settings, ABC):
    """A place of a file or of a directory. Immutable; nothing is looked up before it is used.

    Args:
        path: absolute, or relative to where the kind of location starts from.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: str
    path: str

    @abstractmethod
    def child(self, *parts: str) -> Self:
        """A place below this one."""

    @abstractmethod
    def beside(self, suffix: str) -> Self:
        """The place whose name is that of this one, followed by a suffix."""

    @property
    @abstractmethod
    def uri(self) -> str:
        """The absolute path or URI, without any credential."""

    @property
    def label(self) -> str:
        """The place as a person wrote it."""
        return self.path

    @property
    @abstractmethod
    def root(self) -> PurePath:
        """The place as the paths of its files begin."""

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.root.name

    @abstractmethod
    def what_is_there(self) -> Literal["file", "directory"] | None:
        """What stands at this place; None for nothing."""

    @abstractmethod
    def existing_file(self, contract: str | None = None) -> StoredFile:
        """The file that is there.

        Args:
            contract: whose source it is, for errors.

        Raises:
            SourceNotFoundError: nothing is there, with the closest name that is.
            UnreadableSourceError: a directory is there.
        """

    @abstractmethod
    def existing_directory(self, contract: str | None = None) -> PurePath:
        """The root of the directory that is there.

        Args:
            contract: whose source it is, for errors.

        Raises:
            SourceNotFoundError: nothing is there, with the closest name that is.
            UnreadableSourceError: a file is there.
        """

    @abstractmethod
    def files(self) -> list[StoredFile]:
        """The files below this place, as if an unfinished publish had been carried out; hidden ones are left out."""

    def paths(self) -> Sequence[PurePath]:
        """The paths of `files`, for whoever needs no more of them."""
        return [file.path for file in self.files()]

    @abstractmethod
    def directories(self) -> list[str]:
        """Names of the directories right below this place, sorted; hidden ones are left out."""

    @abstractmethod
    def readable(self, path: PurePath) -> Readable:
        """How to read a file whose path begins with the root."""

    def readables(self, paths: Iterable[PurePath]) -> list[Readable]:
        """How to read several files."""
        return [self.readable(path) for path in paths]

    @abstractmethod
    def read_bytes(self, path: PurePath) -> bytes:
        """The content of a small file.

        Raises:
            FileNotFoundError: it is not there.
        """

    @abstractmethod
    def file_writer(self) -> FileWriter:
        """What publishes one file at this place."""

    @abstractmethod
    def tree_writer(self) -> TreeWriter:
        """What publishes files below this place."""


def is_hidden(name: str) -> bool:
    """Whether a file or directory of that name holds no rows; a partition `_key=value` does.

    >>> is_hidden("_SUCCESS"), is_hidden(".crc"), is_hidden("_key=1")
    (True, True, False)
    """
    return name.startswith(".") or (name.startswith("_") and "=" not in name)


def not_found(place: Location, contract: str | None, what: str, advice: str) -> NothingStoredError:
    """The error for a place where nothing is.

    Args:
        place: where nothing is.
        contract: whose source it is.
        what: "file" or "directory".
        advice: what is near, with a space before it.
    """
    return NothingStoredError(
        f"{named(place.uri, contract)} does not exist.{advice} "
        f"Correct the path, or write the {what} first (materialise the view that it belongs to).",
        place.uri,
    )


def named(uri: str, contract: str | None) -> str:
    """A place as the subject of a sentence."""
    return uri if contract is None else f"{uri}, the source of {contract!r},"
