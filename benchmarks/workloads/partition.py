"""Two columns of one of a thousand partitions."""

from __future__ import annotations

from benchmarks.data import cached
from benchmarks.workload import Goal, Group, Way, Workload
from benchmarks.workloads import trees

PARTITIONS, WANTED = 1_000, 617


def _groups(quick: bool) -> list[Group]:
    rows = 1_000_000 if quick else 5_000_000
    ways = (
        Way("by hand, filter on the tree", "by_hand_trees:one_partition"),
        Way("by hand, the file by its name", "by_hand_trees:one_file"),
        Way("contracts", "contracts_trees:one_partition"),
        Way("DuckDB", "by_hand_trees:one_partition_by_duckdb"),
        Way("aligned", "aligned_trees:one_partition", "aligned"),
    )
    data = cached(trees.make, rows, PARTITIONS)
    return [Group(f"1 of {PARTITIONS:,} partitions of {rows:,} rows", ways, data, {"part": WANTED})]


WORKLOAD = Workload(
    "partition",
    "One of a thousand partitions",
    "Two of 13 columns of one Hive partition of a tree in the file system, for whoever asks once.",
    _groups,
    (Goal(1.1), Goal(1.1, figure="cpu")),
)
