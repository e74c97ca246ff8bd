"""Asking a contract for rows, and writing rows to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import polars as pl

from aligned_dagster.contracts.facts import Facts, facts_frame
from aligned_dagster.contracts.retrieval import FeaturesJob, Wanted, fact_time, features_job, wanted_entities
from aligned_dagster.errors import RequestError
from aligned_dagster.features.arguments import checked_arguments
from aligned_dagster.features.feature import Feature
from aligned_dagster.features.location import at, caller
from aligned_dagster.request.job import RetrievalJob
from aligned_dagster.request.schemas import projected
from aligned_dagster.request.waiting import to_be_called

if TYPE_CHECKING:
    from aligned_dagster.contracts.feature_view import FeatureView
    from aligned_dagster.contracts.freshness import Freshness
    from aligned_dagster.contracts.publish import Publication


_FILTER = {
    "**": "A condition is one of the contract's columns: filter(View().amount == 3).",
    "*": "Several conditions are one, as in filter((View().amount > 10) & (View().shop == 'oslo')).",
}


def _later(start: date, end: date) -> bool:
    """Whether a period ends before it starts, as far as its two moments can be compared as they are."""
    if isinstance(start, datetime) and isinstance(end, datetime):
        return (start.tzinfo is None) == (end.tzinfo is None) and start > end
    return date(start.year, start.month, start.day) > date(end.year, end.month, end.day)


@dataclass(frozen=True)
class FeatureViewQuery:
    """Questions to one view. Nothing is read before a job is collected.

    Args:
        view: the contract.
        columns: the wanted columns; all of them if not given.
    """

    view: FeatureView[Any]
    columns: tuple[str, ...] | None = None

    @to_be_called
    def all(self, limit: int | None = None) -> RetrievalJob:
        """All rows, or the first so many.

        Args:
            limit: rows at most.

        Raises:
            RequestError: the limit is below 0.
        """
        job = self._job(lambda: self.view.read(columns=self.columns))
        if limit is None:
            return job
        if limit < 0:
            raise RequestError(f"A limit is a number of rows, 0 or more; got {limit!r}.{at(caller())}")
        return job.limit(limit)

    def limit(self, rows: int) -> RetrievalJob:
        """The first so many rows."""
        return self.all(rows)

    @checked_arguments(_FILTER)
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
            RequestError: what is given is neither a name nor a column.
        """
        for column in columns:
            if not isinstance(column, str | Feature):
                raise RequestError(
                    f"select takes names or columns one by one, as in select('amount', 'shop'); got {column!r}.{at(caller())}"
                )
        names = tuple(column.name if isinstance(column, Feature) else column for column in columns)
        self.view.read_columns(names)
        return replace(self, columns=names)

    def between_dates(self, start_date: date, end_date: date) -> RetrievalJob:
        """The rows whose event timestamp lies between two times, both included.

        Raises:
            ContractError: the view has no event timestamp.
            RequestError: the two are no dates, or the second comes before the first.
        """
        for moment in (start_date, end_date):
            if not isinstance(moment, date):
                raise RequestError(
                    f"between_dates takes dates or times, as in date(2024, 5, 1); got {moment!r}.{at(caller())}"
                )
        if _later(start_date, end_date):
            raise RequestError(
                f"between_dates: {start_date} is after {end_date}, so no row lies between them. Swap the two.{at(caller())}"
            )
        self.view.need_event_timestamp()
        job = self._job(lambda: self.view.read_between(start_date, end_date), everything=True)
        return job if self.columns is None else job.select(*self.columns)

    def features_for(
        self,
        facts: Facts,
        event_timestamp_column: str | None = None,
        *,
        entity_columns: Mapping[str, str] | None = None,
        max_age: timedelta | None = None,
    ) -> FeaturesJob:
        """The features of the entities in the facts, each as it was known at the fact's time.

        The rows are those of the facts, in their order. Without a time the latest row of an entity counts; where
        none is known, the features are null.

        Args:
            facts: rows with the entity columns: a dict of lists, a frame (polars, pandas, Arrow) or a job.
            event_timestamp_column: the facts' column with the time; the view's own name for it if the facts have it.
            entity_columns: entity to the facts' column for it, where the names differ.
            max_age: the greatest distance, inclusive, between the times of a fact and of the row it gets.

        Raises:
            RequestError: the facts lack an entity column, or their times cannot be compared.
        """
        given = facts_frame(facts)
        names = given.collect_schema().names()
        view = self.view
        keys = {*view.schema.entities, event_timestamp_column}
        wanted = self.columns or tuple(name for name in view.schema.names if name not in names)
        columns = {name: name for name in wanted if name not in keys and name not in names}
        mapping = wanted_entities(view, entity_columns or {})
        asked = [Wanted(view, columns, mapping, max_age)]
        return features_job(view.name, given, asked, fact_time(names, asked, event_timestamp_column))

    def freshness(self, now: datetime | None = None) -> Freshness:
        """How old the newest stored row is, whatever columns are asked for.

        Args:
            now: the moment to measure from; the present one if not given.

        Raises:
            SourceError: the storage cannot be read.
        """
        return self.view.measured_freshness(now)

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
