"""Writers at the same time lose nothing, and readers see whole states and do not wait."""

from __future__ import annotations

import pickle
import statistics
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from aligned_dagster import PostgreSQLConfig
from aligned_dagster.errors import ConflictError
from aligned_dagster.sources.sql import staged_table
from tools.servers.postgres import PostgresServer

from ..behaviours import same
from .conftest import Run, request

SCRIPT = """
import pickle, sys, polars as pl
source, request = pickle.loads(open(sys.argv[1], "rb").read())
me = int(sys.argv[2])
for number in range(20):
    rows = pl.LazyFrame({"id": [me * 100 + number, -1], "writer": [me, me]})
    source.upsert(rows, request)
"""
WRITERS = 8


@pytest.mark.parametrize("how", ["missing", "with_key", "without_key"])
def test_processes_that_upsert_lose_nothing(
    database: PostgreSQLConfig, run: Run, tmp_path: Path, how: str
) -> None:
    if how != "missing":
        key = "PRIMARY KEY" if how == "with_key" else ""
        run(f"CREATE TABLE counted (id bigint {key}, writer bigint)")
    source, wanted = database.table("counted"), request(id="entity int64", writer="int64")
    plan = tmp_path / "plan.pickle"
    plan.write_bytes(pickle.dumps((source, wanted)))
    writers = [
        subprocess.Popen([sys.executable, "-c", SCRIPT, str(plan), str(number)]) for number in range(WRITERS)
    ]
    assert [writer.wait(120) for writer in writers] == [0] * WRITERS
    found = source.all_data(wanted).collect()
    wanted_ids = [-1, *(me * 100 + number for me in range(WRITERS) for number in range(20))]
    assert sorted(found["id"]) == wanted_ids


def test_readers_see_whole_states_and_do_not_wait(database: PostgreSQLConfig) -> None:
    source, wanted = database.table("states"), request(id="entity int64", state="int64", text="string")
    rows = pl.DataFrame({"id": pl.int_range(20_000, eager=True)}).with_columns(text=pl.lit("x" * 30))
    source.overwrite(rows.lazy().with_columns(state=pl.lit(0)), wanted)
    failures: list[str] = []
    waits: list[float] = []
    done = threading.Event()

    def read() -> None:
        last = 0
        while not done.is_set():
            start = time.monotonic()
            found = source.all_data(wanted.project(["id", "state"])).collect()
            waits.append(time.monotonic() - start)
            states = found["state"].unique().to_list()
            if found.height != rows.height or len(states) != 1 or states[0] < last:
                failures.append(f"{found.height} rows in states {states} after {last}")
                return
            last = states[0]

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    writes: list[float] = []
    for number in range(1, 51):
        start = time.monotonic()
        source.overwrite(rows.lazy().with_columns(state=pl.lit(number)), wanted)
        writes.append(time.monotonic() - start)
    done.set()
    for reader in readers:
        reader.join()
    assert not failures
    assert len(waits) > 50
    assert max(waits) < max(1.0, 20 * statistics.median(waits)), "a reader waited for a writer"


def test_reader_does_not_wait_for_a_write_that_is_not_finished(database: PostgreSQLConfig) -> None:
    source, wanted = database.table("held"), request(id="entity int64")
    source.overwrite(pl.LazyFrame({"id": [1]}), wanted)
    for mode in ("insert", "upsert"):
        with source.stage(pl.LazyFrame({"id": [2]}), wanted, mode) as staged:
            assert source.all_data(wanted).collect()["id"].to_list() == [1]
            staged._make_ready()
            staged._send()
            assert source.all_data(wanted).collect()["id"].to_list() == [1]


