"""What Redshift knows of its tables, in the catalog that it has of PostgreSQL 8.0, and what is counted instead."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from aligned_dagster.errors import UnreadableSourceError
from aligned_dagster.sources.fingerprint import Fingerprint
from aligned_dagster.sources.sql.catalog import TableShape
from aligned_dagster.sources.sql.identifiers import TableName, quote
from aligned_dagster.sources.sql.types import StoredColumn

if TYPE_CHECKING:
    from aligned_dagster.sources.sql.connection import Session

_LOCK_SUFFIX = "_aligned_lock"
_KINDS = {"r": "table", "v": "view"}
_TIMES = ("timestamptz", "timestamp", "date")

_RELATION = """
SELECT c.oid::bigint, n.nspname::varchar(128), c.relname::varchar(128), c.relkind::varchar(1)
FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relname = $1::varchar(128) AND c.relkind IN ('r', 'v')
"""

_COLUMNS = """
SELECT a.attname::varchar(128), format_type(a.atttypid, a.atttypmod)::varchar(128), a.attnotnull,
  t.typname::varchar(128), a.atttypmod, a.atthasdef
FROM pg_attribute AS a JOIN pg_type AS t ON t.oid = a.atttypid
WHERE a.attrelid = $1::bigint AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY a.attnum
"""

_NAMES = """
SELECT n.nspname::varchar(128), c.relname::varchar(128), pg_table_is_visible(c.oid)
FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'v') AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_internal')
ORDER BY 1, 2 LIMIT 10000
"""


class RedshiftCatalog:
    """See `OwnCatalog`. Keys and indexes count for nothing: Redshift has none that it keeps to."""

    def table_shape(self, session: Session, table: TableName) -> TableShape | None:
        """See `catalog.table_shape`."""
        if table.schema is None:
            found = session.rows(f"{_RELATION} AND pg_table_is_visible(c.oid)", (table.name,))
        else:
            found = session.rows(f"{_RELATION} AND n.nspname = $2::varchar(128)", (table.name, table.schema))
        if not found:
            return None
        oid, schema, name, kind = found[0]
        columns = tuple(_column(*row) for row in session.rows(_COLUMNS, (str(oid),)))
        return TableShape(oid=oid, schema=schema, name=name, kind=_KINDS[kind], columns=columns)

    def query_columns(self, session: Session, query: str, what: str) -> tuple[StoredColumn, ...]:
        """See `catalog.query_columns`."""
        columns: list[StoredColumn] = []
        for field in session.columns(query):
            if any(column.name == field.name for column in columns):
                raise UnreadableSourceError(
                    f"{what} has two columns {field.name!r}. Name one of them anew: ... AS other_name."
                )
            facts = {key.decode(): value.decode() for key, value in (field.metadata or {}).items()}
            base = facts.get("POSTGRESQL:type", "text")
            modifier = int(facts.get("POSTGRESQL:typmod", "-1"))
            if base == "numeric" and modifier < 4:
                base = "a numeric without digits"
            columns.append(_column(field.name, base, False, base, modifier, False))
        return tuple(columns)

    def names(self, session: Session) -> list[tuple[str, str, bool]]:
        """See `OwnCatalog.names`."""
        return [(schema, name, visible) for schema, name, visible in session.rows(_NAMES)]

    def fingerprint_of(
        self, session: Session, source: str, shapes: Sequence[TableShape], query: str
    ) -> Fingerprint:
        """How many rows there are, the greatest of each of their times, and the last write of ours.

        Redshift tells nobody how often a table was changed. So a change by others that keeps both the number of
        rows and the greatest times is not seen.
        """
        columns = [column for shape in shapes for column in shape.columns]
        if not shapes:
            columns = list(self.query_columns(session, f"SELECT * FROM {source} AS stored", "The query"))
        times = [f"max({column.sql})" for column in columns if column.base in _TIMES]
        rows = session.rows(f"SELECT {', '.join(['count(*)', *times])} FROM {source} AS stored")
        marks = [last_write(session, shape.table_name) for shape in shapes]
        count, *latest = rows[0]
        state = json.dumps([query, [shape.oid for shape in shapes], count, list(map(str, latest)), marks])
        now = dt.datetime.now(dt.UTC)
        moments = [moment for value in latest if value is not None and (moment := _moment(value)) <= now]
        return Fingerprint(hashlib.sha256(state.encode()).hexdigest()[:32], max(moments, default=None), None)

    def estimated_rows(self, session: Session, source: str) -> int:
        """See `statistics.estimated_rows`. Redshift counts at little cost."""
        return int(session.rows(f"SELECT count(*) FROM {source} AS stored")[0][0])


def lock_table(table: TableName) -> TableName:
    """The table beside another one that its writers lock, and that holds the mark of the last write.

    >>> lock_table(TableName("raw", "taxi")).text
    'raw.taxi_aligned_lock'
    """
    name = f"{table.name}{_LOCK_SUFFIX}"
    if len(name.encode()) > 63:
        digest = hashlib.sha256(table.name.encode()).hexdigest()[:8]
        room = 63 - len(_LOCK_SUFFIX) - len(digest) - 1
        name = f"{table.name.encode()[:room].decode(errors='ignore')}_{digest}{_LOCK_SUFFIX}"
    return TableName(table.schema, name)


def last_write(session: Session, table: TableName) -> str | None:
    """The mark of the last write of ours to a table; None where there is none."""
    beside = lock_table(table)
    if RedshiftCatalog().table_shape(session, beside) is None:
        return None
    rows = session.rows(f"SELECT {quote('last_write')} FROM {beside.sql}")
    return str(rows[0][0]) if rows else None


def _column(
    name: str, sql_type: str, not_null: bool, base: str, modifier: int | None, default: bool
) -> StoredColumn:
    precision, scale = None, 0
    if base == "numeric" and modifier is not None and modifier >= 4:
        precision, scale = (modifier - 4) >> 16 & 0xFFFF, (modifier - 4) & 0xFFFF
    return StoredColumn(
        name, sql_type, not_null, base=base, precision=precision, scale=scale, has_default=default
    )


def _moment(value: dt.date) -> dt.datetime:
    moment = value if isinstance(value, dt.datetime) else dt.datetime.combine(value, dt.time.min)
    return moment.replace(tzinfo=dt.UTC) if moment.tzinfo is None else moment
