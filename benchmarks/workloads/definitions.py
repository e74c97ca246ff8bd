"""Many contracts as a code location, beside as many bare assets."""

from __future__ import annotations

from pathlib import Path

from benchmarks.data import cached
from benchmarks.workload import Goal, Group, Way, Workload

CHECKS = 11
"""How many a contract of `make` has."""

_BARE = """import dagster as dg


def _made(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
    return dg.MaterializeResult()


assets = [dg.asset(name="view_{n}", deps={deps}, check_specs=[{checks}])(_made){more}]
"""
_CONTRACT = '''from aligned_dagster import EventTimestamp, FileSource, Float, Int64, String, feature_view


@feature_view(
    source=FileSource.parquet_at("raw/{n}.parquet"),
    materialized_source=FileSource.parquet_at("data/{n}.parquet"),
)
class View{n}:
    """The rows of number {n}."""

    id = Int64().as_entity()
    at = EventTimestamp()
    state = String().accepted_values(["open", "sent"])
    quantity = Int64().lower_bound(1).upper_bound(12)
    price = Float().lower_bound(0)

    total = price * quantity
    is_large = price >= 500
'''


def make(folder: Path, number: int) -> None:
    """A file for each contract, for each bare asset with one check, and for each with as much as a contract has."""
    for kind in ("contracts", "one_check", "alike"):
        (folder / kind).mkdir()
    for n in range(number):
        checks = [f'dg.AssetCheckSpec("check_{k}", asset="view_{n}")' for k in range(CHECKS)]
        more = f', dg.observable_source_asset(name="raw_{n}")(lambda: dg.DataVersion("1"))'
        (folder / "contracts" / f"view_{n}.py").write_text(_CONTRACT.format(n=n))
        bare = _BARE.format(n=n, deps="[]", checks=checks[0], more="")
        (folder / "one_check" / f"view_{n}.py").write_text(bare)
        alike = _BARE.format(n=n, deps=f'["raw_{n}"]', checks=", ".join(checks), more=more)
        (folder / "alike" / f"view_{n}.py").write_text(alike)


def _groups(quick: bool) -> list[Group]:
    ways = (
        Way("bare assets, one check each", "loading:bare", args={"files": "one_check"}),
        Way("bare assets, as many checks and sources", "loading:bare", args={"files": "alike"}),
        Way("contracts", "loading:contracts"),
    )
    sizes = (100,) if quick else (100, 1_000, 5_000)
    return [
        Group(f"{number:,} contracts", ways, cached(make, number), repeats=2 if number > 1_000 else None)
        for number in sizes
    ]


WORKLOAD = Workload(
    "definitions",
    "Loading a code location",
    "From the import of as many files to the serialised description that the host of the code location gets; imports of "
    "Dagster and of the package apart, bytecode compiled by the first round.",
    _groups,
    (
        Goal(1.5, group="1,000"),
        Goal(1.5, group="1,000", figure="cpu"),
        Goal(1.5, base="bare assets, as many checks and sources", figure="cpu"),
    ),
)
