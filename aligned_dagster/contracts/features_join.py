"""The features of several views for the same facts, each view joined in the way that suits it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import polars as pl

from aligned_dagster.contracts.aggregates_at import aggregated_at
from aligned_dagster.contracts.computing import source_columns
from aligned_dagster.contracts.unmaterialised import materialised
from aligned_dagster.contracts.wanted import Wanted, has_own_join
from aligned_dagster.features.plan import needed, with_derived
from aligned_dagster.features.schema import Schema
from aligned_dagster.request.features_report import Provenance
from aligned_dagster.request.point_in_time import Lookup, point_in_time_joins
from aligned_dagster.sources.conform import default_of

if TYPE_CHECKING:
    from aligned_dagster.contracts.feature_view import FeatureView


def with_features(
    facts: pl.LazyFrame,
    wanted: Sequence[Wanted],
    fact_timestamp: str | None,
    provenance: Sequence[Provenance] = (),
) -> pl.LazyFrame:
    """The facts, in their order, with the features of every view.

    Args:
        facts: the rows that are asked about.
        wanted: what is asked of each view.
        fact_timestamp: the facts' column with the time; None for the latest row of each entity.
        provenance: for each view the columns to add that say which row was used; none if not given.
    """
    given = facts.collect_schema().names()
    asked = questions(given, wanted, fact_timestamp, provenance)
    here = [one for one in asked if not one.apart(fact_timestamp)]
    rows = facts
    if here:
        rows = point_in_time_joins(facts, [one.lookup() for one in here], fact_timestamp=fact_timestamp)
    for one in asked:
        if one.apart(fact_timestamp):
            rows = one.joined(rows, fact_timestamp)
    return rows.select(*given, *(column for one in asked for column in one.answer()))


def questions(
    given: Iterable[str],
    wanted: Sequence[Wanted],
    fact_timestamp: str | None,
    provenance: Sequence[Provenance] = (),
) -> list[Asked]:
    """What is asked of each view, under names that are in nobody's way.

    Args:
        given: the columns of the facts.
        wanted: what is asked of each view.
        fact_timestamp: the facts' column with the time; None for the latest row of each entity.
        provenance: for each view the columns to add that say which row was used; none if not given.
    """
    taken = {*given, *(target for want in wanted for target in want.columns)}
    taken |= {name for one in provenance for name in one.columns}
    told: Sequence[Provenance | None] = provenance or [None] * len(wanted)
    return [
        Asked.of(want, number, one, taken, fact_timestamp)
        for number, (want, one) in enumerate(zip(wanted, told, strict=True))
    ]


@dataclass(frozen=True)
class Asked:
    """What is asked of one view, and the names that its columns have on the way: none that the facts know.

    Args:
        want: what is asked.
        names: column of the view to its name on the way.
        found: name on the way of the column that says whether there was a row; None where nobody asks.
        told: the columns that say which row was used; None where nobody asks.
        mark: begins no name of a column but these.
        max_age: how old a feature may be.
    """

    want: Wanted
    names: Mapping[str, str]
    found: str | None
    told: Provenance | None
    mark: str
    max_age: timedelta | None

    @classmethod
    def of(
        cls, want: Wanted, number: int, told: Provenance | None, taken: set[str], fact_timestamp: str | None
    ) -> Asked:
        """The question to one view.

        Args:
            want: what is asked.
            number: of the view in the request.
            told: the columns that say which row was used; None where nobody asks.
            taken: names that the facts and the answers have.
            fact_timestamp: the facts' column with the time.
        """
        schema, mark = want.view.schema, f"__{number}"
        while any(name.startswith(mark) for name in taken):
            mark = f"_{mark}"
        columns = [*want.columns.values()]
        if told is not None and told.event is not None and schema.event_timestamp is not None:
            columns.append(schema.event_timestamp)
        if told is not None and told.created is not None and schema.created_timestamp is not None:
            columns.append(schema.created_timestamp)
        names = {column: f"{mark} {place}" for place, column in enumerate(dict.fromkeys(columns))}
        found = None if told is None else f"{mark} found"
        return cls(want, names, found, told, mark, want.limit(fact_timestamp))

    def apart(self, fact_timestamp: str | None) -> bool:
        """Whether the rows are found otherwise than by the point-in-time join over all rows of the view."""
        return self.want.aggregates_at(fact_timestamp) or self._by_storage()

    def _by_storage(self) -> bool:
        view = self.want.view
        if not has_own_join(view) or self.max_age is not None or _reads_naive(view):
            return False
        tells = view.schema.event_timestamp in self.names or not view.storage.tells_times
        return self.found is None or tells

    @property
    def reads(self) -> tuple[str, ...]:
        """The columns of the view that the point-in-time join reads."""
        schema = self.want.view.schema
        times = [name for name in (schema.event_timestamp, schema.created_timestamp) if name]
        return tuple(dict.fromkeys([*schema.entities, *times, *self.names]))

    def lookup(self) -> Lookup:
        """The question to all rows of the view."""
        view, schema = self.want.view, self.want.view.schema
        return Lookup(
            view.read(columns=self.reads),
            {column: entity for entity, column in self.want.entities.items()},
            schema.event_timestamp,
            schema.created_timestamp,
            {name: column for column, name in self.names.items()},
            None if schema.event_timestamp is None else self.max_age,
            view.time_zone,
            self.found,
        )

    def joined(self, facts: pl.LazyFrame, fact_timestamp: str | None) -> pl.LazyFrame:
        """The facts with the columns, found by the storage or over windows that end at each fact's time.

        Names of the facts that the view has too stand aside, so that none can take another's place.
        """
        view, columns = self.want.view, tuple(self.names)
        given = facts.collect_schema().names()
        aside = {name: f"{self.mark} aside {place}" for place, name in enumerate(given)}
        entities = {entity: pl.col(aside[column]) for entity, column in self.want.entities.items()}
        asked = facts.rename(aside).with_columns(**entities)
        at = None if fact_timestamp is None else aside[fact_timestamp]
        if self.want.aggregates_at(fact_timestamp):
            assert at is not None
            rows = aggregated_at(view, asked, columns, at, self.found, self.max_age)
        else:
            rows = _by_storage(view, asked, columns, at)
            time = view.schema.event_timestamp
            if self.found is not None:
                seen = [time] if time in self.names and view.storage.tells_times else columns
                rows = rows.with_columns(
                    pl.any_horizontal(pl.col(name).is_not_null() for name in seen if name).alias(self.found)
                )
        # A storage may give an entity of the same name in the contract's type.
        own = {entity for entity, column in self.want.entities.items() if entity == column}
        return rows.select(
            *(pl.col(name if name in own else away).alias(name) for name, away in aside.items()),
            *(pl.col(column).alias(name) for column, name in self.names.items()),
            *([] if self.found is None else [self.found]),
        )

    def answer(self) -> Iterator[pl.Expr]:
        """The columns under the names that are asked for."""
        schema, told = self.want.view.schema, self.told
        for target, column in self.want.columns.items():
            yield _or_default(schema, column, self.names[column]).alias(target)
        if told is None:
            return
        for stored, name in ((schema.event_timestamp, told.event), (schema.created_timestamp, told.created)):
            if stored is not None and name is not None:
                yield pl.col(self.names[stored]).alias(name)
        yield pl.col(self.found or "").alias(told.found)


def _by_storage(
    view: FeatureView[Any], facts: pl.LazyFrame, columns: tuple[str, ...], fact_timestamp: str | None
) -> pl.LazyFrame:
    request = view.request if view.is_virtual else view.stored_request
    needed = source_columns(view.compiled, columns) if view.is_virtual else columns
    wanted = dict.fromkeys([*request.entities, *needed])
    with materialised(view):
        rows = view.storage.features_for(facts, request.project(wanted), fact_timestamp=fact_timestamp)
    if not view.is_virtual:
        return rows
    derivations = {n: t for n, t in view.schema.derivations.items() if n in columns}
    known = set(rows.collect_schema().names())
    everything = {**derivations, **_below(view, derivations, known)}
    return with_derived(rows, everything)


def _below(view: FeatureView[Any], derivations: Mapping[str, Any], known: set[str]) -> dict[str, Any]:
    """The derived columns that others are made of and that are not there yet."""
    made_of = needed(derivations, view.schema.derivations)
    return {
        name: tree for name, tree in view.schema.derivations.items() if name in made_of and name not in known
    }


def _reads_naive(view: FeatureView[Any]) -> bool:
    """Whether its times have no zone and are not told in UTC, as storages take them."""
    times = [
        view.schema.column(name).dtype
        for name in (view.schema.event_timestamp, view.schema.created_timestamp)
        if name
    ]
    return view.time_zone != "UTC" and any(dtype.time_zone is None for dtype in times)


def _or_default(schema: Schema, name: str, called: str) -> pl.Expr:
    column = schema.column(name)
    rows = pl.col(called)
    return rows.fill_null(default_of(column)) if column.has_default and column.default is not None else rows
