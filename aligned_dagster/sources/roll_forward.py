"""Publishing several files as one: all of them, or, after a crash, all of them later.

The moves and removals are written to a journal beside the directory; the moment that file appears is the
moment of
publishing. They are then carried out, and the journal removed. A reader that finds a journal reads as if
it were
carried out already; the next writer finishes what a killed one left.
"""

from __future__ import annotations

import json
import os
import shutil
import stat
from collections import defaultdict
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePath

from aligned_dagster.errors import UnreadableSourceError
from aligned_dagster.sources.location import TreeWriter
from aligned_dagster.sources.publishing import (
    WriterLock,
    force_all_to_disk,
    force_to_disk,
    new_staging,
    remove,
)


@dataclass(frozen=True)
class Journal:
    """What a publish changes in a directory.

    Args:
        root: the directory that is published to.
        staging: the directory beside it whose files are moved.
        moves: staged file to its place, both relative to the parent of `root`.
        removes: files that go, relative to the parent of `root`.
    """

    root: Path
    staging: str
    moves: tuple[tuple[str, str], ...]
    removes: tuple[str, ...]

    @staticmethod
    def of(root: Path, staging: Path, moves: Iterable[tuple[Path, Path]], removes: Iterable[Path]) -> Journal:
        """A journal of absolute paths."""
        base = root.parent
        pairs = tuple((_relative(source, base), _relative(target, base)) for source, target in moves)
        targets = {target for _, target in pairs}
        gone = tuple(name for name in (_relative(path, base) for path in removes) if name not in targets)
        return Journal(root, _relative(staging, base), pairs, gone)

    @staticmethod
    def pending(root: Path) -> Journal | None:
        """The journal of a publish that was not carried out to its end.

        Raises:
            UnreadableSourceError: it is damaged.
        """
        file = _file(root)
        try:
            form = json.loads(file.read_text(encoding="utf8"))
            return Journal(
                root, form["staging"], tuple((a, b) for a, b in form["moves"]), tuple(form["removes"])
            )
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError) as error:
            raise UnreadableSourceError(
                f"{file}, the journal of an unfinished publish, is damaged: {error}. Nothing was read or changed."
            ) from error

    def commit(self) -> None:
        """Publish: from now on readers see the new rows."""
        base = self.root.parent
        force_all_to_disk(os.path.join(base, source) for source, _ in self.moves)
        file = _file(self.root)
        draft = base / self.staging / "journal"
        form = {"staging": self.staging, "moves": self.moves, "removes": self.removes}
        draft.write_text(json.dumps(form), encoding="utf8")
        force_to_disk(draft)
        os.replace(draft, file)
        force_to_disk(base)

    def carry_out(self) -> None:
        """Move and remove the files; a second time changes nothing.

        Raises:
            UnreadableSourceError: a file that is to be moved is gone. Nothing is removed then.
        """
        base = self.root.parent
        self.root.mkdir(exist_ok=True)
        self._check_moves()
        by_directory: dict[tuple[str, str], list[tuple[str, str]]] = defaultdict(list)
        for source, target in self.moves:
            (staged, name), (place, final) = os.path.split(source), os.path.split(target)
            if final.startswith("."):
                _copy(base / source, base / target)
            else:
                by_directory[staged, place].append((name, final))
        touched = {str(self.root)}
        for (staged, place), names in by_directory.items():
            self._move(os.path.join(base, staged), os.path.join(base, place), names)
            touched |= self._directories(os.path.join(base, place))
        for name in self.removes:
            (base / name).unlink(missing_ok=True)
        for emptied in {os.path.dirname(name) for name in self.removes}:
            touched |= self._directories(self._tidied(os.path.join(base, emptied)))
        force_all_to_disk(path for path in touched if os.path.isdir(path))
        _file(self.root).unlink(missing_ok=True)
        force_to_disk(base)
        remove(base / self.staging)

    def applied_to(self, files: Iterable[Path]) -> list[Path]:
        """The files that hold the rows, wherever they are by now."""
        base = self.root.parent
        hidden = {base / name for name in self.removes} | {base / target for _, target in self.moves}
        kept = [file for file in files if file not in hidden]
        moved = [
            base / source if (base / source).exists() else base / target for source, target in self.moves
        ]
        return kept + [file for file in moved if not file.name.startswith(".")]

    def _check_moves(self) -> None:
        base = self.root.parent
        for source, target in self.moves:
            if not ((base / source).exists() or (base / target).exists()):
                raise UnreadableSourceError(
                    f"{base / source} is gone, which an unfinished publish was to move to {base / target}. Nothing was "
                    f"removed. If its rows can be made again, remove {_file(self.root)} and publish them once more."
                )

    def _move(self, staged: str, place: str, names: list[tuple[str, str]]) -> None:
        """Move files between two directories, or the directory itself where it holds just them and none is there."""
        try:
            there = os.listdir(staged)
        except FileNotFoundError:
            return
        os.makedirs(os.path.dirname(place), exist_ok=True)
        is_whole = sorted(there) == sorted(final for _, final in names) and all(a == b for a, b in names)
        if is_whole and _alike(staged, os.path.dirname(place)):
            with suppress(OSError):  # a partition that is there already
                os.rename(staged, place)
                return
        os.makedirs(place, exist_ok=True)
        for name, final in names:
            if name in there:
                os.replace(os.path.join(staged, name), os.path.join(place, final))

    def _directories(self, directory: str) -> set[str]:
        """A directory and those above it, below the root."""
        root, found = str(self.root), set()
        while len(directory) > len(root) and directory not in found:
            found.add(directory)
            directory = os.path.dirname(directory)
        return found

    def _tidied(self, directory: str) -> str:
        """Remove directories that hold no rows, and return the first one above that stays.

        One that cannot be removed, as there is a hidden directory of somebody else's in it, stays too.
        """
        root = str(self.root)
        while directory != root:
            try:
                left = os.listdir(directory)
            except FileNotFoundError:
                left = []
            else:
                if any(not name.startswith(".") for name in left):
                    break
                try:
                    for name in left:
                        os.unlink(os.path.join(directory, name))
                    os.rmdir(directory)
                except OSError:
                    break
            directory = os.path.dirname(directory)
        return directory


