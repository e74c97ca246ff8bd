"""Files and directories of this machine, as the documentation writes them."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict

from aligned_dagster.sources.date_formatter import DateFormatter
from aligned_dagster.sources.file_source import FileDataSource
from aligned_dagster.sources.formats import CsvConfig, CsvFormat, ParquetConfig, ParquetFormat
from aligned_dagster.sources.location import LocalLocation

if TYPE_CHECKING:
    from aligned_dagster.sources.partitioned import PartitionedParquetSource
    from aligned_dagster.sources.versioned_directory import VersionedDirectory

__all__ = ["CsvConfig", "DateFormatter", "Directory", "FileSource", "ParquetConfig"]

PathText = str | os.PathLike[str]


class FileSource:
    """Constructors of sources that are files.

    >>> FileSource.csv_at("taxi_data.csv").kind
    'csv'
    """

    @staticmethod
    def csv_at(
        path: PathText,
        mapping_keys: Mapping[str, str] | None = None,
        csv_config: CsvConfig | None = None,
        date_formatter: DateFormatter | None = None,
    ) -> FileDataSource:
        """A CSV file.

        Args:
            path: absolute, or relative to `ALIGNED_PROJECT_ROOT` or the working directory.
            mapping_keys: stored name to name in the contract.
            csv_config: separator, compression, null values, header, encoding.
            date_formatter: how dates are written; ISO 8601 if not given.
        """
        return FileDataSource(
            location=LocalLocation(path=os.fspath(path)),
            format=CsvFormat(config=csv_config or CsvConfig()),
            mapping_keys=dict(mapping_keys or {}),
            date_formatter=date_formatter or DateFormatter.iso_8601(),
        )

    @staticmethod
    def parquet_at(
        path: PathText,
        mapping_keys: Mapping[str, str] | None = None,
        config: ParquetConfig | None = None,
        date_formatter: DateFormatter | None = None,
    ) -> FileDataSource:
        """A Parquet file.

        Args:
            path: absolute, or relative to `ALIGNED_PROJECT_ROOT` or the working directory.
            mapping_keys: stored name to name in the contract.
            config: compression and row groups, for writing.
            date_formatter: how dates are stored, where they are not stored as dates.
        """
        return FileDataSource(
            location=LocalLocation(path=os.fspath(path)),
            format=ParquetFormat(config=config or ParquetConfig()),
            mapping_keys=dict(mapping_keys or {}),
            date_formatter=date_formatter or DateFormatter.noop(),
        )

    @staticmethod
    def partitioned_parquet_at(
        directory: PathText,
        partition_keys: Sequence[str],
        mapping_keys: Mapping[str, str] | None = None,
        config: ParquetConfig | None = None,
        date_formatter: DateFormatter | None = None,
    ) -> PartitionedParquetSource:
        """A directory of Parquet files in directories such as `country=norway`.

        Args:
            directory: absolute, or relative to `ALIGNED_PROJECT_ROOT` or the working directory.
            partition_keys: columns of the contract that the directories stand for, outermost first.
            mapping_keys: stored name to name in the contract.
            config: compression and row groups, for writing.
            date_formatter: how dates are stored, where they are not stored as dates.
        """
        from aligned_dagster.sources.partitioned import PartitionedParquetSource

        return PartitionedParquetSource(
            location=LocalLocation(path=os.fspath(directory)),
            partition_keys=tuple(partition_keys),
            config=config or ParquetConfig(),
            mapping_keys=dict(mapping_keys or {}),
            date_formatter=date_formatter or DateFormatter.noop(),
        )

    @staticmethod
    def directory(path: PathText) -> Directory:
        """A directory whose files are sources.

        >>> FileSource.directory("data").csv_at("taxi.csv").label
        'data/taxi.csv'
        """
        return Directory(location=LocalLocation(path=os.fspath(path)))


class Directory(BaseModel):
    """A directory whose files are sources: the same constructors as `FileSource`, with paths below it.

    Args:
        location: the path.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    location: LocalLocation

    def csv_at(
        self,
        path: PathText,
        mapping_keys: Mapping[str, str] | None = None,
        csv_config: CsvConfig | None = None,
        date_formatter: DateFormatter | None = None,
    ) -> FileDataSource:
        """A CSV file in this directory; see `FileSource.csv_at`."""
        return FileSource.csv_at(self._below(path), mapping_keys, csv_config, date_formatter)

    def parquet_at(
        self,
        path: PathText,
        mapping_keys: Mapping[str, str] | None = None,
        config: ParquetConfig | None = None,
        date_formatter: DateFormatter | None = None,
    ) -> FileDataSource:
        """A Parquet file in this directory; see `FileSource.parquet_at`."""
        return FileSource.parquet_at(self._below(path), mapping_keys, config, date_formatter)

    def partitioned_parquet_at(
        self,
        directory: PathText,
        partition_keys: Sequence[str],
        mapping_keys: Mapping[str, str] | None = None,
        config: ParquetConfig | None = None,
        date_formatter: DateFormatter | None = None,
    ) -> PartitionedParquetSource:
        """A partitioned directory in this directory; see `FileSource.partitioned_parquet_at`."""
        return FileSource.partitioned_parquet_at(
            self._below(directory), partition_keys, mapping_keys, config, date_formatter
        )

    def sub_directory(self, path: PathText) -> Directory:
        """A directory in this directory."""
        return Directory(location=LocalLocation(path=self._below(path)))

    def directory(self, path: PathText) -> Directory:
        """A directory in this directory."""
        return self.sub_directory(path)

    def with_schema_version(self, sub_directory: PathText | None = None) -> VersionedDirectory:
        """A directory in which every schema version of a contract has its own directory, named by 32 hex digits.

        Args:
            sub_directory: where the versions are, below this directory; directly in it if not given.

        >>> taxi = FileSource.directory("taxi_data")
        >>> taxi.with_schema_version(sub_directory="vendors").parquet_at("data.parquet").label
        'taxi_data/vendors/*/data.parquet'
        """
        from aligned_dagster.sources.versioned_directory import VersionedDirectory

        below = self if sub_directory is None else self.sub_directory(sub_directory)
        return VersionedDirectory(location=below.location)

    def _below(self, path: PathText) -> str:
        return self.location.child(os.fspath(path)).path
