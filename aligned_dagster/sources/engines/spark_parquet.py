"""Parquet files read by Spark itself, where what they store is what the contract says or fits into it.

What needs a checked cast, a derivation, or a condition that Spark might understand otherwise is left to polars.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from pathlib import Path, PurePath
from typing import TYPE_CHECKING
from urllib.parse import quote

import polars as pl

from aligned_dagster.errors import ContractError
from aligned_dagster.features.dtypes import DataType
from aligned_dagster.features.engines.carried import quoted
from aligned_dagster.features.literals import thaw
from aligned_dagster.features.plan import needed
from aligned_dagster.features.schema import Column
from aligned_dagster.request.explain import explained
from aligned_dagster.request.retrieval_request import RetrievalRequest
from aligned_dagster.sources.casting import is_widened
from aligned_dagster.sources.conform import check_present, stored_names
from aligned_dagster.sources.engines.pieces import Reading
from aligned_dagster.sources.engines.spark_conditions import condition_on, literal
from aligned_dagster.sources.engines.spark_paths import path_text
from aligned_dagster.sources.engines.spark_types import struct_of, type_of
from aligned_dagster.sources.file_source import FileDataSource
from aligned_dagster.sources.local_location import LocalLocation
from aligned_dagster.sources.location import Readable
from aligned_dagster.sources.partition_files import footer, tag_of
from aligned_dagster.sources.partitioned import PartitionedParquetSource

if TYPE_CHECKING:
    from pyspark.sql import Column as SparkColumn
    from pyspark.sql import DataFrame

    from aligned_dagster.sources.engines.spark_session import SparkRows

_FILE = "aligned: file"
_LISTED = "aligned: listed"
_PLAIN = re.compile(r"[A-Za-z0-9_./=%~ ,@+&;'()!$\[\]{}-]+")
"""Paths that Hadoop takes as they are."""


@dataclass(frozen=True)
class _Group:
    """Files of this machine with the same stored columns.

    Args:
        files: their paths.
        stored: stored name to dtype.
    """

    files: Sequence[PurePath]
    stored: Mapping[str, pl.DataType]


def read_parquet(session: SparkRows, reading: Reading, files: list[PurePath] | None) -> DataFrame | None:
    """The rows of a reading, read by Spark; None where polars is to read them.

    Args:
        session: of Spark.
        reading: what is asked.
        files: of a partitioned source, those in which wanted rows can be.

    Raises:
        SourceError: the file is not there, is no Parquet, or lacks a column.
    """
    groups = _groups(reading, files)
    if not groups:
        return None
    request = reading.needed
    conditions = [condition_on(one, request) for one in reading.on_rows()]
    plans = [_plan(reading, request, group) for group in groups]
    if None in conditions or None in plans:
        return None
    frames = [
        _frame(session, reading, request, group, plan)
        for group, plan in zip(groups, plans, strict=True)
        if plan is not None
    ]
    frame = reduce(lambda above, below: above.unionByName(below), frames)
    for condition in conditions:
        if condition is not None:
            frame = frame.filter(condition())
    return frame.select([quoted(name, "spark") for name in reading.request.columns])


def _groups(reading: Reading, files: list[PurePath] | None) -> list[_Group]:
    """The files in groups; none where they are no Parquet files of this machine."""
    source = reading.source
    if isinstance(source, FileDataSource) and source.kind == "parquet":
        if not isinstance(source.location, LocalLocation):
            return []
        path = source.location.existing_file(reading.request.name).path
        if not _PLAIN.fullmatch(str(path)):
            return []
        with explained(reading.request.name, source.uri):
            return [_Group([path], footer(source.location.readable(path)))]
    if not isinstance(source, PartitionedParquetSource) or not files:
        return []
    if not all(isinstance(file, Path) and _PLAIN.fullmatch(str(file)) for file in files):
        return []
    with explained(reading.request.name, source.uri):
        groups = [_Group(group, stored) for group, stored, _ in source.reader.groups(files, reading.needed)]
        return groups if all(map(_are_alike, groups)) else []


def _are_alike(group: _Group) -> bool:
    """Whether all files have the stored columns of the first, where their names do not tell: Spark would read null."""
    foreign = [Path(file) for file in group.files[1:] if tag_of(file) is None]
    return all(footer(Readable.local(file)) == group.stored for file in foreign)


def _plan(reading: Reading, request: RetrievalRequest, group: _Group) -> dict[str, str | None] | None:
    """Name of each column to its stored name, None where its default stands for it; None where polars must read.

    Raises:
        MissingColumnError: a column is not stored and may not be missing.
    """
    source = reading.source
    assert isinstance(source, FileDataSource | PartitionedParquetSource)
    keys = _keys(reading)
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


def _keys(reading: Reading) -> tuple[str, ...]:
    source = reading.source
    return source.partition_keys if isinstance(source, PartitionedParquetSource) else ()


def fits(stored: pl.DataType, wanted: DataType) -> bool:
    """Whether Spark reads every value of a stored dtype as we do.

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
    """Whether Spark cannot read it, or reads it as something else."""
    if isinstance(dtype, pl.Datetime):
        return dtype.time_unit == "ns"
    if isinstance(dtype, pl.Time | pl.Duration | pl.Categorical | pl.Enum):
        return True
    try:
        DataType.from_polars(dtype)
    except ContractError:
        return True
    return False


