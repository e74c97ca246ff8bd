"""Rows held in memory: for tests, for fixed values, and as a cache."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import io
import threading
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import polars as pl
from pydantic import field_serializer, field_validator

from aligned_dagster.errors import ConfigurationError, PublishError
from aligned_dagster.request.explain import explained
from aligned_dagster.request.retrieval_request import RetrievalRequest
from aligned_dagster.sources.conform import conform
from aligned_dagster.sources.date_formatter import DateFormatter
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


class MemoryCell:
    """The rows of an in-memory source, shared by all copies of it and replaced as a whole by a write."""

    def __init__(self, frame: pl.DataFrame) -> None:
        self.frame = frame
        self.modified = dt.datetime.now(dt.UTC)
        self.quarantine: dict[str, tuple[dt.datetime, pl.DataFrame]] = {}
        self.lock = threading.Lock()

    def replace(self, frame: pl.DataFrame) -> None:
        """Hold other rows from now on."""
        self.frame = frame
        self.modified = dt.datetime.now(dt.UTC)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, MemoryCell) and (self is other or self.frame.equals(other.frame))

    __hash__ = object.__hash__

    def __deepcopy__(self, memo: dict[int, Any]) -> MemoryCell:
        return self

    def __reduce__(self) -> tuple[type[MemoryCell], tuple[pl.DataFrame]]:
        return MemoryCell, (self.frame,)


class InMemorySource(WritableSource):
    """Rows held in memory. Copies of a source share its rows: what is written to one is read from the other.

    Args:
        df: the rows.

    >>> InMemorySource.from_values({"passenger_id": [1, 2, 3], "age": [10, 0.5, 90]}).data.shape
    (3, 2)
    """

    type: Literal["in_memory"] = "in_memory"
    rows: MemoryCell

    def __init__(self, df: pl.DataFrame | pl.LazyFrame | None = None, **fields: Any) -> None:
        if df is not None:
            frame = df.collect() if isinstance(df, pl.LazyFrame) else df
            fields["rows"] = MemoryCell(frame)
        super().__init__(**fields)

    @staticmethod
    def from_values(values: Mapping[str, Sequence[Any]]) -> InMemorySource:
        """A source of the given columns.

        Args:
            values: column name to its values, all of the same length.

        Raises:
            ConfigurationError: columns differ in length, or one mixes types that have nothing in common.
        """
        lengths = {name: len(column) for name, column in values.items()}
        if len(set(lengths.values())) > 1:
            raise ConfigurationError(f"The columns differ in length: {lengths}.")
        return InMemorySource(pl.DataFrame([_series(name, list(column)) for name, column in values.items()]))

    @staticmethod
    def empty() -> InMemorySource:
        """A source without rows, which takes the contract's columns, for later writes."""
        return InMemorySource(pl.DataFrame())

    @field_validator("rows", mode="before")
    @classmethod
    def _from_json(cls, value: Any) -> Any:
        if isinstance(value, str):
            return MemoryCell(pl.read_ipc(io.BytesIO(base64.b64decode(value))))
        return value

    @field_serializer("rows")
    def _to_json(self, cell: MemoryCell) -> str:
        return base64.b64encode(_bytes(cell.frame)).decode()

    __hash__ = WritableSource.__hash__

    def __repr__(self) -> str:
        return f"InMemorySource({self.data.height} rows, columns {self.data.columns})"

    @property
    def data(self) -> pl.DataFrame:
        """The rows, as they were given or written last."""
        return self.rows.frame

    @property
    def uri(self) -> str:
        """A name for messages; no other process can reach the rows by it."""
        return f"memory://{', '.join(self.data.columns)}"

    @property
    def kind(self) -> str:
        """memory."""
        return "memory"

    @property
    def label(self) -> str:
        """in memory."""
        return "in memory"

    def all_data(self, request: RetrievalRequest, limit: int | None = None) -> pl.LazyFrame:
        """See `DataSource.all_data`."""
        return _read(self.data, request, limit)

    def fingerprint(self) -> Fingerprint:
        """See `DataSource.fingerprint`. The version is a hash of the rows."""
        content = _bytes(self.data)
        digest = hashlib.sha256(content).hexdigest()[:32]
        return Fingerprint(digest, self.rows.modified, int(self.data.estimated_size()), self.data.height)

    def stage(
        self,
        frame: pl.LazyFrame,
        request: RetrievalRequest,
        mode: WriteMode,
        *,
        where: pl.Expr | None = None,
    ) -> Staged:
        """See `WritableSource.stage`. Writers wait for each other from here until published or discarded."""
        request = check_write(request, mode, self.uri, where)
        cell = self.rows
        if mode != "overwrite":
            cell.lock.acquire()
        try:
            with explained(request.name, self.uri):
                rows = conform(frame, request, source_label="the frame written to memory").collect().lazy()
                if mode == "insert":
                    rows = pl.concat([_read(cell.frame, request), rows])
                elif mode == "upsert":
                    rows = upserted(_read(cell.frame, request), rows, request.schema.key)
                elif where is not None:
                    refuse_outside(rows, where, request, self.uri)
                    rows = pl.concat([_read(cell.frame, request).filter(outside(where)), rows])
                return StagedRows(self, request, rows.collect(), where, locked=mode != "overwrite")
        except BaseException:
            if mode != "overwrite":
                cell.lock.release()
            raise

    def quarantine(self, frame: pl.LazyFrame, request: RetrievalRequest, run_id: str) -> str:
        """Keep bad rows aside, and return a name for them."""
        with explained(request.name, self.uri):
            kept = frame.collect()
        self.rows.quarantine[run_id] = (dt.datetime.now(dt.UTC), kept)
        return _place_of(run_id)

    def read_quarantine(self, run_id: str | None = None) -> pl.LazyFrame | None:
        """The rows that were kept aside, by one run or by all; None where there are none."""
        kept = {run: frame for run, (_, frame) in self.rows.quarantine.items()}
        frames = list(kept.values()) if run_id is None else [kept[run_id]] if run_id in kept else []
        return pl.concat(frames, how="diagonal_relaxed").lazy() if frames else None

    def quarantine_runs(self) -> list[QuarantineRun]:
        """The runs that kept rows aside, the oldest first."""
        runs = [
            QuarantineRun(run_id, frame.height, kept_at, _place_of(run_id))
            for run_id, (kept_at, frame) in self.rows.quarantine.items()
        ]
        return sorted(runs, key=lambda one: (one.kept_at, one.run_id))

    def remove_quarantine(self, run_id: str) -> None:
        """Remove the rows that one run kept aside; nothing happens where there are none."""
        self.rows.quarantine.pop(run_id, None)


