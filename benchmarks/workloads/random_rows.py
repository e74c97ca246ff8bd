"""A million made-up rows that keep their rules."""

from __future__ import annotations

from benchmarks.data import CACHE
from benchmarks.workload import Group, Way, Workload


def _groups(quick: bool) -> list[Group]:
    rows = 100_000 if quick else 1_000_000
    ways = (
        Way("by hand, numpy", "random_rows:by_hand"),
        Way("contracts", "random_rows:contracts"),
        Way("dataframely", "dataframely_random:sampled", "dataframely"),
    )
    return [Group(f"{rows:,} rows", ways, CACHE, {"rows": rows})]


WORKLOAD = Workload(
    "random_rows",
    "Made-up rows",
    "A unique key, a choice, three numbers within bounds and a text of a pattern. Only the number of rows is compared. Of "
    "contracts the same seed gives the same rows everywhere, and what stands beside a key depends on the key.",
    _groups,
)
