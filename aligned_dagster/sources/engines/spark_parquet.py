"""Parquet files read by Spark itself, where what they store is what the contract says or fits into it.

What needs a checked cast, a derivation, or a condition that Spark might understand otherwise is left to polars.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from pathlib import Path, PurePath
from typing import TYPE_CHECKING
from urllib.parse import quote

import polars as pl

from aligned_dagster.features.dtypes import DataType
from aligned_dagster.features.engines.carried import quoted
from aligned_dagster.features.literals import thaw
from aligned_dagster.features.schema import Column
from aligned_dagster.request.retrieval_request import RetrievalRequest
from aligned_dagster.sources.engines.parquet_files import Group, groups_of, keys_of, stored_columns
from aligned_dagster.sources.engines.pieces import Reading
from aligned_dagster.sources.engines.spark_conditions import condition_on, literal
from aligned_dagster.sources.engines.spark_paths import path_text
from aligned_dagster.sources.engines.spark_types import struct_of, type_of
from aligned_dagster.sources.partitioned import PartitionedParquetSource

if TYPE_CHECKING:
    from pyspark.sql import Column as SparkColumn
    from pyspark.sql import DataFrame

    from aligned_dagster.sources.engines.spark_session import SparkRows

_FILE = "aligned: file"
_LISTED = "aligned: listed"


def read_parquet(session: SparkRows, reading: Reading, files: list[PurePath] | None) -> DataFrame | None:
    """The rows of a reading, read by Spark; None where polars is to read them.

    Args:
        session: of Spark.
        reading: what is asked.
        files: of a partitioned source, those in which wanted rows can be.

    Raises:
        SourceError: the file is not there, is no Parquet, or lacks a column.
    """
    groups = groups_of(reading, files)
    if not groups:
        return None
    request = reading.needed
    conditions = [condition_on(one, request) for one in reading.on_rows()]
    plans = [stored_columns(reading, request, group) for group in groups]
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


def _frame(
    session: SparkRows,
    reading: Reading,
    request: RetrievalRequest,
    group: Group,
    plan: dict[str, str | None],
) -> DataFrame:
    from pyspark.sql import functions as F  # noqa: N812  # as everybody calls it

    stored = {name: DataType.from_polars(group.stored[name]) for name in plan.values() if name is not None}
    paths = [path_text(Path(file)) for file in group.files]
    frame = session.spark.read.schema(struct_of(stored)).parquet(*paths)
    columns: list[SparkColumn] = [
        column_of(request.schema.column(name), stored_name).alias(name) for name, stored_name in plan.items()
    ]
    keys = [key for key in keys_of(reading) if key in request.columns]
    if not keys:
        return frame.select(columns)
    address = F.regexp_replace(frame.metadataColumn("_metadata").getField("file_path"), "^file:/+", "/")
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
