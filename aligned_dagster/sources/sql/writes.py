"""The statements by which rows get into a table, in one class that other systems override."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import ClassVar

from aligned_dagster.request.retrieval_request import RetrievalRequest
from aligned_dagster.sources.publishing import LOCK_TIMEOUT
from aligned_dagster.sources.sql.bound import Sql, sql
from aligned_dagster.sources.sql.catalog import TableShape
from aligned_dagster.sources.sql.connection import Session, SqlConfig, session
from aligned_dagster.sources.sql.identifiers import TableName, quote
from aligned_dagster.sources.sql.outgoing import Outgoing
from aligned_dagster.sources.sql.spool import Spool
from aligned_dagster.sources.sql.table_definition import create_key, create_table
from aligned_dagster.sources.sql.write_errors import LOCK_NOT_AVAILABLE


@dataclass(frozen=True)
class Upsert:
    """Rows that replace those with the same key.

    Args:
        columns: what is sent.
        key: stored names of the key, which no two of the new rows share.
        spool: the new rows.
        merge: whether a unique index allows to replace rows in place.
        with_nulls: whether a new row has a null in its key; null equals null.
    """

    columns: Sequence[Outgoing]
    key: Sequence[str]
    spool: Spool
    merge: bool
    with_nulls: bool


class Writes:
    """How PostgreSQL writes.

    Rows are removed with DELETE and never with TRUNCATE, which would keep readers out until the commit, and show an
    empty table to those that began before it.
    """

    waited_too_long: ClassVar[frozenset[str]] = frozenset({LOCK_NOT_AVAILABLE})
    """SQLSTATEs of a lock that another writer has held for too long."""

    @property
    def attributes(self) -> str:
        """What follows the columns of a table that is created."""
        return ""

    def create_table(
        self,
        session: Session,
        table: TableName,
        request: RetrievalRequest,
        columns: Sequence[Outgoing],
        nulls: Mapping[str, int],
    ) -> None:
        """See `table_definition.create_table`."""
        create_table(session, table, request, columns, nulls, self.attributes)

    def create_key(
        self,
        session: Session,
        table: TableName,
        request: RetrievalRequest,
        columns: Sequence[Outgoing],
        *,
        unique: bool,
    ) -> None:
        """See `table_definition.create_key`."""
        create_key(session, table, request, columns, unique=unique)

    def lock(self, session: Session, table: TableName, timeout: float = LOCK_TIMEOUT) -> None:
        """Keep other writers of ours out until the transaction ends, also while there is no such table yet.

        Args:
            session: the transaction.
            table: the table.
            timeout: seconds to wait for each other writer.
        """
        session.rows(
            "SELECT set_config('lock_timeout', $1::text, true),"
            " set_config('idle_in_transaction_session_timeout', '0', true)",
            (f"{timeout * 1000:.0f}",),
        )
        session.rows(
            "SELECT pg_advisory_xact_lock(hashtextextended("
            "'aligned_dagster ' || coalesce($1::text, current_schema()) || '.' || $2::text, 0))::text",
            (table.schema, table.name),
        )

    def lock_table(self, session: Session, table: TableName) -> None:
        """Keep every other writer out of a table that is there; readers do not notice."""
        session.execute(f"LOCK TABLE {table.sql} IN SHARE ROW EXCLUSIVE MODE")

    def holders(self, config: SqlConfig, table: TableName) -> str:
        """Who holds a lock that keeps a writer waiting, for a message."""
        with session(config) as other:
            rows = other.rows(
                "SELECT DISTINCT a.pid, a.application_name, a.state, a.xact_start::text FROM pg_locks AS l "
                "JOIN pg_stat_activity AS a ON a.pid = l.pid WHERE l.granted AND (l.relation = to_regclass($1::text) "
                "AND l.mode NOT IN ('AccessShareLock', 'RowShareLock') OR l.locktype = 'advisory') "
                "AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()) ORDER BY 4 LIMIT 3",
                (table.sql,),
            )
        return "; ".join(
            f"process {pid} ({name or 'unnamed'}, {state} since {start})" for pid, name, state, start in rows
        )

    def merges(self, shape: TableShape, key: Sequence[str], *, with_nulls: bool) -> bool:
        """Whether rows can replace those with the same key in place, as a unique index on the key allows.

        Args:
            shape: the table.
            key: stored names of the key.
            with_nulls: whether a new row has a null in its key.
        """
        columns = {column.name: column for column in shape.columns}
        return all(columns[name].bytewise for name in key) and any(
            index.is_unique and set(index.columns) == set(key) and (index.nulls_equal or not with_nulls)
            for index in shape.indexes
        )

    def add(self, session: Session, table: TableName, columns: Sequence[Outgoing], spool: Spool) -> None:
        """Append rows, straight into the table unless the server has to cast some of them."""
        if all(column.sent is None for column in columns):
            session.ingest(table.name, spool.batches(held(columns)), schema=table.schema)
        else:
            self._append(session, table, columns, self._receive(session, table, columns, spool))

    def upsert(self, session: Session, table: TableName, new: Upsert) -> None:
        """Replace the rows with the same key and append the others.

        Args:
            session: the transaction, in which other writers are kept out.
            table: the table.
            new: the rows.
        """
        columns = new.columns
        received = self._receive(session, table, columns, new.spool)
        if new.merge:  # sorted rows find their places in the index, and their pages, one beside the other
            others = [quote(c.stored.name) for c in columns if c.stored.name not in new.key]
            change = f"UPDATE SET {', '.join(f'{c} = EXCLUDED.{c}' for c in others)}" if others else "NOTHING"
            names = ", ".join(quote(name) for name in new.key)
            self._append(
                session, table, columns, received, f" ORDER BY {names} ON CONFLICT ({names}) DO {change}"
            )
            return
        session.execute(f"ANALYZE {received}")
        keys = [column for column in columns if column.stored.name in new.key]
        mine = {column.name: column.cast(f"n.{quote(column.stored.name)}") for column in keys}
        equal = " AND ".join(f"t.{quote(c.stored.name)} = {mine[c.name]}" for c in keys)
        session.execute(f"DELETE FROM {table.sql} AS t USING {received} AS n WHERE {equal}")
        if new.with_nulls:
            same = " AND ".join(f"t.{quote(c.stored.name)} IS NOT DISTINCT FROM {mine[c.name]}" for c in keys)
            null = " OR ".join(f"n.{quote(c.stored.name)} IS NULL" for c in keys)
            session.execute(f"DELETE FROM {table.sql} AS t USING {received} AS n WHERE ({null}) AND {same}")
        self._append(session, table, columns, received)

    def remove(self, session: Session, table: TableName, where: Sql | None = None) -> None:
        """Remove the rows for which a condition holds, or all."""
        session.execute(
            sql(f"DELETE FROM {table.sql}")
            if where is None
            else sql(f"DELETE FROM {table.sql} WHERE ", where)
        )

    def mark(self, session: Session) -> str | None:
        """Call this last before a commit: a name by which `outcome` finds out what became of the transaction.

        Statistics that tell readers of a change, such as those of a fingerprint, are sent at once.
        """
        rows = session.rows(
            "SELECT pg_current_xact_id()::text, current_setting('server_version_num')::integer"
        )
        number, version = rows[0]
        if version >= 150_000:
            session.rows("SELECT pg_stat_force_next_flush()::text")
        return str(number)

    def outcome(self, config: SqlConfig, mark: str | None) -> str | None:
        """Whether a transaction was "committed" or "aborted", or is "in progress"; None where nobody knows."""
        from adbc_driver_manager import Error

        from aligned_dagster.errors import SourceError

        with suppress(Error, OSError, SourceError), session(config) as other:
            return str(other.rows("SELECT pg_xact_status($1::text::xid8)", (mark,))[0][0])
        return None

    def ask(self, mark: str | None) -> str:
        """What a person does to find out whether a transaction was committed."""
        return f"SELECT pg_xact_status('{mark}') tells: 'committed' or 'aborted'."

    def _receive(self, session: Session, table: TableName, columns: Sequence[Outgoing], spool: Spool) -> str:
        """The quoted name of a temporary table with what is sent, gone with the transaction."""
        name = f"aligned_{uuid.uuid4().hex[:12]}"
        wanted = ", ".join(
            quote(c.stored.name) if c.sent is None else f"NULL::{c.sent} AS {quote(c.stored.name)}"
            for c in columns
        )
        session.execute(
            f"CREATE TEMPORARY TABLE {quote(name)} ON COMMIT DROP AS SELECT {wanted} FROM {table.sql} WITH NO DATA"
        )
        session.ingest(name, spool.batches(held(columns)), temporary=True)
        return quote(name)

    def _append(
        self, session: Session, table: TableName, columns: Sequence[Outgoing], received: str, then: str = ""
    ) -> None:
        names = ", ".join(quote(column.stored.name) for column in columns)
        values = ", ".join(column.cast(quote(column.stored.name)) for column in columns)
        session.execute(f"INSERT INTO {table.sql} ({names}) SELECT {values} FROM {received}{then}")


def held(columns: Sequence[Outgoing]) -> dict[str, str]:
    """Where the spool has what is sent, by stored name."""
    return {column.stored.name: column.held for column in columns}
