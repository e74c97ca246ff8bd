"""Publishing several objects as one, where objects are put one by one.

New objects are put beside the directory, under hidden keys. Then the journal is put, on the condition that it is the one
that was read before: that moment is the publish, and of two writers one gets a conflict. The objects are then copied to
their places, the others removed, and the journal is marked as done. A reader that finds a journal which is not done reads
as if it were; the next writer finishes what a killed one left. Copying the same journal twice changes nothing. Its hidden
objects go before it is done, so that once another publish can begin a late copy finds nothing to copy.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass, replace

from aligned_dagster.errors import ConflictError, UnreadableSourceError
from aligned_dagster.sources.object_store import AT_ONCE, Expected, ObjectStore, StoredObject


@dataclass(frozen=True)
class ObjectJournal:
    """What the last publish changed.

    Args:
        staging: the prefix of the hidden objects.
        moves: key of a hidden object to that of its place.
        removes: keys of objects that go.
        done: whether it is carried out.
    """

    staging: str
    moves: tuple[tuple[str, str], ...]
    removes: tuple[str, ...]
    done: bool = False

    @staticmethod
    def read(store: ObjectStore, key: str) -> tuple[ObjectJournal | None, Expected]:
        """The journal of a publish that is not carried out to its end, and what stands at the key.

        Raises:
            UnreadableSourceError: it is damaged.
        """
        try:
            content, etag = store.get(key)
        except FileNotFoundError:
            return None, Expected(None)
        try:
            form = json.loads(content)
            moves = tuple((source, target) for source, target in form["moves"])
            found = ObjectJournal(form["staging"], moves, tuple(form["removes"]), form["done"])
        except (ValueError, KeyError, TypeError) as error:
            raise UnreadableSourceError(
                f"{store.uri}/{key}, the journal of a publish, is damaged: {error}. Nothing was read or changed."
            ) from error
        return (None if found.done else found), Expected(etag)

    def commit(self, store: ObjectStore, key: str, expected: Expected) -> None:
        """Publish: from now on readers see the new objects.

        Raises:
            ConflictError: another writer was faster.
        """
        store.put(key, json.dumps(asdict(self)).encode(), expected)

    def carry_out(self, store: ObjectStore, key: str) -> None:
        """Copy and remove the objects, unless another writer did; a second time changes nothing."""
        current, expected = ObjectJournal.read(store, key)
        if current != self:
            return

        def move(pair: tuple[str, str]) -> None:
            with suppress(FileNotFoundError):  # it was copied, by a killed writer or by another one
                store.copy(*pair)

        with ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(move, self.moves))
        store.delete(self.removes)
        staged = [source for source, _ in self.moves]
        store.delete([source for source in staged if not _is_value(source)])
        store.delete(
            [source for source in staged if _is_value(source)]
        )  # without it no reader knows the others
        with suppress(ConflictError):
            replace(self, moves=(), removes=(), done=True).commit(store, key, expected)

    def applied_to(
        self, objects: Iterable[StoredObject], staged: Iterable[StoredObject], uri: str
    ) -> list[StoredObject]:
        """The objects that hold the rows, wherever they are by now.

        Args:
            objects: below the directory, listed after `staged`.
            staged: the hidden ones.
            uri: of the directory, for errors.

        Raises:
            UnreadableSourceError: one is nowhere.
        """
        listed = {one.key: one for one in objects}
        hidden = {one.key: one for one in staged}
        changed = {*self.removes, *(target for _, target in self.moves)}
        found = [one for one in listed.values() if one.key not in changed]
        for source, target in self.moves:
            if _is_value(target):
                continue
            moved = hidden.get(source) or listed.get(target)
            if moved is None:
                raise UnreadableSourceError(
                    f"{uri}: the rows of {target} are gone, though the journal of its last publish lists them. Were objects "
                    "whose names begin with '.' removed? Write the directory again."
                )
            found.append(moved)
        return found


def _is_value(key: str) -> bool:
    """Whether an object holds the value of its partition and no rows."""
    return key.rpartition("/")[2].startswith(".")
