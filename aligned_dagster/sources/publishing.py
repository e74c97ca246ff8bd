"""Writing files so that a reader sees the old rows or the new rows and never half of either.

Rows are written into a staging directory beside the target, on the same file system, forced to disk, and
moved into
place by one rename. Writers that read before they write hold a lock file meanwhile, so that none undoes
another.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import time
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from aligned_dagster.errors import PublishError
from aligned_dagster.request.explain import explained
from aligned_dagster.sources.location import FileWriter

STALE_AFTER = 24 * 3600.0
"""Seconds after which a staging directory that nobody published is removed."""

LOCK_TIMEOUT = 600.0
"""Seconds that a writer waits for another one."""

_AT_ONCE = 16
"""Files that the disk is asked for at once."""


class WriterLock:
    """An exclusive lock on one target, held across processes and threads until it is released or the process dies.

    Args:
        target: the file or directory that is written.
        timeout: seconds to wait for another writer.
    """

    def __init__(self, target: Path, timeout: float = LOCK_TIMEOUT) -> None:
        self._path = target.with_name(f".{target.name}.lock")
        self._timeout = timeout
        self._handle: int | None = None

    def acquire(self) -> None:
        """Wait for the lock; nothing happens when it is held already.

        Raises:
            PublishError: another writer holds it for too long.
        """
        if self._handle is not None:
            return
        self._path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        deadline = time.monotonic() + self._timeout
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > deadline:
                    os.close(handle)
                    raise PublishError(
                        f"Another writer has held {self._path} for {self._timeout:.0f} s, so nothing was written. "
                        "Wait for it, or end it."
                    ) from None
                time.sleep(0.01)
            else:
                self._handle = handle
                return

    def release(self) -> None:
        """Let the next writer in; nothing happens when it is not held."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None

    def __enter__(self) -> WriterLock:
        self.acquire()
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


def new_staging(target: Path) -> Path:
    """A new empty directory beside the target, after removing those that were left behind a day ago or earlier."""
    prefix = f".{target.name}.staging-"
    target.parent.mkdir(parents=True, exist_ok=True)
    journal = target.with_name(f".{target.name}.journal")
    needed = journal.read_text(encoding="utf8") if journal.exists() else ""
    for left in target.parent.iterdir():
        if left.name.startswith(prefix) and left.name not in needed:
            with suppress(OSError):
                if time.time() - left.stat().st_mtime > STALE_AFTER:
                    shutil.rmtree(left)
    staging = target.parent / f"{prefix}{uuid.uuid4().hex[:12]}"
    staging.mkdir()
    return staging


def force_to_disk(path: str | Path) -> None:
    """Wait until a file, or the entries of a directory, are on disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def force_all_to_disk(paths: Iterable[str | Path]) -> None:
    """Wait until several files and directories are on disk.

    A disk that is asked for many at once writes them together; asked for one after the other it waits for each.
    """
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        for _ in pool.map(force_to_disk, paths):
            pass


def replace_file(staged: Path, target: Path) -> None:
    """Move a finished file into place in one step, with the permissions of the file that it replaces."""
    if target.exists():
        shutil.copymode(target, staged)
    force_to_disk(staged)
    os.replace(staged, target)
    force_to_disk(target.parent)


def remove(path: Path) -> None:
    """Remove a staging directory, if it is still there."""
    shutil.rmtree(path, ignore_errors=True)


class LocalFileWriter(FileWriter):
    """Replaces a file by a rename, holding a lock on it.

    Args:
        target: the file.
    """

    def __init__(self, target: Path) -> None:
        self._target = target
        self._lock = WriterLock(target)
        self.staging = new_staging(target)

    def begin(self) -> None:
        """See `FileWriter.begin`."""
        self._lock.acquire()

    def publish(self, staged: Path) -> None:
        """See `FileWriter.publish`."""
        self._lock.acquire()
        replace_file(staged, self._target)

    def close(self) -> None:
        """See `FileWriter.close`."""
        remove(self.staging)
        self._lock.release()


@contextmanager
def writing(contract: str, uri: str) -> Iterator[None]:
    """Raise what goes wrong while rows are written as an error of ours.

    Raises:
        PublishError: the place cannot be written.
    """
    with explained(contract, uri):
        try:
            yield
        except FileNotFoundError:
            raise
        except OSError as error:
            raise PublishError(
                f"{uri}, where {contract!r} is stored, cannot be written: {error}. The old rows are untouched."
            ) from error
