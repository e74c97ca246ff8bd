"""The columns of a contract as a table in a notebook."""

from __future__ import annotations

from aligned_dagster.features.expression import text
from aligned_dagster.features.html import (
    Html,
    Part,
    bold,
    code,
    expression,
    items,
    joined,
    line,
    muted,
    table,
    whole,
)
from aligned_dagster.features.schema import Column, Schema

MOST = 200
"""Columns of a table; further ones are counted."""
_ROLES = {"event_timestamp": "event time", "created_timestamp": "created", "feature": ""}


def schema_table(schema: Schema) -> Html:
    """A row a column: its type, what is promised of it, how it is computed, what it means.

    Args:
        schema: the columns, and the rules on whole rows, which stand below.

    >>> from aligned_dagster.features.dtypes import DataType
    >>> "<code>int64</code>" in schema_table(Schema((Column("id", DataType("int64"), "entity"),)))
    True
    """
    head = ["column", "type", "role", "description", "promise", "computed as"]
    parts: list[Part] = [table(head, map(_row, schema.columns[:MOST]))]
    if len(schema.columns) > MOST:
        parts.append(line(muted(f"and {len(schema.columns) - MOST:,} columns more")))
    if schema.rules:
        parts += [line("Every row:"), items(rule.words() for rule in schema.rules)]
    return joined(parts)


def _row(column: Column) -> list[Part]:
    rules = [_short(rule.words(column.name), column.name) for rule in column.constraints]
    rules += ["may be missing"] if column.optional else []
    rules += [f"{column.default!r} where it is missing"] if column.has_default else []
    told = column.prediction
    role = _ROLES.get(column.role, column.role) or (told.kind if told else "")
    derived = expression(text(column.derivation, 120)) if column.derivation is not None else ""
    words = "; ".join(rules)
    return [
        bold(column.name),
        whole(code(column.dtype.text)),
        whole(role),
        column.description,
        words,
        derived,
    ]


def _short(rule: str, column: str) -> str:
    """The rule without what the table says already.

    >>> _short("age must be at least 0", "age"), _short("age must not be null", "age")
    ('at least 0', 'not null')
    """
    return rule.removeprefix(f"{column} ").removeprefix("must be ").replace("must not be null", "not null")
