"""What the server knows of its tables: columns, keys, indexes and statistics."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aligned_dagster.errors import UnreadableSourceError, did_you_mean
from aligned_dagster.sources.sql.connection import Session
from aligned_dagster.sources.sql.identifiers import TableName
from aligned_dagster.sources.sql.types import StoredColumn

_KINDS = {
    "r": "table",
    "p": "partitioned table",
    "v": "view",
    "m": "materialized view",
    "f": "foreign table",
}


@dataclass(frozen=True)
class Index:
    """An index over whole columns, without a condition.

    Args:
        columns: in their order.
        is_unique: whether no two rows have the same values; null differs from null unless `nulls_equal`.
        nulls_equal: whether it refuses a second null too.
    """

    columns: tuple[str, ...]
    is_unique: bool
    nulls_equal: bool = False


@dataclass(frozen=True)
class TableShape:
    """A table or view.

    Args:
        oid: what the server knows it by.
        schema: where it was found.
        name: its name.
        kind: table, partitioned table, view, materialized view or foreign table.
        columns: in their order.
        primary_key: columns of the primary key; empty where there is none.
        indexes: all valid indexes over columns, the one of the primary key included.
        estimated_rows: by the server's statistics; None where it has none.
        pages: pages of 8 kB by the statistics.
    """

    oid: int
    schema: str
    name: str
    kind: str
    columns: tuple[StoredColumn, ...]
    primary_key: tuple[str, ...] = ()
    indexes: tuple[Index, ...] = ()
    estimated_rows: int | None = None
    pages: int = 0

    @property
    def table_name(self) -> TableName:
        """The name with its schema."""
        return TableName(self.schema, self.name)

    @property
    def unique_indexes(self) -> tuple[tuple[str, ...], ...]:
        """The columns of each unique index."""
        return tuple(index.columns for index in self.indexes if index.is_unique)

    def column(self, name: str) -> StoredColumn | None:
        """The column of that stored name; None where there is none."""
        return next((column for column in self.columns if column.name == name), None)

    def has_index_on(self, names: set[str], then: str | None = None) -> bool:
        """Whether an index starts with these columns in any order, and then with that one."""
        size = len(names)
        return any(
            set(index.columns[:size]) == names and (then is None or index.columns[size : size + 1] == (then,))
            for index in self.indexes
        )


_RELATION = """
SELECT c.oid::bigint, n.nspname::text, c.relname::text, c.relkind::text, c.relpages,
  CASE WHEN c.relkind <> 'p' THEN c.reltuples ELSE (
    SELECT sum(greatest(p.reltuples, 0)) FROM pg_partition_tree(c.oid) AS t JOIN pg_class AS p ON p.oid = t.relid
    WHERE t.isleaf) END::bigint
FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.oid = to_regclass($1::text) AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
"""

_COLUMNS = """
WITH RECURSIVE resolved AS (
  SELECT attnum, atttypid AS type, atttypmod AS modifier, false AS is_array
  FROM pg_attribute WHERE attrelid = $1::bigint::oid AND attnum > 0 AND NOT attisdropped
  UNION ALL
  SELECT r.attnum, CASE WHEN t.typtype = 'd' THEN t.typbasetype ELSE t.typelem END,
    CASE WHEN t.typtype = 'd' AND r.modifier = -1 THEN t.typtypmod ELSE r.modifier END,
    r.is_array OR t.typtype <> 'd'
  FROM resolved AS r JOIN pg_type AS t ON t.oid = r.type
  WHERE t.typtype = 'd' OR (t.typcategory = 'A' AND t.typelem <> 0)
)
SELECT a.attname::text, format_type(a.atttypid, a.atttypmod), a.attnotnull, col_description(a.attrelid, a.attnum),
  CASE n.nspname WHEN 'pg_catalog' THEN '' ELSE n.nspname || '.' END || t.typname, r.is_array, t.typtype::text,
  CASE WHEN t.typname = 'numeric' AND r.modifier >= 4 THEN r.modifier END,
  a.atthasdef OR a.attidentity <> '', a.attgenerated <> '' OR a.attidentity = 'a',
  coalesce(l.collisdeterministic, true)
FROM resolved AS r
JOIN pg_attribute AS a ON a.attrelid = $1::bigint::oid AND a.attnum = r.attnum
JOIN pg_type AS t ON t.oid = r.type
JOIN pg_namespace AS n ON n.oid = t.typnamespace
LEFT JOIN pg_collation AS l ON l.oid = a.attcollation
WHERE t.typtype <> 'd' AND NOT (t.typcategory = 'A' AND t.typelem <> 0)
ORDER BY a.attnum
"""

_INDEXES = """
SELECT ARRAY(
    SELECT a.attname::text FROM unnest(i.indkey::int2[]) WITH ORDINALITY AS k(number, place)
    JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = k.number
    WHERE k.place <= i.indnkeyatts ORDER BY k.place),
  i.indisunique AND i.indimmediate, i.indisprimary,
  coalesce((to_jsonb(i) ->> 'indnullsnotdistinct')::boolean, false)
FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid JOIN pg_am AS m ON m.oid = c.relam
WHERE i.indrelid = $1::bigint::oid AND i.indisvalid AND i.indpred IS NULL AND i.indexprs IS NULL
  AND m.amname = 'btree'
ORDER BY i.indisprimary DESC, i.indexrelid
"""

_NAMES = """
SELECT n.nspname::text, c.relname::text, n.nspname = ANY(current_schemas(true))
FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')
ORDER BY 1, 2 LIMIT 10000
"""

_TYPES = """
SELECT t.oid::bigint, t.typname::text, t.typtype::text, n.nspname::text,
  CASE WHEN t.typcategory = 'A' THEN t.typelem ELSE 0 END::bigint
