"""Writers to a server that are killed, or whose connections are cut, at any moment: what must hold of every table."""

from __future__ import annotations

import os
import pickle
import random
import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import polars as pl
from adbc_driver_postgresql import dbapi

from aligned_dagster.sources.sql.connection import close_idle_connections
from aligned_dagster.sources.sql.sql_source import SqlTableSource
from tools.servers.postgres import PostgresServer

from ..behaviours import same
from ..crashing import READINGS, REQUEST, ROWS, Writers, state_of

Blow = Literal["kill", "cut"]

_BUSY = "datname = $1 AND backend_type = 'client backend' AND (state <> 'idle' OR backend_xid IS NOT NULL)"


class WritersToServer(Writers):
    """The process that forks writers; see `writing_to_server`."""

    script = "sql/writing_to_server.py"

    def start(self, command: str) -> int:
        """Let a writer begin, and return its process id."""
        self.tell(command)
        words = {self.line(), self.line()}  # the child may be faster than its parent
        assert "ready" in words, words
        return int(next(word for word in words if word.startswith("child")).split()[1])

    def first(self, command: str) -> float:
        """Let a writer write undisturbed, and return how many seconds its first write took."""
        child, start = self.start(command), time.monotonic()
        wrote = self.line()
        took = time.monotonic() - start
        os.kill(child, signal.SIGKILL)
        assert wrote.startswith("wrote"), wrote
        self.until_ended()
        return took

    def until_ended(self) -> tuple[list[int], str]:
        """The numbers that it wrote, and the error with which it stopped."""
        said = list(iter(self.line, "ended"))
        assert all(line.startswith(("wrote", "lost")) for line in said), said
        lost = [line for line in said if line.startswith("lost")]
        return [int(line.split()[1]) for line in said if line not in lost], "".join(lost)


@contextmanager
def writers_to_server(sources: Mapping[str, SqlTableSource], directory: Path) -> Iterator[WritersToServer]:
    """The process that forks writers to these tables; it has the environment of now."""
    plan = directory / "plan.pickle"
    plan.write_bytes(pickle.dumps((dict(sources), REQUEST, READINGS)))
    writers = WritersToServer(plan)
    with writers.process:
        yield writers
        assert writers.process.stdin is not None
        writers.process.stdin.close()


class Database:
    """The database with the tables, and a connection to another one that sees who is at it."""

    def __init__(self, server: PostgresServer, name: str) -> None:
        self.server = server
        self.name = name
        self._connection = dbapi.connect(server.uri(), autocommit=True)

    def until_quiet(self) -> None:
        """Wait until the server has noticed that its clients are gone."""
        deadline = time.monotonic() + 20
        while self._ask(f"SELECT count(*) FROM pg_stat_activity WHERE {_BUSY}") != [(0,)]:
            assert time.monotonic() < deadline, "a transaction of a dead client goes on"
            time.sleep(0.005)

    def cut(self, process: int) -> None:
        """End the connections of a writer; between two writes it has nothing to lose, and goes on until the next."""
        end = f"SELECT pg_terminate_backend(pid, 1000) FROM pg_stat_activity WHERE {_BUSY}"
        while _is_running(process):
            until = time.monotonic() + 0.5
            found = self._ask(end)
            while found and _is_running(process) and time.monotonic() < until:
                time.sleep(0.002)

    def drop(self) -> None:
        """Remove it."""
        close_idle_connections()
        self._connection.close()
        self.server.drop_database(self.name)

    def _ask(self, sql: str) -> list[tuple[object, ...]]:
        with self._connection.cursor() as cursor:
            cursor.execute(sql, (self.name,))
            return list(cursor.fetchall())


def stop_at_random_moments(
    writers: WritersToServer,
    database: Database,
    source: SqlTableSource,
    name: str,
    way: str,
    blow: Blow,
    *,
    blows: int,
) -> None:
    """Stop writers in mid-write: all old or all new rows are there each time, and the next write goes on.

    Args:
        writers: what forks them.
        database: what they write to.
        source: the table; it is removed first.
        name: its name there.
        way: how they write.
        blow: how they are stopped.
        blows: how often; up to three times as often, until one of them has interrupted a write.
    """
    database.server.execute(f"DROP TABLE IF EXISTS {source.table_name.sql}", database.name)
    (source.upsert if way == "upsert" else source.overwrite)(READINGS.lazy(), REQUEST)
    chance = random.Random(f"{name} {way} {blow}")

    def now() -> int:
        database.until_quiet()
        return _inserted(source) if way == "insert" else state_of(source, way)

    limit = 1.5 * writers.first(f"{name} {way} 1")
    last, unfinished = now(), 0
    for number in range(1, 3 * blows + 1):
        child = writers.start(f"{name} {way} {last + 1}")
        time.sleep(chance.uniform(0, limit))
        if blow == "kill":
            os.kill(child, signal.SIGKILL)
        else:
            database.cut(child)
        written, lost = writers.until_ended()
        if len(written) != 1:  # aim at a write or two, however busy the machine is
            limit = limit * 1.25 if not written else limit / 1.25
        known = max(written, default=last)
        state = now()
        assert state in {known, known + 1}, "a finished write is there, and at most the one after it"
        if blow == "cut":
            assert lost, "the writer did not notice"
            assert state == known, f"it was said that nothing was written: {lost}"
        unfinished += state == known
        last = state
        if number >= blows and unfinished > 0:
            break
    assert unfinished > 0, "no write was interrupted"
    source.upsert(READINGS.lazy(), REQUEST)
    same(source.all_data(REQUEST).filter(pl.col("station") < ROWS), READINGS)


def _inserted(source: SqlTableSource) -> int:
    """The number of the last insert, where each is there as a whole."""
    found = source.all_data(REQUEST).collect()
    whole = found.group_by("count").len().sort("count")
    assert whole["len"].unique().to_list() == [ROWS], "half of the rows of a write"
    assert whole["count"].to_list() == list(range(whole.height))
    assert found["station"].n_unique() == found.height
    return whole.height - 1


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True