def test_writer_gives_up_after_a_while_and_says_who_is_in_the_way(
    database: PostgreSQLConfig, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, wanted = database.table("held"), request(id="entity int64")
    source.overwrite(pl.LazyFrame({"id": [1]}), wanted)
    monkeypatch.setattr(staged_table, "LOCK_TIMEOUT", 0.2)
    with source.stage(pl.LazyFrame({"id": [2]}), wanted, "insert") as staged:
        with pytest.raises(
            ConflictError, match=r"(?s)has held .*held for 0 s.*aligned_dagster, idle in transaction"
        ):
            source.upsert(pl.LazyFrame({"id": [3]}), wanted)
        with pytest.raises(ConflictError, match="end it: process"):
            source.overwrite(pl.LazyFrame({"id": [3]}), wanted)
        staged.publish()
    source.upsert(pl.LazyFrame({"id": [3]}), wanted)
    assert source.all_data(wanted).collect()["id"].to_list() == [1, 2, 3]


def test_overwrites_of_one_moment_are_whole(database: PostgreSQLConfig) -> None:
    source, wanted = database.table("many"), request(id="entity int64", writer="int64")
    failures: list[BaseException] = []

    def write(number: int) -> None:
        try:
            rows = pl.LazyFrame({"id": range(500)}).with_columns(writer=pl.lit(number))
            source.overwrite(rows, wanted)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    found = source.all_data(wanted).collect()
    assert found.height == 500
    assert found["writer"].n_unique() == 1


def test_lost_connection_between_staging_and_publishing(
    postgres: PostgresServer, postgres_database: str, database: PostgreSQLConfig
) -> None:
    from aligned_dagster.errors import PublishError

    source, wanted = database.table("lost"), request(id="entity int64")
    source.overwrite(pl.LazyFrame({"id": [1]}), wanted)
    with source.stage(pl.LazyFrame({"id": [2]}), wanted, "insert") as staged:
        postgres.kill_connections(postgres_database.rpartition("/")[2])
        with pytest.raises(PublishError, match=r"(?s)connection was lost.*old rows are still there") as error:
            staged.publish()
        assert postgres.password not in str(error.value)
    same(source.all_data(wanted), pl.DataFrame({"id": [1]}))


@pytest.mark.parametrize("came_through", [True, False])
def test_answer_to_a_commit_that_is_lost(
    database: PostgreSQLConfig, monkeypatch: pytest.MonkeyPatch, came_through: bool
) -> None:
    from adbc_driver_manager import OperationalError

    from aligned_dagster.errors import PublishError
    from aligned_dagster.sources.sql.connection import Session

    source, wanted = database.table("unsure"), request(id="entity int64")
    source.overwrite(pl.LazyFrame({"id": [1]}), wanted)
    commit = Session.commit

    def lose(self: Session) -> Any:
        if came_through:
            commit(self)
        else:
            self.rollback()
        raise OperationalError("server closed the connection unexpectedly", status_code=10)  # type: ignore[arg-type]  # any code

    monkeypatch.setattr(Session, "commit", lose)
    if came_through:
        source.insert(pl.LazyFrame({"id": [2]}), wanted)
    else:
        with pytest.raises(
            PublishError, match=r"were not written: the commit failed.*old rows are still there"
        ):
            source.insert(pl.LazyFrame({"id": [2]}), wanted)
    assert source.all_data(wanted).collect()["id"].to_list() == ([1, 2] if came_through else [1])


def test_commit_of_which_nobody_can_tell(database: PostgreSQLConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    from adbc_driver_manager import OperationalError

    from aligned_dagster.errors import PublishError
    from aligned_dagster.sources.sql import committing
    from aligned_dagster.sources.sql.connection import Session
    from aligned_dagster.sources.sql.writes import Writes

    source, wanted = database.table("unsure"), request(id="entity int64")

    def lose(self: Session) -> None:
        raise OperationalError("server closed the connection unexpectedly", status_code=10)  # type: ignore[arg-type]  # any code

    monkeypatch.setattr(Session, "commit", lose)
    monkeypatch.setattr(Writes, "outcome", lambda *_: None)
    monkeypatch.setattr(committing, "PATIENCE", 0.3)
    with pytest.raises(
        PublishError, match=r"are written, or none of them is.*SELECT pg_xact_status\('\d+'\)"
    ):
        source.overwrite(pl.LazyFrame({"id": [1]}), wanted)
