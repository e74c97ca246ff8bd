"""Files and directories of this machine, as the documentation writes them."""

from __future__ import annotations

import os

from aligned_dagster.sources.constructors import Directory, PathText, PlainConstructors
from aligned_dagster.sources.date_formatter import DateFormatter
from aligned_dagster.sources.formats import CsvConfig, ParquetConfig
from aligned_dagster.sources.local_location import LocalLocation

__all__ = ["CsvConfig", "DateFormatter", "Directory", "FileSource", "ParquetConfig"]


class LocalFiles(PlainConstructors):
    """Constructors of sources that are files of this machine; use `FileSource`, which is the only one.

    >>> FileSource.csv_at("taxi_data.csv").kind
    'csv'
    """

    def at(self, path: PathText) -> LocalLocation:
        """A path, absolute or relative to `ALIGNED_PROJECT_ROOT` or the working directory."""
        return LocalLocation(path=os.fspath(path))


FileSource = LocalFiles()
"""`FileSource.csv_at`, `parquet_at`, `partitioned_parquet_at` and `directory`, for files of this machine."""