def _frame(
    session: SparkRows,
    reading: Reading,
    request: RetrievalRequest,
    group: _Group,
    plan: dict[str, str | None],
) -> DataFrame:
    from pyspark.sql import functions as F  # noqa: N812  # as everybody calls it

    stored = {name: DataType.from_polars(group.stored[name]) for name in plan.values() if name is not None}
    paths = [path_text(Path(file)) for file in group.files]
    frame = session.spark.read.schema(struct_of(stored)).parquet(*paths)
    columns: list[SparkColumn] = [
        column_of(request.schema.column(name), stored_name).alias(name) for name, stored_name in plan.items()
    ]
    keys = [key for key in _keys(reading) if key in request.columns]
    if not keys:
        return frame.select(columns)
    address = F.regexp_replace(F.col("_metadata.file_path"), "^file:/+", "/")
    frame = frame.select(*columns, address.alias(_FILE))
    values = _key_values(session, reading, request, group.files, keys)
    rows = frame.join(F.broadcast(values), _FILE, "left")
    lost = F.raise_error(F.lit("a file that was not listed")).cast("boolean")
    rows = rows.filter(F.coalesce(F.col(quoted(_LISTED, "spark")), lost))
    return rows.select([quoted(name, "spark") for name in request.columns])


def column_of(column: Column, stored: str | None) -> SparkColumn:
    """A column of the contract, made of what is stored without a loss.

    Args:
        column: of the contract, whose default stands for what is missing.
        stored: the name of what is stored; None where nothing is.
    """
    from pyspark.sql import functions as F  # noqa: N812  # as everybody calls it

    wanted = type_of(column.dtype)
    default = thaw(column.default) if column.has_default else None
    otherwise = F.lit(None) if default is None else literal(default, column.dtype)
    if stored is None:
        return otherwise.cast(wanted)
    value = F.col(quoted(stored, "spark")).cast(wanted)
    return value if default is None else F.coalesce(value, otherwise)


def _key_values(
    session: SparkRows,
    reading: Reading,
    request: RetrievalRequest,
    files: Sequence[PurePath],
    keys: list[str],
) -> DataFrame:
    """One row a file: its address as Spark tells it, and the values of its keys."""
    source = reading.source
    assert isinstance(source, PartitionedParquetSource)
    values = source.reader.key_values(list(files), request).select(keys)
    addresses = pl.Series(_FILE, [_address(file) for file in files], dtype=pl.String)
    listed = values.with_columns(addresses, pl.lit(value=True).alias(_LISTED))
    types = {key: request.schema.column(key).dtype for key in keys}
    return session.to_spark(listed.lazy(), {_FILE: DataType("string"), _LISTED: DataType("bool"), **types})


def _address(file: PurePath) -> str:
    """The path as Java writes it in a URI.

    >>> _address(PurePath("/data/day=a%20b, c/x.parquet"))
    '/data/day=a%2520b,%20c/x.parquet'
    """
    return quote(str(file), safe="/_-!.~'()*,;:$&+=@")
