"""A place in an object store: a key, or a prefix of keys."""

from __future__ import annotations

import io
import posixpath
from abc import abstractmethod
from pathlib import PurePath, PurePosixPath
from typing import Literal, Self

from pydantic import field_validator

from aligned_dagster.errors import ConfigurationError, UnreadableSourceError, did_you_mean
from aligned_dagster.sources.location import (
    FileWriter,
    Location,
    Readable,
    StoredFile,
    TreeWriter,
    named,
    not_found,
)
from aligned_dagster.sources.object_store import ObjectStore, StoredObject


class ObjectLocation(Location):
    """A key below a bucket or container."""

    @field_validator("path")
    @classmethod
    def _relative(cls, path: str) -> str:
        clean = posixpath.normpath(path.strip("/")) if path.strip("/") else ""
        if clean == ".." or clean.startswith("../"):
            raise ConfigurationError(f"{path!r} leaves its bucket. Give a path below it.")
        return "" if clean == "." else clean

    @abstractmethod
    def store(self) -> ObjectStore:
        """The bucket or container; its environment variables are read here."""

    @property
    def label(self) -> str:
        """The URI."""
        return self.uri

    @property
    def key(self) -> str:
        """The key in the bucket."""
        return self.path

    def child(self, *parts: str) -> Self:
        """See `Location.child`."""
        return type(self).model_validate({**dict(self), "path": posixpath.join(self.path, *parts)})

    def beside(self, suffix: str) -> Self:
        """See `Location.beside`."""
        return self.model_copy(update={"path": f"{self.path}{suffix}"})

    @property
    def root(self) -> PurePosixPath:
        """The bucket, followed by the key."""
        return PurePosixPath(self.store().bucket, self.key)

    @property
    def name(self) -> str:
        """The last part of the path."""
        return posixpath.basename(self.path)

    def hidden(self, suffix: str) -> str:
        """The key of a hidden object beside this place."""
        return posixpath.join(posixpath.dirname(self.key), f".{self.name}.{suffix}")

    def what_is_there(self) -> Literal["file", "directory"] | None:
        """See `Location.what_is_there`."""
        store = self.store()
        if self.key and store.head(self.key) is not None:
            return "file"
        if next(iter(store.list(self._prefix)), None) is not None or store.head(self.hidden("journal")):
            return "directory"
        return None

    def existing_file(self, contract: str | None = None) -> StoredFile:
        """See `Location.existing_file`."""
        found = self.store().head(self.key)
        if found is not None:
            return self._file(found)
        if self.what_is_there() == "directory":
            raise UnreadableSourceError(
                f"{named(self.uri, contract)} is a directory. Name a file in it, or use partitioned_parquet_at."
            )
        raise not_found(self, contract, "file", self._near())

    def existing_directory(self, contract: str | None = None) -> PurePath:
        """See `Location.existing_directory`."""
        there = self.what_is_there()
        if there == "directory":
            return self.root
        if there == "file":
            raise UnreadableSourceError(f"{named(self.uri, contract)} is a file and not a directory.")
        raise not_found(self, contract, "directory", self._near())

    def files(self) -> list[StoredFile]:
        """See `Location.files`."""
        from aligned_dagster.sources.object_journal import ObjectJournal

        store = self.store()
        journal, _ = ObjectJournal.read(store, self.hidden("journal"))
        objects = [one for one in store.list(self._prefix) if not _is_hidden(one.key[len(self._prefix) :])]
        found = objects if journal is None else journal.applied_to(objects, store)
        return [self._file(one) for one in found]

    def directories(self) -> list[str]:
        """See `Location.directories`."""
        found = [name[:-1] for name in self.store().children(self._prefix) if name.endswith("/")]
        return sorted(name for name in found if not name.startswith("."))

    def readable(self, path: PurePath) -> Readable:
        """See `Location.readable`."""
        store = self.store()
        address = f"{store.uri.partition('://')[0]}://{path.as_posix()}"
        return Readable(address, lambda: io.BytesIO(store.get(self.key_of(path))[0]), store.options)

    def read_bytes(self, path: PurePath) -> bytes:
        """See `Location.read_bytes`."""
        return self.store().get(self.key_of(path))[0]

    def key_of(self, path: PurePath) -> str:
        """The key of a path that begins with the bucket."""
        return PurePosixPath(*path.parts[1:]).as_posix()

    def file_writer(self) -> FileWriter:
        """See `Location.file_writer`."""
        from aligned_dagster.sources.object_publishing import ObjectFileWriter

        return ObjectFileWriter(self)

    def tree_writer(self) -> TreeWriter:
        """See `Location.tree_writer`."""
        from aligned_dagster.sources.object_publishing import ObjectTreeWriter

        return ObjectTreeWriter(self)

    @property
    def _prefix(self) -> str:
        return f"{self.key}/" if self.key else ""

    def _file(self, found: StoredObject) -> StoredFile:
        path = PurePosixPath(self.store().bucket, found.key)
        return StoredFile(path, found.size, found.modified, found.etag)

    def _near(self) -> str:
        above = posixpath.dirname(self.key)
        names = [name.rstrip("/") for name in self.store().children(f"{above}/" if above else "")]
        if not names:
            return f" Nothing is below {self.store().uri}/{above}: is the bucket right?"
        return did_you_mean(self.name, [name for name in names if not name.startswith(".")])


def _is_hidden(relative: str) -> bool:
    return any(part.startswith((".", "_")) for part in relative.split("/"))
