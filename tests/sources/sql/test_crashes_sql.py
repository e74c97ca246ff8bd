"""A writer that is killed, or whose connection is cut, at any moment leaves all old or all new rows."""

from __future__ import annotations

import os
import pickle
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest

from aligned_dagster.features.schema import Schema
from aligned_dagster.request.retrieval_request import RetrievalRequest
from aligned_dagster.sources.postgresql import PostgreSQLConfig, PostgreSQLTable
from tools.servers.postgres import PostgresServer

from ..behaviours import same
from ..conftest import column

BLOWS = 50
"""For each of four ways to write and two ways to stop it."""

ROWS = 2_000
PART = pl.col("region").is_in(["0", "2", "4"])


class Writer:
    """The process that forks writers; see `writing_to_server`."""

    def __init__(self, plan: Path) -> None:
        script = Path(__file__).with_name("writing_to_server.py")
        self.process = subprocess.Popen(
            [sys.executable, str(script), str(plan)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
            cwd=Path(__file__).parents[3],
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3]), "TMPDIR": str(plan.parent)},
        )

    def line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def start(self, command: str) -> int:
        """Let a writer begin, and return its process id."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{command}\n")
        words = {self.line(), self.line()}  # the child may be faster than its parent
        assert "ready" in words, words
        return int(next(word for word in words if word.startswith("child")).split()[1])

    def until_ended(self) -> tuple[list[int], str]:
        """The numbers that it wrote, and the error with which it stopped."""
        written, lost = [], ""
        while (line := self.line()) != "ended":
            assert line.startswith(("wrote", "lost")), line
            if line.startswith("wrote"):
                written.append(int(line.split()[1]))
            else:
                lost = line
        return written, lost


@pytest.fixture(scope="module")
def request_for() -> RetrievalRequest:
    columns = (
        column("station", "int64", "entity"),
        column("region", "string"),
        column("count", "int32"),
    )
    return RetrievalRequest("readings", Schema(columns))


@pytest.fixture(scope="module")
def rows() -> pl.DataFrame:
    return pl.DataFrame({"station": pl.int_range(ROWS, eager=True)}).select(
        pl.col("station"),
        (pl.col("station") % 6).cast(pl.String).alias("region"),
        pl.lit(0, pl.Int32).alias("count"),
    )


@pytest.fixture(scope="module")
def database(postgres: PostgresServer) -> Iterator[str]:
    name = postgres.new_database().rpartition("/")[2]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CRASH_DB_URL", postgres.uri(name))
        yield name


@pytest.fixture(scope="module")
def source(database: str) -> PostgreSQLTable:
    return PostgreSQLConfig("CRASH_DB_URL").table("readings")


@pytest.fixture(scope="module")
def writer(
    source: PostgreSQLTable,
    request_for: RetrievalRequest,
    rows: pl.DataFrame,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Writer]:
    plan = tmp_path_factory.mktemp("plan") / "plan.pickle"
    plan.write_bytes(pickle.dumps((source, request_for, rows)))
    writer = Writer(plan)
    with writer.process:
        yield writer
        assert writer.process.stdin is not None
        writer.process.stdin.close()


def until_quiet(postgres: PostgresServer, database: str) -> None:
    """Wait until the server has noticed that its clients are gone."""
    busy = (
        "SELECT count(*) FROM pg_stat_activity WHERE datname = $1 AND backend_type = 'client backend' "
        "AND (state <> 'idle' OR backend_xid IS NOT NULL)"
    )
    deadline = time.monotonic() + 20
    while postgres.execute(busy, parameters=(database,)) != [(0,)]:
        assert time.monotonic() < deadline, "a transaction of a dead client goes on"
        time.sleep(0.005)


def is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def cut(postgres: PostgresServer, database: str, process: int) -> None:
    """End the connections of a writer; between two writes it has nothing to lose, and goes on until the next time."""
    busy = "datname = $1 AND backend_type = 'client backend' AND state <> 'idle'"
    end = f"SELECT pg_terminate_backend(pid, 1000) FROM pg_stat_activity WHERE {busy}"
    while is_running(process):
        until = time.monotonic() + 0.5
        found = postgres.execute(end, parameters=(database,))
        while found and is_running(process) and time.monotonic() < until:
            time.sleep(0.002)


@pytest.mark.parametrize("blow", ["kill", "cut"])
@pytest.mark.parametrize("way", ["overwrite", "upsert", "insert", "replace"])
def test_stopped_at_random_moments(
    writer: Writer,
    postgres: PostgresServer,
    database: str,
    source: PostgreSQLTable,
    request_for: RetrievalRequest,
    rows: pl.DataFrame,
    way: str,
    blow: str,
) -> None:
    postgres.execute("DROP TABLE IF EXISTS readings", database)
    (source.upsert if way == "upsert" else source.overwrite)(rows.lazy(), request_for)
    part = PART if way == "replace" else pl.lit(True)
    chance = random.Random(f"{way} {blow}")
    last, unfinished, limit = 0, 0, 0.15
    for _ in range(BLOWS):
        child = writer.start(f"{way} {last + 1}")
        time.sleep(chance.uniform(0, limit))
        if blow == "kill":
            os.kill(child, signal.SIGKILL)
        else:
            cut(postgres, database, child)
        written, lost = writer.until_ended()
        if len(written) != 1:  # aim at a write or two, however busy the machine is
            limit = min(limit * 1.5, 3.0) if not written else max(limit / 1.5, 0.03)
        known = max(written, default=last)
        until_quiet(postgres, database)
        found = source.all_data(request_for).collect()
        if way == "insert":
            whole = found.group_by("count").len().sort("count")
            assert whole["len"].unique().to_list() == [ROWS], "half of the rows of a write"
            assert whole["count"].to_list() == list(range(whole.height))
            assert found["station"].n_unique() == found.height
            state = whole.height - 1
        else:
            same(found.drop("count"), rows.drop("count"))
            same(found.filter(~part), rows.filter(~part))
            numbers = found.filter(part)["count"].unique().to_list()
            assert len(numbers) == 1, "half old and half new"
            state = numbers[0]
        assert state in {known, known + 1}, "a finished write is there, and at most the one after it"
        if blow == "cut":
            assert lost, "the writer did not notice"
            assert state == known, f"it was said that nothing was written: {lost}"
        unfinished += state == known
        last = state
    assert last > 0, "no write came through, so nothing was tested"
    assert unfinished > 0, "no write was interrupted"
    source.upsert(rows.lazy(), request_for)
    left = source.all_data(request_for).filter(pl.col("station") < ROWS)
    same(left, rows)
