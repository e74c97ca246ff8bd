"""Connections: a small pool for each address in each process, and sessions of one transaction each.

A session is a transaction on a pooled connection. It is rolled back unless it is committed, so that nothing of it
stays in the connection. A process that was forked starts with an empty pool: the connections of its parent are
not its own, and even closing one would end it for the parent.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import threading
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import polars as pl

from aligned_dagster.sources.sql.bound import Sql
from aligned_dagster.sources.sql.config import SqlConfig
from aligned_dagster.sources.sql.dialect import Dialect
from aligned_dagster.sources.sql.identifiers import TableName
from aligned_dagster.sources.sql.sql_errors import connection_error, explained_sql

if TYPE_CHECKING:
    import pyarrow as pa
    from adbc_driver_manager.dbapi import Connection, Cursor

__all__ = ["Session", "SqlConfig", "explained_sql", "session"]

_KEPT = 4
"""Idle connections to keep of each address."""

BATCH_BYTES = 8 << 20
"""About how much of a streamed result is in one batch."""


class Session:
    """One transaction on one connection. Make it with `session`."""

    def __init__(self, connection: Connection, config: SqlConfig) -> None:
        self._connection = connection
        self._config = config
        self._committed = False
        self._streams: list[Generator[pl.DataFrame, None, None]] = []

    @property
    def dialect(self) -> Dialect:
        """How the system's SQL differs."""
        return self._config.dialect

    def execute(self, sql: str | Sql, parameters: Sequence[Any] = ()) -> None:
        """Run a statement.

        Args:
            sql: with the placeholders $1, $2, ...; cast each, as in $1::bigint.
            parameters: their values. A text is read as whatever its placeholder is cast to.
        """
        with self._cursor(sql, parameters):
            pass

    def rows(self, sql: str | Sql, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """The few rows of a query, as Python values. Cast what Arrow does not know (name, oid, numeric, ...) in SQL.

        Args:
            sql: see `execute`.
            parameters: see `execute`.
        """
        with self._cursor(sql, parameters) as cursor:
            return [tuple(row) for row in cursor.fetchall()] if cursor.description else []

    def batches(self, sql: str | Sql, parameters: Sequence[Any] = ()) -> Iterator[pl.DataFrame]:
        """The rows of a query, as they come. One that is dropped before its end is cancelled, and with it all that
        the transaction did.

        Args:
            sql: a query. A `Sql` with bound values is streamed; a text with parameters is read as a whole first.
            parameters: see `execute`.
        """
        aside = self._config.read_aside(self, sql) if isinstance(sql, Sql) and not parameters else None
        stream = self._stream(sql, parameters) if aside is None else aside
        self._streams.append(stream)
        return stream

    def _stream(self, sql: str | Sql, parameters: Sequence[Any]) -> Generator[pl.DataFrame, None, None]:
        from adbc_driver_manager import Error

        copy = self.dialect.streams_by_copy and not parameters
        if isinstance(sql, Sql) and copy:
            if sql.settings:
                places = ", ".join(self.dialect.bind_setting(n + 1) for n in range(len(sql.settings)))
                self.rows(f"SELECT {places}", sql.settings)
            sql = sql.streamed
        with self._cursor(sql, parameters, copy=copy) as cursor:
            reader = cursor.fetch_record_batch()
            finished = False
            try:
                for batch in reader:
                    yield pl.DataFrame(batch)
                finished = True
            finally:
                if not finished:
                    with suppress(Error):
                        self._connection.adbc_cancel()
                reader.close()

    def columns(self, sql: str) -> pa.Schema:
        """The columns of a query, which is prepared and not run."""
        with self._connection.cursor() as cursor:
            return cursor.adbc_execute_schema(sql)

    def ingest(
        self,
        table: str,
        batches: Iterable[pl.DataFrame | pa.Table] | pl.DataFrame,
        *,
        schema: str | None = None,
        temporary: bool = False,
        create: bool = False,
    ) -> int:
        """Send rows by COPY, and return how many there were.

        Args:
            table: the table, as it is stored, not quoted.
            batches: frames of the same columns; an appended one has exactly the types of the table.
            schema: its schema; the first on the search path if not given.
            temporary: whether the table is one of this connection.
            create: whether to create the table; else it is there.
        """
        import pyarrow as pa

        frames = iter([batches] if isinstance(batches, pl.DataFrame) else batches)
        sent = self._config.ingest(self, TableName(schema, table), frames, temporary=temporary, create=create)
        if sent is not None:
            return sent
        first = next(frames, None)
        if first is None:
            return 0
        failures: list[BaseException] = []
        arrow = _arrow(first)

        def record_batches() -> Iterator[pa.RecordBatch]:
            try:
                yield from arrow.to_batches()
                for frame in frames:
                    yield from _arrow(frame).to_batches()
            except BaseException as error:  # the driver would turn it into a text
                failures.append(error)
                raise

        reader = pa.RecordBatchReader.from_batches(arrow.schema, record_batches())
        try:
            with self._connection.cursor() as cursor:
                return int(
                    cursor.adbc_ingest(
                        table,
                        reader,
                        mode="create" if create else "append",
                        db_schema_name=schema,
                        temporary=temporary,
                    )
                )
        except Exception:
            if failures:
                raise failures[0] from None
            raise

    def commit(self) -> None:
        """Make what was done last."""
        self._committed = True
        self._connection.commit()

    def rollback(self) -> None:
        """Take back what was done since the start or the last commit."""
        self._connection.rollback()

    @contextmanager
    def _cursor(self, sql: str | Sql, parameters: Sequence[Any], *, copy: bool = False) -> Iterator[Cursor]:
        text, values = (sql.sql, sql.parameters) if isinstance(sql, Sql) else (sql, tuple(parameters))
        with self._connection.cursor() as cursor:
            options = {"adbc.postgresql.use_copy": "true" if copy else "false"}
            if copy:
                options["adbc.postgresql.batch_size_hint_bytes"] = str(BATCH_BYTES)
            cursor.adbc_statement.set_options(**options)
            cursor.execute(text, values or None)
            yield cursor

    def _finish(self) -> None:
        """Leave nothing of the transaction in the connection."""
        from adbc_driver_manager import ProgrammingError

        for stream in self._streams:
            stream.close()
        self._connection.rollback()
        if not self._committed:
            return
        for statement in self.dialect.after_commit:
            try:
                self.rows(statement)
                self._connection.commit()
            except ProgrammingError:  # an older server
                self._connection.rollback()


@contextmanager
def session(config: SqlConfig) -> Iterator[Session]:
    """A transaction on a pooled connection, rolled back at the end of the block unless it is committed.

    Errors of the driver pass through as they are: wrap the block in `explained_sql`.

    Raises:
        ConfigurationError: the address is not set or wrong, the password is, or the server is not there.
    """
    owner = os.getpid()
    connection = _take(config)
    opened = Session(connection, config)
    whole = False
    try:
        yield opened
        whole = True
    except GeneratorExit:
        whole = True  # a reader that wants no more rows
        raise
    finally:
        if owner != os.getpid():
            _abandon(connection)
        else:
            _give_back(connection, opened, config, keep=whole)


def idle_connections(config: SqlConfig) -> int:
    """How many connections to that address wait in this process for the next session."""
    with _LOCK:
        return len(_IDLE.get(_key(config), []))


def close_idle_connections() -> None:
    """Close the connections that no session is using, such as before a database is dropped."""
    with _LOCK:
        idle = [connection for kept in _IDLE.values() for connection in kept]
        _IDLE.clear()
    for connection in idle:
        _close(connection)


_LOCK = threading.Lock()
_IDLE: dict[bytes, list[Connection]] = {}


def _key(config: SqlConfig) -> bytes:
    return hashlib.sha256(config.uri().encode()).digest()


def _take(config: SqlConfig) -> Connection:
    key = _key(config)
    while True:
        with _LOCK:
            kept = _IDLE.get(key)
            connection = kept.pop() if kept else None
        if connection is None:
            break
        if _is_alive(connection):
            return connection
        _close(connection)
    opened = _connect(config)
    if isinstance(opened, str):
        raise connection_error(config, opened)
    return opened


def _connect(config: SqlConfig) -> Connection | str:
    """A connection, or what the driver says: the error itself would carry the address in its traceback."""
    from adbc_driver_manager import Error
    from adbc_driver_postgresql import dbapi

    try:
        connection: Connection = dbapi.connect(config.uri())
    except Error as error:
        return str(error)
    return connection


def _give_back(connection: Connection, opened: Session, config: SqlConfig, *, keep: bool) -> None:
    from adbc_driver_manager import Error

    try:
        opened._finish()
        key = _key(config)
    except (Error, OSError, RuntimeError, ValueError):
        keep = False
    if keep:
        with _LOCK:
            kept = _IDLE.setdefault(key, [])
            if len(kept) < _KEPT:
                kept.append(connection)
                return
    _close(connection)


def _is_alive(connection: Connection) -> bool:
    from adbc_driver_manager import Error

    try:
        with connection.cursor() as cursor:
            cursor.adbc_statement.set_options(**{"adbc.postgresql.use_copy": "false"})
            cursor.execute("SELECT 1")
        connection.rollback()
    except (Error, OSError):
        return False
    return True


def _close(connection: Connection) -> None:
    from adbc_driver_manager import Error

    with suppress(Error, OSError, RuntimeError):
        connection.close()


def _abandon(connection: Connection) -> None:
    """Keep a connection of the parent process from ever being closed here, not even at the end."""
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(connection))


def _forget_parent() -> None:
    global _LOCK
    _LOCK = threading.Lock()  # another thread of the parent may have held it
    for kept in _IDLE.values():
        for connection in kept:
            _abandon(connection)
    _IDLE.clear()


os.register_at_fork(after_in_child=_forget_parent)


def _arrow(frame: pl.DataFrame | pa.Table) -> pa.Table:
    return frame.to_arrow(compat_level=pl.CompatLevel.oldest()) if isinstance(frame, pl.DataFrame) else frame
