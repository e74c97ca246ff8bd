"""Writers that are killed at any moment, and many at once: what must hold of every source that is written whole."""

from __future__ import annotations

import json
import os
import pickle
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import polars as pl

from aligned_dagster.errors import SourceNotFoundError
from aligned_dagster.features.schema import Schema
from aligned_dagster.request.retrieval_request import RetrievalRequest
from aligned_dagster.sources.local_location import LocalLocation
from aligned_dagster.sources.source import WritableSource, source_to_json

from .behaviours import same
from .conftest import column
from .writing_forever import UPSERTS

ROWS = 3_000
REGIONS = 6
WRITERS = 8
PART = {"partitions": pl.col("region").is_in(["0", "2", "4"]), "window": pl.col("day").is_null()}
REQUEST = RetrievalRequest(
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
READINGS = pl.DataFrame({"station": pl.int_range(ROWS, eager=True)}).select(
    pl.col("station"),
    (pl.col("station") % REGIONS).cast(pl.String).alias("region"),
    pl.lit(0, pl.Int32).alias("count"),
    pl.when(pl.col("station") % 2 == 1).then(pl.lit("2013-01-01")).str.to_date().alias("day"),
)


class Writers:
    """The process that forks writers; see `writing_forever`."""

    script = "writing_forever.py"

    def __init__(self, plan: Path) -> None:
        script = Path(__file__).parent / self.script
        root = Path(__file__).parents[2]
        self.process = subprocess.Popen(
            [sys.executable, str(script), str(plan)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
            cwd=root,
            env={**os.environ, "PYTHONPATH": str(root), "TMPDIR": str(plan.parent)},
        )

    def line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def tell(self, command: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{command}\n")

    def killed_after(self, command: str, seconds: float) -> list[str]:
        """Start a writer, kill it that long after its start, and return what it said."""
        self.tell(command)
        words = {self.line(), self.line()}  # the child may be faster than its parent
        child = int(next(word for word in words if word.startswith("child")).split()[1])
        assert "ready" in words, words
        time.sleep(seconds)
        os.kill(child, signal.SIGKILL)
        return list(iter(self.line, "ended"))


@contextmanager
def writers_to(sources: Mapping[str, WritableSource], directory: Path) -> Iterator[Writers]:
    """The process that forks writers to these sources; it has the environment of now."""
    plan = directory / "plan.pickle"
    forms = {name: json.dumps(source_to_json(source)) for name, source in sources.items()}
    plan.write_bytes(pickle.dumps((forms, REQUEST, READINGS)))
    writers = Writers(plan)
    with writers.process:
        yield writers
        assert writers.process.stdin is not None
        writers.process.stdin.close()


def state_of(source: WritableSource, way: str) -> int:
    """The number of the write whose rows a source holds, all of them."""
    part = PART.get(way, pl.lit(True))
    try:
        found = source.all_data(REQUEST).collect()
    except (SourceNotFoundError, FileNotFoundError):
        if isinstance(getattr(source, "location", None), LocalLocation):
            raise
        time.sleep(
            1
        )  # a store may carry out the last request of a killed writer between our look and our read
        found = source.all_data(REQUEST).collect()
    same(found.drop("count"), READINGS.drop("count"))
    same(found.filter(~part), READINGS.filter(~part))
    numbers = found.filter(part)["count"].unique().to_list()
    assert len(numbers) == 1, "half old and half new"
    return int(numbers[0])


def kill_at_random_moments(
    writers: Writers,
    source: WritableSource,
    name: str,
    way: str,
    *,
    kills: int,
    within: float,
) -> None:
    """Kill writers in mid-write: all old or all new rows are there each time, and the next write goes on.

    Args:
        writers: what forks them.
        source: what they write to.
        name: its name there.
        way: how they write.
        kills: how many; up to three times as many, until a write came through and one was interrupted.
        within: seconds at first; then as many as a write or two take, however busy the machine is.
    """
    source.overwrite(READINGS.lazy(), REQUEST)
    chance = random.Random(f"{name} {way}")
    last, unfinished, limit = 0, 0, within
    for number in range(1, 3 * kills + 1):
        said = writers.killed_after(f"{name} {way} {last + 1}", chance.uniform(0, limit))
        assert all(line.startswith("wrote") for line in said), said
        written = [int(line.split()[1]) for line in said]
        if len(written) != 1:
            limit = min(limit * 1.5, 5.0) if not written else max(limit / 1.5, within / 3)
        known = max(written, default=last)
        state = state_of(source, way)
        assert state in {known, known + 1}, "a finished write is there, and at most the one after it"
        unfinished += state == known
        last = state
        if number >= kills and last > 0 and unfinished > 0:
            break
    assert last > 0, "no write came through, so nothing was tested"
    assert unfinished > 0, "no write was interrupted"
    source.upsert(READINGS.lazy(), REQUEST)
    same(source.all_data(REQUEST), READINGS)


def upsert_at_once(writers: Writers, source: WritableSource, name: str, way: str) -> int:
    """Let many processes upsert rows of their own: those that were said to be written are there, and no others.

    Returns:
        The number of conflicts.
    """
    source.overwrite(READINGS.clear().lazy(), REQUEST)
    writers.tell(f"{name} {way} {WRITERS}")
    said = [line for line in iter(writers.line, "ended") if not line.startswith("child")]
    assert all(line == "conflict" or line.startswith("wrote") for line in said), said
    written = sorted(int(line.split()[1]) for line in said if line != "conflict")
    conflicts = said.count("conflict")
    assert len(written) + conflicts == WRITERS * UPSERTS
    found: pl.DataFrame = source.all_data(REQUEST).collect()
    assert sorted(found["station"]) == written
    return conflicts


def sources_at(place: Any) -> dict[str, WritableSource]:
    """The sources that are written to, below a directory or a config."""
    return {
        "csv": place.csv_at("rows.csv"),
        "parquet": place.parquet_at("rows.parquet"),
        "hive": place.partitioned_parquet_at("rows", ["region"]),
    }