class StagedRows(Staged):
    """Rows that are about to be held."""

    def __init__(
        self,
        source: InMemorySource,
        request: RetrievalRequest,
        rows: pl.DataFrame,
        where: pl.Expr | None,
        *,
        locked: bool,
    ) -> None:
        self._cell = source.rows
        self._request = request
        self._rows = rows
        self._where = where
        self._uri = source.uri
        self._locked = locked
        self._done = False

    @property
    def frame(self) -> pl.LazyFrame:
        """See `Staged.frame`."""
        return self._rows.lazy()

    @property
    def part(self) -> pl.LazyFrame:
        """See `Staged.part`."""
        return self.frame if self._where is None else self.frame.filter(self._where)

    def keep(self, rows: pl.LazyFrame) -> None:
        """See `Staged.keep`."""
        self._rows = rows.collect()

    def keep_part(self, rows: pl.LazyFrame) -> None:
        """See `Staged.keep_part`."""
        if self._where is None:
            self.keep(rows)
            return
        refuse_outside(rows, self._where, self._request, self._uri)
        self.keep(pl.concat([self.frame.filter(outside(self._where)), rows]))

    def publish(self) -> Published:
        """See `Staged.publish`."""
        if self._done:
            raise PublishError("These rows were published or discarded before.")
        if self._locked:
            self._cell.replace(self._rows)
        else:
            with self._cell.lock:
                self._cell.replace(self._rows)
        self.discard()
        return Published(self._uri, int(self._rows.estimated_size()), self._rows.height)

    def discard(self) -> None:
        """See `Staged.discard`."""
        self._done = True
        if self._locked:
            self._locked = False
            self._cell.lock.release()


def _place_of(run_id: str) -> str:
    return f"memory://quarantine/{run_id}"


def _read(frame: pl.DataFrame, request: RetrievalRequest, limit: int | None = None) -> pl.LazyFrame:
    if frame.width == 0:
        return pl.LazyFrame(schema=request.polars)
    rows = frame.lazy() if limit is None else frame.lazy().head(limit)
    return conform(
        rows, request, source_label="memory", formatter=DateFormatter.iso_8601(), stored=frame.schema
    )


def _series(name: str, values: list[Any]) -> pl.Series:
    try:
        return pl.Series(name, values, strict=True)
    except (TypeError, pl.exceptions.PolarsError):
        numbers = [value for value in values if value is not None]
        if all(isinstance(value, int | float) and not isinstance(value, bool) for value in numbers):
            return pl.Series(
                name, [None if value is None else float(value) for value in values], dtype=pl.Float64
            )
        kinds = sorted({type(value).__name__ for value in numbers})
        raise ConfigurationError(
            f"The column {name!r} mixes {', '.join(kinds)}. Give values of one type."
        ) from None


def _bytes(frame: pl.DataFrame) -> bytes:
    buffer = io.BytesIO()
    frame.write_ipc(buffer)
    return buffer.getvalue()
