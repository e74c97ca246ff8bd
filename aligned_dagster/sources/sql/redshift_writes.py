"""How Redshift takes rows: delete and insert in one transaction, by one writer of a table at a time.

LOCK of Redshift keeps readers out too. So writers lock a table of their own beside the one that they write,
"<table>_aligned_lock", and readers of the rows do not wait. It is locked before anything is read: in Redshift a
transaction sees the rows as they were at its first read. It also holds the mark of the last write, which is part of
the table's fingerprint, and tells what became of a commit whose answer was lost.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import ClassVar

from aligned_dagster.errors import PublishError
from aligned_dagster.request.retrieval_request import RetrievalRequest
from aligned_dagster.sources.publishing import LOCK_TIMEOUT
from aligned_dagster.sources.sql.bound import Sql, sql
from aligned_dagster.sources.sql.catalog import TableShape, table_shape
from aligned_dagster.sources.sql.connection import Session, SqlConfig, session
from aligned_dagster.sources.sql.identifiers import TableName, quote
from aligned_dagster.sources.sql.outgoing import Outgoing
from aligned_dagster.sources.sql.redshift_catalog import last_write, lock_table
from aligned_dagster.sources.sql.redshift_dialect import REDSHIFT
from aligned_dagster.sources.sql.spool import Spool
from aligned_dagster.sources.sql.table_definition import create_schema
from aligned_dagster.sources.sql.write_errors import state_of
from aligned_dagster.sources.sql.writes import Upsert, Writes, held

_NOT_THERE = {"42P01", "3F000"}
_THERE_BY_NOW = {"23505", "42P06", "42P07", "40001", "XX000"}
_TRIES = 5
_PATIENCE = 5000
"""Milliseconds to wait for a lock that a lost connection may still hold."""


@dataclass
class RedshiftWrites(Writes):
    """The statements of one write.

    Args:
        dist_key: stored name of the column by which a table that is created spreads its rows; Redshift's choice if
            not given.
        sort_keys: stored names of the columns by which it sorts them; Redshift's choice if there are none.
    """

    dist_key: str | None = None
    sort_keys: tuple[str, ...] = ()
    _locked: TableName | None = field(default=None, init=False, repr=False)
    _before: str | None = field(default=None, init=False, repr=False)

    waited_too_long: ClassVar[frozenset[str]] = frozenset({"57014"})

    def lock(self, session: Session, table: TableName, timeout: float = LOCK_TIMEOUT) -> None:
        """See `Writes.lock`."""
        from adbc_driver_manager import Error

        beside = lock_table(table)
        for attempt in range(_TRIES):
            try:
                session.execute(f"SET statement_timeout TO {round(timeout * 1000)}")
                session.execute(f"LOCK {beside.sql}")
                session.execute("RESET statement_timeout")
            except Error as error:
                session.rollback()
                if state_of(error) not in _NOT_THERE or attempt == _TRIES - 1:
                    raise
            else:
                self._locked = table
                return
            try:
                create_schema(session, beside)
                session.execute(
                    f"CREATE TABLE IF NOT EXISTS {beside.sql} ({quote('last_write')} varchar(32) NOT NULL)"
                )
                session.commit()
            except Error as error:
                session.rollback()
                if state_of(error) not in _THERE_BY_NOW:
                    raise

    def lock_table(self, session: Session, table: TableName) -> None:
        """See `Writes.lock_table`. The lock of `lock` is all: one on the table itself would keep readers out."""

    def holders(self, config: SqlConfig, table: TableName) -> str:
        """See `Writes.holders`."""
        return f"SELECT * FROM svv_transactions tells who has locked {lock_table(table).text}"

    def merges(self, shape: TableShape, key: Sequence[str], *, with_nulls: bool) -> bool:
        """See `Writes.merges`. Never: there are no unique indexes."""
        return False

    @property
    def attributes(self) -> str:
        """See `Writes.attributes`."""
        spread = "" if self.dist_key is None else f" DISTSTYLE KEY DISTKEY ({quote(self.dist_key)})"
        by = ", ".join(map(quote, self.sort_keys))
        return f"{spread}{by and f' COMPOUND SORTKEY ({by})'}"

    def create_table(
        self,
        session: Session,
        table: TableName,
        request: RetrievalRequest,
        columns: Sequence[Outgoing],
        nulls: Mapping[str, int],
    ) -> None:
        """See `Writes.create_table`.

        Raises:
            PublishError: a key to distribute or sort by is no column; or the server keeps names in lower case only.
        """
        names = [column.stored.name for column in columns]
        keys = [*([self.dist_key] if self.dist_key is not None else []), *self.sort_keys]
        unknown = [key for key in keys if key not in names]
        if unknown:
            raise PublishError(
                f"{table.text} of {request.name!r} cannot have {unknown[0]!r} as a key to distribute or sort by: its "
                f"columns are {', '.join(map(repr, names))}."
            )
        super().create_table(session, table, request, columns, nulls)
        made = table_shape(session, table)
        if made is None or [column.name for column in made.columns] != names:
            raise PublishError(
                f"The server has not kept the names of {table.text} of {request.name!r} as they are written, upper and "
                "lower case. Give it names in lower case (mapping_values=...), or let it keep them: ALTER USER ... "
                "SET enable_case_sensitive_identifier TO true."
            )

    def create_key(
        self,
        session: Session,
        table: TableName,
        request: RetrievalRequest,
        columns: Sequence[Outgoing],
        *,
        unique: bool,
    ) -> None:
        """See `Writes.create_key`. There is none: Redshift would believe in a key that it does not check."""

    def add(self, session: Session, table: TableName, columns: Sequence[Outgoing], spool: Spool) -> None:
        """See `Writes.add`."""
        _refuse_casts(table, columns)
        session.ingest(table.name, spool.batches(held(columns)), schema=table.schema)

    def upsert(self, session: Session, table: TableName, new: Upsert) -> None:
        """See `Writes.upsert`."""
        _refuse_casts(table, new.columns)
        received = TableName(None, f"aligned_{uuid.uuid4().hex[:12]}")
        names = [column.stored.name for column in new.columns]
        create, *others = upsert_statements(table, received, names, new.key, with_nulls=new.with_nulls)
        session.execute(create)
        session.ingest(received.name, new.spool.batches(held(new.columns)), temporary=True)
        for statement in others:
            session.execute(statement)

    def remove(self, session: Session, table: TableName, where: Sql | None = None) -> None:
        """See `Writes.remove`."""
        statement = f"DELETE FROM {table.sql}"
        session.execute(statement if where is None else sql(f"{statement} WHERE ", where, dialect=REDSHIFT))

    def mark(self, session: Session) -> str | None:
        """See `Writes.mark`."""
        if self._locked is None:
            return None
        beside, mark = lock_table(self._locked), uuid.uuid4().hex
        self._before = last_write(session, self._locked)
        session.execute(f"DELETE FROM {beside.sql}")
        session.execute(f"INSERT INTO {beside.sql} ({quote('last_write')}) VALUES ($1::varchar(32))", (mark,))
        return mark

    def outcome(self, config: SqlConfig, mark: str | None) -> str | None:
        """See `Writes.outcome`. As long as the server is at it, the mark cannot be read."""
        from adbc_driver_manager import Error

        from aligned_dagster.errors import SourceError

        if self._locked is not None:
            with suppress(Error, OSError, SourceError), session(config) as other:
                other.execute(f"SET statement_timeout TO {_PATIENCE}")
                found = last_write(other, self._locked)
                other.execute("RESET statement_timeout")
                return {mark: "committed", self._before: "aborted"}.get(
                    found
                )  # else others have written since
        return None

    def ask(self, mark: str | None) -> str:
        """See `Writes.ask`."""
        beside = "its table of locks" if self._locked is None else lock_table(self._locked).sql
        return f"SELECT last_write FROM {beside} tells: they are written where it is '{mark}'."


def upsert_statements(
    table: TableName, received: TableName, names: Sequence[str], key: Sequence[str], *, with_nulls: bool
) -> list[str]:
    """What creates a table for new rows, and then puts them in the place of those with the same key.

    Args:
        table: the table.
        received: the table for the new rows.
        names: stored names of what is written.
        key: those of the key.
        with_nulls: whether a new row has a null in its key; null equals null.
    """
    old, new, listed = quote(table.name), received.sql, ", ".join(map(quote, names))
    keys = [quote(name) for name in key]
    delete = f"DELETE FROM {table.sql} USING {new} WHERE "
    statements = [
        f"CREATE TEMPORARY TABLE {new} AS SELECT {listed} FROM {table.sql} WHERE 1 = 0",
        delete + " AND ".join(f"{old}.{name} = {new}.{name}" for name in keys),
    ]
    if with_nulls:
        null = " OR ".join(f"{new}.{name} IS NULL" for name in keys)
        same = " AND ".join(
            f"({old}.{name} = {new}.{name} OR ({old}.{name} IS NULL AND {new}.{name} IS NULL))"
            for name in keys
        )
        statements.append(f"{delete}({null}) AND {same}")
    statements.append(f"INSERT INTO {table.sql} ({listed}) SELECT {listed} FROM {new}")
    return [*statements, f"DROP TABLE {new}"]


def _refuse_casts(table: TableName, columns: Sequence[Outgoing]) -> None:
    for column in columns:
        if column.sent is not None and column.stored.base != "bpchar":
            raise PublishError(
                f"The column {column.stored.name!r} of {table.text} is {column.stored.sql_type}, which is only read. "
                "Nothing was written; store texts in a varchar."
            )
