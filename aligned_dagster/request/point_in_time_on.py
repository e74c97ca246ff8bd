"""The point-in-time join where an engine holds facts and features: a union in the order of time, and no join.

A row of features becomes usable at its event time or its creation time, whichever is later. In the order of those moments
only the rows that move an entity forward in event time count, so each fact gets the last of them before it. Facts and
features stand in one frame that the engine parts by entity and orders by time: nothing grows with the product of the two.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import polars as pl

from aligned_dagster.features.dtypes import DataType
from aligned_dagster.features.engines.dialect import Dialect
from aligned_dagster.features.engines.names import Engine
from aligned_dagster.features.engines.native import native
from aligned_dagster.features.engines.selecting import select_on
from aligned_dagster.request.join_keys import common_dtype
from aligned_dagster.request.moments_on import moment_on
from aligned_dagster.request.point_in_time import check_lookup, check_new

if TYPE_CHECKING:
    import narwhals as nw

_EARLIEST, _LATEST = "CAST('-4611686018427387904' AS bigint)", "CAST('4611686018427387904' AS bigint)"
_TIME, _EVENT, _CREATED, _RANK, _IS_FACT, _ROW = "time", "event", "created", "rank", "is_fact", "row"
_WHOLE = pl.Decimal(20, 0)


@dataclass(frozen=True)
class LookupOn:
    """What facts ask of one table of features that the same engine holds; see `Lookup`.

    Args:
        features: rows, in any order, in carried dtypes.
        entities: column of the facts to column of the features.
        event_timestamp: column of the features that says when a row became true.
        created_timestamp: column of the features that says when a row was written.
        columns: name in the result to column of the features.
        max_age: the greatest distance, inclusive, between the times of a fact and of the row it gets.
        zone: the time zone in which naive timestamps are read.
        found: name of a further boolean column that says which facts found a row; none if not given.
        order: column of the features that orders their rows: of rows with the same times the last one wins. An engine keeps
            no order, so of those that share it too, or without it, the one with the greatest values does.
    """

    features: nw.LazyFrame[Any]
    entities: Mapping[str, str]
    event_timestamp: str | None
    created_timestamp: str | None
    columns: Mapping[str, str]
    max_age: dt.timedelta | None = None
    zone: str = "UTC"
    found: str | None = None
    order: str | None = None


def point_in_time_joins_on(
    facts: nw.LazyFrame[Any], lookups: Sequence[LookupOn], *, engine: Engine, fact_timestamp: str | None
) -> nw.LazyFrame[Any]:
    """Add to each fact features of several tables, where an engine holds all of them; see `point_in_time_join`.

    The result has the rows of the facts with duplicates kept, in no order: a column of the facts that numbers them
    restores it.

    Args:
        facts: the rows that are asked about, in carried dtypes.
        lookups: what they ask of each table.
        engine: holds all of them.
        fact_timestamp: column of the facts that says at what time they ask.

    Raises:
        RequestError: see `point_in_time_join`.
        UnknownFeatureError: the features lack a column.
    """
    for lookup in lookups:
        facts = _answered(facts, lookup, engine, fact_timestamp)
    return facts


def _answered(
    facts: nw.LazyFrame[Any], lookup: LookupOn, engine: Engine, fact_timestamp: str | None
) -> nw.LazyFrame[Any]:
    """The facts with what they ask of one table."""
    import narwhals as nw

    asked, known = facts.collect_schema().to_polars(), lookup.features.collect_schema().to_polars()
    check_lookup(lookup, asked, known, fact_timestamp)
    check_new([*lookup.columns, *([lookup.found] if lookup.found else [])], asked)
    sql = Dialect(engine)
    keys = [f"key {number}" for number in range(len(lookup.entities))]
    dtypes = [key_type(a, asked[a], b, known[b]) for a, b in lookup.entities.items()]
    timed = bool(fact_timestamp and (lookup.event_timestamp or lookup.created_timestamp))
    now = _LATEST
    if timed and fact_timestamp is not None:
        now = moment_on(fact_timestamp, asked[fact_timestamp], engine, zone=lookup.zone)

    given = {f"fact {number}": name for number, name in enumerate(asked)}
    theirs = {
        **{k: sql.cast(sql.name(a), t) for k, a, t in zip(keys, lookup.entities, dtypes, strict=True)},
        **{alias: sql.name(name) for alias, name in given.items()},
        _TIME: now,
        _IS_FACT: "1",
    }
    line = nw.concat(
        [select_on(facts, theirs, engine), _usable(lookup, keys, dtypes, known, engine)], how="diagonal"
    )
    by, order = ", ".join(map(sql.name, keys)), _ordered([_TIME, _IS_FACT, _RANK], sql)
    last = sql.either(f"last({sql.name(_ROW)}, true)", f"last_value({sql.name(_ROW)} IGNORE NULLS)")
    hit = f"{last} OVER (PARTITION BY {by} ORDER BY {order} ROWS UNBOUNDED PRECEDING)"
    line = line.with_columns(native(hit, engine).alias(_ROW)).filter(nw.col(_IS_FACT) == 1)
    row = sql.name(_ROW)
    found = f"{row} IS NOT NULL"
    if lookup.max_age is not None and lookup.event_timestamp is not None:
        limit = lookup.max_age // dt.timedelta(microseconds=1)
        found = f"({found} AND {sql.name(_TIME)} - {row}.{sql.name(_EVENT)} <= {limit})"
    answer = {
        **{name: sql.name(alias) for alias, name in given.items()},
        **{
            name: f"CASE WHEN {found} THEN {row}.{sql.name(f'value {number}')} END"
            for number, name in enumerate(lookup.columns)
        },
        **({} if lookup.found is None else {lookup.found: found}),
    }
    return select_on(line, answer, engine)


def _usable(
    lookup: LookupOn,
    keys: Sequence[str],
    dtypes: Sequence[DataType],
    known: Mapping[str, pl.DataType],
    engine: Engine,
) -> nw.LazyFrame[Any]:
    """The rows of features that move an entity forward, each with the moment from which on it is usable."""
    import narwhals as nw

    sql, event, created = Dialect(engine), lookup.event_timestamp, lookup.created_timestamp

    def read(name: str) -> str:
        return moment_on(name, known[name], engine, zone=lookup.zone, ambiguous="latest")

    written = f"COALESCE({read(created)}, {_EARLIEST})" if created else _EARLIEST
    columns = {
        **{
            k: sql.cast(sql.name(b), t)
            for k, b, t in zip(keys, lookup.entities.values(), dtypes, strict=True)
        },
        **{f"value {number}": sql.name(name) for number, name in enumerate(lookup.columns.values())},
        **({"order": sql.name(lookup.order)} if lookup.order else {}),
        _EVENT: read(event) if event else written,
        _CREATED: written,
    }
    rows = select_on(lookup.features, columns, engine).drop_nulls([*keys, _EVENT])
    sortable = [
        f"value {number}"
        for number, name in enumerate(lookup.columns.values())
        if not known[name].is_nested()
    ]
    ties = _ordered([_EVENT, _CREATED, *(["order"] if lookup.order else []), *sortable], sql)
    by = ", ".join(map(sql.name, keys))
    rank = native(f"ROW_NUMBER() OVER (PARTITION BY {by} ORDER BY {ties})", engine)
    late = f"GREATEST({sql.name(_EVENT)}, {sql.name(_CREATED)})"
    rows = rows.with_columns(rank.alias(_RANK), native(late, engine).alias(_TIME))
    if event and created:
        best = native(
            f"MAX({sql.name(_RANK)}) OVER (PARTITION BY {by} ORDER BY {_ordered([_TIME, _RANK], sql)} "
            "ROWS UNBOUNDED PRECEDING)",
            engine,
        )
        rows = rows.with_columns(best.alias("best")).filter(nw.col(_RANK) == nw.col("best"))
    fields = [_EVENT, *(f"value {number}" for number in range(len(lookup.columns)))]
    kept = {
        **{name: sql.name(name) for name in (*keys, _TIME, _RANK)},
        _IS_FACT: "0",
        _ROW: sql.either(
            f"named_struct({', '.join(f'{sql.text(name)}, {sql.name(name)}' for name in fields)})",
            "{" + ", ".join(f"{sql.text(name)}: {sql.name(name)}" for name in fields) + "}",
        ),
    }
    return select_on(rows, kept, engine)


def _ordered(names: Sequence[str], sql: Dialect) -> str:
    return ", ".join(f"{sql.name(name)} ASC NULLS FIRST" for name in names)


def key_type(left: str, left_dtype: pl.DataType, right: str, right_dtype: pl.DataType) -> DataType:
    """The type in which an entity of the facts and one of the features compare exactly.

    Raises:
        RequestError: there is none.
    """
    if left_dtype == right_dtype:
        return DataType.from_polars(left_dtype)
    # Spark carries whole numbers of 64 bits without a sign as decimals.
    mine, other = (pl.UInt64() if dtype == _WHOLE else dtype for dtype in (left_dtype, right_dtype))
    common = common_dtype(left, mine, right, other)
    return (
        DataType("decimal", precision=20)
        if common in (pl.Int128(), pl.UInt64())
        else DataType.from_polars(common)
    )
