"""A place on the local file system."""

from __future__ import annotations

import datetime as dt
import errno
import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path, PurePath
from typing import Literal, Self

from pydantic import field_validator

from aligned_dagster.errors import ConfigurationError, UnreadableSourceError, did_you_mean
from aligned_dagster.sources.location import (
    FileWriter,
    Location,
    Readable,
    StoredFile,
    TreeWriter,
    is_hidden,
    named,
    not_found,
)

PROJECT_ROOT = "ALIGNED_PROJECT_ROOT"
"""The environment variable with the directory that relative paths start from; the working directory if not set."""


class LocalLocation(Location):
    """A path, resolved each time it is used.

    Args:
        path: absolute, or relative to `ALIGNED_PROJECT_ROOT` or else the working directory; `~` is the home.

    >>> LocalLocation(path="/data").child("a", "b.csv").path
    '/data/a/b.csv'
    """

    kind: Literal["local"] = "local"

    @field_validator("path", mode="before")
    @classmethod
    def _to_text(cls, value: object) -> object:
        text = os.fspath(value) if isinstance(value, os.PathLike) else value
        if isinstance(text, str) and "://" in text:
            if text.startswith("file://"):
                return text.removeprefix("file://")
            raise ConfigurationError(
                f"{text!r} is no local path. For S3 use AwsS3Config, for Azure AzureBlobConfig."
            )
        if isinstance(text, str) and not text.strip():
            raise ConfigurationError("The path of a file source is empty.")
        return text

    def resolved(self) -> Path:
        """The absolute path, with symbolic links followed."""
        root = Path(os.environ.get(PROJECT_ROOT) or Path.cwd())
        return (root / Path(self.path).expanduser()).resolve()

    def child(self, *parts: str) -> Self:
        """See `Location.child`."""
        return self.model_copy(update={"path": os.path.join(self.path, *parts)})

    def beside(self, suffix: str) -> Self:
        """See `Location.beside`."""
        return self.model_copy(update={"path": f"{self.resolved()}{suffix}"})

    @property
    def uri(self) -> str:
        """The absolute path."""
        return str(self.resolved())

    @property
    def root(self) -> Path:
        """The absolute path."""
        return self.resolved()

    def what_is_there(self) -> Literal["file", "directory"] | None:
        """See `Location.what_is_there`."""
        path = self.resolved()
        if path.is_dir():
            return "directory"
        return "file" if path.exists() else None

    def existing_file(self, contract: str | None = None) -> StoredFile:
        """See `Location.existing_file`."""
        path = self.resolved()
        if path.is_file():
            return stored_file(path)
        if path.is_dir():
            raise UnreadableSourceError(
                f"{named(str(path), contract)} is a directory. "
                "Name a file in it, or use FileSource.partitioned_parquet_at for a partitioned directory."
            )
        raise not_found(self, contract, "file", _near(path))

    def existing_directory(self, contract: str | None = None) -> Path:
        """See `Location.existing_directory`."""
        path = self.resolved()
        if path.is_dir():
            return path
        if path.exists():
            raise UnreadableSourceError(f"{named(str(path), contract)} is a file and not a directory.")
        raise not_found(self, contract, "directory", _near(path))

    def files(self) -> list[StoredFile]:
        """See `Location.files`."""
        return stored_files(self.paths())

    def paths(self) -> list[Path]:
        """See `Location.paths`. The file system is asked for names alone."""
        from aligned_dagster.sources.roll_forward import Journal

        root = self.resolved()
        found = [Path(file) for file in _below(str(root))]
        journal = Journal.pending(root)
        return found if journal is None else journal.applied_to(found)

    def directories(self) -> list[str]:
        """See `Location.directories`."""
        path = self.resolved()
        if not path.is_dir():
            return []
        return sorted(one.name for one in path.iterdir() if one.is_dir() and not one.name.startswith("."))

    def readable(self, path: PurePath) -> Readable:
        """See `Location.readable`."""
        return Readable.local(Path(path))

    def read_bytes(self, path: PurePath) -> bytes:
        """See `Location.read_bytes`."""
        return Path(path).read_bytes()

    def file_writer(self) -> FileWriter:
        """See `Location.file_writer`."""
        from aligned_dagster.sources.publishing import LocalFileWriter

        return LocalFileWriter(self.resolved())

    def tree_writer(self) -> TreeWriter:
        """See `Location.tree_writer`."""
        from aligned_dagster.sources.roll_forward import LocalTreeWriter

        return LocalTreeWriter(self.resolved())


def _below(directory: str) -> list[str]:
    """The files below a directory, in its order of names before those of the directories in it; no link is followed."""
    files: list[str] = []
    directories: list[str] = []
    with suppress(OSError), os.scandir(directory) as entries:
        for entry in entries:
            if is_hidden(entry.name):
                continue
            if not _is_directory(entry):
                files.append(entry.name)
            elif not entry.is_symlink():
                directories.append(entry.name)
    found = [os.path.join(directory, name) for name in sorted(files)]
    for name in sorted(directories):
        found += _below(os.path.join(directory, name))
    return found


def _is_directory(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads nowhere
        return False


def stored_file(path: Path) -> StoredFile:
    """What the file system tells of a file."""
    facts = path.stat()
    modified = dt.datetime.fromtimestamp(facts.st_mtime_ns / 1e9, dt.UTC)
    return StoredFile(path, facts.st_size, modified, f"{facts.st_mtime_ns}-{facts.st_ino}")


def stored_files(paths: Iterable[Path]) -> list[StoredFile]:
    """What the file system tells of files; those that vanished meanwhile, and links to themselves, are left out."""
    found: list[StoredFile] = []
    for path in paths:
        try:
            found.append(stored_file(path))
        except OSError as error:
            if error.errno not in (errno.ENOENT, errno.ELOOP):
                raise
    return found


def _near(path: Path) -> str:
    parent = path.parent
    if not parent.is_dir():
        return f" Its directory {parent} is missing too: is {PROJECT_ROOT} or the working directory right?"
    return did_you_mean(path.name, [p.name for p in parent.iterdir() if not p.name.startswith(".")])
