"""What of a statement Redshift would not take. sqlglot's dialect takes too much: its trees are searched besides."""

from __future__ import annotations

import re

import sqlglot
from sqlglot import exp

DENIED: tuple[type[exp.Expression], ...] = (
    exp.OnConflict,
    exp.Lateral,
    exp.Returning,
    exp.Array,
    exp.ArrayAgg,
    exp.Unnest,
    exp.NullSafeEQ,
    exp.NullSafeNEQ,
    exp.Index,
    exp.Collate,
    exp.Filter,
    exp.Merge,
    exp.Any,
    exp.PrimaryKeyColumnConstraint,
    exp.OnCommitProperty,
)
DENIED_TYPES = {"UUID", "JSON", "JSONB", "INTERVAL", "ARRAY", "SERIAL", "BIGSERIAL"}
PARSED_AS_A_WORD = re.compile(
    r'LOCK "(?:[^"]|"")+"(\."(?:[^"]|"")+")?$'
    r"|RESET \w+$"
    r"|UNLOAD \('(?P<query>(?:[^']|'')*)'\) TO 's3://[^']+' (\w+ '[^']*' )+FORMAT AS PARQUET( MANIFEST VERBOSE)?$"
)
"""Statements that sqlglot does not take apart."""


def faults(statement: str) -> list[str]:
    """What Redshift would refuse; empty where nothing is known."""
    known = PARSED_AS_A_WORD.match(statement)
    if known is not None:
        query = known["query"]
        return faults(query.replace("''", "'")) if query else []
    [tree] = sqlglot.parse(statement, read="redshift")
    assert tree is not None
    if isinstance(tree, exp.Command):
        return [f"not understood: {statement}"]
    found = [type(node).__name__ for node in tree.walk() if isinstance(node, DENIED)]
    found += [
        f"type {kind.this.name}"
        for kind in tree.find_all(exp.DataType)
        if getattr(kind.this, "name", "") in DENIED_TYPES
    ]
    found += [
        f"a column of type text, which is varchar(256): {column.name}"
        for column in tree.find_all(exp.ColumnDef)
        if column.kind is not None and column.kind.is_type("text")
    ]
    found += ["DISTINCT ON" for distinct in tree.find_all(exp.Distinct) if distinct.args.get("on")]
    return found
