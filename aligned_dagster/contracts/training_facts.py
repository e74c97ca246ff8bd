"""The rows that a training set is made for, however they are given, and where their target is."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from aligned_dagster.contracts.facts import facts_frame, facts_schema
from aligned_dagster.contracts.feature_view import FeatureView, as_source
from aligned_dagster.contracts.retrieval import EntityColumns, Wanted, fact_time, wanted_entities
from aligned_dagster.contracts.training_columns import plain
from aligned_dagster.contracts.training_source import FactsSource
from aligned_dagster.contracts.truth import Truth
from aligned_dagster.contracts.view_source import ContractSource, ViewSource
from aligned_dagster.errors import ContractError, RequestError, did_you_mean
from aligned_dagster.features.constraints import NotNull
from aligned_dagster.features.feature import Feature
from aligned_dagster.features.location import at, caller
from aligned_dagster.features.schema import Column, Role, Schema
from aligned_dagster.request.job import RetrievalJob
from aligned_dagster.sources.custom import CustomMethodDataSource
from aligned_dagster.sources.frame import FrameSource
from aligned_dagster.sources.in_memory_source import InMemorySource
from aligned_dagster.sources.source import DataSource


@dataclass(frozen=True)
class GivenFacts:
    """Facts, however they were given.

    Args:
        name: of the view or job; empty where they have none.
        source: where they are read.
        schema: all their columns.
        view: the view, where they are one.
    """

    name: str
    source: ContractSource
    schema: Schema
    view: FeatureView[Any] | None = None

    @property
    def entities(self) -> tuple[str, ...]:
        """What tells rows of the view apart; nothing where the facts are none."""
        return self.view.schema.entities if self.view is not None else ()

    def time(self, wanted: Sequence[Wanted]) -> str | None:
        """The column with the time: that of the view, or the one that a view of the features calls so."""
        if self.view is not None:
            return self.view.schema.event_timestamp
        return fact_time(self.schema.names, wanted, None)

    def keys(self, reader: str, entities: Sequence[str], time: str | None, more: Iterable[str]) -> Schema:
        """The columns that a training set reads, with their roles in it.

        Args:
            reader: the training set.
            entities: what tells its rows apart.
            time: the column with the time.
            more: columns that features and target are found by.

        Raises:
            RequestError: the facts lack one.
        """
        columns: dict[str, Column] = {}
        for name in dict.fromkeys([*entities, *([time] if time else []), *more]):
            if name not in self.schema:
                raise RequestError(
                    f"{reader} needs the column {name!r} of its facts, which they lack."
                    f"{did_you_mean(name, self.schema.names)} Columns: {', '.join(self.schema.names)}. "
                    "Where an entity of a view is called otherwise: entity_columns={'entity': 'column'}."
                )
            role: Role = "feature"
            if name == time:
                role = "event_timestamp"
            elif name in entities:
                role = "entity"
            there = () if role == "feature" else (NotNull(),)
            columns[name] = plain(self.schema.column(name), name, role, there)
        return Schema(tuple(columns.values()))

    def has_itself(self, view: FeatureView[Any], column: str) -> bool:
        """Whether the facts are rows of the view, or took its column over unchanged."""
        if column not in self.schema:
            return False
        if self.name == view.name:
            return True
        own = self.view
        if own is None or own.compiled.groupings or own.schema.column(column).derivation is not None:
            return False
        return isinstance(own.source, ContractSource) and own.source.origins(column) == ((view.name, column),)

    def has_times_of(self, view: FeatureView[Any], time: str | None) -> bool:
        """Whether the facts' times are those of rows of the view."""
        own, theirs = self.view, view.schema.event_timestamp
        if own is None or time is None or theirs is None or own.compiled.groupings:
            return False
        if own.schema.column(time).derivation is not None or not isinstance(own.source, ContractSource):
            return False
        return own.source.origins(time) == ((view.name, theirs),)


