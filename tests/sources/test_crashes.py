"""A writer that is killed at any moment leaves all old or all new rows, and the next one goes on."""

from __future__ import annotations

import json
import os
import pickle
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from aligned_dagster.features.schema import Schema
from aligned_dagster.request.retrieval_request import RetrievalRequest
from aligned_dagster.sources.local import FileSource
from aligned_dagster.sources.source import WritableSource, source_to_json

from .behaviours import same
from .conftest import column

KILLS = 18
"""For each of three sources and four ways to write."""

ROWS = 3_000
REGIONS = 6
PART = {"partitions": pl.col("region").is_in(["0", "2", "4"]), "window": pl.col("day").is_null()}


class Server:
    """The process that forks writers; see `writing_forever`."""

    def __init__(self, plan: Path) -> None:
        script = Path(__file__).with_name("writing_forever.py")
        self.process = subprocess.Popen(
            [sys.executable, str(script), str(plan)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
            cwd=Path(__file__).parents[2],
        )

    def line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def killed_after(self, command: str, seconds: float) -> list[int]:
        """Start a writer, kill it that long after its start, and return the numbers that it wrote."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{command}\n")
        words = {self.line(), self.line()}  # the child may be faster than its parent
        child = int(next(word for word in words if word.startswith("child")).split()[1])
        assert "ready" in words
        time.sleep(seconds)
        os.kill(child, signal.SIGKILL)
        written: list[int] = []
        while (line := self.line()) != "ended":
            assert line.startswith("wrote"), line
            written.append(int(line.split()[1]))
        return written


@pytest.fixture(scope="module")
def request_for() -> RetrievalRequest:
    return RetrievalRequest(
        "readings",
        Schema(
            (
                column("station", "int64", "entity"),
                column("region", "string"),
                column("count", "int32"),
                column("day", "date", optional=True),
            )
        ),
    )


@pytest.fixture(scope="module")
def rows(request_for: RetrievalRequest) -> pl.DataFrame:
    numbers = pl.int_range(ROWS, eager=True)
    return pl.DataFrame({"station": numbers, "count": [0] * ROWS, "day": [None] * ROWS}).select(
        pl.col("station"),
        (pl.col("station") % REGIONS).cast(pl.String).alias("region"),
        pl.col("count").cast(pl.Int32),
        pl.when(pl.col("station") % 2 == 1).then(pl.lit("2013-01-01")).str.to_date().alias("day"),
    )


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> dict[str, WritableSource]:
    base = tmp_path_factory.mktemp("crashes")
    return {
        "csv": FileSource.csv_at(base / "rows.csv"),
        "parquet": FileSource.parquet_at(base / "rows.parquet"),
        "hive": FileSource.partitioned_parquet_at(base / "rows", ["region"]),
    }


@pytest.fixture(scope="module")
def server(
    sources: dict[str, WritableSource],
    request_for: RetrievalRequest,
    rows: pl.DataFrame,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Server]:
    plan = tmp_path_factory.mktemp("plan") / "plan.pickle"
    forms = {name: json.dumps(source_to_json(source)) for name, source in sources.items()}
    plan.write_bytes(pickle.dumps((forms, request_for, rows)))
    server = Server(plan)
    with server.process:
        yield server
        assert server.process.stdin is not None
        server.process.stdin.close()


@pytest.mark.parametrize("way", ["overwrite", "upsert", "partitions", "window"])
@pytest.mark.parametrize("name", ["csv", "parquet", "hive"])
def test_killed_at_random_moments(
    server: Server,
    sources: dict[str, WritableSource],
    request_for: RetrievalRequest,
    rows: pl.DataFrame,
    name: str,
    way: str,
) -> None:
    source = sources[name]
    source.overwrite(rows.lazy(), request_for)
    chance = random.Random(f"{name} {way}")
    part = PART.get(way, pl.lit(True))
    last, unfinished, limit = 0, 0, 0.06
    for _ in range(KILLS):
        seconds = chance.uniform(0, limit)
        written = server.killed_after(f"{name} {way} {last + 1}", seconds)
        if len(written) != 1:  # aim at a write or two, however busy the machine is
            limit = min(limit * 1.5, 3.0) if not written else max(limit / 1.5, 0.02)
        known = max(written, default=last)
        found = source.all_data(request_for).collect()
        same(found.drop("count"), rows.drop("count"))
        same(found.filter(~part), rows.filter(~part))
        numbers = found.filter(part)["count"].unique().to_list()
        assert len(numbers) == 1, "half old and half new"
        assert numbers[0] in {known, known + 1}, "a finished write is there, and at most the one after it"
        unfinished += numbers[0] == known
        last = numbers[0]
    assert last > 0, "no write came through, so nothing was tested"
    assert unfinished > 0, "no write was interrupted"
    source.upsert(rows.lazy(), request_for)
    same(source.all_data(request_for), rows)


SCRIPT = """
import json, pickle, sys, polars as pl
from aligned_dagster.sources.source import source_from_json
forms, request, rows = pickle.loads(open(sys.argv[1], "rb").read())
source, me = source_from_json(json.loads(forms[sys.argv[2]])), int(sys.argv[3])
for number in range(10):
    mine = rows.head(1).with_columns(station=pl.lit(me * 10 + number), region=pl.lit(str(number % 3)))
    source.upsert(mine.lazy(), request)
"""


@pytest.mark.parametrize("name", ["csv", "parquet", "hive"])
def test_writers_in_several_processes_lose_nothing(
    sources: dict[str, Any],
    server: Server,
    request_for: RetrievalRequest,
    rows: pl.DataFrame,
    name: str,
) -> None:
    source = sources[name]
    source.overwrite(rows.clear().lazy(), request_for)
    plan = server.process.args[2]  # type: ignore[index]  # it is the list given above
    writers = [
        subprocess.Popen([sys.executable, "-c", SCRIPT, plan, name, str(number)]) for number in range(4)
    ]
    assert [writer.wait(60) for writer in writers] == [0] * 4
    found = source.all_data(request_for).collect()
    assert sorted(found["station"]) == list(range(40))
