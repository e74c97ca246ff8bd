"""What every source can do, what some can do besides, and how a source becomes JSON."""

from __future__ import annotations

import datetime as dt
import random
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

import polars as pl
from pydantic import BaseModel, ConfigDict

from aligned_dagster.errors import ConflictError, RequestError
from aligned_dagster.request.explain import explained
from aligned_dagster.request.retrieval_request import RetrievalRequest
from aligned_dagster.sources.fingerprint import Fingerprint
from aligned_dagster.sources.typed_json import from_typed_json, to_typed_json
from aligned_dagster.sources.writing import Published, Staged, Writable, WriteMode

__all__ = [
    "DataSource",
    "Fingerprint",
    "Published",
    "Staged",
    "Writable",
    "WritableSource",
    "WriteMode",
    "between_dates",
    "source_from_json",
    "source_to_json",
]

_BUILT_IN = {
    "file": "aligned_dagster.sources.file_source",
    "partitioned_parquet": "aligned_dagster.sources.partitioned",
    "in_memory": "aligned_dagster.sources.in_memory_source",
    "custom": "aligned_dagster.sources.custom",
    "random": "aligned_dagster.sources.random_source",
    "schema_versioned": "aligned_dagster.sources.schema_versioned",
    "postgres_table": "aligned_dagster.sources.postgresql",
    "postgres_query": "aligned_dagster.sources.postgresql",
    "redshift_table": "aligned_dagster.sources.redshift",
    "redshift_query": "aligned_dagster.sources.redshift",
}
_TYPES: dict[str, type[DataSource]] = {}
_RETRIED_FOR = 60.0
"""Seconds for which a write is tried again that another writer was faster than."""


