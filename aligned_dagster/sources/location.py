"""A place on the local file system."""

from __future__ import annotations

import datetime as dt
import hashlib
import os
from collections.abc import Iterable
from pathlib import Path

from pydantic import BaseModel, ConfigDict, field_validator

from aligned_dagster.errors import (
    ConfigurationError,
    SourceNotFoundError,
    UnreadableSourceError,
    did_you_mean,
)
from aligned_dagster.sources.source import Fingerprint

PROJECT_ROOT = "ALIGNED_PROJECT_ROOT"
"""The environment variable with the directory that relative paths start from; the working directory if not set."""


class LocalLocation(BaseModel):
    """A path, resolved each time it is used.

    Args:
        path: absolute, or relative to `ALIGNED_PROJECT_ROOT` or else the working directory; `~` is the home.

    >>> LocalLocation(path="/data").child("a", "b.csv").path
    '/data/a/b.csv'
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: str

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

    def child(self, *parts: str) -> LocalLocation:
        """A place below this one."""
        return LocalLocation(path=os.path.join(self.path, *parts))

    @property
    def uri(self) -> str:
        """The absolute path."""
        return str(self.resolved())

    def existing_file(self, contract: str | None = None) -> Path:
        """The absolute path of a file that is there.

        Raises:
            SourceNotFoundError: nothing is there, with the closest name that is.
            UnreadableSourceError: a directory is there.
        """
        path = self.resolved()
        if path.is_file():
            return path
        if path.is_dir():
            raise UnreadableSourceError(
                f"{_named(path, contract)} is a directory. "
                "Name a file in it, or use FileSource.partitioned_parquet_at for a partitioned directory."
            )
        raise not_found(path, contract, "file")

    def existing_directory(self, contract: str | None = None) -> Path:
        """The absolute path of a directory that is there.

        Raises:
            SourceNotFoundError: nothing is there, with the closest name that is.
            UnreadableSourceError: a file is there.
        """
        path = self.resolved()
        if path.is_dir():
            return path
        if path.exists():
            raise UnreadableSourceError(f"{_named(path, contract)} is a file and not a directory.")
        raise not_found(path, contract, "directory")


def not_found(path: Path, contract: str | None, what: str) -> SourceNotFoundError:
    """The error for a path where nothing is."""
    parent = path.parent
    if not parent.is_dir():
        advice = f" Its directory {parent} is missing too: is {PROJECT_ROOT} or the working directory right?"
    else:
        advice = did_you_mean(path.name, [p.name for p in parent.iterdir() if not p.name.startswith(".")])
    return SourceNotFoundError(
        f"{_named(path, contract)} does not exist.{advice} "
        f"Correct the path, or write the {what} first (materialise the view that it belongs to)."
    )


def _named(path: Path, contract: str | None) -> str:
    return str(path) if contract is None else f"{path}, the source of {contract!r},"


def fingerprint_files(files: Iterable[Path], root: Path, rows: int | None = None) -> Fingerprint:
    """The state of files by their sizes, times of change and inode numbers."""
    digest = hashlib.sha256()
    size = 0
    latest = 0
    for file in sorted(files):
        facts = file.stat()
        size += facts.st_size
        latest = max(latest, facts.st_mtime_ns)
        entry = (os.path.relpath(file, root), facts.st_size, facts.st_mtime_ns, facts.st_ino)
        digest.update(f"{entry!r}\n".encode())
    modified = dt.datetime.fromtimestamp(latest / 1e9, dt.UTC) if latest else None
    return Fingerprint(digest.hexdigest()[:32], modified, size, rows)
