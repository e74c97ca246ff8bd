"""Making a class of features a contract."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, timedelta
from typing import Any, TypeVar

from aligned_dagster.contracts.engines import check_engines
from aligned_dagster.contracts.feature_view import FeatureView, as_source
from aligned_dagster.contracts.partitioning import Every, check_windows
from aligned_dagster.contracts.schema_check import check_fit
from aligned_dagster.errors import ContractError, UnsupportedError, did_you_mean
from aligned_dagster.features.compiling import Compiled, compile_class
from aligned_dagster.features.constraints import OnViolation, Reference, check_on_violation
from aligned_dagster.features.engines.names import Engine, check_engine
from aligned_dagster.features.location import SourceLocation, at, caller
from aligned_dagster.features.naming import check_name, snake_case
from aligned_dagster.features.schema import Schema
from aligned_dagster.features.temporal import check_zone
from aligned_dagster.sources.source import DataSource, Writable

T = TypeVar("T")


def feature_view(
    name: str | None = None,
    source: Any = None,
    materialized_source: DataSource | None = None,
    description: str | None = None,
    tags: Iterable[str] = (),
    contacts: Iterable[str] = (),
    acceptable_freshness: timedelta | None = None,
    unacceptable_freshness: timedelta | None = None,
    on_violation: OnViolation = "block",
    schedule: str | None = None,
    automation: Any = None,
    materialize_from: date | None = None,
    every: Every | None = None,
    lookback: timedelta | None = None,
    materialize_until: date | None = None,
    time_zone: str = "UTC",
    engine: Engine | None = None,
) -> Callable[[type[T]], FeatureView[T]]:
    """Make a class of features a contract on the rows of a source.

    Args:
        name: unique in a store; the class's name in snake_case if not given.
        source: where the rows come from: a source, another view, a join, a function, a polars frame.
        materialized_source: where the computed rows are kept; a view without one is computed when it is read.
        description: what the rows are; the class's docstring if not given.
        tags: words to find it by.
        contacts: who answers for it: email addresses or team names.
        acceptable_freshness: the newest row may be this old without a word.
        unacceptable_freshness: a newest row older than this is a failure.
        on_violation: what a broken rule does that says nothing itself: "block", "quarantine" or "warn".
        schedule: cron of the materialisation, as in "0 6 * * *".
        automation: "eager", "on_cron(...)" or a condition of the orchestrator.
        materialize_from: first day of the windows of time in which the rows are materialized, by the event timestamp.
        every: length of the windows: "hourly", "daily", "weekly" (from Monday) or "monthly".
        materialize_until: the first day after the windows; they go on to the present if not given.
        lookback: how long after the end of a window rows of it may still arrive.
        time_zone: in whose days, weeks and months the windows are.
        engine: "polars", "spark" or "duckdb": what computes and audits the rows when they are published. That of the store
            or the deployment if not given; this one wherever it runs if it is.

    Raises:
        ContractError: the class states something that cannot be, or does not fit the view that it reads.
        UnsupportedError: a column cannot be computed on the engine.

    >>> from aligned_dagster import Float, InMemorySource, Int32
    >>> people = InMemorySource.from_values({"id": [1, 2], "age": [17.0, 40.0]})
    >>> @feature_view(source=people)
    ... class Person:
    ...     id = Int32().as_entity()
    ...     age = Float().lower_bound(0)
    ...     is_adult = age >= 18
    >>> Person.query().all().collect()["is_adult"].to_list()
    [False, True]
    """
    if isinstance(name, type):
        raise ContractError(
            f"Write @feature_view(source=...) with brackets above {name.__name__}.{at(caller())}"
        )
    location = caller()

    def decorate(cls: type[T]) -> FeatureView[T]:
        title = check_name(name or snake_case(cls.__name__))
        compiled = compile_class(cls, title)
        check_on_violation(on_violation)
        if source is None:
            raise ContractError(
                f"{title} needs a source, as in @feature_view(source=FileSource.csv_at('data.csv')).{at(location)}"
            )
        check_materialisation(
            title,
            compiled,
            materialized_source,
            materialize_from,
            every,
            lookback,
            materialize_until,
            time_zone,
            location,
        )
        reads = as_source(source, title)
        check_fit(title, compiled.inputs, reads, location)
        _check_mapping(title, reads, [column.name for column in compiled.inputs.stored], location)
        made = FeatureView(
            name=title,
            compiled=compiled,
            source=reads,
            materialized_source=materialized_source,
            description=description or (cls.__doc__ or "").strip(),
            tags=tuple(tags),
            contacts=tuple(contacts),
            acceptable_freshness=acceptable_freshness,
            unacceptable_freshness=unacceptable_freshness,
            on_violation=on_violation,
            schedule=schedule,
            automation=automation,
            materialize_from=materialize_from,
            every=every,
            lookback=lookback,
            materialize_until=materialize_until,
            time_zone=check_zone(time_zone) or "UTC",
            engine=None if engine is None else check_engine(engine, f"engine of {title}"),
            location=location,
            declaration=cls,
            referenced=referenced_views(compiled.schema),
        )
        check_engines([made])
        return made

    return decorate


data_contract = feature_view


def check_materialisation(
    name: str,
    compiled: Compiled,
    target: DataSource | None,
    materialize_from: date | None,
    every: Every | None,
    lookback: timedelta | None,
    materialize_until: date | None,
    time_zone: str,
    location: SourceLocation | None,
) -> None:
    """Check where and in which windows of time a contract is materialised.

    Raises:
        UnsupportedError: the place can only be read.
        ContractError: the windows cannot be, or the place maps names that the contract lacks.
    """
    if target is not None and not isinstance(target, Writable):
        raise UnsupportedError(
            f"{name} cannot be materialized to {target!r}, which can only be read. "
            f"Use a file, for instance FileSource.parquet_at('data/{name}.parquet').{at(location)}"
        )
    check_windows(
        name,
        compiled.schema,
        materialize_from,
        every,
        lookback,
        target is not None,
        materialize_until,
        check_zone(time_zone) or "UTC",
    )
    if target is not None:
        _check_mapping(name, target, compiled.schema.names, location)


def _check_mapping(
    name: str, source: DataSource, columns: Sequence[str], location: SourceLocation | None
) -> None:
    mapping: Mapping[str, str] = getattr(source, "mapping_keys", None) or {}
    for stored, feature in mapping.items():
        if feature not in columns:
            turned = (
                f" The stored name comes first: {{{feature!r}: {stored!r}}}." if stored in columns else ""
            )
            hint = turned or did_you_mean(feature, columns)
            raise ContractError(
                f"mapping_keys of {source.label} reads {stored!r} as {feature!r}, which is no stored column of {name}."
                f"{hint}{at(location)}"
            )


def referenced_views(schema: Schema) -> dict[str, FeatureView[Any]]:
    """Name to view of what the references of a contract point to."""
    rules = (rule for column in schema.columns for rule in column.constraints)
    return {r.view: r.owner for r in rules if isinstance(r, Reference) and isinstance(r.owner, FeatureView)}