class LocalTreeWriter(TreeWriter):
    """Changes a directory by a journal, holding a lock on it.

    Args:
        root: the directory.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._lock = WriterLock(root)
        self._committed = False
        self.staging = new_staging(root)

    def begin(self) -> None:
        """See `TreeWriter.begin`."""
        self._lock.acquire()
        journal = Journal.pending(self._root)
        if journal is not None:
            journal.carry_out()

    def publish(self, moves: Iterable[tuple[Path, PurePath]], removes: Iterable[PurePath]) -> None:
        """See `TreeWriter.publish`."""
        local = [(staged, Path(target)) for staged, target in moves]
        journal = Journal.of(self._root, self.staging, local, [Path(path) for path in removes])
        journal.commit()
        self._committed = True
        journal.carry_out()

    def close(self) -> None:
        """See `TreeWriter.close`. What is committed and not carried out stays for the next writer."""
        if not (self._committed or self._is_pending()):
            remove(self.staging)
        self._lock.release()

    def _is_pending(self) -> bool:
        """Whether a journal was written that names what is staged, though the commit was interrupted."""
        with suppress(UnreadableSourceError):
            journal = Journal.pending(self._root)
            return journal is not None and self._root.parent / journal.staging == self.staging
        return True


def _relative(path: Path, base: Path) -> str:
    return path.relative_to(base).as_posix()


def _copy(source: Path, target: Path) -> None:
    """Put what tells the value of a partition into place, before its rows come and while others are still staged."""
    if not source.exists():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = target.with_name(f"{target.name}.new")
    shutil.copyfile(source, draft)
    force_to_disk(draft)
    os.replace(draft, target)


def _alike(staged: str, parent: str) -> bool:
    """Whether a directory has the group that one made in `parent` would have."""
    one, other = os.stat(staged), os.stat(parent)
    return (one.st_gid, one.st_mode & stat.S_ISGID) == (other.st_gid, other.st_mode & stat.S_ISGID)


def _file(root: Path) -> Path:
    return root.with_name(f".{root.name}.journal")
