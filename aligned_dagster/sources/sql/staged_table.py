"""Rows on their way into a table: spooled on the local disk, looked at, and published in one transaction.

Readers see the old rows until the commit and the new ones after it, and never wait. Of two writers one waits for the
other: a lock on the table is held from before the first row is computed, or for an overwrite, which reads nothing, from
the first row that is sent.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cached_property
from typing import TYPE_CHECKING

import polars as pl

from aligned_dagster.errors import ConflictError, PublishError
from aligned_dagster.request.retrieval_request import RetrievalRequest
from aligned_dagster.sources.conform import conform, stored_names
from aligned_dagster.sources.publishing import LOCK_TIMEOUT
from aligned_dagster.sources.sql.bound import Sql
from aligned_dagster.sources.sql.catalog import TableShape, table_shape
from aligned_dagster.sources.sql.committing import commit
from aligned_dagster.sources.sql.connection import Session, session
from aligned_dagster.sources.sql.outgoing import Outgoing
from aligned_dagster.sources.sql.replaced_part import condition_in_sql
from aligned_dagster.sources.sql.spool import Spool
from aligned_dagster.sources.sql.table_definition import columns_to_send
from aligned_dagster.sources.sql.write_errors import state_of, writing_sql
from aligned_dagster.sources.sql.writes import Upsert
from aligned_dagster.sources.writing import (
    Published,
    Staged,
    WriteMode,
    check_write,
    outside,
    refuse_outside,
    upserted,
)

if TYPE_CHECKING:
    from aligned_dagster.sources.sql.sql_source import SqlTableSource


def stage_table(
    source: SqlTableSource,
    frame: pl.LazyFrame,
    request: RetrievalRequest,
    mode: WriteMode,
    where: pl.Expr | None = None,
) -> StagedTable:
    """See `WritableSource.stage`. All but an overwrite keep other writers waiting until published or discarded.

    Args:
        source: the table.
        frame: rows with the columns of the contract.
        request: the contract.
        mode: "insert", "upsert", "overwrite" or "replace".
        where: for a replace, which rows are replaced.
    """
    request = check_write(request, mode, source.uri, where)
    staged = StagedTable(source, request, mode, where)
    staged._start(frame)
    return staged


class StagedTable(Staged):
    """Rows in a spool, and for all but an overwrite a transaction that holds the table's lock. See `stage_table`."""

    def __init__(
        self, source: SqlTableSource, request: RetrievalRequest, mode: WriteMode, where: pl.Expr | None
    ) -> None:
        self._source = source
        self._config = source.config
        self._writes = source.writes()
        self._request = request
        self._mode = mode
        self._where = where
        self._is_whole = mode == "overwrite"
        self._transaction = ExitStack()
        self._session: Session | None = None
        self._shape: TableShape | None = None
        self._columns: tuple[Outgoing, ...] = ()
        self._spool = Spool()
        self._done = False

    @property
    def frame(self) -> pl.LazyFrame:
        """See `Staged.frame`. Old rows are read from the server."""
        spooled = self._spooled
        if self._is_whole:
            return spooled
        old = spooled.clear() if self._shape is None else self._source.all_data(self._request)
        if self._mode == "upsert":
            return upserted(old, spooled, self._request.schema.key)
        return pl.concat([old if self._where is None else old.filter(outside(self._where)), spooled])

    @property
    def part(self) -> pl.LazyFrame:
        """See `Staged.part`."""
        if self._where is None:
            return self.frame
        return self._spooled.filter(self._where) if self._is_whole else self._spooled

    def keep(self, rows: pl.LazyFrame) -> None:
        """See `Staged.keep`."""
        with self._discarding():
            self._hold(self._conformed(rows))
            self._is_whole = True

    def keep_part(self, rows: pl.LazyFrame) -> None:
        """See `Staged.keep_part`."""
        where = self._where
        if where is None:
            self.keep(rows)
            return
        with self._discarding():
            rows = self._conformed(rows)
            if self._is_whole:
                refuse_outside(rows, where, self._request, self._source.uri)
                self._hold(pl.concat([self._spooled.filter(outside(where)), rows]))
            else:
                self._hold(rows)
                refuse_outside(self._spooled, where, self._request, self._source.uri)

    def publish(self) -> Published:
        """See `Staged.publish`."""
        if self._done:
            raise PublishError(f"{self._source.uri}: these rows were published or discarded before.")
        with self._discarding():
            if self._session is None:
                self._lock()
            self._make_ready()
            self._send()
            rows = self._spool.count if self._is_whole else None
            commit(self._opened, self._writes, self._config, self._request.name, self._source.uri)
        self.discard()
        return Published(self._source.uri, rows=rows)

    def discard(self) -> None:
        """See `Staged.discard`."""
        self._done = True
        self._transaction.close()
        self._spool.remove()

    @property
    def _opened(self) -> Session:
        assert self._session is not None
        return self._session

    @property
    def _spooled(self) -> pl.LazyFrame:
        return self._spool.rows.select(self._request.columns)

    @contextmanager
    def _discarding(self) -> Iterator[None]:
        """Raise what goes wrong as an error of ours, with nothing left behind."""
        try:
            with writing_sql(self._request.name, self._source.uri, self._config):
                yield
        except BaseException:
            self._transaction.pop_all().__exit__(
                *sys.exc_info()
            )  # not to be used again: who knows what it is in
            self.discard()
            raise

    def _start(self, frame: pl.LazyFrame) -> None:
        with self._discarding():
            if self._mode == "overwrite":
                with session(self._config) as opened:
                    self._shape = table_shape(opened, self._source.table_name)
            else:
                self._lock()
            self._columns = self._to_send()
            rows = self._conformed(frame)
            if self._mode == "upsert":
                rows = rows.unique(subset=self._request.schema.key, keep="last", maintain_order=True)
            self._hold(rows)
            if self._where is not None:
                refuse_outside(self._spooled, self._where, self._request, self._source.uri)

    def _lock(self) -> None:
        """Begin the transaction that will publish, with the table locked, and look at the table."""
        from adbc_driver_manager import Error

        table = self._source.table_name
        opened = self._transaction.enter_context(session(self._config))
        try:
            self._writes.lock(opened, table, LOCK_TIMEOUT)
            if table_shape(opened, table) is not None:
                self._writes.lock_table(opened, table)
        except Error as error:
            if state_of(error) not in self._writes.waited_too_long:
                raise
            holders = self._writes.holders(self._config, table)
        else:
            self._session = opened
            self._shape = table_shape(opened, table)
            return
        raise ConflictError(
            f"Another writer has held {self._source.uri} for {LOCK_TIMEOUT:.0f} s, so nothing was written. "
            f"Wait for it, or end it: {holders or 'it has ended just now'}."
        )

    def _conformed(self, rows: pl.LazyFrame) -> pl.LazyFrame:
        return conform(rows, self._request, source_label=f"the frame written to {self._source.uri}")

    def _to_send(self) -> tuple[Outgoing, ...]:
        removes = self._mode == "replace" or (self._mode == "upsert" and not self._merges(with_nulls=False))
        return columns_to_send(
            self._request,
            self._source.mapping_values,
            self._shape,
            uri=self._source.uri,
            dialect=self._config.dialect,
            removes_rows=self._is_whole or removes,
        )

    def _hold(self, rows: pl.LazyFrame) -> None:
        """Spool rows as the contract has them and, where that is another form, as the server stores them."""
        encoded = {column.held: column.encode for column in self._columns if column.encode is not None}
        self._spool.write(rows.with_columns(**encoded) if encoded else rows)

    def _make_ready(self) -> None:
        """Let the spool hold what the table takes, which another writer may have changed or created meanwhile."""
        before = self._columns
        if (
            self._where is not None
            and not self._is_whole
            and self._shape is not None
            and self._condition is None
        ):
            self._hold(self.frame)
            self._is_whole = True
        self._columns = self._to_send()
        if [(c.stored.sql_type, c.sent) for c in before] != [
            (c.stored.sql_type, c.sent) for c in self._columns
        ]:
            self._hold(self._spooled)

    @cached_property
    def _condition(self) -> Sql | None:
        """The condition of a replace in SQL; None where the server would not mean the same by it."""
        assert self._where is not None
        assert self._shape is not None
        mapping, dialect = self._source.mapping_values, self._config.dialect
        return condition_in_sql(self._where, self._request, self._shape, mapping, dialect)

    def _send(self) -> None:
        opened, writes, columns = self._opened, self._writes, self._columns
        if self._shape is None:
            self._create()
            return
        table = self._shape.table_name
        if self._mode == "upsert" and not self._is_whole:
            nulls = self._has_null_keys()
            merge = self._merges(with_nulls=nulls)
            writes.upsert(opened, table, Upsert(columns, self._key, self._spool, merge, nulls))
            return
        if self._is_whole:
            writes.remove(opened, table)
        elif self._where is not None:
            writes.remove(opened, table, self._condition)
        writes.add(opened, table, columns, self._spool)

    def _create(self) -> None:
        """Create the table with its rows. One that an upsert creates holds each key once, and always will."""
        opened, table = self._opened, self._source.table_name
        nulls = self._spooled.null_count().collect().row(0, named=True)
        self._writes.create_table(opened, table, self._request, self._columns, nulls)
        self._writes.add(opened, table, self._columns, self._spool)
        key = list(self._request.schema.key)
        unique = self._mode == "upsert" and not any(nulls[name] for name in key)
        if unique and self._is_whole:
            repeated = self._spooled.group_by(key).len().filter(pl.col("len") > 1)
            unique = repeated.collect(engine="streaming").is_empty()
        self._writes.create_key(opened, table, self._request, self._columns, unique=unique)

    @property
    def _key(self) -> list[str]:
        names = stored_names(self._request, self._source.mapping_values)
        return [names[name] for name in self._request.schema.key]

    def _merges(self, *, with_nulls: bool) -> bool:
        shape = self._shape
        if shape is None or any(shape.column(name) is None for name in self._key):
            return True
        return self._writes.merges(shape, self._key, with_nulls=with_nulls)

    def _has_null_keys(self) -> bool:
        key = self._request.schema.key
        return bool(self._spooled.select(pl.any_horizontal(pl.col(*key).is_null()).any()).collect().item())
