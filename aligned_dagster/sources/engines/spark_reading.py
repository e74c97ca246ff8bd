"""Rows of sources on Spark: natively where its answer is certain to be ours, and else by polars in its workers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import PurePath
from typing import TYPE_CHECKING

import polars as pl

from aligned_dagster.errors import UnsupportedError
from aligned_dagster.features.engines.carried import carried
from aligned_dagster.request.explain import explained
from aligned_dagster.sources.engines.pieces import PackedReading, Reading, divided
from aligned_dagster.sources.engines.spark_errors import marked
from aligned_dagster.sources.engines.spark_jdbc import read_jdbc
from aligned_dagster.sources.engines.spark_parquet import read_parquet
from aligned_dagster.sources.engines.spark_types import arrow_of, struct_of
from aligned_dagster.sources.sql.connection import close_idle_connections

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame
    from pyspark.sql import types as T  # noqa: N812  # as everybody calls it

    from aligned_dagster.sources.engines.spark_session import SparkRows

_MOST_PIECES = 64
_BATCH = 50_000
"""Rows that a worker hands over at once."""


def read(session: SparkRows, reading: Reading) -> DataFrame:
    """The rows of a reading: in carried dtypes, under the contract's names.

    Args:
        session: of Spark.
        reading: what is asked.

    Raises:
        SourceError: the source is not there, or lacks a column.
    """
    files = reading.partition_files()
    for read_natively in (partial(read_parquet, files=files), read_jdbc):
        native = read_natively(session, reading)
        if native is not None:
            return native
    schema = {column.name: column.dtype for column in reading.request.wanted}
    if reading.is_shared:
        try:
            packed = reading.packed()
        except UnsupportedError:  # it was given a resource, which stays in this process
            pass
        else:
            return _by_workers(session, reading, packed, files)
    with explained(reading.request.name, reading.source.uri):
        return session.to_spark(reading.rows(files), schema)


def _by_workers(
    session: SparkRows, reading: Reading, packed: PackedReading, files: list[PurePath] | None
) -> DataFrame:
    """The source's own scan, in as many workers as it has pieces."""
    reading.rows(None if files is None else files[:1]).collect_schema()  # what is missing is told now
    pieces: list[list[PurePath] | None] = [None]
    if files is not None:
        pieces = [*divided(files, _MOST_PIECES)] or [[]]
    struct = struct_of({column.name: column.dtype for column in reading.request.wanted})
    numbers = session.spark.range(0, len(pieces), 1, len(pieces))
    return numbers.mapInArrow(_scan(packed, pieces, struct), struct)


def _scan(
    packed: PackedReading, pieces: list[list[PurePath] | None], struct: T.StructType
) -> Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    def scan(numbers: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in numbers:
            for number in batch.column(0).to_pylist():
                yield from scanned(packed, pieces[number], struct)

    return scan


def scanned(
    packed: PackedReading, files: list[PurePath] | None, struct: T.StructType
) -> Iterator[pa.RecordBatch]:
    """The rows of one piece, in a worker: its environment holds the secrets that the source names."""
    with marked():
        reading = packed.unpacked()
        request = reading.request
        columns = [pl.col(column.name).cast(carried(column.dtype, "spark")) for column in request.wanted]
        try:
            with explained(request.name, reading.source.uri):
                frame = reading.rows(files).select(columns)
                for batch in frame.collect_batches(chunk_size=_BATCH, lazy=True):
                    yield from arrow_of(batch, struct).combine_chunks().to_batches()
        finally:
            close_idle_connections()  # a worker lives on, and may never read from that database again
