"""Parquet files in directories named by the values of partition keys, as Hive, Spark and DuckDB write them."""

from __future__ import annotations

import datetime as dt
from pathlib import Path, PurePath
from typing import Literal

import polars as pl
from pydantic import Field, field_validator

from aligned_dagster.errors import ConfigurationError, PublishError, did_you_mean
from aligned_dagster.request.explain import explained
from aligned_dagster.request.retrieval_request import RetrievalRequest
from aligned_dagster.sources.date_formatter import DateFormatter
from aligned_dagster.sources.file_fingerprint import content_of_files, fingerprint_files
from aligned_dagster.sources.file_source import check_mapping
from aligned_dagster.sources.formats import ParquetConfig
from aligned_dagster.sources.latest_partitions import latest_files
from aligned_dagster.sources.locations import AnyLocation
from aligned_dagster.sources.partition_files import count_rows
from aligned_dagster.sources.partition_path import check_keys
from aligned_dagster.sources.partition_reader import PartitionReader
from aligned_dagster.sources.partition_writer import StagedPartitions, stage_partitions
from aligned_dagster.sources.quarantine_files import (
    quarantine_runs,
    read_quarantine,
    remove_quarantine,
    write_quarantine,
)
from aligned_dagster.sources.quarantine_run import QuarantineRun
from aligned_dagster.sources.source import Fingerprint, WritableSource
from aligned_dagster.sources.writing import WriteMode, check_write


class PartitionedParquetSource(WritableSource):
    """A directory of partitions. Make it with `FileSource.partitioned_parquet_at`.

    Args:
        location: the directory.
        partition_keys: columns of the contract that the directories stand for, outermost first.
        config: compression and row groups, for writing.
        mapping_keys: stored name to name in the contract, keys included.
        date_formatter: how dates are stored, where they are not stored as dates.
    """

    type: Literal["partitioned_parquet"] = "partitioned_parquet"
    location: AnyLocation
    partition_keys: tuple[str, ...]
    config: ParquetConfig = ParquetConfig()
    mapping_keys: dict[str, str] = Field(default_factory=dict)
    date_formatter: DateFormatter = DateFormatter.noop()

    @field_validator("partition_keys")
    @classmethod
    def _named(cls, keys: tuple[str, ...]) -> tuple[str, ...]:
        return check_keys(keys)

    @field_validator("mapping_keys")
    @classmethod
    def _one_to_one(cls, mapping: dict[str, str]) -> dict[str, str]:
        return check_mapping(mapping)

    __hash__ = WritableSource.__hash__

    @property
    def uri(self) -> str:
        """The absolute path or URI of the directory."""
        return self.location.uri

    @property
    def kind(self) -> str:
        """parquet."""
        return "parquet"

    @property
    def label(self) -> str:
        """The place as it was given."""
        return self.location.label

    @property
    def stored_keys(self) -> tuple[str, ...]:
        """The names of the keys in the directories, outermost first."""
        renamed = {feature: stored for stored, feature in self.mapping_keys.items()}
        return check_keys([renamed.get(key, key) for key in self.partition_keys])

    @property
    def reader(self) -> PartitionReader:
        """What reads its files."""
        return PartitionReader(
            self.location, self.partition_keys, self.stored_keys, self.mapping_keys, self.date_formatter
        )

    def all_data(self, request: RetrievalRequest, limit: int | None = None) -> pl.LazyFrame:
        """See `DataSource.all_data`. A filter on a key opens the files of those partitions only."""
        self.check(request)
        reader = self.reader
        frame = reader.read(reader.existing_paths(request.name), request)
        return frame if limit is None else frame.head(limit)

    def newest(self, request: RetrievalRequest, column: str) -> dt.datetime | None:
        """See `DataSource.newest`. Where keys tell the time, the files of the newest partitions only are opened."""
        self.check(request)
        reader = self.reader
        files = reader.existing_paths(request.name)
        latest = latest_files(reader, files, request, column)
        if len(latest) < len(files):
            rows = reader.read(latest, request.project((column,)))
            with explained(request.name, self.uri):
                found: dt.datetime | None = rows.max().collect(engine="streaming").item()
            if found is not None:
                return found
        return super().newest(request, column)

    def fingerprint(self) -> Fingerprint:
        """See `DataSource.fingerprint`. Rows come from the footers, and only of files of this machine."""
        files = self.reader.existing_files()
        with explained(self.label, self.uri):
            local = [one.path for one in files if isinstance(one.path, Path)]
            rows = count_rows(local) if len(local) == len(files) else None
        return fingerprint_files(files, self.location.root, rows)

    def content(self, limit: int) -> str | None:
        """See `DataSource.content`."""
        files = self.reader.existing_files()
        with explained(self.label, self.uri):
            return content_of_files(files, self.location.root, limit)

    def stage(
        self,
        frame: pl.LazyFrame,
        request: RetrievalRequest,
        mode: WriteMode,
        *,
        where: pl.Expr | None = None,
    ) -> StagedPartitions:
        """See `WritableSource.stage`. Insert adds a file to each partition; upsert rewrites the partitions that hold
        or receive one of the keys; overwrite replaces everything; replace rewrites the partitions that hold
        replaced rows or receive one, and opens no file of others if `where` is about partition keys alone.
        All partitions are published together.
        """
        request = check_write(request, mode, self.uri, where)
        self.check(request)
        if set(request.columns) <= set(self.partition_keys):
            raise ConfigurationError(
                f"{request.name!r} has no column besides its partition keys: no row can be stored."
            )
        if self.location.what_is_there() == "file":
            raise PublishError(
                f"{self.uri} is a file: {request.name!r} cannot be written to it as a directory."
            )
        return stage_partitions(self, frame, request, mode, where)

    def quarantine(self, frame: pl.LazyFrame, request: RetrievalRequest, run_id: str) -> str:
        """Keep bad rows in `<directory>.quarantine/<run_id>.parquet`, and return that path."""
        return write_quarantine(frame, self.location, request.name, run_id)

    def read_quarantine(self, run_id: str | None = None) -> pl.LazyFrame | None:
        """The rows that were kept aside, by one run or by all; None where there are none."""
        return read_quarantine(self.location, run_id)

    def quarantine_runs(self) -> list[QuarantineRun]:
        """The runs that kept rows aside, the oldest first."""
        return quarantine_runs(self.location)

    def remove_quarantine(self, run_id: str) -> None:
        """Remove the rows that one run kept aside; nothing happens where there are none."""
        remove_quarantine(self.location, run_id)

    def check(self, request: RetrievalRequest) -> None:
        """Raise unless the contract has the partition keys.

        Raises:
            ConfigurationError: it lacks one.
        """
        for key in self.partition_keys:
            if key not in request.schema:
                raise ConfigurationError(
                    f"{request.name!r} is partitioned by {key!r}, which it has no column for."
                    f"{did_you_mean(key, request.schema.names)} Columns: {', '.join(request.schema.names)}."
                )

    def files(self) -> list[PurePath]:
        """All data files, as if an unfinished publish had been carried out.

        Raises:
            UnreadableSourceError: a file lies outside of the partitions.
        """
        return [file.path for file in self.reader.files()]
