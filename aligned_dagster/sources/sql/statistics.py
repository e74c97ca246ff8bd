"""What a table's state is, from what the server counts anyway: no row is read."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Iterator, Sequence
from typing import Any

from aligned_dagster.sources.fingerprint import Fingerprint
from aligned_dagster.sources.sql.catalog import TableShape, table_shape
from aligned_dagster.sources.sql.connection import Session
from aligned_dagster.sources.sql.identifiers import TableName, quote

_COUNTED = """
SELECT c.oid::bigint, coalesce(pg_relation_filenode(c.oid), 0)::bigint,
  coalesce(s.n_tup_ins, 0), coalesce(s.n_tup_upd, 0), coalesce(s.n_tup_del, 0),
  CASE WHEN c.relkind IN ('r', 'm') THEN pg_relation_size(c.oid) ELSE 0 END
FROM pg_class AS c LEFT JOIN pg_stat_all_tables AS s ON s.relid = c.oid
WHERE c.oid IN (SELECT to_regclass(name)::oid FROM unnest($1::text[]) AS name)
ORDER BY 1
"""


def fingerprint_of(
    session: Session, source: str, shapes: Sequence[TableShape], query: str = ""
) -> Fingerprint:
    """The state of all tables that a table, a view or a query reads.

    The version is made of how many rows were ever inserted, updated and deleted, of the files that hold the rows
    (TRUNCATE makes a new one), and of the greatest times that an index knows. Other sessions tell what they have
    counted after a second or so. `modified` is the greatest of those times that is not in the future.

    Args:
        session: the connection.
        source: what stands behind FROM.
        shapes: the table itself, where it is known already.
        query: a text that is part of the version.
    """
    if (own := session.dialect.own_catalog()) is not None:
        return own.fingerprint_of(session, source, shapes, query)
    names = sorted(_tables(session, source))
    counted = session.rows(_COUNTED, (_array([TableName(schema, name).sql for schema, name in names]),))
    known = {(shape.schema, shape.name): shape for shape in shapes}
    latest: list[tuple[str, str, str, str]] = []
    for schema, name in names:
        shape = known.get((schema, name)) or table_shape(session, TableName(schema, name))
        latest.extend(_latest(session, shape) if shape is not None else [])
    state = json.dumps([query, names, [list(row[:5]) for row in counted], latest], ensure_ascii=True)
    now = dt.datetime.now(dt.UTC)
    times = [
        moment for *_, text in latest if text and (moment := _moment(text)) is not None and moment <= now
    ]
    return Fingerprint(
        hashlib.sha256(state.encode()).hexdigest()[:32],
        max(times, default=None),
        sum(row[5] for row in counted) or None,
    )


def estimated_rows(session: Session, source: str) -> int:
    """How many rows the planner expects of a table or a query."""
    if (own := session.dialect.own_catalog()) is not None:
        return own.estimated_rows(session, source)
    plan = _plan(session, f"SELECT 1 FROM {source} AS stored")
    return int(plan["Plan Rows"])


def _plan(session: Session, query: str) -> dict[str, Any]:
    rows = session.rows(f"EXPLAIN (VERBOSE, FORMAT JSON) {query}")
    plan: dict[str, Any] = json.loads("".join(str(row[0]) for row in rows))[0]["Plan"]
    return plan


def _tables(session: Session, source: str) -> set[tuple[str, str]]:
    return set(_relations(_plan(session, f"SELECT * FROM {source} AS stored")))


def _relations(plan: dict[str, Any]) -> Iterator[tuple[str, str]]:
    if "Relation Name" in plan and "Schema" in plan:
        yield plan["Schema"], plan["Relation Name"]
    for part in plan.get("Plans", ()):
        yield from _relations(part)


def _latest(session: Session, shape: TableShape) -> list[tuple[str, str, str, str]]:
    """Of each indexed time its greatest value."""
    leading = {index.columns[0] for index in shape.indexes if index.columns}
    found = []
    for column in shape.columns:
        if (
            column.name in leading
            and column.base in {"timestamptz", "timestamp", "date"}
            and not column.is_array
        ):
            zone = " AT TIME ZONE 'UTC'" if column.base == "timestamptz" else ""
            name = quote(column.name)
            rows = session.rows(
                f"SELECT (max({name}){zone})::text FROM {shape.table_name.sql} WHERE isfinite({name})"
            )
            found.append((shape.schema, shape.name, column.name, rows[0][0] or ""))
    return found


def _moment(text: str) -> dt.datetime | None:
    try:
        return dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC)
    except ValueError:
        return None


def _array(names: Sequence[str]) -> str:
    escaped = [name.replace("\\", "\\\\").replace('"', '\\"') for name in names]
    return "{" + ",".join(f'"{name}"' for name in escaped) + "}"
