"""A file as a source: a format at a location."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

import polars as pl
from pydantic import Field, field_validator

from aligned_dagster.errors import ConfigurationError, PublishError
from aligned_dagster.request.explain import explained
from aligned_dagster.request.retrieval_request import RetrievalRequest
from aligned_dagster.sources import publishing
from aligned_dagster.sources.conform import conform, stored_names, to_stored
from aligned_dagster.sources.date_formatter import DateFormatter
from aligned_dagster.sources.file_fingerprint import content_of_files, fingerprint_files
from aligned_dagster.sources.formats import CsvFormat, ParquetFormat
from aligned_dagster.sources.location import FileWriter, Readable
from aligned_dagster.sources.locations import AnyLocation
from aligned_dagster.sources.quarantine_files import (
    quarantine_runs,
    read_quarantine,
    remove_quarantine,
    write_quarantine,
)
from aligned_dagster.sources.quarantine_run import QuarantineRun
from aligned_dagster.sources.source import Fingerprint, WritableSource
from aligned_dagster.sources.writing import (
    Published,
    Staged,
    WriteMode,
    check_write,
    outside,
    refuse_outside,
    upserted,
)

AnyFormat = Annotated[CsvFormat | ParquetFormat, Field(discriminator="kind")]


class FileDataSource(WritableSource):
    """One file. Make it with `FileSource.csv_at` or `FileSource.parquet_at`.

    Args:
        location: of the file.
        format: CSV or Parquet, with its config.
        mapping_keys: stored name to name in the contract.
        date_formatter: how dates are stored as text or numbers.
    """

    type: Literal["file"] = "file"
    location: AnyLocation
    format: AnyFormat
    mapping_keys: dict[str, str] = Field(default_factory=dict)
    date_formatter: DateFormatter = DateFormatter.iso_8601()

    @field_validator("mapping_keys")
    @classmethod
    def _one_to_one(cls, mapping: dict[str, str]) -> dict[str, str]:
        return check_mapping(mapping)

    __hash__ = WritableSource.__hash__

    @property
    def uri(self) -> str:
        """The absolute path or URI."""
        return self.location.uri

    @property
    def kind(self) -> str:
        """csv or parquet."""
        return self.format.kind

    @property
    def label(self) -> str:
        """The place as it was given."""
        return self.location.label

    def all_data(self, request: RetrievalRequest, limit: int | None = None) -> pl.LazyFrame:
        """See `DataSource.all_data`. Only the header or the footer is read before the frame is collected."""
        file = self.location.existing_file(request.name)
        return self._read(self.location.readable(file.path), request, limit)

    def fingerprint(self) -> Fingerprint:
        """See `DataSource.fingerprint`. The version of an object is its etag; rows of Parquet are those of its footer."""
        file = self.location.existing_file()
        with explained(self.label, self.uri):
            rows = self.format.rows(self.location.readable(file.path))
        if not isinstance(file.path, Path) and file.mark:
            return Fingerprint(file.mark, file.modified, file.size, rows)
        return fingerprint_files([file], file.path.parent, rows)

    def content(self, limit: int) -> str | None:
        """See `DataSource.content`."""
        file = self.location.existing_file()
        with explained(self.label, self.uri):
            return content_of_files([file], file.path.parent, limit)

    def stage(
        self,
        frame: pl.LazyFrame,
        request: RetrievalRequest,
        mode: WriteMode,
        *,
        where: pl.Expr | None = None,
    ) -> Staged:
        """See `WritableSource.stage`. From here to the end of all but an overwrite no other writer goes unnoticed."""
        request = check_write(request, mode, self.uri, where)
        if self.location.what_is_there() == "directory":
            raise PublishError(
                f"{self.uri} is a directory: {request.name!r} cannot be written to it as one file."
            )
        with publishing.writing(request.name, self.uri):
            writer = self.location.file_writer()
        staged = writer.staging / "rows"
        try:
            with writer.undisturbed(), publishing.writing(request.name, self.uri):
                if mode != "overwrite":
                    writer.begin()
                rows = conform(frame, request, source_label=f"the frame written to {self.uri}")
                self._sink(self._merged(rows, request, mode, where, writer.staging), request, staged)
        except BaseException:
            writer.close()
            raise
        return StagedFile(self, request, staged, where, writer)

    def quarantine(self, frame: pl.LazyFrame, request: RetrievalRequest, run_id: str) -> str:
        """Keep bad rows in `<path>.quarantine/<run_id>.parquet`, and return that path."""
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

    def _read(self, file: Readable, request: RetrievalRequest, limit: int | None = None) -> pl.LazyFrame:
        names = tuple(stored_names(request, self.mapping_keys).values())
        with explained(request.name, str(file)):
            frame = self.format.scan(file, names)
            stored = frame.collect_schema()
        if limit is not None:
            frame = frame.head(limit)
        if isinstance(self.format, CsvFormat):
            wanted = [name for name in self._with_decimals(request) if name in stored]
            frame = self.format.config.read_numbers(frame, wanted) if wanted else frame
        return conform(
            frame,
            request,
            source_label=str(file),
            mapping=self.mapping_keys,
            formatter=self.date_formatter,
            stored=stored,
        )

    def _merged(
        self,
        rows: pl.LazyFrame,
        request: RetrievalRequest,
        mode: WriteMode,
        where: pl.Expr | None,
        staging: Path,
    ) -> pl.LazyFrame:
        if mode == "overwrite":
            return rows
        old: pl.LazyFrame | None = None
        if self.location.what_is_there() is not None:
            target = self.location.readable(self.location.root)
            old = self._read(target, request)
            self._refuse_loss(request, target)
        if mode == "insert":
            return rows if old is None else pl.concat([old, rows])
        incoming = staging / ".incoming"
        rows.sink_parquet(incoming)
        rows = pl.scan_parquet(incoming, glob=False, hive_partitioning=False)
        if where is not None:
            refuse_outside(rows, where, request, self.uri)
            return rows if old is None else pl.concat([old.filter(outside(where)), rows])
        return upserted(rows.clear() if old is None else old, rows, request.schema.key)

    def _refuse_loss(self, request: RetrievalRequest, target: Readable) -> None:
        known = tuple(stored_names(request, self.mapping_keys).values())
        extra = [name for name in self.format.scan(target, known).collect_schema() if name not in known]
        if extra:
            raise PublishError(
                f"{target} has columns that {request.name!r} does not know and would lose: {', '.join(extra)}. "
                "Add them to the contract, or overwrite the whole file."
            )

    def _sink(self, rows: pl.LazyFrame, request: RetrievalRequest, path: Path) -> None:
        stored = to_stored(
            rows,
            request,
            source_label=self.uri,
            mapping=self.mapping_keys,
            formatter=self.date_formatter,
            as_text=self.format.is_text,
        )
        if isinstance(self.format, CsvFormat):
            stored = self.format.config.write_numbers(stored, self._with_decimals(request))
        self.format.sink(stored, path, self.location.name)

    def _with_decimals(self, request: RetrievalRequest) -> list[str]:
        """Stored names of the wanted columns of numbers."""
        names = stored_names(request, self.mapping_keys)
        return [names[column.name] for column in request.wanted if column.dtype.is_numeric]


class StagedFile(Staged):
    """A finished file of this machine that will replace the one at a location."""

    def __init__(
        self,
        source: FileDataSource,
        request: RetrievalRequest,
        staged: Path,
        where: pl.Expr | None,
        writer: FileWriter,
    ) -> None:
        self._source = source
        self._request = request
        self._staged = staged
        self._where = where
        self._writer = writer
        self._done = False

    @property
    def frame(self) -> pl.LazyFrame:
        """See `Staged.frame`."""
        return self._source._read(Readable.local(self._staged), self._request)

    @property
    def part(self) -> pl.LazyFrame:
        """See `Staged.part`."""
        return self.frame if self._where is None else self.frame.filter(self._where)

    def keep(self, rows: pl.LazyFrame) -> None:
        """See `Staged.keep`."""
        self._restage(rows)

    def keep_part(self, rows: pl.LazyFrame) -> None:
        """See `Staged.keep_part`."""
        self._restage(rows, self._where)

    def _restage(self, rows: pl.LazyFrame, where: pl.Expr | None = None) -> None:
        narrowed = self._staged.with_name(f"{self._staged.name}.kept")
        uri = self._source.uri
        try:
            with publishing.writing(self._request.name, uri):
                rows = conform(rows, self._request, source_label=f"the frame written to {uri}")
                if where is not None:
                    refuse_outside(rows, where, self._request, uri)
                    rows = pl.concat([self.frame.filter(outside(where)), rows])
                self._source._sink(rows, self._request, narrowed)
                narrowed.replace(self._staged)
        except BaseException:
            self.discard()
            raise

    def publish(self) -> Published:
        """See `Staged.publish`."""
        uri = self._source.uri
        if self._done:
            raise PublishError(f"{uri}: these rows were published or discarded before.")
        try:
            with publishing.writing(self._request.name, uri):
                size = self._staged.stat().st_size
                rows = self._source.format.rows(Readable.local(self._staged))
                self._writer.publish(self._staged)
        finally:
            self.discard()
        return Published(uri, size, rows, (uri,))

    def discard(self) -> None:
        """See `Staged.discard`."""
        if not self._done:
            self._done = True
            self._writer.close()


def check_mapping(mapping: Mapping[str, str]) -> dict[str, str]:
    """The mapping itself, when no two stored names stand for one column.

    Raises:
        ConfigurationError: two do.
    """
    seen: dict[str, str] = {}
    for stored, feature in mapping.items():
        if feature in seen:
            raise ConfigurationError(
                f"mapping_keys reads {feature!r} from both {seen[feature]!r} and {stored!r}. Keep one of them."
            )
        seen[feature] = stored
    return dict(mapping)
