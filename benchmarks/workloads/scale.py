"""Rows that are larger than the memory there is, on one machine."""

from __future__ import annotations

from benchmarks.cells import scale_rows
from benchmarks.data import cached
from benchmarks.workload import Group, Way, Workload

_MEMORY = 2_560 << 20


def _groups(quick: bool) -> list[Group]:
    number, parts = (200_000, 4) if quick else (24_000_000, 48)
    data = cached(scale_rows.make, number, parts)
    limit = 0 if quick else _MEMORY
    ways = (
        Way("by hand, sink, no checks", "scaling:sink"),
        Way("by hand, in memory", "scaling:in_memory"),
        Way("contracts", "scaling:published"),
        Way(
            "contracts, Spark with a heap of 1 GiB",
            "scaling:published",
            args={"engine": "spark", "heap": "1g"},
        ),
    )
    told = "all memory" if quick else f"{limit >> 20:,} MiB of memory"
    tree = (ways[2], ways[3])
    return [
        Group(
            f"one file, {number:,} rows, {told}",
            ways,
            data,
            {"partitions": False, "limit": limit},
            most_seconds=900,
        ),
        Group(
            f"{parts} partitions, {number:,} rows, {told}",
            tree,
            data,
            {"partitions": True, "limit": limit},
            most_seconds=900,
        ),
    ]


WORKLOAD = Workload(
    "scale",
    "Rows larger than memory",
    "Rows of 26 columns that polars would hold in 5.6 GB are read, get five derived columns and 24 rules checked, a key among "
    "them, and are written, in a control group of less memory: whoever asks the kernel for more is killed. On Spark all "
    "processes, that of Java too, are in the group, and their seconds are told beside those of the first one.",
    _groups,
)
