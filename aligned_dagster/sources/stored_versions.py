"""What stands in the directory of a schema-versioned source: its versions, and whether a contract can read one."""

from __future__ import annotations

import datetime as dt
import json
import os
import re
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from aligned_dagster.errors import ContractError, did_you_mean
from aligned_dagster.features.dtypes import DataType, castable
from aligned_dagster.features.schema import Column
from aligned_dagster.request.explain import explained
from aligned_dagster.request.retrieval_request import RetrievalRequest
from aligned_dagster.sources.conform import stored_names
from aligned_dagster.sources.date_formatter import DateFormatter
from aligned_dagster.sources.file_source import FileDataSource
from aligned_dagster.sources.location import fingerprint_files
from aligned_dagster.sources.partition_files import footer
from aligned_dagster.sources.partitioned import PartitionedParquetSource

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
        uri: the absolute path of the file, or of the directory of partitions.
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


def version_names(directory: Path) -> list[str]:
    """The versions that have a directory, whether or not rows are in it, sorted."""
    if not directory.is_dir():
        return []
    return sorted(entry.name for entry in directory.iterdir() if is_version(entry.name) and entry.is_dir())


def is_stored(file: VersionedFile) -> bool:
    """Whether something stands where the rows should be."""
    return file.location.resolved().exists()


def stored_version(version: str, file: VersionedFile) -> StoredVersion | None:
    """What can be told of a version without opening its files; None where no rows are stored.

    Args:
        version: its name.
        file: where its rows are.
    """
    path = file.location.resolved()
    if isinstance(file, PartitionedParquetSource):
        files = file.files(path) if path.is_dir() else []
    else:
        files = [path] if path.is_file() else []
    if not path.exists():
        return None
    found = fingerprint_files(files, path.parent)
    modified = found.modified or dt.datetime.fromtimestamp(path.stat().st_mtime, dt.UTC)
    return StoredVersion(version, modified, found.bytes or 0, str(path))


def write_note(directory: Path, request: RetrievalRequest) -> None:
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
    text = json.dumps(note, indent=2, ensure_ascii=False) + "\n"
    target = directory / _NOTE
    if target.is_file() and target.read_text("utf-8") == text:
        return
    directory.mkdir(parents=True, exist_ok=True)
    staged = directory / f"{_NOTE}.{uuid.uuid4().hex[:12]}"
    staged.write_text(text, "utf-8")
    os.replace(staged, target)


def read_note(directory: Path) -> Mapping[str, Any]:
    """What `write_note` kept; empty where nobody did, as with files that others wrote."""
    try:
        note = json.loads((directory / _NOTE).read_text("utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    return note if isinstance(note, dict) else {}


def misfits(request: RetrievalRequest, file: VersionedFile, directory: Path) -> tuple[str, ...]:
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
    path = file.location.resolved()
    if isinstance(file, PartitionedParquetSource):
        files = file.files(path) if path.is_dir() else []
        if not files:
            return None
        return {**footer(files[0]), **dict.fromkeys(file.stored_keys)}
    if file.format.is_text:
        known = tuple(stored_names(request, file.mapping_keys).values())
        return dict.fromkeys(file.format.scan(path, known).collect_schema().names())
    return dict(footer(path))


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
