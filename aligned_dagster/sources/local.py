"""Files and directories of this machine, as the documentation writes them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NoReturn

from aligned_dagster.errors import UnknownMethodError, WrongSettingError, did_you_mean
from aligned_dagster.features.location import at, caller
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

    if (
        not TYPE_CHECKING
    ):  # a type checker reports these mistakes itself, and would accept them if it saw the methods

        def __call__(self, path: object = "data.csv", *_: object, **__: object) -> NoReturn:
            raise WrongSettingError(
                f"FileSource says by a method what kind of file it is: FileSource.csv_at({path!r}), "
                f"FileSource.parquet_at(...), partitioned_parquet_at(...) or directory(...).{at(caller())}"
            )

        def __getattr__(self, name: str) -> NoReturn:
            known = [option for option in dir(type(self)) if not option.startswith("_")]
            hint = did_you_mean(name, known) or did_you_mean(f"{name}_at", known)
            if name.startswith("_"):  # somebody asks what kind of object it is
                raise AttributeError(name)
            raise UnknownMethodError(
                f"FileSource has no {name!r}.{hint} It has {', '.join(known)}.{at(caller())}"
            )


FileSource = LocalFiles()
"""`FileSource.csv_at`, `parquet_at`, `partitioned_parquet_at` and `directory`, for files of this machine."""
