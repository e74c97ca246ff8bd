"""Bare ADBC: reading and writing PostgreSQL, and an as-of join of a table that was fetched."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import polars as pl

from benchmarks.cell import Task

VARIABLE = "BENCHMARK_DB_URL"
START = datetime(2024, 1, 1, tzinfo=UTC)


def orders(rows: int) -> pl.DataFrame:
    """The rows that are read and written: ten columns of the usual types."""
    n = pl.int_range(rows, dtype=pl.Int64)
    placed = pl.lit(START).dt.cast_time_unit("us") + pl.duration(seconds=n)
    return pl.select(
        order_id=n,
        placed=placed,
        shop=(n * 7919 % 500).cast(pl.Int32),
        lines=(n % 13).cast(pl.Int16),
        amount=(n * 104729 % 99_991) / 100,
        discount=(n % 17) / 17,
        paid=n % 3 == 0,
        day=placed.dt.date(),
        customer=pl.format("customer-{}", n * 31 % 100_003),
        status=pl.lit(pl.Series(["open", "sent", "lost"])).gather((n % 3).cast(pl.UInt32)),
    )


def history(rows: int) -> pl.DataFrame:
    """Ten times of each sensor, in the order in which they came."""
    n = pl.int_range(rows, dtype=pl.Int64)
    return pl.select(
        sensor=n * 7919 % (rows // 10),
        at=pl.lit(START).dt.cast_time_unit("us") + pl.duration(seconds=n),
        level=(n * 104729 % 99_991) / 100,
        speed=(n % 17) / 17,
        count=(n % 1000).cast(pl.Int32),
        state=pl.format("state-{}", n % 7),
    )


def facts(number: int, rows: int) -> pl.DataFrame:
    """Keys, some of them unknown, each with a time within the history of so many rows."""
    n = pl.int_range(number, dtype=pl.Int64)
    return pl.select(
        sensor=n * 7907 % (rows // 10 + rows // 10_000),
        at=pl.lit(START).dt.cast_time_unit("us") + pl.duration(seconds=n * 65_537 % rows),
    )


def connect() -> Any:
    """A connection to the database."""
    import pyarrow  # noqa: F401  # its import is not what is measured
    from adbc_driver_postgresql import dbapi

    return dbapi.connect(os.environ[VARIABLE])


def fetched(sql: str) -> pl.DataFrame:
    """The rows of a query."""
    with connect() as connection, connection.cursor() as cursor:
        cursor.execute(sql)
        frame = pl.from_arrow(cursor.fetch_arrow_table())
    assert isinstance(frame, pl.DataFrame)
    return frame


def executed(*statements: str) -> None:
    """Run statements in one transaction."""
    with connect() as connection, connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)
        connection.commit()


def ingested(table: str, frame: pl.DataFrame, mode: str, *before: str) -> None:
    """Send rows to a table, after some statements, in one transaction."""
    with connect() as connection, connection.cursor() as cursor:
        for statement in before:
            cursor.execute(statement)
        cursor.adbc_ingest(table, frame.to_arrow(), mode=mode)
        connection.commit()


def target(task: Task) -> pl.DataFrame:
    """An empty table for rows that are written, or a full one with a key; and those rows."""
    if task.args["full"]:
        create = "CREATE TABLE written AS SELECT * FROM orders"
        executed(
            "DROP TABLE IF EXISTS written", create, "ALTER TABLE written ADD PRIMARY KEY (order_id, placed)"
        )
    else:
        executed("DROP TABLE IF EXISTS written", "CREATE TABLE written (LIKE orders)")
    return orders(task.args["rows"])


def written() -> pl.DataFrame:
    """What a way has written."""
    return fetched("SELECT * FROM written")


def read(task: Task) -> Callable[[], Any]:
    """A whole table."""
    connect().close()
    return lambda: fetched("SELECT * FROM orders")


def write(task: Task) -> Callable[[], Any]:
    """Rows into an empty table, or in place of those of a full one."""
    frame = target(task)

    def run() -> Any:
        ingested("written", frame, "append", *(["DELETE FROM written"] if task.args["full"] else []))
        return written

    return run


def joined(task: Task) -> Callable[[], Any]:
    """Fetch the whole table, and join it here."""
    connect().close()

    def run() -> Any:
        rows = fetched("SELECT sensor, at, level, speed, count, state FROM history").sort("at")
        asked = facts(task.args["facts"], task.args["history"]).with_row_index("place").sort("at")
        return asked.join_asof(rows, on="at", by="sensor", check_sortedness=False).sort("place").drop("place")

    return run
