"""S3: the bytes that a read moves beside those of the column chunks that it needs, counted by a proxy.

The wanted partition or object has a real size; the other partitions are small, for none of them is to be opened, apart
from the first one, whose footer tells the stored columns. Before the figures are written, the rows that were read are
compared with those that were stored.

    make bench
"""

from __future__ import annotations

import io
import os
import platform
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import polars as pl
from polars.testing import assert_frame_equal

from aligned_dagster import AwsS3Config, FeatureView, Float, Int64, RetrievalJob, String, feature_view
from tools.servers.proxy import CountingProxy
from tools.servers.s3 import S3Server, juicefs_server

PARTITIONS, WANTED = 1_000, 617
SMALL, FIRST = 20, 1_000
"""Rows of a partition that is not wanted, and of the first one: more than polars fetches for a footer."""

ROWS = 60_000, 600_000
"""Rows of the wanted partition, which are some 20 and 200 MB."""

COLUMNS, ASKED = 50, ("c07", "c31")
GOAL = 1.1
"""Times as many bytes as are needed."""

RESULT = Path(__file__).parent / "results" / "objects.md"
BUCKET = AwsS3Config(
    access_token_env="BENCHMARK_S3_KEY",
    secret_token_env="BENCHMARK_S3_SECRET",
    bucket="benchmark",
    region="us-east-1",
    endpoint_env="BENCHMARK_S3_ENDPOINT",
)


def wide(name: str, source: Any) -> FeatureView[Any]:
    """A contract of 50 stored columns, most of them numbers, and the key that the partitions are named by.

    Args:
        name: of the contract.
        source: of its rows.
    """
    types = (Float, Float, Float, Int64, String)
    columns = {f"c{n:02}": types[n % 5]() for n in range(1, COLUMNS)}
    contract = type(name, (), {"part": Int64(), "c00": Int64().as_entity(), **columns})
    made: Any = feature_view(name=name, source=source)(contract)
    assert isinstance(made, FeatureView)  # mypy does not see what a class decorator returns
    return made


def rows(number: int, part: int) -> pl.DataFrame:
    """Rows of one partition, of values that compress little, as measurements do."""
    n = pl.int_range(number, dtype=pl.UInt64)
    columns = {"c00": n.cast(pl.Int64) + part * 10_000_000}
    for column in range(1, COLUMNS):
        noise = n.hash(part * COLUMNS + column)
        kind = column % 5
        numbers = (noise % 2**53).cast(pl.Float64) / 2**53 if kind < 3 else (noise % 10**9).cast(pl.Int64)
        columns[f"c{column:02}"] = pl.format("id-{}", numbers) if kind == 4 else numbers
    columns["part"] = pl.repeat(part, number, dtype=pl.Int64)
    return pl.select([values.alias(name) for name, values in columns.items()])


@dataclass(frozen=True)
class Counted:
    """What one read moved.

    Args:
        planning: bytes until the lazy frame was there: the listing, and a footer.
        reading: bytes while it was collected.
        requests: how many there were in both.
    """

    planning: int
    reading: int
    requests: int

    @property
    def moved(self) -> int:
        """All bytes that the server has sent, headers included."""
        return self.planning + self.reading


@dataclass(frozen=True)
class Case:
    """A question to a store.

    Args:
        title: what is asked, and of what.
        key: of the object that holds the answer.
        ask: makes the question.
        answer: the rows that it is to bring.
    """

    title: str
    key: str
    ask: Callable[[], RetrievalJob]
    answer: pl.DataFrame

    def size(self, client: Any) -> int:
        """Bytes of the object."""
        return int(client.head_object(Bucket=BUCKET.bucket, Key=self.key)["ContentLength"])

    def needed(self, client: Any) -> int:
        """Bytes of the column chunks that hold the answer, as the object's own footer tells them."""
        from pyarrow.parquet import ParquetFile

        found = ParquetFile(io.BytesIO(client.get_object(Bucket=BUCKET.bucket, Key=self.key)["Body"].read()))
        groups = [found.metadata.row_group(n) for n in range(found.metadata.num_row_groups)]
        chunks = [group.column(n) for group in groups for n in range(group.num_columns)]
        return sum(chunk.total_compressed_size for chunk in chunks if chunk.path_in_schema in ASKED)

    def count(self, proxy: CountingProxy) -> Counted:
        """Ask, and count what passes; raise if the answer is not the right one."""
        proxy.reset()
        frame = self.ask().lazy()
        planning = proxy.bytes_out_of_server
        found = frame.collect(engine="streaming")
        assert_frame_equal(found, self.answer, check_row_order=False, check_column_order=False)
        return Counted(planning, proxy.bytes_out_of_server - planning, proxy.requests)


