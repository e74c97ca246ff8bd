"""Rows that are asked of a source, divided into pieces that several processes can read at once with polars."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import PurePath

import polars as pl

from aligned_dagster.errors import RequestError
from aligned_dagster.features.schema import Schema
from aligned_dagster.quality.probes import is_rowwise
from aligned_dagster.request.explain import explained
from aligned_dagster.request.retrieval_request import RetrievalRequest
from aligned_dagster.sources.engines.session import Period
from aligned_dagster.sources.file_source import FileDataSource
from aligned_dagster.sources.partition_reader import PartitionReader
from aligned_dagster.sources.partitioned import PartitionedParquetSource
from aligned_dagster.sources.schema_versioned import SchemaVersionedSource
from aligned_dagster.sources.source import DataSource, between_dates, source_from_json, source_to_json
from aligned_dagster.sources.sql.predicate import conjuncts
from aligned_dagster.sources.sql.sql_source import SqlSource


@dataclass(frozen=True)
class Reading:
    """Rows that are asked of a source.

    Args:
        source: where they live; of files with schema versions the one that is read.
        request: the contract and the wanted columns.
        conditions: all of which must hold, on columns of the schema.
        between: the period that a source is asked for which has its own way to find it.
        is_shared: whether any process can read the source; what only this one knows of stays here.
    """

    source: DataSource
    request: RetrievalRequest
    conditions: tuple[pl.Expr, ...] = ()
    between: Period | None = None
    is_shared: bool = False

    @staticmethod
    def of(
        source: DataSource, request: RetrievalRequest, where: pl.Expr | None, between: Period | None
    ) -> Reading:
        """What is asked, with a period as a condition where the source has no other way to find it.

        Raises:
            SourceError: no stored schema version fits.
            RequestError: a period of a contract without an event timestamp, or a condition that is about more than
                each row by itself.
        """
        if where is not None and not is_rowwise(where):
            raise RequestError(
                f"{request.name!r} cannot be read where {where}: it is no condition on each row by itself."
            )
        if isinstance(source, SchemaVersionedSource):
            source = source.at(source.version_read(request))
        conditions = () if where is None else tuple(conjuncts(where))
        is_shared = isinstance(source, FileDataSource | PartitionedParquetSource | SqlSource)
        if between is not None and is_shared:
            conditions = (*conditions, between_dates(request, *between))
            between = None
        if (
            is_shared
        ):  # what another process gets of a request is data: no rules, which hold the contracts they refer to
            plain = Schema(tuple(replace(column, constraints=()) for column in request.schema.columns))
            request = replace(request, schema=plain, promise=None, referenced={})
        return Reading(source, request, conditions, between, is_shared)

    @property
    def needed(self) -> RetrievalRequest:
        """The request with the columns of the conditions behind the wanted ones."""
        roots = [name for one in self.conditions for name in one.meta.root_names()]
        return self.request.project(dict.fromkeys([*self.request.columns, *roots]))

    def rows(self, files: Sequence[PurePath] | None = None) -> pl.LazyFrame:
        """The rows, all of them or those of some files of a partitioned source.

        Args:
            files: all if not given.
        """
        needed = self.needed
        if files is not None and isinstance(self.source, PartitionedParquetSource):
            frame = self.source.reader.read(files, needed)
        elif self.between is not None:
            frame = self.source.all_between_dates(needed, *self.between)
        else:
            frame = self.source.all_data(needed)
        for condition in self.conditions:
            frame = frame.filter(condition)
        return frame.select(self.request.columns) if needed.columns != self.request.columns else frame

    def partition_files(self) -> list[PurePath] | None:
        """The files of a partitioned source in which wanted rows can be; None for any other source.

        Raises:
            SourceError: the directory is not there, or a value of it does not fit its column.
        """
        if not isinstance(self.source, PartitionedParquetSource):
            return None
        self.source.check(self.request)
        reader = self.source.reader
        files = list(reader.existing_paths(self.request.name))
        with explained(self.request.name, self.source.uri):
            return _wanted_files(reader, files, self.request, self.conditions, self._telling)

    def on_rows(self) -> tuple[pl.Expr, ...]:
        """The conditions that the choice of files leaves open."""
        if not isinstance(self.source, PartitionedParquetSource):
            return self.conditions
        return tuple(one for one in self.conditions if not _is_about(one, self._telling))

    @property
    def _telling(self) -> set[str]:
        """The keys whose values stand in the names of directories; another value may stand for a null."""
        assert isinstance(self.source, PartitionedParquetSource)
        schema = self.request.schema
        return {key for key in self.source.partition_keys if not schema.column(key).has_default}

    def packed(self) -> PackedReading:
        """What another process needs to read the rows.

        Raises:
            UnsupportedError: the source was given a resource, which may hold secrets.
        """
        return PackedReading(
            json.dumps(source_to_json(self.source)),
            self.request,
            tuple(one.meta.serialize() for one in self.conditions),
        )


@dataclass(frozen=True)
class PackedReading:
    """A reading on its way to another process: names of secrets, and no secret.

    Args:
        source: its JSON form.
        request: the contract and the wanted columns.
        conditions: in the form of polars.
    """

    source: str
    request: RetrievalRequest
    conditions: tuple[bytes, ...]

    def unpacked(self) -> Reading:
        """The reading, in the process that has the environment variables and the files."""
        conditions = tuple(pl.Expr.deserialize(io.BytesIO(one)) for one in self.conditions)
        return Reading(source_from_json(json.loads(self.source)), self.request, conditions, is_shared=True)


def divided(files: list[PurePath], most: int) -> list[list[PurePath]]:
    """Files in runs of about the same length.

    Args:
        files: any number.
        most: the largest number of runs.

    >>> [len(run) for run in divided([PurePath(str(n)) for n in range(7)], 3)]
    [3, 2, 2]
    """
    count = min(most, len(files))
    bounds = [len(files) * number // count for number in range(count + 1)] if count else [0]
    runs = [files[low:high] for low, high in pairwise(bounds)]
    return sorted(runs, key=len, reverse=True)


def _wanted_files(
    reader: PartitionReader,
    files: list[PurePath],
    request: RetrievalRequest,
    conditions: tuple[pl.Expr, ...],
    keys: set[str],
) -> list[PurePath]:
    about = [one for one in conditions if _is_about(one, keys)]
    if not about or not files:
        return files
    values = reader.key_values(files, request).with_row_index("aligned: file")
    for condition in about:
        values = values.filter(condition)
    return [files[number] for number in values["aligned: file"]]


def _is_about(condition: pl.Expr, keys: set[str]) -> bool:
    roots = set(condition.meta.root_names())
    return bool(roots) and roots <= keys
