"""Asking a contract for rows, and writing rows to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import polars as pl

from aligned_dagster.contracts.computing import computed, source_columns
from aligned_dagster.errors import RequestError
from aligned_dagster.features.feature import Feature
from aligned_dagster.features.schema import Schema
from aligned_dagster.request.job import RetrievalJob
from aligned_dagster.request.schemas import projected

if TYPE_CHECKING:
    from aligned_dagster.contracts.feature_view import FeatureView
    from aligned_dagster.contracts.publish import Publication

Facts = Any
"""Rows to find features for: a dict of columns, a polars, pandas or Arrow frame, or a job."""


@dataclass(frozen=True)
class FeatureViewQuery:
    """Questions to one view. Nothing is read before a job is collected.

    Args:
        view: the contract.
        columns: the wanted columns; all of them if not given.
    """

    view: FeatureView[Any]
    columns: tuple[str, ...] | None = None

    def all(self, limit: int | None = None) -> RetrievalJob:
        """All rows, or the first so many.

        Args:
            limit: rows at most.
        """
        job = self._job(lambda: self.view.read(columns=self.columns))
        return job if limit is None else job.limit(limit)

    def limit(self, rows: int) -> RetrievalJob:
        """The first so many rows."""
        return self.all(rows)

    def filter(self, condition: pl.Expr | Feature | str) -> RetrievalJob:
        """The rows for which a condition holds: `View().age > 18`, a polars expression, or SQL text."""
        job = RetrievalJob(
            self.view.name,
            self.view.schema,
            lambda: self.view.read(),
            self._references,
            self.view.on_violation,
        )
        kept = job.filter(condition)
        return kept if self.columns is None else kept.select(*self.columns)

    def select(self, *columns: str | Feature) -> FeatureViewQuery:
        """The same questions for some columns only.

        Raises:
            UnknownFeatureError: a column is not in the contract.
        """
        names = tuple(column.name if isinstance(column, Feature) else column for column in columns)
        self.view.read_columns(names)
        return replace(self, columns=names)

    def between_dates(self, start_date: date, end_date: date) -> RetrievalJob:
        """The rows whose event timestamp lies between two times, both included.

        Raises:
            ContractError: the view has no event timestamp.
        """
        self.view.need_event_timestamp()
        job = self._job(lambda: self.view.read_between(start_date, end_date), everything=True)
        return job if self.columns is None else job.select(*self.columns)

    def features_for(self, facts: Facts, event_timestamp_column: str | None = None) -> RetrievalJob:
        """The features of the entities in the facts, each as it was known at the fact's time.

        The rows are those of the facts, in their order. Without a time the latest row of an entity counts; where
        none is known, the features are null.

        Args:
            facts: rows with the entity columns: a dict of lists, a frame (polars, pandas, Arrow) or a job.
            event_timestamp_column: the facts' column with the time; the view's own name for it if the facts have it.

        Raises:
            RequestError: the facts lack an entity column, or their times cannot be compared.
        """
        view = self.view
        given = facts_frame(facts)
        names = given.collect_schema().names()
        time = event_timestamp_column or (
            view.schema.event_timestamp if view.schema.event_timestamp in names else None
        )
        wanted = self.columns or tuple(name for name in view.schema.names if name not in names)
        columns = tuple(name for name in wanted if name not in view.schema.entities and name != time)
        job_schema = _joined_schema(given, view.schema, columns)
        return RetrievalJob(view.name, job_schema, lambda: features_of(view, given, columns, time))

    def using_source(self, source: Any) -> FeatureViewQuery:
        """The same questions to another source of the same contract."""
        return replace(self, view=self.view.with_source(source))

    def overwrite(self, rows: Any) -> Publication:
        """Put rows in place of all that is stored, after an audit."""
        return self._write(rows, "overwrite")

    def insert(self, rows: Any) -> Publication:
        """Add rows to what is stored, after an audit."""
        return self._write(rows, "insert")

    def upsert(self, rows: Any) -> Publication:
        """Add rows, or replace those of the same key, after an audit."""
        return self._write(rows, "upsert")

    def _write(self, rows: Any, mode: Any) -> Publication:
        from aligned_dagster.contracts.publish import write

        return write(self.view, facts_frame(rows), mode)

    def _references(self) -> Mapping[str, pl.LazyFrame]:
        from aligned_dagster.contracts.publish import reference_frames

        return reference_frames(self.view, {})

    def _job(self, load: Any, everything: bool = False) -> RetrievalJob:
        schema = self.view.schema
        if self.columns is not None and not everything:
            schema = projected(schema, self.columns)
        return RetrievalJob(self.view.name, schema, load, self._references, self.view.on_violation)


def features_of(
    view: FeatureView[Any],
    facts: pl.LazyFrame,
    columns: tuple[str, ...],
    fact_timestamp: str | None,
    max_age: timedelta | None = None,
) -> pl.LazyFrame:
    """The facts with columns of a view as they were known at each fact's time."""
    from aligned_dagster.request.point_in_time import point_in_time_join
    from aligned_dagster.sources.source import DataSource

    storage = view.storage
    own = type(storage).features_for is not DataSource.features_for
    if own and not view.compiled.groupings:
        request = view.request if view.is_virtual else view.stored_request
        needed = source_columns(view.compiled, columns) if view.is_virtual else columns
        wanted = dict.fromkeys([*request.entities, *needed])
        rows = storage.features_for(facts, request.project(wanted), fact_timestamp=fact_timestamp)
        return rows if not view.is_virtual else _derived_beside(rows, facts, view, columns)
    schema = view.schema
    times = [name for name in (schema.event_timestamp, schema.created_timestamp) if name]
    return point_in_time_join(
        facts,
        view.read(columns=dict.fromkeys([*schema.entities, *times, *columns])),
        entities=schema.entities,
        event_timestamp=schema.event_timestamp,
        created_timestamp=schema.created_timestamp,
        fact_timestamp=fact_timestamp,
        columns=columns,
        max_age=max_age,
    )


