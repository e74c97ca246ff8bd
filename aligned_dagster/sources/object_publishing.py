"""Writing objects so that a reader sees the old rows or the new rows, and no writer undoes another unnoticed.

Rows are made into finished files of this machine and only then put, since a sink into a store can leave a shortened
object when its query fails. Writers of one machine wait for each other; those of several are told apart by the etag.
"""

from __future__ import annotations

import hashlib
import os
import posixpath
import tempfile
import uuid
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

from aligned_dagster.errors import ConflictError
from aligned_dagster.sources.location import FileWriter, TreeWriter
from aligned_dagster.sources.object_journal import ObjectJournal
from aligned_dagster.sources.object_store import Expected
from aligned_dagster.sources.publishing import WriterLock, new_staging, remove

if TYPE_CHECKING:
    from aligned_dagster.sources.object_location import ObjectLocation

_AT_ONCE = 4
"""Files that are sent at a time."""


class ObjectFileWriter(FileWriter):
    """Puts one object.

    Args:
        place: where.
    """

    def __init__(self, place: ObjectLocation) -> None:
        self._place = place
        self._store = place.store()
        self._expected: Expected | None = None
        here = _on_this_machine(place)
        self._lock = WriterLock(here)
        self.staging = new_staging(here)

    def begin(self) -> None:
        """See `FileWriter.begin`."""
        self._lock.acquire()
        if self._expected is None:
            found = self._store.head(self._place.key)
            self._expected = Expected(None if found is None else found.etag)

    def publish(self, staged: Path) -> None:
        """See `FileWriter.publish`."""
        self._lock.acquire()
        try:
            self._store.put(self._place.key, staged, self._expected)
        except ConflictError:
            raise conflict(self._place) from None

    def close(self) -> None:
        """See `FileWriter.close`."""
        remove(self.staging)
        self._lock.release()


class ObjectTreeWriter(TreeWriter):
    """Puts objects and removes others by a journal; see `object_journal`.

    Args:
        place: the directory.
    """

    def __init__(self, place: ObjectLocation) -> None:
        self._place = place
        self._store = place.store()
        self._journal = place.hidden("journal")
        self._expected: Expected | None = None
        self._sent: list[str] = []
        here = _on_this_machine(place)
        self._lock = WriterLock(here)
        self.staging = new_staging(here)

    def begin(self) -> None:
        """See `TreeWriter.begin`."""
        self._lock.acquire()
        if self._expected is not None:
            return
        pending, self._expected = ObjectJournal.read(self._store, self._journal)
        if pending is not None:
            pending.carry_out(self._store, self._journal)
            _, self._expected = ObjectJournal.read(self._store, self._journal)

    def publish(self, moves: Iterable[tuple[Path, PurePath]], removes: Iterable[PurePath]) -> None:
        """See `TreeWriter.publish`."""
        self.begin()
        assert self._expected is not None
        prefix = f"{self._place.hidden('staging')}-{uuid.uuid4().hex[:12]}"
        files = [(staged, self._place.key_of(target)) for staged, target in moves]
        placed = tuple((posixpath.join(prefix, self._below(key)), key) for _, key in files)
        self._sent = [hidden for hidden, _ in placed]
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            list(pool.map(self._store.put, self._sent, [staged for staged, _ in files]))
        targets = {key for _, key in placed}
        gone = tuple(key for key in map(self._place.key_of, removes) if key not in targets)
        journal = ObjectJournal(prefix, placed, gone)
        try:
            journal.commit(self._store, self._journal, self._expected)
        except ConflictError:
            raise conflict(self._place) from None
        self._sent = []
        journal.carry_out(self._store, self._journal)

    def close(self) -> None:
        """See `TreeWriter.close`."""
        remove(self.staging)
        try:
            self._store.delete(self._sent)
        finally:
            self._lock.release()

    def _below(self, key: str) -> str:
        return posixpath.relpath(key, self._place.key or ".")


def conflict(place: ObjectLocation) -> ConflictError:
    """The error of a writer that another one was faster than."""
    return ConflictError(
        f"Another writer published to {place.uri} since this write began, so nothing was written and its rows stand. "
        "Run the same write again."
    )


def _on_this_machine(place: ObjectLocation) -> Path:
    """A path of this machine that stands for a place: its lock and its staged files are beside it."""
    directory = Path(tempfile.gettempdir(), f"aligned-staging-{os.getuid()}")
    directory.mkdir(mode=0o700, exist_ok=True)
    return directory / hashlib.sha256(place.uri.encode()).hexdigest()[:24]
