"""Parquet files that DuckDB reads by itself: those that store each column exactly as the contract says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path, PurePath

import polars as pl

from aligned_dagster.features.dtypes import DataType
from aligned_dagster.features.engines.carried import alike_in_duckdb, carried
from aligned_dagster.sources.engines.parquet_files import fits, groups_of, keys_of, stored_columns
from aligned_dagster.sources.engines.pieces import Reading

StoredColumns = Mapping[str, tuple[str, DataType]]
"""Name of a column to its name in the files and the contract's type."""


def stored_parquet(
    reading: Reading, files: list[PurePath] | None
) -> tuple[Sequence[Path], StoredColumns] | None:
    """The files in which the rows of a reading are, and their columns; None where polars is to read them.

    Args:
        reading: what is asked.
        files: of a partitioned source, those in which wanted rows can be.

    Raises:
        SourceError: the file is not there, is no Parquet, or lacks a column.
    """
    request = reading.request
    if reading.on_rows() or reading.between is not None or set(keys_of(reading)) & set(request.columns):
        return None
    groups = groups_of(reading, files)
    if len(groups) != 1 or alike_in_duckdb(groups[0].stored):
        return None
    names = stored_columns(reading, request, groups[0])
    if names is None or any(column.has_default for column in request.wanted):
        return None
    columns = {}
    for column in request.wanted:
        name = names[column.name]
        if name is None or not _is_same(groups[0].stored[name], column.dtype):
            return None
        columns[column.name] = (name, column.dtype)
    return [Path(file) for file in groups[0].files], columns


def _is_same(stored: pl.DataType, wanted: DataType) -> bool:
    """Whether DuckDB finds a column as it carries it."""
    if isinstance(stored, pl.Datetime):
        return fits(stored, wanted)
    return fits(stored, wanted) and stored == wanted.polars == carried(wanted, "duckdb")
