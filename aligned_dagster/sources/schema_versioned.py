"""Files that are kept once for every schema version, so that old and new readers run side by side."""

from __future__ import annotations

import datetime as dt
import hashlib
import os
from collections.abc import Mapping, Sequence
from typing import Annotated, Literal, Self

import polars as pl
from pydantic import Field, field_validator

from aligned_dagster.errors import ConfigurationError, PublishError, SchemaVersionError
from aligned_dagster.request.retrieval_request import RetrievalRequest
from aligned_dagster.sources.file_source import FileDataSource
from aligned_dagster.sources.location import not_found
from aligned_dagster.sources.locations import AnyLocation
from aligned_dagster.sources.partitioned import PartitionedParquetSource
from aligned_dagster.sources.quarantine_run import QuarantineRun
from aligned_dagster.sources.source import Fingerprint, Staged, WritableSource, WriteMode
from aligned_dagster.sources.stored_versions import (
    StoredVersion,
    VersionedFile,
    is_stored,
    is_version,
    misfits,
    stored_version,
    version_names,
    write_note,
)

_SHOWN = 8
"""Versions that an error tells about."""


class SchemaVersionedSource(WritableSource):
    """One file (or partitioned directory) a schema version. Make it with `Directory.with_schema_version`.

    Rows are written to the version of the contract that writes them. They are read from the version of the
    contract that reads them and, as long as nobody has written that one, from the newest other version that
    fits: the same columns, with types that can be cast; optional columns, those with a default and derived ones
    may be missing.

    Args:
        location: the directory of the versions.
        file: the file in the directory of each version; its path is relative to it.
        pinned: the only version that is read; None for the one that the contract asks for.

    >>> from aligned_dagster import FileSource
    >>> vendors = FileSource.directory("taxi_data").with_schema_version("vendors").parquet_at("data.parquet")
    >>> vendors.label
    'taxi_data/vendors/*/data.parquet'
    >>> vendors.at("26c65192dc9a74910a845d03ae05d4d2").label
    'taxi_data/vendors/26c65192dc9a74910a845d03ae05d4d2/data.parquet'
    """

    type: Literal["schema_versioned"] = "schema_versioned"
    location: AnyLocation
    file: Annotated[FileDataSource | PartitionedParquetSource, Field(discriminator="type")]
    pinned: str | None = None

    @field_validator("file")
    @classmethod
    def _inside(cls, file: VersionedFile) -> VersionedFile:
        path = file.location.path
        first = os.path.normpath(path).split(os.sep)[0]
        if first in ("", ".", "..") or first.startswith("~"):
            raise ConfigurationError(
                f"{path!r} does not lie below the directory of a schema version. Give the name of the file alone, "
                "as in with_schema_version(sub_directory='vendors').parquet_at('data.parquet')."
            )
        return file

    @field_validator("pinned")
    @classmethod
    def _hex(cls, version: str | None) -> str | None:
        if version is not None and not is_version(version):
            raise ConfigurationError(f"{version!r} is no schema version: those are 32 digits of 0-9 and a-f.")
        return version

    __hash__ = WritableSource.__hash__

    # --- what it is -----------------------------------------------------------------------------------

    @property
    def uri(self) -> str:
        """The absolute path, with `*` for the version unless it is pinned."""
        return f"{self.location.uri}/{self.pinned or '*'}/{self.file.location.path}"

    @property
    def kind(self) -> str:
        """csv or parquet."""
        return self.file.kind

    @property
    def label(self) -> str:
        """The path as it was given, with `*` for the version unless it is pinned."""
        return self.location.child(self.pinned or "*", self.file.location.path).label

    @property
    def mapping_keys(self) -> dict[str, str]:
        """Stored name to name in the contract."""
        return self.file.mapping_keys

    @property
    def partition_keys(self) -> tuple[str, ...]:
        """The columns that divide the rows of each version; none for a single file."""
        return self.file.partition_keys if isinstance(self.file, PartitionedParquetSource) else ()

    # --- its versions ---------------------------------------------------------------------------------

    def at(self, version: str) -> VersionedFile:
        """The plain file, or partitioned directory, of one version, whether or not it is there."""
        place = self.location.child(version, self.file.location.path)
        return self.file.model_copy(update={"location": place})

    def at_version(self, version: str) -> Self:
        """The same source, reading that version and no other.

        Args:
            version: 32 hex digits, such as `versions()` lists.

        Raises:
            ConfigurationError: it is no such text. Whether it is stored shows when it is read.
        """
        return type(self).model_validate({**dict(self), "pinned": version})

    def versions(self) -> tuple[StoredVersion, ...]:
        """The versions that are stored, the one written last first."""
        names = version_names(self.location)
        found = [stored_version(name, self.at(name)) for name in names if self.pinned in (None, name)]
        stored = [one for one in found if one is not None]
        return tuple(sorted(stored, key=lambda one: (one.modified, one.version), reverse=True))

    def version_read(self, request: RetrievalRequest) -> str:
        """The version whose rows a contract gets: its own, or the newest that fits where that is not stored.

        Raises:
            SchemaVersionError: none that is stored fits.
        """
        wanted = self.pinned or request.version
        if is_stored(self.at(wanted)):
            reasons = () if wanted == request.version else self._misfits(wanted, request)
            if not reasons:
                return wanted
            raise self._unfit(request, {wanted: reasons})
        stored = self._unpinned.versions()
        if self.pinned is not None and stored:
            raise self._unfit(request, {})
        reasons_of: dict[str, tuple[str, ...]] = {}
        for one in stored:
            reasons_of[one.version] = self._misfits(one.version, request)
            if not reasons_of[one.version]:
                return one.version
        if stored:
            raise self._unfit(request, reasons_of)
        return wanted

    @property
    def _unpinned(self) -> Self:
        return self.model_copy(update={"pinned": None})

    def _misfits(self, version: str, request: RetrievalRequest) -> tuple[str, ...]:
        return misfits(request, self.at(version), self.location.child(version))

    def _unfit(
        self, request: RetrievalRequest, reasons_of: Mapping[str, Sequence[str]]
    ) -> SchemaVersionError:
        wanted = self.pinned or request.version
        every = self._unpinned.versions()
        lines = [
            f"  {one.version}, written {one.modified:%Y-%m-%d %H:%M} UTC"
            + ("".join(f"\n    {reason}" for reason in reasons_of.get(one.version, ())))
            for one in every[:_SHOWN]
        ]
        if len(every) > _SHOWN:
            lines.append(f"  ... and {len(every) - _SHOWN} older ones")
        if wanted in reasons_of:
            what = f"the schema version {wanted} does not fit the contract"
            advice = f"Read it with the contract that it was written by; this one has the version {request.version}."
        elif self.pinned is not None:
            what = f"the schema version {wanted} is not stored"
            advice = "Name one that is."
        else:
            what = f"its schema version {wanted} is not stored, and no other fits"
            advice = (
                "Materialise it to write its version, declare new columns is_optional() or give them a default, "
                "or read an old version by name with source.at_version('...')."
            )
        stored = "\n".join(lines)
        return SchemaVersionError(
            f"{request.name!r} reads {self._unpinned.uri}: {what}. On disk:\n{stored}\n{advice}"
        )

    # --- rows -----------------------------------------------------------------------------------------

    def all_data(self, request: RetrievalRequest, limit: int | None = None) -> pl.LazyFrame:
        """See `DataSource.all_data`; from the version that `version_read` tells."""
        return self.at(self.version_read(request)).all_data(request, limit)

    def all_between_dates(
        self, request: RetrievalRequest, start_date: dt.date, end_date: dt.date
    ) -> pl.LazyFrame:
        """See `DataSource.all_between_dates`."""
        return self.at(self.version_read(request)).all_between_dates(request, start_date, end_date)

    def features_for(
        self, facts: pl.LazyFrame, request: RetrievalRequest, *, fact_timestamp: str | None = None
    ) -> pl.LazyFrame:
        """See `DataSource.features_for`."""
        file = self.at(self.version_read(request))
        return file.features_for(facts, request, fact_timestamp=fact_timestamp)

    def newest(self, request: RetrievalRequest, column: str) -> dt.datetime | None:
        """See `DataSource.newest`; in the version that `version_read` tells."""
        return self.at(self.version_read(request)).newest(request, column)

    def fingerprint(self) -> Fingerprint:
        """See `DataSource.fingerprint`. It is that of all versions; rows are counted where there is one."""
        stored = self.versions()
        if not stored:
            raise not_found(self.location.child("*", self.file.location.path), None, "file", "")
        found = {one.version: self.at(one.version).fingerprint() for one in stored}
        digest = hashlib.sha256(
            "\n".join(f"{version} {found[version].data_version}" for version in sorted(found)).encode()
        )
        return Fingerprint(
            digest.hexdigest()[:32],
            modified=stored[0].modified,
            bytes=sum(part.bytes or 0 for part in found.values()),
            rows=found[stored[0].version].rows if len(stored) == 1 else None,
        )

    def content(self, limit: int) -> str | None:
        """See `DataSource.content`. It is that of all versions."""
        stored = sorted(self.versions(), key=lambda one: one.version)
        if sum(one.bytes for one in stored) > limit:
            return None
        contents = {one.version: self.at(one.version).content(limit) for one in stored}
        if not contents or None in contents.values():
            return None
        return hashlib.sha256(repr(contents).encode()).hexdigest()[:32]

    # --- writing --------------------------------------------------------------------------------------

    def stage(
        self,
        frame: pl.LazyFrame,
        request: RetrievalRequest,
        mode: WriteMode,
        where: pl.Expr | None = None,
    ) -> Staged:
        """See `WritableSource.stage`. The contract's version is written; the first write of one starts it anew."""
        staged = self._written(request).stage(frame, request, mode, where=where)
        try:
            write_note(self.location.child(request.version), request)
        except BaseException:
            staged.discard()
            raise
        return staged

    def quarantine(self, frame: pl.LazyFrame, request: RetrievalRequest, run_id: str) -> str:
        """Keep bad rows beside those of the contract's version, and return their path."""
        return self._written(request).quarantine(frame, request, run_id)

    def read_quarantine(self, run_id: str | None = None) -> pl.LazyFrame | None:
        """The rows that were kept aside, by one run or by all, of every version; None where there are none."""
        kept = [file.read_quarantine(run_id) for file in self._files_kept()]
        found = [frame for frame in kept if frame is not None]
        return pl.concat(found, how="diagonal_relaxed") if found else None

    def quarantine_runs(self) -> list[QuarantineRun]:
        """The runs that kept rows aside, of every version, the oldest first."""
        runs = [run for file in self._files_kept() for run in file.quarantine_runs()]
        return sorted(runs, key=lambda one: (one.kept_at, one.run_id, one.uri))

    def remove_quarantine(self, run_id: str) -> None:
        """Remove the rows that one run kept aside, of every version; nothing happens where there are none."""
        for file in self._files_kept():
            file.remove_quarantine(run_id)

    def _files_kept(self) -> list[VersionedFile]:
        """The files of the versions that are stored, or of the one that is pinned."""
        names = version_names(self.location)
        return [self.at(name) for name in names if self.pinned in (None, name)]

    def _written(self, request: RetrievalRequest) -> VersionedFile:
        if self.pinned not in (None, request.version):
            raise PublishError(
                f"{request.name!r} has the schema version {request.version}, so its rows cannot be written to "
                f"{self.uri}. Write to the source without at_version(...)."
            )
        return self.at(request.version)
