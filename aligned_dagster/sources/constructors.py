"""The constructors of sources that are files, the same wherever the files are."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Generic, TypeVar

from pydantic import ConfigDict

from aligned_dagster.errors import WrongSettingError
from aligned_dagster.features.arguments import checked_arguments
from aligned_dagster.features.location import at, caller
from aligned_dagster.sources.date_formatter import DateFormatter
from aligned_dagster.sources.file_source import FileDataSource
from aligned_dagster.sources.formats import CsvConfig, CsvFormat, ParquetConfig, ParquetFormat
from aligned_dagster.sources.locations import AnyLocation
from aligned_dagster.sources.partitioned import PartitionedParquetSource
from aligned_dagster.sources.settings import Settings

if TYPE_CHECKING:
    from aligned_dagster.sources.versioned_directory import VersionedDirectory

PathText = str | os.PathLike[str]
File = TypeVar("File")
Tree = TypeVar("Tree")


_OF_CSV = {
    name: f"It belongs to the config: csv_config=CsvConfig({name}=...)." for name in CsvConfig.model_fields
} | dict.fromkeys(("sep", "delimiter", "seperator"), "Write csv_config=CsvConfig(separator=';').")
"""What people give to `csv_at` itself, and where it belongs."""


class Constructors(ABC, Generic[File, Tree]):
    """Makes sources at paths: what is made, and where the paths start from, is up to the subclass."""

    @abstractmethod
    def at(self, path: PathText) -> AnyLocation:
        """The location of a path."""

    @abstractmethod
    def _file(self, source: FileDataSource) -> File: ...

    @abstractmethod
    def _tree(self, source: PartitionedParquetSource) -> Tree: ...

    @checked_arguments(_OF_CSV)
    def csv_at(
        self,
        path: PathText,
        mapping_keys: Mapping[str, str] | None = None,
        csv_config: CsvConfig | None = None,
        date_formatter: DateFormatter | None = None,
    ) -> File:
        """A CSV file.

        Args:
            path: below the directory or bucket; of local files absolute, or relative to `ALIGNED_PROJECT_ROOT` or the
                working directory.
            mapping_keys: stored name to name in the contract.
            csv_config: separator, compression, null values, header, encoding.
            date_formatter: how dates are written; ISO 8601 if not given.
        """
        source = FileDataSource(
            location=self.at(path),
            format=CsvFormat(config=csv_config or CsvConfig()),
            mapping_keys=dict(mapping_keys or {}),
            date_formatter=date_formatter or DateFormatter.iso_8601(),
        )
        return self._file(source)

    @checked_arguments()
    def parquet_at(
        self,
        path: PathText,
        mapping_keys: Mapping[str, str] | None = None,
        config: ParquetConfig | None = None,
        date_formatter: DateFormatter | None = None,
    ) -> File:
        """A Parquet file.

        Args:
            path: as for `csv_at`.
            mapping_keys: stored name to name in the contract.
            config: compression and row groups, for writing.
            date_formatter: how dates are stored, where they are not stored as dates.
        """
        source = FileDataSource(
            location=self.at(path),
            format=ParquetFormat(config=config or ParquetConfig()),
            mapping_keys=dict(mapping_keys or {}),
            date_formatter=date_formatter or DateFormatter.noop(),
        )
        return self._file(source)

    @checked_arguments()
    def partitioned_parquet_at(
        self,
        directory: PathText,
        partition_keys: Sequence[str],
        mapping_keys: Mapping[str, str] | None = None,
        config: ParquetConfig | None = None,
        date_formatter: DateFormatter | None = None,
    ) -> Tree:
        """A directory of Parquet files in directories such as `country=norway`.

        Args:
            directory: as the path of `csv_at`.
            partition_keys: columns of the contract that the directories stand for, outermost first.
            mapping_keys: stored name to name in the contract.
            config: compression and row groups, for writing.
            date_formatter: how dates are stored, where they are not stored as dates.
        """
        if isinstance(partition_keys, str):
            raise WrongSettingError(
                f"partition_keys takes a list: partition_keys=[{partition_keys!r}].{at(caller())}"
            )
        source = PartitionedParquetSource(
            location=self.at(directory),
            partition_keys=tuple(partition_keys),
            config=config or ParquetConfig(),
            mapping_keys=dict(mapping_keys or {}),
            date_formatter=date_formatter or DateFormatter.noop(),
        )
        return self._tree(source)


class PlainConstructors(Constructors[FileDataSource, PartitionedParquetSource]):
    """Makes plain files, and directories of files."""

    def _file(self, source: FileDataSource) -> FileDataSource:
        return source

    def _tree(self, source: PartitionedParquetSource) -> PartitionedParquetSource:
        return source

    def directory(self, path: PathText) -> Directory:
        """A directory whose files are sources.

        >>> from aligned_dagster import FileSource
        >>> FileSource.directory("data").csv_at("taxi.csv").label
        'data/taxi.csv'
        """
        return Directory(location=self.at(path))


class FolderConstructors(PlainConstructors):
    """Makes files, directories of files, and directories of schema versions, below a place that is a directory."""

    def sub_directory(self, path: PathText) -> Directory:
        """A directory in this directory; of a bucket, a prefix."""
        return self.directory(path)

    def with_schema_version(self, sub_directory: PathText | None = None) -> VersionedDirectory:
        """A directory in which every schema version of a contract has its own directory, named by 32 hex digits.

        Args:
            sub_directory: where the versions are, below this directory; directly in it if not given.

        >>> from aligned_dagster import FileSource
        >>> taxi = FileSource.directory("taxi_data")
        >>> taxi.with_schema_version(sub_directory="vendors").parquet_at("data.parquet").label
        'taxi_data/vendors/*/data.parquet'
        """
        from aligned_dagster.sources.versioned_directory import VersionedDirectory

        return VersionedDirectory(location=self.at("" if sub_directory is None else sub_directory))


class Directory(Settings, FolderConstructors):
    """A directory whose files are sources, on this machine or in an object store.

    Args:
        location: where it is.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    location: AnyLocation

    def at(self, path: PathText) -> AnyLocation:
        """A place below it."""
        return self.location.child(os.fspath(path)) if os.fspath(path) else self.location
