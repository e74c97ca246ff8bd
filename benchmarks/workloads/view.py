"""A view over Parquet: scan, five derivations, ten constraints, audit, publish."""

from __future__ import annotations

from benchmarks.data import cached
from benchmarks.workload import Goal, Group, Way, Workload
from benchmarks.workloads import sales


def _groups(quick: bool) -> list[Group]:
    rows = 1_000_000 if quick else 8_000_000
    ways = (
        Way("by hand, sink, no checks", "by_hand_view:sink"),
        Way("by hand, sink, then one select", "by_hand_view:sink_and_check"),
        Way("contracts", "contracts_view:published"),
        Way("contracts, as a Dagster asset", "contracts_view:asset"),
        Way("dagster-polars asset, no checks", "dagster_polars_view:asset", "dagster_polars"),
        Way("dataframely", "dataframely_view:validated", "dataframely"),
        Way("pandera", "pandera_view:validated"),
        Way("aligned", "aligned_view:published", "aligned"),
    )
    return [Group(f"{rows:,} rows", ways, cached(sales.make, rows))]


WORKLOAD = Workload(
    "view",
    "A view over Parquet",
    "Scan, five derived columns, ten constraints, audit, publish. By hand: `scan_parquet`, `with_columns`, "
    "`sink_parquet` and no look at the rows; then the same and one `select` that counts what is wrong, duplicate keys "
    "too. dataframely and pandera collect, validate and write. dagster-polars runs on polars 1.",
    _groups,
    (
        Goal(1.25),
        Goal(1.25, figure="cpu"),
        Goal(1.5, figure="peak"),
        Goal(1.0, base="by hand, sink, then one select"),
    ),
)
