"""What an import costs beyond that of polars."""

from __future__ import annotations

from benchmarks.data import CACHE
from benchmarks.workload import Goal, Group, Way, Workload

MOST_MILLISECONDS = 150
USED = "feature_view,FileSource,Int64,String,Float,EventTimestamp,ContractStore"
"""The names that a first contract takes."""


def _groups(quick: bool) -> list[Group]:
    def way(name: str, *modules: str, peer: str | None = None) -> Way:
        return Way(name, "imports:imported", peer, {"modules": ["polars", *modules]})

    ways = (
        way("polars"),
        way("contracts", f"aligned_dagster:{USED}"),
        way("contracts, no name taken", "aligned_dagster"),
        way("pydantic", "pydantic"),
        way("pandera", "pandera.polars"),
        way("dataframely", "dataframely", peer="dataframely"),
        way("aligned", "aligned", peer="aligned"),
        way("dagster", "dagster"),
        way("contracts, Dagster's definitions", "aligned_dagster.orchestration.definitions"),
    )
    return [Group("import", ways, CACHE, repeats=3 if quick else 20)]


WORKLOAD = Workload(
    "imports",
    "Import",
    "`import polars`, and then the package, in a process that has imported nothing else; bytecode is compiled already.",
    _groups,
    (
        Goal(MOST_MILLISECONDS, figure="ms beyond polars", absolute=True),
        Goal(MOST_MILLISECONDS, figure="processor ms beyond polars", absolute=True),
    ),
)