def partitioned(number: int) -> Case:
    """Two columns of one partition of a thousand.

    Args:
        number: rows of the wanted partition.
    """
    directory = f"readings_{number}"
    source = BUCKET.partitioned_parquet_at(directory, ["part"])
    view = wide("Readings", source)
    wanted = rows(number, WANTED)
    others = [rows(SMALL if part else FIRST, part) for part in range(PARTITIONS) if part != WANTED]
    view.query().overwrite(pl.concat([wanted, *others]))
    [key] = ["/".join(file.parts[1:]) for file in source.files() if file.parent.name == f"part={WANTED}"]
    return Case(
        f"{len(ASKED)} of {COLUMNS} columns, 1 of {PARTITIONS:,} partitions",
        key,
        lambda: view.query().filter(pl.col("part") == WANTED).select(*ASKED),
        wanted.select(ASKED),
    )


def single(number: int) -> Case:
    """Two columns of one object.

    Args:
        number: its rows.
    """
    view = wide("Measured", BUCKET.parquet_at("measured.parquet"))
    stored = rows(number, WANTED)
    view.query().overwrite(stored)
    return Case(
        f"{len(ASKED)} of {COLUMNS} columns, one object",
        "measured.parquet",
        lambda: view.query().select(*ASKED).all(),
        stored.select(ASKED),
    )


@contextmanager
def served() -> Iterator[tuple[S3Server, CountingProxy]]:
    """A server with the bucket, and the proxy that the contracts reach it by."""
    with juicefs_server() as server, CountingProxy(server.endpoint) as proxy:
        server.new_bucket(BUCKET.bucket)
        os.environ["BENCHMARK_S3_KEY"] = server.access_key
        os.environ["BENCHMARK_S3_SECRET"] = server.secret_key
        os.environ["BENCHMARK_S3_ENDPOINT"] = proxy.endpoint
        yield server, proxy


def table(measured: Mapping[str, tuple[int, int, Counted]]) -> str:
    """What each case moved, as a Markdown table."""
    lines = [
        "| | object | needed | listing and first footer | reading | requests | moved / needed |",
        "|---|---|---|---|---|---|---|",
    ]
    for title, (size, needed, counted) in measured.items():
        figures = [size, needed, counted.planning, counted.reading]
        cells = " | ".join(f"{figure:,}" for figure in figures)
        lines.append(f"| {title} | {cells} | {counted.requests} | {counted.moved / needed:.2f} |")
    return "\n".join(lines)


def main() -> None:
    """Store the rows, ask, compare the answers, count, and write the result."""
    measured: dict[str, tuple[int, int, Counted]] = {}
    with served() as (server, proxy):
        client = server.client()
        for case in (*map(partitioned, ROWS), single(ROWS[-1])):
            size = case.size(client)
            title = f"{case.title} of {size / 1e6:,.0f} MB"
            measured[title] = size, case.needed(client), case.count(proxy)
            sys.stdout.write(f"{title}: the right {case.answer.height:,} rows\n")
    _, needed, counted = list(measured.values())[len(ROWS) - 1]
    besides = counted.moved - needed
    text = (
        f"# S3\n\nBytes that the server sent for one question, HTTP headers included, beside the bytes of the column "
        f"chunks that hold the answer. JuiceFS' gateway on the same machine behind a counting proxy; polars "
        f"{version('polars')}, Python {platform.python_version()}; {datetime.now(UTC):%Y-%m-%d}. The answers are the "
        f"rows that were stored. `make bench` makes this file.\n\n{table(measured)}\n\n"
        f"What is not needed is the same for a large partition as for a small one, here {besides / 1e6:.2f} MB: the "
        f"listing of {PARTITIONS:,} keys, and the last 256 KiB of the first and of the wanted object, which polars "
        "fetches for the footer (`POLARS_CLOUD_FOOTER_READ_SIZE=32768` makes that 32 KiB). No other partition is opened "
        f"and no other column is read, so that what moves is less than {GOAL} times what is needed as soon as "
        f"{besides / (GOAL - 1) / 1e6:.0f} MB are needed.\n"
    )
    RESULT.parent.mkdir(parents=True, exist_ok=True)
    RESULT.write_text(text, encoding="utf-8")
    sys.stdout.write(text)


if __name__ == "__main__":
    main()