def _derived_beside(
    rows: pl.LazyFrame, facts: pl.LazyFrame, view: FeatureView[Any], columns: tuple[str, ...]
) -> pl.LazyFrame:
    names = facts.collect_schema().names()
    derived = computed(rows, view.compiled, tuple(dict.fromkeys([*view.schema.entities, *columns])))
    others = [name for name in names if name not in view.schema.entities]
    beside = pl.concat([facts.select(others), derived], how="horizontal") if others else derived
    return beside.select(*names, *columns)


def facts_frame(facts: Facts) -> pl.LazyFrame:
    """Rows in any of the forms that people have them in, as a lazy frame.

    Raises:
        RequestError: it is none of these forms.
    """
    if isinstance(facts, pl.LazyFrame):
        return facts
    if isinstance(facts, pl.DataFrame):
        return facts.lazy()
    if isinstance(facts, RetrievalJob):
        return facts.lazy()
    if isinstance(facts, Mapping):
        try:
            return pl.DataFrame(dict(facts)).lazy()
        except (pl.exceptions.PolarsError, TypeError) as error:
            raise RequestError(f"The facts are no table of columns of one length: {error}") from error
    if isinstance(facts, list):
        return pl.DataFrame(facts).lazy()
    if hasattr(facts, "__arrow_c_stream__") or type(facts).__module__.startswith("pandas"):
        frame = pl.from_pandas(facts) if type(facts).__module__.startswith("pandas") else pl.DataFrame(facts)
        return frame.lazy()
    raise RequestError(
        f"Facts are a dict of columns, a polars, pandas or Arrow frame, or a job; got {type(facts).__name__}."
    )


def _joined_schema(facts: pl.LazyFrame, schema: Schema, columns: tuple[str, ...]) -> Schema:
    from aligned_dagster.features.dtypes import DataType
    from aligned_dagster.features.schema import Column

    given = tuple(
        schema.column(name) if name in schema else Column(name, DataType.from_polars(dtype), optional=True)
        for name, dtype in facts.collect_schema().items()
    )
    added = tuple(replace(schema.column(name), optional=True, constraints=()) for name in columns)
    return Schema((*given, *added))