def given_facts(reader: str, facts: Any) -> GivenFacts:
    """Facts as a view, a job, a frame or values, or a function that returns one of them.

    Args:
        reader: the training set, for messages.
        facts: the rows.

    Raises:
        ContractError: they are a source whose columns nobody knows.
        RequestError: they are none of these.
    """
    called = _is_function(facts)
    rows = facts() if called else facts
    if isinstance(rows, FeatureView) or hasattr(rows, "__aligned_view__"):
        source = as_source(rows, reader)
        assert isinstance(source, ViewSource)
        view: FeatureView[Any] = source.view
        return GivenFacts(view.name, source, view.schema, view)
    if isinstance(rows, DataSource):
        raise ContractError(
            f"{reader} takes facts from {rows.label}, which does not say what its columns are. Make a view of it "
            f"first, by @feature_view(source=...).{at(caller())}"
        )
    frame = facts_frame(rows)
    title = rows.name if isinstance(rows, RetrievalJob) else ""
    if called:
        held: DataSource = read_each_time(facts)
    elif isinstance(rows, pl.LazyFrame | RetrievalJob):
        held = FrameSource.of(frame, title or "the facts")
    else:
        held = InMemorySource(frame.collect())
    schema = Schema(facts_schema(frame, ()))
    return GivenFacts(title, FactsSource(source=held, stated=schema), schema)


def read_each_time(function: Callable[[], Any]) -> CustomMethodDataSource:
    """A function that returns facts, as a source that calls it whenever they are read."""

    @functools.wraps(function)
    def load() -> pl.LazyFrame:
        return facts_frame(function())

    return CustomMethodDataSource.from_load(load)


def truth_of(
    given: GivenFacts,
    target: Feature | str | tuple[FeatureView[Any], str],
    time: str | None,
    target_at: str | None,
    entity_columns: EntityColumns,
) -> Truth:
    """Where the target of facts is.

    Args:
        given: the facts.
        target: a view's column, or the name of a column of the facts.
        time: the facts' column with the time.
        target_at: "fact" or "latest", for a target of another view; what fits the facts if not given.
        entity_columns: entity of a view to the facts' column for it.

    Raises:
        ContractError: the target is none, or `target_at` is none or cannot be.
    """
    if target_at not in (None, "fact", "latest"):
        raise ContractError(f"target_at is {target_at!r}; it is 'fact' or 'latest'.{at(caller())}")
    if isinstance(target, str):
        if target not in given.schema:
            raise RequestError(
                f"The facts have no column {target!r} to predict.{did_you_mean(target, given.schema.names)} "
                f"Columns: {', '.join(given.schema.names)}. One of a view is named as View().column."
            )
        return Truth(target, target, "row")
    view, column = _view_and_column(target)
    if target_at is None and given.has_itself(view, column):
        return Truth(column, column, "row", view)
    entities = wanted_entities(view, entity_columns)
    if not entities:
        raise ContractError(
            f"The target {view.name}.{column} cannot be found for facts: {view.name} has no entity.{at(caller())}"
        )
    if target_at == "latest" or (target_at is None and not given.has_times_of(view, time)):
        return Truth(column, column, "entity", view, entities)
    if time is None or view.schema.event_timestamp is None:
        who = "the facts have" if time is None else f"{view.name} has"
        raise ContractError(f"target_at='fact' needs times, and {who} none.{at(caller())}")
    return Truth(column, column, "time", view, entities)


def _view_and_column(target: Any) -> tuple[FeatureView[Any], str]:
    if isinstance(target, tuple):
        view, column = target
        return view, column
    origin = target.origin if isinstance(target, Feature) else None
    if origin is None or not isinstance(origin.owner, FeatureView):
        raise ContractError(
            f"The target is the column of a view, as in target=Flights().is_late, or the name of a column of the facts; "
            f"got {target!r}.{at(caller())}"
        )
    return origin.owner, origin.column


def _is_function(facts: Any) -> bool:
    """Whether facts are still to be returned; views and frames can be called or not as they like."""
    plain_function = callable(facts) and hasattr(facts, "__code__")
    return plain_function and not isinstance(facts, FeatureView | type)
