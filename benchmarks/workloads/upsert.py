"""Some rows in place of those of the same key, in a tree of 365 partitions."""

from __future__ import annotations

from benchmarks.data import cached
from benchmarks.workload import Goal, Group, Way, Workload
from benchmarks.workloads import trees

PARTITIONS = 365


def _groups(quick: bool) -> list[Group]:
    rows = 1_000_000 if quick else 10_000_000
    data = cached(trees.make, rows, PARTITIONS)
    ways = (
        Way("by hand", "by_hand_trees:upsert"),
        Way("contracts", "contracts_trees:upsert"),
        Way("contracts, key without the partition", "contracts_trees:upsert", args={"part_in_key": False}),
        Way("aligned", "aligned_trees:upsert", "aligned"),
    )
    return [
        Group(f"1 % of {rows:,} rows, in all {PARTITIONS} partitions", ways, data, {"new": "new.parquet"}),
        Group(
            f"a tenth of 4 of {PARTITIONS} partitions of {rows:,} rows", ways, data, {"new": "late.parquet"}
        ),
    ]


WORKLOAD = Workload(
    "upsert",
    "Upsert into 365 partitions",
    "New rows take the place of those of the same key. By hand: the partitions that change are read, joined, written "
    "aside and swapped, one after the other. Contracts also audit the new rows, and swap so that a reader or a crash "
    "sees all of it or nothing. Where the partition is not part of the key, an old row of the same key may be in any "
    "partition: contracts look there too, the others do not. aligned removes the partitions before it writes them; it "
    "runs on polars 1.",
    _groups,
    (
        Goal(0.2, base="aligned"),
        Goal(0.2, base="aligned", figure="cpu"),
        Goal(1.25),
        Goal(1.25, figure="cpu"),
    ),
)
