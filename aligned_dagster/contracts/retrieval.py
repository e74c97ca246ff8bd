"""Features of any number of views for the same facts, each as it was known at the fact's time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import polars as pl

from aligned_dagster.contracts.facts import facts_schema
from aligned_dagster.contracts.features_join import with_features
from aligned_dagster.contracts.wanted import (
    EntityColumns,
    FeatureRefs,
    Wanted,
    provenance_names,
    wanted_entities,
    wanted_of,
)
from aligned_dagster.errors import RequestError, did_you_mean
from aligned_dagster.features.dtypes import DataType
from aligned_dagster.features.location import at
from aligned_dagster.features.schema import Column, Schema
from aligned_dagster.request.explain import explained
from aligned_dagster.request.features_report import FeaturesReport, features_report
from aligned_dagster.request.job import RetrievalJob
from aligned_dagster.request.progress import progress

__all__ = [
    "EntityColumns",
    "FeatureRefs",
    "FeaturesJob",
    "Wanted",
    "fact_time",
    "features_job",
    "provenance_names",
    "wanted_entities",
    "wanted_of",
    "with_features",
]


@dataclass(frozen=True, repr=False, kw_only=True)
class FeaturesJob(RetrievalJob):
    """Facts with features, that can say how well these were found.

    Args:
        facts: the rows that were asked about.
        wanted: what is asked of each view.
        fact_timestamp: the facts' column with the time; None for the latest row of each entity.
    """

    facts: pl.LazyFrame
    wanted: tuple[Wanted, ...] = field(default=())
    fact_timestamp: str | None = None

    def report(self) -> FeaturesReport:
        """Match rate, age of the features, rows in and out, and a count of rows from the future, of each view.

        Raises:
            SourceError: a source cannot be read.
        """
        with progress(f"reporting on the features of {self.name}"), explained(self.name):
            provenance = [
                want.provenance(number, self.schema.names) for number, want in enumerate(self.wanted)
            ]
            rows = with_features(self.facts, self.wanted, self.fact_timestamp, provenance)
            return features_report(self.facts, rows, provenance, self.fact_timestamp, self.name)

    def with_provenance(self) -> RetrievalJob:
        """The same rows, and beside them of each view the times of the row that was used.

        The columns are `<view>__event_timestamp` and `<view>__created_timestamp`, where the view has them.

        Raises:
            RequestError: there is a column of such a name.
        """
        provenance = [want.provenance(number, self.schema.names) for number, want in enumerate(self.wanted)]
        names = provenance_names(self.wanted, provenance)
        both = [name for name in names.values() if name in self.schema]
        if both:
            raise RequestError(
                f"The rows already have {', '.join(map(repr, both))}. Rename them in the facts, or name the feature otherwise."
            )

        def load() -> pl.LazyFrame:
            rows = with_features(self.facts, self.wanted, self.fact_timestamp, provenance)
            return rows.rename(names).select(*self.schema.names, *names.values())

        schemas = {want.view.name: want.view.schema for want in self.wanted}
        added = []
        for one in provenance:
            schema = schemas[one.view]
            for column, stored in (
                (one.event, schema.event_timestamp),
                (one.created, schema.created_timestamp),
            ):
                if column is not None and stored is not None:
                    dtype = schema.column(stored).dtype
                    added.append(Column(names[column], DataType.from_polars(dtype.polars), optional=True))
        return RetrievalJob(self.name, Schema((*self.schema.columns, *added)), load)


def features_job(
    name: str,
    facts: pl.LazyFrame,
    wanted: Sequence[Wanted],
    fact_timestamp: str | None,
) -> FeaturesJob:
    """The job that finds features for facts.

    Args:
        name: of the job, for messages.
        facts: the rows that are asked about.
        wanted: what is asked of each view.
        fact_timestamp: the facts' column with the time; None for the latest row of each entity.

    Raises:
        RequestError: the facts lack a column, or two columns would have one name.
    """
    given = facts.collect_schema().names()
    _check_facts(given, wanted, fact_timestamp)
    _check_names(given, wanted)
    added = tuple(
        replace(
            want.view.schema.column(column),
            name=target,
            role="feature",
            optional=True,
            constraints=(),
            derivation=None,
            aggregated=False,
        )
        for want in wanted
        for target, column in want.columns.items()
    )
    columns = facts_schema(facts, [want.view.schema for want in wanted])
    return FeaturesJob(
        name,
        Schema((*columns, *added)),
        lambda: with_features(facts, wanted, fact_timestamp),
        facts=facts,
        wanted=tuple(wanted),
        fact_timestamp=fact_timestamp,
    )


def fact_time(given: Sequence[str], wanted: Sequence[Wanted], named: str | None) -> str | None:
    """The facts' column with the time: the one that is named, or the views' own name for it if the facts have it.

    Raises:
        RequestError: the facts have several such columns.
    """
    if named is not None:
        return named
    times = dict.fromkeys(want.view.schema.event_timestamp for want in wanted)
    found = [name for name in times if name is not None and name in given]
    if len(found) > 1:
        raise RequestError(
            f"The facts have the times {', '.join(map(repr, found))}. Say which one is the fact's: "
            f"event_timestamp_column={found[0]!r}."
        )
    return found[0] if found else None


def check_wanted(given: Sequence[str], wanted: Sequence[Wanted]) -> None:
    """Check that facts with these columns can be asked for the features.

    Raises:
        RequestError: an entity column is missing, or two columns would have one name.
    """
    _check_facts(given, wanted, None)
    _check_names(given, wanted)


def _check_facts(given: Sequence[str], wanted: Sequence[Wanted], fact_timestamp: str | None) -> None:
    for want in wanted:
        if not want.entities:
            raise RequestError(
                f"{want.view.name!r} has no entity, so its rows belong to no fact. Say what identifies a row, as in "
                f"{want.view.schema.names[0]} = Int64().as_entity(), or ask for rows by all() and filter()."
                f"{at(want.view.location)}"
            )
        missing = {entity: column for entity, column in want.entities.items() if column not in given}
        if missing:
            entity, column = next(iter(missing.items()))
            raise RequestError(
                f"The facts lack {', '.join(map(repr, missing.values()))}, the entity of {want.view.name!r}; needed are "
                f"{', '.join(map(repr, want.entities.values()))}.{did_you_mean(column, given)} Columns: "
                f"{', '.join(given)}. Where the facts call it otherwise: entity_columns={{{entity!r}: '...'}}."
            )
    if fact_timestamp is not None and fact_timestamp not in given:
        raise RequestError(
            f"The facts have no column {fact_timestamp!r} that says at what time they ask."
            f"{did_you_mean(fact_timestamp, given)} Columns: {', '.join(given)}."
        )


def _check_names(given: Sequence[str], wanted: Sequence[Wanted]) -> None:
    owners: dict[str, str] = dict.fromkeys(given, "the facts")
    for want in wanted:
        for target, column in want.columns.items():
            if target in owners:
                raise RequestError(
                    f"{target!r} would stand twice: of {owners[target]} and of {want.view.name!r}. Name the feature "
                    f"otherwise: features={{'{want.view.name}_{target}': '{want.view.name}:{column}', ...}}."
                )
            owners[target] = f"{want.view.name!r}"
