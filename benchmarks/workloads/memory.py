"""Memory as the file grows, and as it goes into many partitions."""

from __future__ import annotations

from benchmarks.data import cached
from benchmarks.workload import Goal, Group, Way, Workload
from benchmarks.workloads import sales

PARTITIONS = 1_825


def _groups(quick: bool) -> list[Group]:
    unit = 250_000 if quick else 2_000_000
    cells = {
        "by hand, sink, no checks": "by_hand_view:sink",
        "by hand, sink, then one select": "by_hand_view:sink_and_check",
        "contracts": "contracts_view:published",
    }
    ways = tuple(
        Way(
            f"{name}, {times} x",
            "growing:sized",
            args={"cell": cell, "times": times, "at": str(cached(sales.make, unit * times))},
        )
        for name, cell in cells.items()
        for times in (1, 4, 16)
    )
    parts = (
        Way("by hand", "growing:tree_by_hand"),
        Way("by hand, small row groups", "growing:tree_by_hand", args={"small": True}),
        Way("contracts", "contracts_view:tree"),
    )
    data = cached(sales.make, unit * 4)
    return [
        Group(f"one file, {unit:,} rows and more", ways, data, repeats=2),
        Group(f"{PARTITIONS:,} partitions, {unit * 4:,} rows", parts, data, {"parts": PARTITIONS}, repeats=2),
    ]


WORKLOAD = Workload(
    "memory",
    "Memory as the data grows",
    "The view of the first workload on a file of 1, 4 and 16 times the rows, and into 1,825 partitions. Looking for "
    "duplicates of a key has to remember the keys, by hand too.",
    _groups,
    (
        Goal(1.5, "contracts, 16 x", "contracts, 1 x", "peak"),
        Goal(1.1, "contracts, 16 x", "by hand, sink, then one select, 16 x", "peak"),
        Goal(1.0, base="by hand", figure="peak", group="partitions"),
    ),
)