class DataSource(BaseModel, ABC):
    """A place where rows live. Immutable; `type` is its key in JSON.

    A frame that it returns has exactly the columns of the request, in order, with the contract's dtypes.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    type: str

    @property
    def tells_times(self) -> bool:
        """Whether `features_for` can give the timestamps of the row that a fact got."""
        return True

    @classmethod
    def __pydantic_init_subclass__(cls, **_: Any) -> None:
        default = cls.model_fields["type"].default
        if isinstance(default, str):
            _TYPES[default] = cls

    @property
    @abstractmethod
    def uri(self) -> str:
        """Where the rows live, without any credential."""

    @property
    @abstractmethod
    def kind(self) -> str:
        """What it is, in a word: csv, parquet, memory, function, view, ..."""

    @property
    def label(self) -> str:
        """A short readable name."""
        return self.uri

    @abstractmethod
    def all_data(self, request: RetrievalRequest, limit: int | None = None) -> pl.LazyFrame:
        """All rows, or the first `limit` of them.

        Args:
            request: the contract and the wanted columns.
            limit: the largest number of rows.

        Raises:
            SourceError: the source is not there, cannot be read, or lacks a column.
        """

    def all_between_dates(
        self, request: RetrievalRequest, start_date: dt.date, end_date: dt.date
    ) -> pl.LazyFrame:
        """The rows whose event timestamp is in a period.

        Args:
            request: the contract and the wanted columns.
            start_date: the first moment or day; a moment without a zone is read in the request's.
            end_date: the last moment or day, which is included: a day is included to its end.

        Raises:
            RequestError: the contract has no event timestamp.
        """
        condition = between_dates(request, start_date, end_date)
        name = condition.meta.root_names()[0]
        needed = request if name in request.columns else request.project((*request.columns, name))
        rows = self.all_data(needed).filter(condition)
        return rows if needed is request else rows.select(request.columns)

    def newest(self, request: RetrievalRequest, column: str) -> dt.datetime | None:
        """The greatest value of a column of timestamps; None where there is none.

        Args:
            request: the contract.
            column: its name in the contract.

        Raises:
            SourceError: the source is not there, cannot be read, or lacks the column.
        """
        rows = self.all_data(request.project((column,)))
        with explained(request.name, self.uri):
            found: dt.datetime | None = rows.max().collect(engine="streaming").item()
        return found

    def features_for(
        self, facts: pl.LazyFrame, request: RetrievalRequest, *, fact_timestamp: str | None = None
    ) -> pl.LazyFrame:
        """For each fact the features of its entity as they were known at its time.

        Args:
            facts: a frame that has the entities.
            request: the contract and the wanted columns.
            fact_timestamp: the column of `facts` with the time; None for the latest row per entity.
        """
        from aligned_dagster.request.point_in_time import point_in_time_join

        keys = (*request.entities, request.event_timestamp, request.created_timestamp)
        wanted = [name for name in request.columns if name not in request.entities]
        needed = dict.fromkeys([*(key for key in keys if key is not None), *wanted])
        return point_in_time_join(
            facts,
            self.all_data(request.project(needed)),
            entities=request.entities,
            event_timestamp=request.event_timestamp,
            created_timestamp=request.created_timestamp,
            fact_timestamp=fact_timestamp,
            columns=wanted,
            zone=request.zone,
        )

    @abstractmethod
    def fingerprint(self) -> Fingerprint:
        """The state of the source, found without reading its rows.

        Raises:
            SourceError: the source is not there.
        """

    def content(self, limit: int) -> str | None:
        """A digest of the stored bytes, for a source whose fingerprint may change while they do not.

        None where the fingerprint tells as much, or more than `limit` bytes would be read.

        Raises:
            SourceError: the source is not there.
        """
        return None

    def depends_on(self) -> frozenset[str]:
        """Names of the views that it reads."""
        return frozenset()

    def bind(self, frames: Mapping[str, pl.LazyFrame]) -> DataSource:
        """The same source, reading the given frames in place of the views of those names."""
        return self

    def __hash__(self) -> int:
        return hash((self.type, self.uri))


class WritableSource(DataSource):
    """A source whose four ways to write all stage and publish."""

    @abstractmethod
    def stage(
        self,
        frame: pl.LazyFrame,
        request: RetrievalRequest,
        mode: WriteMode,
        *,
        where: pl.Expr | None = None,
    ) -> Staged:
        """Write rows beside the target, where nobody reads them yet. All columns of the schema are stored.

        Upsert replaces rows by `request.schema.key`: the entities and, where there is one, the event timestamp, so
        that history is kept. Of rows with the same key in `frame` the last one counts. Replace keeps the stored
        rows for which `where` is not true, and puts the incoming ones in the place of the others.

        Args:
            frame: rows with all columns of the schema; those that are optional or have a default may be
                missing.
            request: the contract.
            mode: "insert", "upsert", "overwrite" or "replace".
            where: for a replace, a condition on the contract's columns that holds for every row of `frame`.

        Raises:
            SourceError: a value does not fit, the place cannot be written, or a row of `frame` is not one of those
                that are replaced.
            RequestError: an upsert into a contract without an entity, or a replace without a condition.
        """

    def insert(self, frame: pl.LazyFrame, request: RetrievalRequest) -> Published:
        """Append rows, without an audit."""
        return self._write(frame, request, "insert")

    def upsert(self, frame: pl.LazyFrame, request: RetrievalRequest) -> Published:
        """Replace the rows with the same key and append the others, without an audit."""
        return self._write(frame, request, "upsert")

    def overwrite(self, frame: pl.LazyFrame, request: RetrievalRequest) -> Published:
        """Replace all rows, without an audit."""
        return self._write(frame, request, "overwrite")

    def replace(self, frame: pl.LazyFrame, request: RetrievalRequest, where: pl.Expr) -> Published:
        """Replace the rows for which a condition holds, without an audit."""
        return self._write(frame, request, "replace", where)

    def _write(
        self, frame: pl.LazyFrame, request: RetrievalRequest, mode: WriteMode, where: pl.Expr | None = None
    ) -> Published:
        deadline = time.monotonic() + _RETRIED_FOR
        while True:
            try:
                with self.stage(frame, request, mode, where=where) as staged:
                    return staged.publish()
            except ConflictError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(random.uniform(0.01, 0.5))


def between_dates(request: RetrievalRequest, start_date: dt.date, end_date: dt.date) -> pl.Expr:
    """The condition that the event timestamp is in a period; see `period_bounds`."""
    name, low, high = period_bounds(request, start_date, end_date)
    return pl.col(name).is_between(low, high)


def period_bounds(
    request: RetrievalRequest, start_date: dt.date, end_date: dt.date
) -> tuple[str, pl.Expr, pl.Expr]:
    """The event timestamp, with the least and the greatest value that it has in a period.

    Args:
        request: the contract.
        start_date: the first moment or day; a moment without a zone is read in the request's.
        end_date: the last moment or day, which is included: a day is included to its end.

    Raises:
        RequestError: the contract has no event timestamp.
    """
    name = request.event_timestamp
    if name is None:
        raise RequestError(
            f"{request.name!r} has no EventTimestamp, so it cannot be asked for rows between dates. "
            "Declare one, or use all() and filter()."
        )
    dtype = request.schema.column(name).dtype
    low = _moment(start_date, request.zone, dtype.time_zone, end=False)
    high = _moment(end_date, request.zone, dtype.time_zone, end=True)
    return (name, low.cast(pl.Date), high.cast(pl.Date)) if dtype.kind == "date" else (name, low, high)


def source_to_json(source: DataSource) -> dict[str, Any]:
    """The JSON form of a source, which `source_from_json` reads back to an equal one.

    Raises:
        UnsupportedError: it holds something that no other process could find, such as a local function.
    """
    return to_typed_json(source)


def source_from_json(form: Mapping[str, Any]) -> DataSource:
    """Read what `source_to_json` wrote.

    Raises:
        ConfigurationError: no source is known by that type.
    """
    return from_typed_json(form, _TYPES, _BUILT_IN, "source")


def _moment(value: dt.date, zone: str, stored_zone: str | None, *, end: bool) -> pl.Expr:
    """A literal of the stored type, computed now so that the scan sees a constant."""
    from zoneinfo import ZoneInfo

    if not isinstance(value, dt.datetime):
        value = dt.datetime.combine(value, dt.time.max if end else dt.time.min)
    if stored_zone is None:
        local = value if value.tzinfo is None else value.astimezone(ZoneInfo(zone)).replace(tzinfo=None)
        return pl.lit(local, dtype=pl.Datetime("us"))
    zoned = value.replace(tzinfo=ZoneInfo(zone)) if value.tzinfo is None else value
    return pl.lit(zoned.astimezone(ZoneInfo(stored_zone)), dtype=pl.Datetime("us", stored_zone))
