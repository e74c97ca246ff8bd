"""A directory of schema versions, and the constructors of the sources in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pydantic import BaseModel, ConfigDict

from aligned_dagster.sources.date_formatter import DateFormatter
from aligned_dagster.sources.formats import CsvConfig, ParquetConfig
from aligned_dagster.sources.local import FileSource, PathText
from aligned_dagster.sources.location import LocalLocation
from aligned_dagster.sources.schema_versioned import SchemaVersionedSource
from aligned_dagster.sources.stored_versions import VersionedFile


class VersionedDirectory(BaseModel):
    """A directory with a directory for every schema version: the constructors of `FileSource`, below each of them.

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
    ) -> SchemaVersionedSource:
        """A CSV file of every version; see `FileSource.csv_at`."""
        return self._of(FileSource.csv_at(path, mapping_keys, csv_config, date_formatter))

    def parquet_at(
        self,
        path: PathText,
        mapping_keys: Mapping[str, str] | None = None,
        config: ParquetConfig | None = None,
        date_formatter: DateFormatter | None = None,
    ) -> SchemaVersionedSource:
        """A Parquet file of every version; see `FileSource.parquet_at`."""
        return self._of(FileSource.parquet_at(path, mapping_keys, config, date_formatter))

    def partitioned_parquet_at(
        self,
        directory: PathText,
        partition_keys: Sequence[str],
        mapping_keys: Mapping[str, str] | None = None,
        config: ParquetConfig | None = None,
        date_formatter: DateFormatter | None = None,
    ) -> SchemaVersionedSource:
        """A partitioned directory of every version; see `FileSource.partitioned_parquet_at`."""
        return self._of(
            FileSource.partitioned_parquet_at(directory, partition_keys, mapping_keys, config, date_formatter)
        )

    def _of(self, file: VersionedFile) -> SchemaVersionedSource:
        return SchemaVersionedSource(location=self.location, file=file)
