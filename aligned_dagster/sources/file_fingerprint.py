"""The state of stored files: told by their marks, which costs nothing, or by their bytes."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Iterable
from pathlib import Path, PurePath

from aligned_dagster.sources.fingerprint import Fingerprint
from aligned_dagster.sources.location import StoredFile


def fingerprint_files(files: Iterable[StoredFile], root: PurePath, rows: int | None = None) -> Fingerprint:
    """The state of files by their paths, sizes and marks."""
    digest = hashlib.sha256()
    size = 0
    latest: dt.datetime | None = None
    for file in _sorted(files):
        size += file.size
        latest = file.modified if latest is None else max(latest, file.modified)
        digest.update(f"{(_name(file, root), file.size, file.mark)!r}\n".encode())
    return Fingerprint(digest.hexdigest()[:32], latest, size, rows)


def content_of_files(files: Iterable[StoredFile], root: PurePath, limit: int) -> str | None:
    """A digest of the paths and bytes of files; None if one is not on this machine, or all are larger than a limit.

    Args:
        files: what is read.
        root: the directory that their paths are told from.
        limit: the most bytes that are read.
    """
    known = _sorted(files)
    if sum(file.size for file in known) > limit:
        return None
    digest = hashlib.sha256()
    for file in known:
        if not isinstance(file.path, Path):
            return None
        with file.path.open("rb") as stream:
            content = hashlib.file_digest(stream, "sha256").hexdigest()
        digest.update(f"{(_name(file, root), content)!r}\n".encode())
    return digest.hexdigest()[:32]


def _sorted(files: Iterable[StoredFile]) -> list[StoredFile]:
    return sorted(files, key=lambda one: one.path)


def _name(file: StoredFile, root: PurePath) -> str:
    path = file.path.relative_to(root) if file.path.is_relative_to(root) else file.path
    return path.as_posix()
