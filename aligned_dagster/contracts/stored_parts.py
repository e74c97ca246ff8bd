"""What a contract has in its storage: schema versions, partitions or a file, and what becomes of them."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from aligned_dagster.errors import SourceError
from aligned_dagster.sources.file_source import FileDataSource
from aligned_dagster.sources.partitioned import PartitionedParquetSource
from aligned_dagster.sources.schema_versioned import SchemaVersionedSource

if TYPE_CHECKING:
    from aligned_dagster.contracts.feature_view import FeatureView


@dataclass(frozen=True)
class StoredPart:
    """Something that is stored.

    Args:
        name: a schema version, the path of a partition below its directory, or the name of a file.
        modified: when it was written last, in UTC.
        words: what the contract as it is now makes of it.
    """

    name: str
    modified: dt.datetime | None
    words: str


def stored_parts(view: FeatureView[Any], rewrites: bool) -> tuple[StoredPart, ...]:
    """What is stored of a contract that changed; nothing for storage other than files.

    Args:
        view: the contract as it is now.
        rewrites: whether its stored rows have to be written again.
    """
    storage = view.storage
    words = "is out of date until it is written again" if rewrites else "stays as it is"
    if isinstance(storage, SchemaVersionedSource):
        return _versions(view, storage, words)
    if view.is_virtual:
        return ()
    if isinstance(storage, PartitionedParquetSource):
        return _partitions(storage, words)
    if isinstance(storage, FileDataSource) and storage.location.what_is_there() == "file":
        file = storage.location.existing_file()
        return (StoredPart(file.path.name, file.modified, words),)
    return ()


def _versions(view: FeatureView[Any], storage: SchemaVersionedSource, words: str) -> tuple[StoredPart, ...]:
    stored = storage.versions()
    request = view.request if view.is_virtual else view.stored_request
    try:
        read, problem = storage.version_read(request), ""
    except SourceError as error:
        read, problem = "", str(error).partition("\n")[0]
    parts: list[StoredPart] = []
    for one in stored:
        if one.version == request.version:
            what = f"is the current one, and {words}"
        elif one.version == read:
            what = "fits, and is read until the current one is written"
        else:
            what = "stays readable by its name"
            if problem:
                what += ", but does not fit the contract"
        parts.append(StoredPart(one.version, one.modified, what))
    return tuple(parts)


def _partitions(storage: PartitionedParquetSource, words: str) -> tuple[StoredPart, ...]:
    root = storage.location.root
    data = set(storage.files())
    latest: dict[PurePath, dt.datetime] = {}
    for file in storage.location.files():
        if file.path in data:
            directory = file.path.parent
            latest[directory] = max(file.modified, latest.get(directory, file.modified))
    return tuple(
        StoredPart(directory.relative_to(root).as_posix(), modified, words)
        for directory, modified in sorted(latest.items())
    )
