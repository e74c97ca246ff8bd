"""Writers at the same time lose nothing, and readers see whole states and do not wait."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import aligned_dagster.sources.source
from aligned_dagster import PostgreSQLConfig
from aligned_dagster.errors import ConflictError, PublishError
from aligned_dagster.sources.source import WriteMode
from aligned_dagster.sources.sql import committing, staged_table
from aligned_dagster.sources.sql.writes import Writes
from tools.servers.postgres import PostgresServer

from ..behaviours import same
from .conftest import Run, request
from .sharing import find_out_about_commits, lose_answers, upsert_at_once


@pytest.mark.parametrize("how", ["missing", "with_key", "without_key"])
def test_processes_that_upsert_lose_nothing(
    database: PostgreSQLConfig, run: Run, tmp_path: Path, how: str
) -> None:
    if how != "missing":
        key = "PRIMARY KEY" if how == "with_key" else ""
        run(f"CREATE TABLE counted (id bigint {key}, writer bigint)")
    upsert_at_once(database.table("counted"), tmp_path)


def test_readers_see_whole_states(database: PostgreSQLConfig) -> None:
    source, wanted = database.table("states"), request(id="entity int64", state="int64", text="string")
    rows = pl.DataFrame({"id": pl.int_range(20_000, eager=True)}).with_columns(text=pl.lit("x" * 30))
    source.overwrite(rows.lazy().with_columns(state=pl.lit(0)), wanted)
    failures: list[str] = []
    reads = 0
    done = threading.Event()

    def read() -> None:
        nonlocal reads
        last = 0
        while not done.is_set():
            found = source.all_data(wanted.project(["id", "state"])).collect()
            reads += 1
            states = found["state"].unique().to_list()
            if found.height != rows.height or len(states) != 1 or states[0] < last:
                failures.append(f"{found.height} rows in states {states} after {last}")
                return
            last = states[0]

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    for number in range(1, 51):
        source.overwrite(rows.lazy().with_columns(state=pl.lit(number)), wanted)
    done.set()
    for reader in readers:
        reader.join()
    assert not failures
    assert reads > 50


@pytest.mark.parametrize("mode", ["insert", "upsert", "overwrite", "replace"])
def test_reader_does_not_wait_for_a_write_that_is_not_finished(
    database: PostgreSQLConfig, monkeypatch: pytest.MonkeyPatch, mode: WriteMode
) -> None:
    source, wanted = database.table("held"), request(id="entity int64")
    source.overwrite(pl.LazyFrame({"id": [1]}), wanted)
    seen: list[int] = []

    def read_and_commit(*args: Any) -> Any:
        seen.extend(source.all_data(wanted).collect()["id"])  # everything is sent, nothing is committed
        return committing.commit(*args)

    monkeypatch.setattr(staged_table, "commit", read_and_commit)
    where = pl.col("id") > 1 if mode == "replace" else None
    with source.stage(pl.LazyFrame({"id": [2]}), wanted, mode, where=where) as staged:
        staged.publish()
    assert seen == [1]
    assert source.all_data(wanted).collect()["id"].max() == 2


def test_writer_gives_up_after_a_while_and_says_who_is_in_the_way(
    database: PostgreSQLConfig, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, wanted = database.table("held"), request(id="entity int64")
    source.overwrite(pl.LazyFrame({"id": [1]}), wanted)
    monkeypatch.setattr(staged_table, "LOCK_TIMEOUT", 0.2)
    monkeypatch.setattr(aligned_dagster.sources.source, "_RETRIED_FOR", 0.0)
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
    find_out_about_commits(database.table("unsure"), monkeypatch, came_through)


def test_commit_of_which_nobody_can_tell(database: PostgreSQLConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    source, wanted = database.table("unsure"), request(id="entity int64")
    lose_answers(monkeypatch, None)
    monkeypatch.setattr(Writes, "outcome", lambda *_: None)
    monkeypatch.setattr(committing, "PATIENCE", 0.3)
    with pytest.raises(
        PublishError, match=r"are written, or none of them is.*SELECT pg_xact_status\('\d+'\)"
    ):
        source.overwrite(pl.LazyFrame({"id": [1]}), wanted)
