"""A place in an object store: a key, or a prefix of keys."""

from __future__ import annotations

import io
import posixpath
from abc import abstractmethod
from collections.abc import Iterable
from pathlib import PurePath, PurePosixPath
from typing import Literal, Self

from pydantic import BaseModel, field_validator

from aligned_dagster.errors import (
    ConfigurationError,
    UnavailableSourceError,
    UnreadableSourceError,
    did_you_mean,
)
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
from aligned_dagster.sources.object_store import ObjectStore, StoredObject

_LOOKS = 20
"""Times that a directory is listed which is published to meanwhile."""


class ObjectLocation(Location):
    """A key below a bucket or container."""

    @field_validator("path")
    @classmethod
    def _relative(cls, path: str) -> str:
        clean = posixpath.normpath(path.strip("/")) if path.strip("/") else ""
        if clean == ".." or clean.startswith("../"):
            raise ConfigurationError(f"{path!r} leaves its bucket. Give a path below it.")
        if any(character < " " or character == "\x7f" for character in path):
            raise ConfigurationError(
                f"{path!r} has a control character, which no name of an object can have."
            )
        return "" if clean == "." else clean

    @field_validator("config", mode="before", check_fields=False)
    @classmethod
    def _plain(cls, config: object) -> object:
        """The settings alone, of a config that also has constructors."""
        kind = cls.model_fields["config"].annotation
        if not (isinstance(kind, type) and issubclass(kind, BaseModel) and isinstance(config, kind)):
            return config
        if type(config) is not kind:
            return kind.model_validate({name: getattr(config, name) for name in kind.model_fields})
        return config

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
        store = self.store()
        found = store.head(self.key)
        if found is not None:
            return _file(found, store)
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
        for _ in range(_LOOKS):
            journal, before = ObjectJournal.read(store, self.hidden("journal"))
            staged = (
                [] if journal is None else list(store.list(journal.staging))
            )  # before what it is copied to
            found = [one for one in store.list(self._prefix) if not _in_hidden(one.key[len(self._prefix) :])]
            _, after = ObjectJournal.read(store, self.hidden("journal"))
            if before == after:
                if journal is not None:
                    found = journal.applied_to(found, staged, self.uri)
                return [_file(one, store) for one in found]
        raise UnavailableSourceError(
            f"{self.uri} was published to each of {_LOOKS} times that its objects were listed, so no state of it is known. "
            "Try again when fewer write to it."
        )

    def directories(self) -> list[str]:
        """See `Location.directories`."""
        found = [name[:-1] for name in self.store().children(self._prefix) if name.endswith("/")]
        return sorted(name for name in found if not name.startswith("."))

    def readable(self, path: PurePath) -> Readable:
        """See `Location.readable`."""
        return self.readables([path])[0]

    def readables(self, paths: Iterable[PurePath]) -> list[Readable]:
        """See `Location.readables`."""
        store = self.store()
        scheme, options = store.uri.partition("://")[0], store.options

        def one(path: PurePath) -> Readable:
            key = self.key_of(path)
            return Readable(f"{scheme}://{path.as_posix()}", lambda: io.BytesIO(store.get(key)[0]), options)

        return [one(path) for path in paths]

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

    def _near(self) -> str:
        above = posixpath.dirname(self.key)
        names = [name.rstrip("/") for name in self.store().children(f"{above}/" if above else "")]
        if not names:
            return f" Nothing is below {self.store().uri}/{above}: is the bucket right?"
        return did_you_mean(self.name, [name for name in names if not name.startswith(".")])


def _file(found: StoredObject, store: ObjectStore) -> StoredFile:
    return StoredFile(PurePosixPath(store.bucket, found.key), found.size, found.modified, found.etag)


def _in_hidden(relative: str) -> bool:
    return any(is_hidden(part) for part in relative.split("/"))
