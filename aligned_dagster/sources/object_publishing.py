"""Writing objects so that a reader sees the old rows or the new rows, and no writer undoes another unnoticed.

Rows are made into finished files of this machine and only then put, since a sink into a store can leave a shortened
object when its query fails. Writers of one machine wait for each other; those of several are told apart by the etag.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import os
import posixpath
import tempfile
import uuid
from abc import abstractmethod
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

from aligned_dagster.errors import ConflictError, SourceError, UnavailableSourceError
from aligned_dagster.sources import publishing
from aligned_dagster.sources.location import FileWriter, LocationWriter, TreeWriter
from aligned_dagster.sources.object_journal import ObjectJournal
from aligned_dagster.sources.object_store import Expected
from aligned_dagster.sources.publishing import WriterLock, new_staging, remove

if TYPE_CHECKING:
    from aligned_dagster.sources.object_location import ObjectLocation

_AT_ONCE = 4
"""Files that are sent at a time."""


class ObjectWriter(LocationWriter):
    """What both writers hold: the store, a lock against others of this machine, and a directory of it.

    Args:
        place: where objects are put.
    """

    def __init__(self, place: ObjectLocation) -> None:
        self._place = place
        self._store = place.store()
        self._expected: Expected | None = None
        here = _on_this_machine(place)
        self._lock = WriterLock(here)
        self.staging = new_staging(here)

    def begin(self) -> None:
        """See `LocationWriter.begin`."""
        self._lock.acquire()
        if self._expected is None:
            self._expected = self._found()

    @contextmanager
    def undisturbed(self) -> Iterator[None]:
        """See `LocationWriter.undisturbed`. A writer of another machine replaces what is read in several requests."""
        try:
            yield
        except SourceError:
            if self._expected is not None and self._standing() != self._expected:
                raise conflict(self._place) from None
            raise

    def _found(self) -> Expected:
        """What must still stand there when it is published; an unfinished publish is carried out before."""
        return self._standing()

    @abstractmethod
    def _standing(self) -> Expected:
        """What stands where the publish will be decided."""

    def close(self) -> None:
        """See `LocationWriter.close`."""
        remove(self.staging)
        self._lock.release()


class ObjectFileWriter(ObjectWriter, FileWriter):
    """Puts one object."""

    def _standing(self) -> Expected:
        found = self._store.head(self._place.key)
        return Expected(None if found is None else found.etag)

    def publish(self, staged: Path) -> None:
        """See `FileWriter.publish`."""
        self._lock.acquire()
        try:
            self._store.put(self._place.key, staged, self._expected)
        except ConflictError:
            raise conflict(self._place) from None


class ObjectTreeWriter(ObjectWriter, TreeWriter):
    """Puts objects and removes others by a journal; see `object_journal`."""

    def __init__(self, place: ObjectLocation) -> None:
        super().__init__(place)
        self._journal = place.hidden("journal")
        self._sent: list[str] = []

    def _found(self) -> Expected:
        pending, expected = ObjectJournal.read(self._store, self._journal)
        if pending is not None:
            pending.carry_out(self._store, self._journal)
            expected = self._standing()
        self._remove_stale()
        return expected

    def _standing(self) -> Expected:
        return ObjectJournal.read(self._store, self._journal)[1]

    def publish(self, moves: Iterable[tuple[Path, PurePath]], removes: Iterable[PurePath]) -> None:
        """See `TreeWriter.publish`. What is published and not carried out, since the store went away, the next writer ends."""
        self.begin()
        assert self._expected is not None
        prefix = f"{self._staged}{uuid.uuid4().hex[:12]}"
        files = [(staged, self._place.key_of(target)) for staged, target in moves]
        placed = tuple((posixpath.join(prefix, self._below(key)), key) for _, key in files)
        self._sent = [hidden for hidden, _ in placed]
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            list(pool.map(self._store.put, self._sent, [staged for staged, _ in files]))
        targets = {key for _, key in placed}
        gone = tuple(key for key in map(self._place.key_of, removes) if key not in targets)
        journal = ObjectJournal(prefix, placed, gone)
        sent, self._sent = self._sent, []  # whoever gets no answer does not know that nobody needs them
        try:
            journal.commit(self._store, self._journal, self._expected)
        except ConflictError:
            self._sent = sent
            raise conflict(self._place) from None
        with suppress(UnavailableSourceError):
            journal.carry_out(self._store, self._journal)

    def close(self) -> None:
        """See `LocationWriter.close`."""
        try:
            with suppress(UnavailableSourceError):  # they go after a day
                self._store.delete(self._sent)
        finally:
            super().close()

    @property
    def _staged(self) -> str:
        """What the keys of hidden objects begin with."""
        return f"{self._place.hidden('staging')}-"

    def _remove_stale(self) -> None:
        """Remove hidden objects that a killed writer left."""
        old = dt.datetime.now(dt.UTC) - dt.timedelta(seconds=publishing.STALE_AFTER)
        self._store.delete([one.key for one in self._store.list(self._staged) if one.modified < old])

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
