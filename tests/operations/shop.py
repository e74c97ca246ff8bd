"""The project that is killed: orders in a file, by region in a tree, readings by day, sales in a database."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from aligned_dagster import ContractStore
from aligned_dagster.contracts.publish import publish

CONTRACTS = """
from datetime import date
from pathlib import Path

from aligned_dagster import EventTimestamp, FileSource, Int64, PostgreSQLConfig, String, feature_view

HERE = Path(__file__).parent
stored = FileSource.directory(str(HERE / "stored"))
database = PostgreSQLConfig(env_var="PSQL_DB_URL")


@feature_view(
    name="orders",
    source=FileSource.csv_at(str(HERE / "orders.csv")),
    materialized_source=stored.parquet_at("orders.parquet"),
)
class Orders:
    id = Int64().as_entity()
    region = String().accepted_values(["north", "south", "west"])
    amount = Int64()


@feature_view(
    name="regions",
    source=Orders,
    materialized_source=stored.partitioned_parquet_at("regions", partition_keys=["region"]),
)
class Regions:
    id = Int64().as_entity()
    region = String().accepted_values(["north", "south", "west"])
    amount = Int64()


@feature_view(name="totals", source=Regions, materialized_source=stored.parquet_at("totals.parquet"))
class Totals:
    id = Int64().as_entity()
    amount = Int64()
    doubled = amount * 2


@feature_view(
    name="prices",
    source=Orders,
    materialized_source=FileSource.directory(str(HERE / "stored"))
    .with_schema_version("prices")
    .parquet_at("prices.parquet"),
)
class Prices:
    id = Int64().as_entity()
    amount = Int64()


@feature_view(
    name="readings",
    source=FileSource.csv_at(str(HERE / "readings.csv")),
    materialized_source=stored.parquet_at("readings.parquet"),
    materialize_from=date(2024, 1, 1),
    every="daily",
)
class Readings:
    id = Int64().as_entity()
    at = EventTimestamp()


@feature_view(name="sales", source=Orders, materialized_source=database.table("sales"))
class Sales:
    id = Int64().as_entity()
    amount = Int64()


@feature_view(name="sums", source=Sales, materialized_source=database.table("sums"))
class Sums:
    id = Int64().as_entity()
    amount = Int64()
    doubled = amount * 2
"""
DEFINITIONS = """
from pathlib import Path

import dagster as dg
import stopping
from aligned_dagster.orchestration import ContractTranslator, build_definitions
from aligned_dagster.orchestration.project import ProjectSettings


class OneRunForEach(ContractTranslator):
    def get_backfill_policy(self, view):
        return dg.BackfillPolicy.multi_run() if view.name == "readings" else super().get_backfill_policy(view)


stopping.arm(Path(__file__).parent)
defs = build_definitions(
    ProjectSettings.find().load_store(), OneRunForEach(), executor=dg.in_process_executor
)
"""
SETTINGS = """
telemetry:
  enabled: false
freshness:
  enabled: false
run_queue:
  dequeue_interval_seconds: 1
  max_concurrent_runs: 2
run_launcher:
  module: aligned_dagster.orchestration.run_launcher
  class: WatchedRunLauncher
run_monitoring:
  enabled: true
  poll_interval_seconds: 1
run_retries:
  enabled: true
  max_retries: 0
  retry_on_asset_or_op_failure: false
"""
REGIONS = ("north", "south", "west")
DAYS = [f"2024-01-0{day}" for day in range(1, 5)]
READINGS_A_DAY = 4
ALL_REGIONS = {
    "dagster/asset_partition_range_start": REGIONS[0],
    "dagster/asset_partition_range_end": REGIONS[-1],
}


def write_shop(project: Path) -> None:
    """Write its contracts, its definitions and its first rows."""
    (project / "contracts.py").write_text(CONTRACTS, "utf-8")
    (project / "definitions.py").write_text(DEFINITIONS, "utf-8")
    write_orders(project, 1)
    readings = [f"{n},{DAYS[n % len(DAYS)]}T12:00:00Z" for n in range(READINGS_A_DAY * len(DAYS))]
    (project / "readings.csv").write_text("\n".join(["id,at", *readings]), "utf-8")


def write_orders(project: Path, amount: int) -> None:
    """Let every order be of this amount."""
    rows = [f"{n},{REGIONS[n % 3]},{amount}" for n in range(30)]
    (project / "orders.csv").write_text("\n".join(["id,region,amount", *rows]), "utf-8")


def publish_all(project: Path) -> None:
    """Publish what contracts hold, so that there are old rows."""
    store = ContractStore.discover(str(project / "contracts.py"))
    for name in ("orders", "regions", "totals", "sales", "sums", "prices"):
        publish(store.views[name])


def amount_of(rows: pl.DataFrame) -> int:
    """The amount of all orders, none of which is missing or there twice."""
    assert sorted(rows["id"]) == list(range(30))
    [amount] = rows["amount"].unique()
    return int(amount)
