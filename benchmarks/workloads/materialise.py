"""What it costs that an asset is a contract: a run in this process, and one by Dagster's command line."""

from __future__ import annotations

from benchmarks.cells.bare_dagster import TIMES
from benchmarks.data import cached
from benchmarks.workload import Goal, Group, Way, Workload
from benchmarks.workloads import sales


def _groups(quick: bool) -> list[Group]:
    def ways(function: str) -> tuple[Way, ...]:
        return (
            Way("bare asset, no checks", f"bare_dagster:{function}"),
            Way("bare asset, ten checks", f"bare_dagster:{function}", args={"checks": 10}),
            Way("bare asset, twenty checks", f"bare_dagster:{function}", args={"checks": 20}),
            Way("contracts", f"contracts_dagster:{function}"),
        )

    groups = []
    for rows in (1_000,) if quick else (1_000, 4_000_000):
        data = cached(sales.make, rows)
        groups.append(Group(f"{TIMES} runs in one process, {rows:,} rows", ways("in_process"), data))
        groups.append(Group(f"a whole run, {rows:,} rows", ways("launched"), data))
    return groups


WORKLOAD = Workload(
    "materialise",
    "One asset's materialisation",
    "The view of the first workload as an asset: in a process that has run it once before, and by `dagster asset "
    "materialize`, imports included. The bare asset sinks and renames; the one with checks has a look at what it wrote "
    "and yields ten results, or twenty: the ten rules of the contract, and no null in eight columns, "
    "one row for each key, the columns, which a contract checks too.",
    _groups,
    (
        Goal(1.1, group="a whole run"),
        Goal(1.1, group="a whole run", figure="cpu"),
        Goal(1.1, base="bare asset, ten checks"),
        Goal(1.1, base="bare asset, ten checks", figure="cpu"),
        Goal(1.1, base="bare asset, twenty checks"),
        Goal(1.1, base="bare asset, twenty checks", figure="cpu"),
    ),
)
