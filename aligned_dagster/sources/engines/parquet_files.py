"""Parquet files of this machine that an engine may read by itself, and what is stored in them.

What needs a checked cast or a derivation is left to polars.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

import polars as pl

from aligned_dagster.errors import ContractError
from aligned_dagster.features.dtypes import DataType
from aligned_dagster.features.plan import needed
from aligned_dagster.request.explain import explained
from aligned_dagster.request.retrieval_request import RetrievalRequest
from aligned_dagster.sources.casting import is_widened
from aligned_dagster.sources.conform import check_present, stored_names
from aligned_dagster.sources.engines.pieces import Reading
from aligned_dagster.sources.file_source import FileDataSource
from aligned_dagster.sources.local_location import LocalLocation
from aligned_dagster.sources.location import Readable
from aligned_dagster.sources.partition_files import footer, tag_of
from aligned_dagster.sources.partitioned import PartitionedParquetSource

_PLAIN = re.compile(r"[A-Za-z0-9_./=%~ ,@+&;'()!$\[\]{}-]+")
"""Paths that Hadoop takes as they are."""


@dataclass(frozen=True)
class Group:
    """Files of this machine with the same stored columns.

    Args:
        files: their paths.
        stored: stored name to dtype.
    """

    files: Sequence[PurePath]
    stored: Mapping[str, pl.DataType]


def groups_of(reading: Reading, files: list[PurePath] | None) -> list[Group]:
    """The files in groups; none where they are no Parquet files of this machine.

    Args:
        reading: what is asked.
        files: of a partitioned source, those in which wanted rows can be.

    Raises:
        SourceError: the file is not there, or is no Parquet.
    """
    source = reading.source
    if isinstance(source, FileDataSource) and source.kind == "parquet":
        if not isinstance(source.location, LocalLocation):
            return []
        path = source.location.existing_file(reading.request.name).path
        if not _PLAIN.fullmatch(str(path)):
            return []
        with explained(reading.request.name, source.uri):
            return [Group([path], footer(source.location.readable(path)))]
    if not isinstance(source, PartitionedParquetSource) or not files:
        return []
    if not all(isinstance(file, Path) and _PLAIN.fullmatch(str(file)) for file in files):
        return []
    with explained(reading.request.name, source.uri):
        groups = [Group(group, stored) for group, stored, _ in source.reader.groups(files, reading.needed)]
        return groups if all(map(_are_alike, groups)) else []


def _are_alike(group: Group) -> bool:
    """Whether all files have the stored columns of the first, where their names do not tell: Spark would read null."""
    foreign = [Path(file) for file in group.files[1:] if tag_of(file) is None]
    return all(footer(Readable.local(file)) == group.stored for file in foreign)


def stored_columns(reading: Reading, request: RetrievalRequest, group: Group) -> dict[str, str | None] | None:
    """Name of each column to its stored name, None where its default stands for it; None where polars must read.

    Args:
        reading: what is asked.
        request: its columns, and those of its conditions.
        group: of files.

    Raises:
        MissingColumnError: a column is not stored and may not be missing.
    """
    source = reading.source
    assert isinstance(source, FileDataSource | PartitionedParquetSource)
    keys = keys_of(reading)
    names = stored_names(request, source.mapping_keys)
    absent = {name for name, _ in request.derivations if names[name] not in group.stored and name not in keys}
    if absent & needed(request.columns, dict(request.derivations)):
        return None
    columns = [column for column in request.wanted if column.name not in keys]
    missing = [column for column in columns if names[column.name] not in group.stored]
    check_present(missing, group.stored, names, request, source.uri)
    if any(
        column.has_default and (column.dtype.is_nested or column.name in keys) for column in request.wanted
    ):
        return None
    if not all(
        fits(group.stored[names[column.name]], column.dtype) for column in columns if column not in missing
    ):
        return None
    return {column.name: None if column in missing else names[column.name] for column in columns}


def keys_of(reading: Reading) -> tuple[str, ...]:
    """The columns whose values stand in the names of directories, and not in the files."""
    source = reading.source
    return source.partition_keys if isinstance(source, PartitionedParquetSource) else ()


def fits(stored: pl.DataType, wanted: DataType) -> bool:
    """Whether an engine reads every value of a stored dtype as we do.

    Args:
        stored: as polars sees it.
        wanted: the contract's type.
    """
    if any(_is_foreign(dtype) for dtype in _parts(stored)):
        return False
    same_moment = (
        isinstance(stored, pl.Datetime)
        and wanted.kind == "timestamp"
        and (stored.time_zone is None) == (wanted.time_zone is None)
    )
    return stored == wanted.polars or same_moment or is_widened(stored, wanted)


def _parts(dtype: pl.DataType) -> Iterator[pl.DataType]:
    yield dtype
    if isinstance(dtype, pl.List | pl.Array):
        yield from _parts(_instance(dtype.inner))
    elif isinstance(dtype, pl.Struct):
        for field in dtype.fields:
            yield from _parts(_instance(field.dtype))


def _instance(dtype: object) -> pl.DataType:
    found = dtype() if isinstance(dtype, type) else dtype
    assert isinstance(found, pl.DataType)
    return found


def _is_foreign(dtype: pl.DataType) -> bool:
    """Whether an engine cannot read it, or reads it as something else."""
    if isinstance(dtype, pl.Datetime):
        return dtype.time_unit == "ns"
    if isinstance(dtype, pl.Time | pl.Duration | pl.Categorical | pl.Enum):
        return True
    try:
        DataType.from_polars(dtype)
    except ContractError:
        return True
    return False
