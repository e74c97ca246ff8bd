"""What stands in the directory of a schema-versioned source: its versions, and whether a contract can read one."""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from aligned_dagster.errors import ContractError, did_you_mean
from aligned_dagster.features.dtypes import DataType, castable
from aligned_dagster.features.schema import Column
from aligned_dagster.request.explain import explained
from aligned_dagster.request.retrieval_request import RetrievalRequest
from aligned_dagster.sources.conform import stored_names
from aligned_dagster.sources.date_formatter import DateFormatter
from aligned_dagster.sources.file_fingerprint import fingerprint_files
from aligned_dagster.sources.file_source import FileDataSource
from aligned_dagster.sources.location import Location, StoredFile
from aligned_dagster.sources.partition_files import footer
from aligned_dagster.sources.partitioned import PartitionedParquetSource
from aligned_dagster.sources.publishing import writing

VersionedFile = FileDataSource | PartitionedParquetSource
"""What one version holds: a file, or a directory of partitions."""

_VERSION = re.compile(r"[0-9a-f]{32}")
_NOTE = ".schema.json"


@dataclass(frozen=True)
class StoredVersion:
    """One schema version on disk.

    Args:
        version: its 32 hex digits.
        modified: when it was last written, in UTC.
        bytes: its size.
        uri: the place of the file, or of the directory of partitions.
    """

    version: str
    modified: dt.datetime
    bytes: int
    uri: str


def is_version(text: str) -> bool:
    """Whether a text is 32 lower-case hex digits.

    >>> is_version("26c65192dc9a74910a845d03ae05d4d2"), is_version("latest")
    (True, False)
    """
    return _VERSION.fullmatch(text) is not None


def version_names(directory: Location) -> list[str]:
    """The versions that have a directory, whether or not rows are in it, sorted."""
    return [name for name in directory.directories() if is_version(name)]


def is_stored(file: VersionedFile) -> bool:
    """Whether something stands where the rows should be."""
    return file.location.what_is_there() is not None


def stored_version(version: str, file: VersionedFile) -> StoredVersion | None:
    """What can be told of a version without opening its files; None where no rows are stored.

    Args:
        version: its name.
        file: where its rows are.
    """
    place = file.location
    there = place.what_is_there()
    if there is None:
        return None
    files: list[StoredFile] = []
    if isinstance(file, PartitionedParquetSource):
        files = place.files() if there == "directory" else []
    elif there == "file":
        files = [place.existing_file()]
    found = fingerprint_files(files, place.root)
    modified = found.modified or dt.datetime.fromtimestamp(0, dt.UTC)
    return StoredVersion(version, modified, found.bytes or 0, place.uri)


def write_note(directory: Location, request: RetrievalRequest) -> None:
    """Keep beside the rows of a version what their files do not say: the entities, and the types behind texts.

    Args:
        directory: of the version.
        request: the contract whose rows it holds.
    """
    schema = request.schema
    note = {
        "columns": {column.name: column.dtype.text for column in schema.columns},
        "entities": list(schema.entities),
        "event_timestamp": schema.event_timestamp,
    }
    if read_note(directory) == note:
        return
    target = directory.child(_NOTE)
    with writing(request.name, target.uri):
        writer = target.file_writer()
        try:
            staged = writer.staging / "note"
            staged.write_text(json.dumps(note, indent=2, ensure_ascii=False) + "\n", "utf-8")
            writer.publish(staged)
        finally:
            writer.close()


def read_note(directory: Location) -> Mapping[str, Any]:
    """What `write_note` kept; empty where nobody did, as with files that others wrote."""
    try:
        note = json.loads(directory.read_bytes(directory.root / _NOTE))
    except (FileNotFoundError, ValueError):
        return {}
    return note if isinstance(note, dict) else {}


def misfits(request: RetrievalRequest, file: VersionedFile, directory: Location) -> tuple[str, ...]:
    """Why the rows of another schema version cannot be read as those of a contract; empty where they can.

    All columns of the contract are compared, wanted or not: those that are optional, have a default or are
    computed may be missing, and the others need a type that can be cast.

    Args:
        request: the contract.
        file: where the version's rows are.
        directory: of the version.

    Raises:
        UnreadableSourceError: a file of the version is damaged.
    """
    note = read_note(directory)
    if isinstance(file, FileDataSource) and file.format.kind == "csv" and not file.format.config.header:
        return ("its file has no header, so only its own contract can tell its columns apart",)
    with explained(request.name, file.uri):
        stored = _columns(file, request)
    if stored is None:
        return ("it has no rows, so its columns are not known",)
    names = stored_names(request, file.mapping_keys)
    found = [
        words
        for column in request.schema.columns
        if (words := _misfit(column, names[column.name], stored, request, note, file.date_formatter))
    ]
    return tuple(_other_rows(request, note) + found)


def _columns(file: VersionedFile, request: RetrievalRequest) -> dict[str, pl.DataType | None] | None:
    """Stored name to dtype, None where all is text; None altogether where no file is."""
    place = file.location
    if isinstance(file, PartitionedParquetSource):
        files = file.files()
        if not files:
            return None
        return {**footer(place.readable(files[0])), **dict.fromkeys(file.stored_keys)}
    stored = place.readable(place.root)
    if file.format.is_text:
        known = tuple(stored_names(request, file.mapping_keys).values())
        return dict.fromkeys(file.format.scan(stored, known).collect_schema().names())
    return dict(footer(stored))


def _misfit(
    column: Column,
    name: str,
    stored: Mapping[str, pl.DataType | None],
    request: RetrievalRequest,
    note: Mapping[str, Any],
    formatter: DateFormatter,
) -> str | None:
    shown = column.name if column.name == name else f"{column.name} (stored as {name!r})"
    if name not in stored:
        computed = any(column.name == derived for derived, _ in request.derivations)
        if column.optional or column.has_default or computed:
            return None
        return f"{shown}, {column.dtype.text}, is missing there.{did_you_mean(name, stored)}".removesuffix(
            "."
        )
    there = _dtype(column, stored[name], note, formatter)
    if there is None or castable(there, column.dtype):
        return None
    return f"{shown} is {there.text} there and cannot become {column.dtype.text}"


def _dtype(
    column: Column, stored: pl.DataType | None, note: Mapping[str, Any], formatter: DateFormatter
) -> DataType | None:
    """The type of what is stored; None where only the values can tell."""
    encoded = column.dtype.kind in {"date", "timestamp"} and formatter.kind != "noop"
    if stored is None or (encoded and not stored.is_temporal()):
        noted = note.get("columns", {}).get(column.name)
        return None if noted is None else DataType.from_text(noted)
    if stored == pl.Null:
        return None
    try:
        return DataType.from_polars(stored)
    except ContractError:
        return None


def _other_rows(request: RetrievalRequest, note: Mapping[str, Any]) -> list[str]:
    """Whether one row stands for something else there."""
    found: list[str] = []
    schema = request.schema
    if "entities" in note and sorted(note["entities"]) != sorted(schema.entities):
        found.append(f"its rows are told apart by {_list(note['entities'])}, not by {_list(schema.entities)}")
    if "event_timestamp" in note and note["event_timestamp"] != schema.event_timestamp:
        found.append(
            f"its event timestamp is {note['event_timestamp'] or 'none'}, not {schema.event_timestamp or 'none'}"
        )
    return found


def _list(names: Iterable[str]) -> str:
    return ", ".join(names) or "no entity"