FROM pg_type AS t JOIN pg_namespace AS n ON n.oid = t.typnamespace
WHERE t.oid = ANY(CAST($1::text AS bigint[])::oid[]) OR t.typname = ANY(CAST($2::text AS text[]))
ORDER BY n.nspname = 'pg_catalog'
"""


def table_shape(session: Session, table: TableName) -> TableShape | None:
    """What a table is; None where there is no such table.

    Args:
        session: the connection.
        table: the table, in the schema that it names or else the first on the search path.
    """
    if (own := session.dialect.own_catalog()) is not None:
        return own.table_shape(session, table)
    found = session.rows(_RELATION, (table.sql,))
    if not found:
        return None
    oid, schema, name, kind, pages, rows = found[0]
    keys = session.rows(_INDEXES, (str(oid),))
    return TableShape(
        oid=oid,
        schema=schema,
        name=name,
        kind=_KINDS[kind],
        columns=tuple(_column(row) for row in session.rows(_COLUMNS, (str(oid),))),
        primary_key=next((tuple(columns) for columns, _, is_primary, _ in keys if is_primary), ()),
        indexes=tuple(Index(tuple(columns), unique, equal) for columns, unique, _, equal in keys),
        estimated_rows=None if rows is None or rows < 0 or pages < 0 else rows,
        pages=pages,
    )


def query_columns(session: Session, query: str, what: str) -> tuple[StoredColumn, ...]:
    """The columns of a query, which is prepared and not run.

    Args:
        session: the connection.
        query: one SELECT.
        what: how an error calls it.

    Raises:
        UnreadableSourceError: two of its columns have the same name, or one has none.
    """
    if (own := session.dialect.own_catalog()) is not None:
        return own.query_columns(session, query, what)
    fields = [
        (field.name, {key.decode(): value.decode() for key, value in (field.metadata or {}).items()})
        for field in session.columns(query)
    ]
    names = [name for name, _ in fields]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise UnreadableSourceError(
            f"{what} has two columns {twice!r}. Name one of them anew: ... AS other_name."
        )
    types = _Types(session, [facts.get("POSTGRESQL:type", "text") for _, facts in fields])
    return tuple(types.column(name, facts) for name, facts in fields)


def similar_table(session: Session, table: TableName) -> str:
    """A hint that names the closest table, or an empty text."""
    own = session.dialect.own_catalog()
    rows = session.rows(_NAMES) if own is None else own.names(session)
    texts = {f"{schema}.{name}" if table.schema or not visible else name for schema, name, visible in rows}
    elsewhere = sorted(schema for schema, name, _ in rows if name == table.name)
    if elsewhere:
        listed = ", ".join(map(repr, elsewhere))
        return f" There is one in the schema {listed}: say so with schema=..., or .with_schema(...)."
    return did_you_mean(table.text, texts)


def _column(row: tuple[Any, ...]) -> StoredColumn:
    name, sql_type, not_null, comment, base, is_array, family, modifier, default, generated, bytewise = row
    precision, scale = _numeric(modifier)
    return StoredColumn(
        name,
        sql_type,
        not_null,
        comment,
        base,
        is_array,
        family,
        precision,
        scale,
        default,
        generated,
        bytewise,
    )


def _numeric(modifier: int | None) -> tuple[int | None, int]:
    """Precision and scale as the server packs them."""
    if modifier is None or modifier < 4:
        return None, 0
    packed = modifier - 4
    return (packed >> 16) & 0xFFFF, ((packed & 0x7FF) ^ 1024) - 1024


class _Types:
    """The types that the driver names in the columns of a query."""

    def __init__(self, session: Session, names: list[str]) -> None:
        oids = {int(name[len("unnamed<oid:") : -1]) for name in names if name.startswith("unnamed<oid:")}
        self._rows: dict[str, tuple[str, str, str, int]] = {}
        self._look_up(session, oids, set(names))
        self._look_up(session, {element for *_, element in self._rows.values() if element}, set())

    def _look_up(self, session: Session, oids: set[int], names: set[str]) -> None:
        plain = sorted(name for name in names if not name.startswith("unnamed<"))
        quoted = ",".join('"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"' for name in plain)
        rows = session.rows(_TYPES, ("{" + ",".join(map(str, sorted(oids))) + "}", "{" + quoted + "}"))
        for oid, name, family, schema, element in rows:
            base = name if schema == "pg_catalog" else f"{schema}.{name}"
            self._rows[f"unnamed<oid:{oid}>"] = self._rows[name] = (base, name, family, element)

    def column(self, name: str, facts: Mapping[str, str]) -> StoredColumn:
        """The column of that name for which the driver tells these facts."""
        unknown = ("text", "text", "b", 0)
        base, sql_type, family, element = self._rows.get(facts.get("POSTGRESQL:type", "text"), unknown)
        is_array = bool(element)
        if is_array:
            base, sql_type, family, _ = self._rows.get(f"unnamed<oid:{element}>", unknown)
        precision, scale = (
            _numeric(int(facts.get("POSTGRESQL:typmod", "-1"))) if base == "numeric" else (None, 0)
        )
        return StoredColumn(
            name,
            f"{sql_type}[]" if is_array else sql_type,
            base=base,
            is_array=is_array,
            family=family,
            precision=precision,
            scale=scale,
        )
