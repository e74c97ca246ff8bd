"""The point-in-time join: what was known of each fact at its time, and nothing later.

Every row of features becomes usable at one moment: its event time or its creation time, whichever is later.
In the order of those moments only the rows that move an entity forward in event time are kept, so that the
last row that is usable at a fact's time is exactly the one wanted, and one as-of join on an integer finds it.
That integer holds a dense number of the entity above 64 bits of time, so it serves any number and type of
entity columns and cannot overflow.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence

import polars as pl

from aligned_dagster.errors import RequestError, UnknownFeatureError, did_you_mean
from aligned_dagster.request.join_keys import common_dtype, moment, moment_unit

_ROW, _ENTITY, _OWNER, _KEY, _TIME, _EVENT, _CREATED = (
    f"__pit_{name}" for name in ("row", "entity", "owner", "key", "time", "event", "created")
)
_NOBODY = -1
_SHIFT = 2**64
_EARLIEST, _LATEST = -(2**63), 2**63 - 1


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
    asked, known = facts.collect_schema(), features.collect_schema()
    if fact_timestamp is None and max_age is not None and event_timestamp is not None:
        raise RequestError("max_age needs the times of the facts: name their column in fact_timestamp.")
    if max_age is not None and max_age < dt.timedelta(0):
        raise RequestError(f"max_age is {max_age}; it must not be negative.")
    _check_facts(pairs, fact_timestamp, asked)
    needed = [*pairs.values(), *columns, *(name for name in (event_timestamp, created_timestamp) if name)]
    for name in needed:
        if name not in known:
            raise UnknownFeatureError(
                f"The features have no column {name!r}.{did_you_mean(name, known)} "
                f"Columns: {', '.join(known)}."
            )
    wanted = [name for name in dict.fromkeys(columns) if pairs.get(name) != name]
    clash = [name for name in wanted if name in asked]
    if clash:
        raise RequestError(
            f"The facts already have the columns {', '.join(map(repr, clash))}, which are asked for as "
            "features. Rename or drop them in the facts, or do not ask for them."
        )

    times = [asked[fact_timestamp]] if fact_timestamp else []
    times += [known[name] for name in (event_timestamp, created_timestamp) if name]
    unit = moment_unit(times)

    def read(side: pl.Schema, name: str, ambiguous: str) -> pl.Expr:
        return moment(name, side[name], zone=zone, unit=unit, ambiguous=ambiguous)

    now = read(asked, fact_timestamp, "earliest") if fact_timestamp else pl.lit(_LATEST, dtype=pl.Int64)
    created = read(known, created_timestamp, "latest") if created_timestamp else None
    event = read(known, event_timestamp, "latest") if event_timestamp else None
    if fact_timestamp and event is None and created is None:
        now = pl.lit(_LATEST, dtype=pl.Int64)

    keys = {f"__pit_{number}": pair for number, pair in enumerate(pairs.items())}
    dtypes = {key: common_dtype(a, asked[a], b, known[b]) for key, (a, b) in keys.items()}
    numbered = facts.with_row_index(_ROW).with_columns(
        **{key: pl.col(a).cast(dtypes[key]) for key, (a, _) in keys.items()}, **{_TIME: now}
    )
    owners = facts.select(pl.col(a).cast(dtypes[key]).alias(key) for key, (a, _) in keys.items())
    owners = owners.drop_nulls().unique().with_row_index(_ENTITY)
    left = (
        numbered.join(owners, on=list(keys), how="left")
        .with_columns(pl.when(pl.col(_TIME).is_not_null()).then(_ENTITY).cast(pl.Int64).fill_null(_NOBODY))
        .with_columns(_composite(pl.col(_ENTITY), pl.col(_TIME).fill_null(0)).alias(_KEY))
        .drop(*keys)
        .sort(_KEY)
    )
    right = _records(features, owners, keys, dtypes, wanted, event, created)
    joined = left.join_asof(right, on=_KEY, strategy="backward")

    matches = pl.col(_ENTITY) == pl.col(_OWNER)
    if max_age is not None and event is not None:
        limit = max_age // dt.timedelta(microseconds=1) * (1000 if unit == "ns" else 1)
        matches &= pl.col(_TIME) - pl.col(_EVENT) <= limit
    return (
        joined.with_columns(pl.when(matches).then(pl.col(name)).alias(name) for name in wanted)
        .sort(_ROW)
        .select(*asked, *wanted)
    )


def _composite(entity: pl.Expr, time: pl.Expr) -> pl.Expr:
    return entity.cast(pl.Int128) * _SHIFT + time.cast(pl.Int128)


def _records(
    features: pl.LazyFrame,
    owners: pl.LazyFrame,
    keys: Mapping[str, tuple[str, str]],
    dtypes: Mapping[str, pl.DataType],
    wanted: Sequence[str],
    event: pl.Expr | None,
    created: pl.Expr | None,
) -> pl.LazyFrame:
    """The rows that a fact may get, by entity and the moment from which on they are its latest."""
    written = pl.lit(_EARLIEST, dtype=pl.Int64) if created is None else created.fill_null(_EARLIEST)
    rows = (
        features.select(
            *wanted,
            *(pl.col(b).cast(dtypes[key]).alias(key) for key, (_, b) in keys.items()),
            (written if event is None else event).alias(_EVENT),
            written.alias(_CREATED),
        )
        .filter(pl.col(_EVENT).is_not_null())
        .join(owners, on=list(keys), how="inner", maintain_order="left")
        .drop(*keys)
        .rename({_ENTITY: _OWNER})
    )
    usable = pl.max_horizontal(_EVENT, _CREATED)
    rows = rows.with_columns(_composite(pl.col(_OWNER), usable).alias(_KEY))
    if event is None or created is None:
        return rows.drop(_CREATED).sort(_KEY, maintain_order=True)
    forward = _composite(pl.col(_OWNER), pl.col(_EVENT))
    rows = rows.sort(_KEY, _EVENT, _CREATED, maintain_order=True).drop(_CREATED)
    return rows.filter(forward == forward.cum_max())


def _check_facts(pairs: Mapping[str, str], fact_timestamp: str | None, asked: pl.Schema) -> None:
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
