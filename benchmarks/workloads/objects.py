"""S3: the bytes that a read moves beside those of the column chunks that it needs, counted by a proxy."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

import polars as pl

from benchmarks.cells.contracts_objects import ASKED, BUCKET, COLUMNS, rows, wide
from benchmarks.data import CACHE
from benchmarks.workload import Goal, Group, Way, Workload
from tools.servers.s3 import juicefs_server

PARTITIONS, WANTED = 1_000, 617
SMALL, FIRST = 20, 1_000
"""Rows of a partition that is not wanted, and of the first one: more than polars fetches for a footer."""


def _sizes(quick: bool) -> tuple[int, ...]:
    """Rows of the wanted partition, which are some 20 and 200 MB."""
    return (60_000,) if quick else (60_000, 600_000)


@contextmanager
def _serving(quick: bool) -> Iterator[None]:
    with juicefs_server() as server:
        server.new_bucket(BUCKET.bucket)
        os.environ["BENCHMARK_S3_KEY"] = server.access_key
        os.environ["BENCHMARK_S3_SECRET"] = server.secret_key
        os.environ["BENCHMARK_S3_ENDPOINT"] = server.endpoint
        others = _others()
        for number in _sizes(quick):
            source = BUCKET.partitioned_parquet_at(f"readings_{number}", ["part"])
            wide("Readings", source).query().overwrite(pl.concat([rows(number, WANTED), others]))
        wide("Measured", BUCKET.parquet_at("measured.parquet")).query().overwrite(
            rows(_sizes(quick)[-1], WANTED)
        )
        yield


@cache
def _others() -> pl.DataFrame:
    return pl.concat([rows(SMALL if part else FIRST, part) for part in range(PARTITIONS) if part != WANTED])


def _groups(quick: bool) -> list[Group]:
    ways = (
        Way("the rows, not read", "contracts_objects:stored"),
        Way("contracts", "contracts_objects:read"),
    )
    asked = f"{len(ASKED)} of {COLUMNS} columns"
    groups = [
        Group(
            f"{asked}, 1 of {PARTITIONS:,} partitions, which has {number:,} rows",
            ways,
            CACHE,
            {"name": f"readings_{number}", "part": WANTED, "rows": number, "partitioned": True},
            repeats=1,
        )
        for number in _sizes(quick)
    ]
    number = _sizes(quick)[-1]
    single = {"name": "measured.parquet", "part": WANTED, "rows": number, "partitioned": False}
    return [*groups, Group(f"{asked}, one object of {number:,} rows", ways, CACHE, single, repeats=1)]


WORKLOAD = Workload(
    "objects",
    "Bytes read from S3",
    "Bytes that the server sent for one question, HTTP headers included, beside those of the column chunks that hold the "
    "answer. JuiceFS' gateway on the same machine behind a counting proxy, which is not fast: it is the bytes that count. "
    "What is not needed is the listing of 1,000 keys, and the last 256 KiB of the first and of the wanted object, which "
    "polars fetches for the footer (`POLARS_CLOUD_FOOTER_READ_SIZE=32768` makes that 32 KiB); it is the same for large "
    "partitions as for small ones.",
    _groups,
    (
        Goal(1.1, figure="moved / needed", absolute=True, group="has 600,000"),
        Goal(1.1, figure="moved / needed", absolute=True, group="one object of 600,000"),
    ),
    _serving,
)
