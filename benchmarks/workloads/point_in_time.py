"""Features of one view and of five views as they were known at the time of each fact."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import polars as pl

from benchmarks.data import cached
from benchmarks.workload import Goal, Group, Way, Workload

START = datetime(2024, 1, 1, tzinfo=UTC)
STEP = 3
"""Seconds between two rows of a view."""


def make(folder: Path, facts: int, rows: int, entities: int, views: int, matched: bool) -> None:
    """Facts, and the rows of every view: in the order of time, and of the first also in none.

    Args:
        folder: to write to.
        facts: how many of them; one of 400 is of an entity that no view knows, unless all are `matched`.
        rows: of each view.
        entities: how many have rows.
        views: how many.
        matched: whether each fact finds a row.
    """
    n = pl.int_range(rows, dtype=pl.Int64)
    start = pl.lit(START).dt.cast_time_unit("us")
    for view in range(views):
        made = pl.select(
            account=(n * 7919 + view * 31) % entities,
            at=start + pl.duration(microseconds=n * STEP * 1_000_000 + view),
            balance=(n * 104_729 % 99_991) / 100,
            share=(n % 17) / 17,
            visits=n % 1000,
            rate=(n * 31 % 7919) / 3,
            clicks=n % 12_345,
        )
        made.write_parquet(folder / f"in_order_{view}.parquet")
        if view == 0:
            made.sample(fraction=1.0, shuffle=True, seed=0).write_parquet(folder / f"in_none_{view}.parquet")
    f = pl.int_range(facts, dtype=pl.Int64)
    end = rows * STEP
    seconds = end // 2 + f * 65_537 * 30 % (end // 2) if matched else f * 65_537 * 30 % end
    pl.select(
        account=f * 7907 % (entities if matched else entities + entities // 400),
        at=start + pl.duration(seconds=seconds),
        label=f % 2,
        weight=(f % 101) / 3,
    ).write_parquet(folder / "facts.parquet")


def _groups(quick: bool) -> list[Group]:
    facts, rows, entities = (100_000, 1_000_000, 20_000) if quick else (1_000_000, 10_000_000, 200_000)
    data = cached(make, facts, rows, entities, 5, False)
    ways = (
        Way("by hand, join_asof(by=)", "by_hand_point_in_time:joined", args={"engine": "in-memory"}),
        Way("by hand, streaming engine", "by_hand_point_in_time:joined", args={"engine": "streaming"}),
        Way("contracts", "contracts_point_in_time:joined"),
        Way("DuckDB ASOF", "by_hand_point_in_time:joined_by_duckdb"),
    )
    size = f"{facts:,} facts, {rows:,} rows"
    feast = (
        *ways,
        Way("Feast, dask", "feast_point_in_time:joined", "feast", {"store": "dask"}),
        Way("Feast, duckdb", "feast_point_in_time:joined", "feast", {"store": "duckdb"}),
        Way("aligned", "aligned_point_in_time:joined", "aligned"),
    )
    few = (20_000, 200_000) if quick else (100_000, 1_000_000)
    small = cached(make, *few, 20_000, 1, True)
    one, five = {"order": "in_order", "views": 1}, {"order": "in_order", "views": 5}
    return [
        Group(f"one view in the order of time, {size}", ways, data, one),
        Group(f"one view in no order, {size}", ways, data, {"order": "in_none", "views": 1}),
        Group(f"five views in the order of time, {size}", ways, data, five),
        Group(f"one view, every fact finds a row, {few[0]:,} facts, {few[1]:,} rows", feast, small, one),
    ]


WORKLOAD = Workload(
    "point_in_time",
    "Point in time",
    "Five features of each view, as they were known at the time of each fact. By hand: facts and rows sorted by time, "
    "then one as-of join after the other; the rows come in the order of time, from the contracts in that of the facts. "
    "Feast and aligned take part in the last group only: Feast's default store leaves facts out that find no row.",
    _groups,
    (
        Goal(1.0),
        Goal(1.0, figure="cpu"),
        Goal(1.0, figure="peak"),
        Goal(0.1, base="Feast, dask"),
        Goal(0.1, base="Feast, dask", figure="cpu"),
    ),
)
