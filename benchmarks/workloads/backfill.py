"""The days of a year, as a run for each and as one."""

from __future__ import annotations

from benchmarks.data import cached
from benchmarks.workload import Goal, Group, Way, Workload
from benchmarks.workloads import sales


def _groups(quick: bool) -> list[Group]:
    days, rows = (5, 100_000) if quick else (365, 1_000_000)
    data = cached(sales.make, rows)
    ways = (
        Way("bare asset, no checks", "bare_dagster:backfill"),
        Way("contracts", "contracts_dagster:backfill"),
    )
    return [
        Group(
            f"{days} days in one run, {rows:,} rows",
            ways,
            data,
            {"days": days, "one_run": True},
            most_seconds=600,
        ),
        Group(
            f"{days} days in {days} runs, {rows:,} rows",
            ways,
            data,
            {"days": days, "one_run": False},
            repeats=1,
            most_seconds=1_800,
        ),
    ]


WORKLOAD = Workload(
    "backfill",
    "A backfill of 365 days",
    "Daily windows of sales into a directory each, run in one process. The bare asset filters, derives, sinks by day and "
    "renames; nothing is checked.",
    _groups,
    (Goal(1.25), Goal(1.25, figure="cpu")),
)
