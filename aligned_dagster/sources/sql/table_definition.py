"""Tables that a contract creates, and what is said of a table that another one created with another shape."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from aligned_dagster.errors import PublishError, did_you_mean
from aligned_dagster.features.constraints import NotNull
from aligned_dagster.features.schema import Column
from aligned_dagster.request.retrieval_request import RetrievalRequest
from aligned_dagster.sources.casting import Place
from aligned_dagster.sources.conform import stored_names
from aligned_dagster.sources.sql.catalog import TableShape
from aligned_dagster.sources.sql.connection import Session
from aligned_dagster.sources.sql.dialect import Dialect
from aligned_dagster.sources.sql.identifiers import TableName, quote
from aligned_dagster.sources.sql.outgoing import MisfitError, Outgoing, declared, outgoing

_WRITABLE = ("table", "partitioned table", "foreign table")


def columns_to_send(
    request: RetrievalRequest,
    mapping: Mapping[str, str],
    shape: TableShape | None,
    *,
    uri: str,
    dialect: Dialect,
    removes_rows: bool = False,
) -> tuple[Outgoing, ...]:
    """How each column of a contract gets into a table.

    Args:
        request: the contract.
        mapping: stored name to name in the contract.
        shape: the table; None where it is to be created.
        uri: the table, for errors.
        dialect: the system.
        removes_rows: whether the write removes rows that the contract sees only a part of.

    Raises:
        PublishError: the table has another shape; the message lists every difference and what to do.
    """
    names = stored_names(request, mapping)
    if shape is not None and shape.kind not in _WRITABLE:
        raise PublishError(
            f"{uri}, where {request.name!r} is to be stored, is a {shape.kind}: it only can be read."
        )
    found: list[Outgoing] = []
    differences: list[str] = []
    for column in request.wanted:
        stored = names[column.name]
        wanted = declared(stored, column.dtype, dialect.ddl_type(column.dtype))
        there = wanted if shape is None else shape.column(stored)
        if shape is None and len(stored.encode()) > dialect.longest_name:
            differences.append(
                f"{stored!r}: a name of {dialect.name} has at most {dialect.longest_name} bytes, and this one has "
                f"{len(stored.encode())}. Map it to a shorter one: mapping_values={{'shorter': {column.name!r}}}."
            )
        elif there is None:
            assert shape is not None
            hint = did_you_mean(stored, (c.name for c in shape.columns if c.name not in names.values()))
            differences.append(
                f"{stored!r}: not there, wanted {wanted.sql_type}.{hint} "
                f"ALTER TABLE {shape.table_name.sql} ADD COLUMN {quote(stored)} {wanted.sql_type};"
            )
        else:
            place = Place(request.name, uri, column.name, stored, column.dtype, request.zone)
            try:
                found.append(outgoing(place, there))
            except MisfitError as misfit:
                differences.append(
                    _other_type(column, there.sql_type, wanted.sql_type, shape, stored, str(misfit))
                )
    if shape is not None:
        differences.extend(_unknown(shape, set(names.values()), removes_rows=removes_rows))
    if differences:
        listed = "\n".join(f"  {line}" for line in differences)
        raise PublishError(
            f"{uri} does not have the shape in which {request.name!r} is to be stored, so nothing was written:\n{listed}"
        )
    return tuple(found)


def _other_type(
    column: Column, stored_type: str, wanted: str, shape: TableShape | None, stored: str, why: str
) -> str:
    table = "..." if shape is None else shape.table_name.sql
    return (
        f"{stored!r}: stored as {stored_type}, wanted {wanted} for {column.dtype.text}; {why}. "
        f"ALTER TABLE {table} ALTER COLUMN {quote(stored)} TYPE {wanted} USING {quote(stored)}::{wanted}; "
        "or change the type in the contract."
    )


def _unknown(shape: TableShape, known: set[str], *, removes_rows: bool) -> list[str]:
    """What columns are in the way of which the contract knows nothing."""
    lines: list[str] = []
    for column in shape.columns:
        if column.name in known or column.has_default or column.is_generated:
            continue
        if column.not_null:
            lines.append(
                f"{column.name!r}: {column.sql_type} NOT NULL, of which the contract knows nothing. "
                "Add it to the contract, or give it a default."
            )
        elif removes_rows:
            lines.append(
                f"{column.name!r}: {column.sql_type}, of which the contract knows nothing, so that its values would be "
                "lost. Add it to the contract, or drop the column."
            )
    return lines


def create_schema(session: Session, table: TableName) -> None:
    """Create the schema that a table names, unless it is there."""
    if table.schema is None:
        return
    known = session.rows("SELECT 1 FROM pg_namespace WHERE nspname = $1::text", (table.schema,))
    if not known:
        session.execute(f"CREATE SCHEMA IF NOT EXISTS {quote(table.schema)}")


def create_table(
    session: Session,
    table: TableName,
    request: RetrievalRequest,
    columns: Sequence[Outgoing],
    nulls: Mapping[str, int],
    attributes: str = "",
) -> None:
    """Create the table of a contract, with its types and descriptions.

    A column that must not be null is NOT NULL, unless the first rows have a null there, as a contract may allow that
    only warns.

    Args:
        session: the transaction.
        table: the table.
        request: the contract.
        columns: as `columns_to_send` has them without a table.
        nulls: number of nulls in the first rows, by name in the contract.
        attributes: what follows the columns.
    """
    create_schema(session, table)
    lines = [
        f"{quote(c.stored.name)} {c.stored.sql_type}{not_null(request.schema.column(c.name), nulls)}"
        for c in columns
    ]
    session.execute(f"CREATE TABLE {table.sql} (\n  " + ",\n  ".join(lines) + f"\n){attributes}")
    told = f"Rows of {request.name}, written by aligned_dagster"
    session.execute(f"COMMENT ON TABLE {table.sql} IS {session.dialect.literal(told)}")
    for c in columns:
        description = request.schema.column(c.name).description
        if description:
            told = session.dialect.literal(description)
            session.execute(f"COMMENT ON COLUMN {table.sql}.{quote(c.stored.name)} IS {told}")


def create_key(
    session: Session,
    table: TableName,
    request: RetrievalRequest,
    columns: Sequence[Outgoing],
    *,
    unique: bool,
) -> None:
    """Put the key of a contract on its new table, by which rows are found and upserted.

    Args:
        session: the transaction.
        table: the table, with its first rows.
        request: the contract; its key is the entities and, where there is one, the event timestamp.
        columns: see `create_table`.
        unique: whether no two rows may share a key, or have a null in it; else it is just an index.
    """
    stored = {c.name: c.stored for c in columns}
    key = [stored[name] for name in request.schema.key]
    if not request.entities or any(column.base == "json" for column in key):
        return
    names = ", ".join(column.sql for column in key)
    if unique:
        session.execute(f"ALTER TABLE {table.sql} ADD PRIMARY KEY ({names})")
    else:
        session.execute(f"CREATE INDEX ON {table.sql} ({names})")


def not_null(column: Column, nulls: Mapping[str, int]) -> str:
    """What a definition says of nulls in a column: NOT NULL where the contract blocks them, and there are none."""
    refused = any(
        isinstance(rule, NotNull) and rule.on_violation in {None, "block"} for rule in column.constraints
    )
    return " NOT NULL" if refused and not nulls.get(column.name) else ""
