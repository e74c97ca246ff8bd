"""The audit of ten constraints beside one `select` that counts the same."""

from __future__ import annotations

from benchmarks.data import cached
from benchmarks.workload import Goal, Group, Way, Workload
from benchmarks.workloads import sales


def _groups(quick: bool) -> list[Group]:
    rows = 1_000_000 if quick else 8_000_000
    data = cached(sales.make, rows)
    ways = (
        Way("by hand, one select, key too", "by_hand_view:check", args={"key": True}),
        Way("by hand, one select, ten rules", "by_hand_view:check"),
        Way("contracts", "contracts_view:audited"),
        Way("pandera", "pandera_view:check", args={"key": True}),
        Way("dataframely", "dataframely_view:check", "dataframely"),
    )
    return [
        Group(f"{rows:,} rows of a file", ways, data, {"in_memory": False}),
        Group(f"{rows:,} rows in memory", ways, data, {"in_memory": True}),
    ]


WORKLOAD = Workload(
    "audit",
    "Audit of ten constraints",
    "Ten rules on eight columns. Ours, pandera and dataframely also look for nulls and for duplicates of the key, and so "
    "does the first way; ours also takes the least, greatest, mean and deviation of each number.",
    _groups,
    (Goal(1.2), Goal(1.2, figure="cpu")),
)
