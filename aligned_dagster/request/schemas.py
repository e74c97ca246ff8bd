"""The schema of rows after they were projected, renamed, joined or aggregated: what still can be promised."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace

import polars as pl

from aligned_dagster.features.constraints import NotNull, Unique
from aligned_dagster.features.dtypes import DataType
from aligned_dagster.features.expression import rename as rename_columns
from aligned_dagster.features.schema import Column, Schema


def projected(schema: Schema, names: Sequence[str]) -> Schema:
    """Some columns. Without the whole key no row can be told by it any more: entities become plain features.

    >>> id, day = Column("id", DataType("int32"), "entity"), Column("day", DataType("date"), "entity")
    >>> projected(Schema((id, day)), ["day"]).entities
    ()
    """
    smaller = schema.select(names)
    return smaller if set(schema.key) <= set(names) else without_key(smaller)


def without_key(schema: Schema) -> Schema:
    """The same columns where an entity may stand in many rows."""
    return Schema(
        tuple(replace(c, role="feature") if c.role == "entity" else c for c in schema.columns), schema.rules
    )


def of_some_rows(schema: Schema) -> Schema:
    """The same columns where some of the rows are missing: what must hold of a share of all rows need not hold of these."""
    return Schema(schema.columns, tuple(rule for rule in schema.rules if rule.mostly == 1))


def without_promises(schema: Schema) -> Schema:
    """The same columns, any of which may hold anything."""
    return Schema(tuple(replace(c, constraints=(), optional=True) for c in schema.columns))


def renamed(schema: Schema, names: Mapping[str, str]) -> Schema:
    """The same columns under other names, in their derivations and rules too."""
    columns = tuple(
        replace(
            column,
            name=names.get(column.name, column.name),
            derivation=None if column.derivation is None else rename_columns(column.derivation, names),
        )
        for column in schema.columns
    )
    rules = tuple(replace(rule, predicate=rename_columns(rule.predicate, names)) for rule in schema.rules)
    return Schema(columns, rules)


def extended(schema: Schema, change: Callable[[pl.LazyFrame], pl.LazyFrame], new: Collection[str]) -> Schema:
    """The schema after a change that keeps the rows and computes the `new` columns, typed by polars."""
    after = change(pl.LazyFrame(schema=schema.polars)).collect_schema()
    columns = tuple(
        Column(name, DataType.from_polars(dtype), optional=True) if name in new else schema.column(name)
        for name, dtype in after.items()
    )
    rules = tuple(rule for rule in schema.rules if not set(rule.columns) & set(new))
    return Schema(columns, rules)


def grouped(schema: Schema, change: Callable[[pl.LazyFrame], pl.LazyFrame], by: Sequence[str]) -> Schema:
    """The schema of one row a group: the columns of the group are its entities, the others are computed."""
    after = change(pl.LazyFrame(schema=schema.polars)).collect_schema()
    columns = []
    for name, dtype in after.items():
        if name not in by:
            columns.append(Column(name, DataType.from_polars(dtype), optional=True))
            continue
        column = schema.column(name)
        kept = tuple(item for item in column.constraints if not isinstance(item, Unique))
        columns.append(replace(column, role="entity", constraints=kept, derivation=None))
    return Schema(tuple(columns))


def joined(left: Schema, right: Schema, on: Sequence[str], *, outer: bool) -> Schema:
    """The columns of both sides, those of `on` once.

    Args:
        left: the side whose rows keep their order.
        right: the other side.
        on: the columns that both sides have.
        outer: whether rows of the left side stay that match nothing, so that the others' columns can be null.
    """
    single = bool(right.key) and set(right.key) <= set(on)
    base = left if single else without_key(left)
    if not single:
        base = Schema(tuple(_without(c, Unique) for c in base.columns), base.rules)
    added = []
    for column in right.columns:
        if column.name in on:
            continue
        column = replace(_without(column, Unique), role="feature")
        added.append(replace(_without(column, NotNull), optional=True) if outer else column)
    return Schema((*base.columns, *added), base.rules)


def _without(column: Column, kind: type[NotNull] | type[Unique]) -> Column:
    return replace(column, constraints=tuple(c for c in column.constraints if not isinstance(c, kind)))
