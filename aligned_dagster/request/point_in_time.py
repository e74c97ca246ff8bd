"""The point-in-time join: what was known of each fact at its time, and nothing later.

Facts are read once, in batches of which each is answered whole: for every table of features its rows go by, in
batches too, and each fact keeps the best (see `latest_known`). So memory grows with the wider of the two batches, and
neither with the history nor with the number of tables.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import polars as pl
from polars.io.plugins import register_io_source

from aligned_dagster.errors import RequestError, UnknownFeatureError, did_you_mean
from aligned_dagster.request.join_keys import common_dtype, moment, moment_unit
from aligned_dagster.request.latest_known import CREATED, EARLIEST, EVENT, LATEST, TIME, Points, Search

if TYPE_CHECKING:
    from aligned_dagster.request.point_in_time_on import LookupOn

FACTS_AT_ONCE = 4_000_000
"""Facts for which all features go by once."""

FEATURES_AT_ONCE = 2_000_000
"""Rows of features that are held at a time."""


@dataclass(frozen=True)
class Lookup:
    """What facts ask of one table of features.

    Args:
        features: rows, in any order.
        entities: column of the facts to column of the features.
        event_timestamp: column of the features that says when a row became true.
        created_timestamp: column of the features that says when a row was written.
        columns: name in the result to column of the features.
        max_age: the greatest distance, inclusive, between the times of a fact and of the row it gets.
        zone: the time zone in which naive timestamps are read.
        found: name of a further boolean column that says which facts found a row; none if not given.
    """

    features: pl.LazyFrame
    entities: Mapping[str, str]
    event_timestamp: str | None
    created_timestamp: str | None
    columns: Mapping[str, str]
    max_age: dt.timedelta | None = None
    zone: str = "UTC"
    found: str | None = None


def point_in_time_join(
    facts: pl.LazyFrame,
    features: pl.LazyFrame,
    *,
    entities: Sequence[str] | Mapping[str, str],
    event_timestamp: str | None,
    created_timestamp: str | None,
    fact_timestamp: str | None,
    columns: Sequence[str],
    max_age: dt.timedelta | None = None,
    zone: str = "UTC",
    found: str | None = None,
) -> pl.LazyFrame:
    """Add to each fact the features of its entity as they were known at the fact's time.

    The result has the rows of the facts, in their order, with duplicates kept. A fact gets the row of its
    entity with the latest event timestamp that is not after the fact; ties go to the latest created, then to
    the last row. Rows created after the fact are never used; a row without a creation time counts as always
    known. Where nothing matches, also for a null key or time, the features are null.

    Without `fact_timestamp` each fact gets the latest row of its entity. Without `event_timestamp` the
    features are looked up by entity alone; `created_timestamp`, if there is one, still bounds what was known,
    and `max_age` has nothing to bound.

    Args:
        facts: the rows that are asked about.
        features: rows of one view, in any order.
        entities: names of the entity columns, or column of the facts to column of the features where they
            differ.
        event_timestamp: column of the features that says when a row became true.
        created_timestamp: column of the features that says when a row was written.
        fact_timestamp: column of the facts that says at what time they ask.
        columns: columns of the features to add, in order; an entity column that the facts have under the same
            name is not added again.
        max_age: the greatest distance, inclusive, between the times of a fact and of the row it gets.
        zone: the time zone in which naive timestamps are read. Of a time that a change of clocks repeats, the
            earlier is read in facts and the later in features, so that nothing leaks.
        found: name of a further boolean column that says which facts found a row; none if not given.

    Raises:
        RequestError: a column of the facts is missing or stands on both sides, entities cannot be compared, a
            timestamp is none, or `max_age` is negative or given for facts that have no time.
        UnknownFeatureError: the features lack a column.

    >>> facts = pl.LazyFrame({"id": [1, 2, 1], "at": [5, 5, 1]}).with_columns(pl.from_epoch("at"))
    >>> seen = pl.LazyFrame({"id": [1, 1], "ts": [2, 4], "age": [20, 40]}).with_columns(pl.from_epoch("ts"))
    >>> point_in_time_join(
    ...     facts,
    ...     seen,
    ...     entities=["id"],
    ...     event_timestamp="ts",
    ...     created_timestamp=None,
    ...     fact_timestamp="at",
    ...     columns=["age"],
    ... ).collect()["age"].to_list()
    [40, None, None]
    """
    pairs = dict(entities) if isinstance(entities, Mapping) else {name: name for name in entities}
    wanted = [name for name in dict.fromkeys(columns) if pairs.get(name) != name]
    lookup = Lookup(
        features,
        pairs,
        event_timestamp,
        created_timestamp,
        {name: name for name in wanted},
        max_age,
        zone,
        found,
    )
    return point_in_time_joins(facts, [lookup], fact_timestamp=fact_timestamp)


def point_in_time_joins(
    facts: pl.LazyFrame, lookups: Sequence[Lookup], *, fact_timestamp: str | None
) -> pl.LazyFrame:
    """Add to each fact features of several tables; see `point_in_time_join`.

    The facts are read once, and each table once for every `FACTS_AT_ONCE` of them.

    Args:
        facts: the rows that are asked about.
        lookups: what they ask of each table.
        fact_timestamp: column of the facts that says at what time they ask.

    Raises:
        RequestError: see `point_in_time_join`.
        UnknownFeatureError: the features lack a column.
    """
    asked = facts.collect_schema()
    searches = [_Ready.of(lookup, asked, fact_timestamp) for lookup in lookups]
    schema = dict(asked)
    for ready in searches:
        check_new(ready.schema, schema)
        schema |= ready.schema

    def read(
        names: list[str] | None, condition: pl.Expr | None, limit: int | None, _size: int | None
    ) -> Iterator[pl.DataFrame]:
        wanted = list(schema) if names is None else names
        used = [search for search in searches if not search.schema.keys().isdisjoint(wanted)]
        needed = {*wanted, *(name for search in used for name in search.facts_columns)}
        given = [name for name in asked if name in needed] or list(asked)[:1]
        rows = (facts if limit is None else facts.head(limit)).select(given)
        none = True
        for batch in rows.collect_batches(chunk_size=FACTS_AT_ONCE, maintain_order=True, engine="streaming"):
            none = False
            answer = _answered(batch, used, wanted)
            yield answer if condition is None else answer.filter(condition)
        if none:
            yield pl.DataFrame(schema={name: schema[name] for name in wanted})

    return register_io_source(read, schema=schema, explain_name="point in time join")


def _answered(facts: pl.DataFrame, searches: Sequence[_Ready], wanted: Sequence[str]) -> pl.DataFrame:
    """The wanted columns of one batch of facts and of what they ask for."""
    points: dict[tuple[str, ...], Points] = {}
    columns = {name: facts[name] for name in facts.columns}
    for search in searches:
        if search.asks not in points:
            points[search.asks] = Points.of(facts.lazy().select(search.keys).collect(), search.key_names)
        columns |= search.found(points[search.asks], wanted)
    return pl.DataFrame([columns[name].alias(name) for name in wanted])


@dataclass(frozen=True)
class _Ready:
    """A lookup whose columns are known to fit the facts.

    Args:
        lookup: what is asked.
        schema: the columns that it adds.
        asks: says which key and time of the facts it asks by; the same for lookups that share them.
        facts_columns: columns of the facts that it reads.
        keys: the key columns and TIME, of the facts.
        records: the key columns and times, of the features.
        unit: number of its units of time in a microsecond.
    """

    lookup: Lookup
    schema: Mapping[str, pl.DataType]
    asks: tuple[str, ...]
    facts_columns: tuple[str, ...]
    keys: tuple[pl.Expr, ...] = field(repr=False)
    records: tuple[pl.Expr, ...] = field(repr=False)
    unit: int

    @classmethod
    def of(cls, lookup: Lookup, asked: pl.Schema, fact_timestamp: str | None) -> _Ready:
        """Hold a lookup against the columns of both sides."""
        pairs, known = lookup.entities, lookup.features.collect_schema()
        event, created, zone = lookup.event_timestamp, lookup.created_timestamp, lookup.zone
        check_lookup(lookup, asked, known, fact_timestamp)
        times = [asked[fact_timestamp]] if fact_timestamp else []
        times += [known[name] for name in (event, created) if name]
        unit = moment_unit(times)

        def read(name: str) -> pl.Expr:
            return moment(name, known[name], zone=zone, unit=unit, ambiguous="latest")

        timed = fact_timestamp is not None and (event is not None or created is not None)
        now = pl.lit(LATEST, dtype=pl.Int64)
        if fact_timestamp is not None:
            at = moment(fact_timestamp, asked[fact_timestamp], zone=zone, unit=unit)
            now = at if timed else now
        written = read(created).fill_null(EARLIEST) if created else pl.lit(EARLIEST, dtype=pl.Int64)
        moments = [(read(event) if event else written).alias(EVENT)]
        if event and created:
            moments.append(written.alias(CREATED))
        dtypes = [common_dtype(a, asked[a], b, known[b]) for a, b in pairs.items()]
        names = [f"key {number}" for number in range(len(pairs))]
        schema = {name: known[column] for name, column in lookup.columns.items()}
        return cls(
            lookup,
            schema if lookup.found is None else {**schema, lookup.found: pl.Boolean()},
            (*pairs, *map(repr, dtypes), unit, zone, str(timed)),
            (*pairs, *([fact_timestamp] if fact_timestamp and timed else [])),
            (
                *(pl.col(a).cast(dtype).alias(n) for a, n, dtype in zip(pairs, names, dtypes, strict=True)),
                now.alias(TIME),
            ),
            (
                *(
                    pl.col(b).cast(dtype).alias(n)
                    for b, n, dtype in zip(pairs.values(), names, dtypes, strict=True)
                ),
                *moments,
            ),
            1000 if unit == "ns" else 1,
        )

    @property
    def key_names(self) -> list[str]:
        """Names of the key columns."""
        return [f"key {number}" for number in range(len(self.lookup.entities))]

    def found(self, points: Points, wanted: Sequence[str]) -> dict[str, pl.Series]:
        """The wanted columns of what the facts find.

        Args:
            points: the facts' keys and times.
            wanted: names in the result.
        """
        kept = {f"{n}": name for n, name in enumerate(self.lookup.columns) if name in wanted}
        rows = self.lookup.features.select(
            *self.records, *(pl.col(self.lookup.columns[name]).alias(n) for n, name in kept.items())
        ).filter(pl.col(EVENT).is_not_null())
        search = Search(points, list(kept))
        for batch in rows.collect_batches(
            chunk_size=FEATURES_AT_ONCE, maintain_order=True, engine="streaming"
        ):
            search.add(batch)
        age, limit = self.lookup.max_age, None
        if age is not None and self.lookup.event_timestamp is not None:
            limit = age // dt.timedelta(microseconds=1) * self.unit
        columns, found = search.found(limit)
        if columns.is_empty():
            columns = pl.DataFrame(schema={n: self.schema[name] for n, name in kept.items()}).clear(
                points.height
            )
        answer = {name: columns[n] for n, name in kept.items()}
        return answer if self.lookup.found is None else {**answer, self.lookup.found: found}


def check_new(added: Iterable[str], known: Container[str]) -> None:
    """Make sure that no column of the facts is asked for as a feature.

    Raises:
        RequestError: one is.
    """
    clash = [name for name in added if name in known]
    if clash:
        raise RequestError(
            f"The facts already have the columns {', '.join(map(repr, clash))}, which are asked for as "
            "features. Rename or drop them in the facts, or do not ask for them."
        )


def check_lookup(
    lookup: Lookup | LookupOn,
    asked: Mapping[str, pl.DataType],
    known: Mapping[str, pl.DataType],
    fact_timestamp: str | None,
) -> None:
    """Make sure that both sides of a lookup have the columns that it names.

    Args:
        lookup: what is asked.
        asked: the columns of the facts.
        known: the columns of the features.
        fact_timestamp: column of the facts that says at what time they ask.

    Raises:
        RequestError: a column of the facts is missing, or `max_age` is negative or given for facts without time.
        UnknownFeatureError: the features lack a column.
    """
    times = [name for name in (lookup.event_timestamp, lookup.created_timestamp) if name]
    if fact_timestamp is None and lookup.max_age is not None and lookup.event_timestamp is not None:
        raise RequestError("max_age needs the times of the facts: name their column in fact_timestamp.")
    if lookup.max_age is not None and lookup.max_age < dt.timedelta(0):
        raise RequestError(f"max_age is {lookup.max_age}; it must not be negative.")
    _check_facts(lookup.entities, fact_timestamp, asked)
    for name in [*lookup.entities.values(), *lookup.columns.values(), *times]:
        if name not in known:
            raise UnknownFeatureError(
                f"The features have no column {name!r}.{did_you_mean(name, known)} "
                f"Columns: {', '.join(known)}."
            )


def _check_facts(
    pairs: Mapping[str, str], fact_timestamp: str | None, asked: Mapping[str, pl.DataType]
) -> None:
    if not pairs:
        raise RequestError("A point-in-time join needs at least one entity column.")
    missing = [name for name in pairs if name not in asked]
    if missing:
        raise RequestError(
            f"The facts lack the entity columns {', '.join(map(repr, missing))}; needed are "
            f"{', '.join(map(repr, pairs))}.{did_you_mean(missing[0], asked)} Columns: {', '.join(asked)}."
        )
    if fact_timestamp is not None and fact_timestamp not in asked:
        raise RequestError(
            f"The facts have no column {fact_timestamp!r} that says at what time they ask."
            f"{did_you_mean(fact_timestamp, asked)} Columns: {', '.join(asked)}."
        )
