"""One raw source changes: what is downstream of it is materialised by the daemon, and nothing else."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from aligned_dagster.orchestration.automation import SENSOR as AUTOMATION
from aligned_dagster.orchestration.observation import SENSOR as OBSERVATION
from tools.servers.postgres import PostgresServer
from tools.servers.s3 import S3Server

from .running import Daemon, command, environment

CONTRACTS = '''
import dagster as dg

from aligned_dagster import AwsS3Config, FileSource, Float, Int32, PostgreSQLConfig, feature_view

shop = PostgreSQLConfig(env_var="SHOP_URL")
bucket = AwsS3Config(
    access_token_env="SHOP_KEY", secret_token_env="SHOP_SECRET", bucket_env="SHOP_BUCKET",
    region_env="SHOP_REGION", endpoint_url="ENDPOINT",
)
orders_csv = FileSource.csv_at("raw/orders.csv")


def stored(name):
    return FileSource.parquet_at(f"stored/{name}.parquet")


@feature_view(source=orders_csv, materialized_source=stored("orders"), automation="eager", schedule="0 6 * * *")
class Orders:
    """Follows the CSV file."""

    id = Int32().as_entity()
    item = Int32()
    amount = Float()


@feature_view(source=Orders, materialized_source=stored("totals"), automation="eager")
class Totals:
    """Two steps down from the CSV file."""

    item = Int32().as_entity()
    amount = Float()
    spent = amount.aggregate().sum()


@feature_view(source=orders_csv, materialized_source=stored("ledger"))
class Ledger:
    """Follows nothing."""

    id = Int32().as_entity()
    amount = Float()


@feature_view(
    source=orders_csv, materialized_source=stored("audit"), automation=dg.AutomationCondition.eager()
)
class Audit:
    """Follows the CSV file by a condition of Dagster's own."""

    id = Int32().as_entity()


@feature_view(source=bucket.csv_at("prices.csv"))
class Euros:
    """Stored nowhere."""

    item = Int32().as_entity()
    price = Float()
    in_crowns = price * 11.5


@feature_view(source=Euros, materialized_source=stored("prices"), automation="eager")
class Prices:
    """Follows the S3 object through a virtual view."""

    item = Int32().as_entity()
    in_crowns = Float()


@feature_view(source=shop.table("stock"), materialized_source=stored("stock"), automation="eager")
class Stock:
    """Follows the PostgreSQL table."""

    item = Int32().as_entity()
    number = Int32()


@feature_view(
    source=Stock.join(Prices, on="item"), materialized_source=stored("worth"), automation="eager"
)
class Worth:
    """Follows the table and, two steps down, the object."""

    item = Int32().as_entity()
    number = Int32()
    in_crowns = Float()
    worth = number * in_crowns
'''
DEFINITIONS = '''
"""The project's definitions; the sensor of Dagster looks every second in place of every half minute."""

import dagster as dg

from aligned_dagster import definitions


def _quick(project: dg.Definitions) -> dg.Definitions:
    [found] = [sensor for sensor in project.sensors if sensor.name == "contracts_automation"]
    sensor = dg.AutomationConditionSensorDefinition(
        found.name,
        target=found.asset_selection,
        default_status=found.default_status,
        minimum_interval_seconds=1,
    )
    return dg.Definitions(
        assets=project.assets,
        asset_checks=project.asset_checks,
        schedules=project.schedules,
        sensors=[sensor, *(other for other in project.sensors if other is not found)],
        resources=project.resources,
        executor=project.executor,
    )


defs = _quick(definitions.defs)
'''
SETTINGS = """
[tool.aligned_dagster]
contracts = "contracts.py"
definitions = "quick_definitions"
automation = "running"

[tool.aligned_dagster.observe_every]
default = 1
"""
CSV = "id,item,amount\n1,10,5.5\n2,11,7\n"
PRICES = "item,price\n10,1.5\n11,2\n"


@dataclass
class Shop:
    """A project that was materialised once, with its daemon."""

    daemon: Daemon
    root: Path
    put: Callable[[str], object]
    execute: Callable[[str], object]

    def changed_by(self, change: Callable[[], object], expected: set[str]) -> Counter[str]:
        """How often each asset is materialised after a change, until nothing more is."""
        before = self.daemon.materialized()
        change()
        self.daemon.wait_until(
            f"{expected} are materialised", lambda: expected <= (self.daemon.materialized() - before).keys()
        )
        self.daemon.wait_for_ticks(2, OBSERVATION, AUTOMATION)
        return self.daemon.materialized() - before


@pytest.fixture(scope="module")
def shop(
    tmp_path_factory: pytest.TempPathFactory,
    postgres: PostgresServer,
    s3_conditional: S3Server,
    daemon: Callable[..., Daemon],
) -> Iterator[Shop]:
    root = tmp_path_factory.mktemp("shop").resolve()
    (root / "raw").mkdir()
    (root / "raw" / "orders.csv").write_text(CSV, "utf-8")
    (root / "contracts.py").write_text(CONTRACTS.replace("ENDPOINT", s3_conditional.endpoint), "utf-8")
    (root / "quick_definitions.py").write_text(DEFINITIONS, "utf-8")
    (root / "pyproject.toml").write_text(SETTINGS, "utf-8")
    database = postgres.new_database()
    name = database.rpartition("/")[2]

    def execute(sql: str) -> object:
        return postgres.execute(sql, database=name)

    execute("CREATE TABLE stock (item int PRIMARY KEY, number int NOT NULL)")
    execute("INSERT INTO stock VALUES (10, 3), (11, 4)")
    bucket, client = s3_conditional.new_bucket(), s3_conditional.client()

    def put(text: str) -> object:
        return client.put_object(Bucket=bucket, Key="prices.csv", Body=text.encode())

    put(PRICES)
    variables = {
        "SHOP_URL": database,
        "SHOP_KEY": s3_conditional.access_key,
        "SHOP_SECRET": s3_conditional.secret_key,
        "SHOP_BUCKET": bucket,
        "SHOP_REGION": s3_conditional.region,
    }
    command(root, environment(root, **variables), "materialize")
    started = daemon(root, "--module-name", "quick_definitions", **variables)
    started.wait_for_ticks(2, OBSERVATION, AUTOMATION)
    yield Shop(started, root, put, execute)
    client.close()


def test_nothing_runs_that_is_up_to_date(shop: Shop) -> None:
    made = shop.daemon.materialized()
    assert {name for name in made if made[name]} == {
        "orders", "totals", "ledger", "audit", "euros", "prices", "stock", "worth",
    }  # fmt: skip
    assert set(made.values()) <= {0, 1}


def test_a_file_that_changes_runs_what_follows_it(shop: Shop) -> None:
    found = shop.changed_by(
        lambda: (shop.root / "raw" / "orders.csv").write_text(CSV + "3,12,1\n", "utf-8"),
        {"orders", "totals", "audit"},
    )
    assert found == {"orders": 1, "totals": 1, "audit": 1}


def test_an_object_that_changes_runs_what_follows_it_through_a_virtual_view(shop: Shop) -> None:
    found = shop.changed_by(lambda: shop.put(PRICES + "12,3\n"), {"prices", "worth"})
    assert found == {"prices": 1, "worth": 1}


def test_a_table_that_changes_runs_what_follows_it(shop: Shop) -> None:
    found = shop.changed_by(lambda: shop.execute("INSERT INTO stock VALUES (12, 5)"), {"stock", "worth"})
    assert found == {"stock": 1, "worth": 1}


def test_the_same_content_again_runs_nothing(shop: Shop) -> None:
    file = shop.root / "raw" / "orders.csv"

    def again() -> None:
        file.write_bytes(file.read_bytes())
        os.utime(file, (2_000_000_000, 2_000_000_000))
        shop.put(PRICES + "12,3\n")
        shop.execute("UPDATE stock SET number = 9 WHERE item = 99")
        shop.execute("ANALYZE stock")

    assert not shop.changed_by(again, set())


def test_what_is_on_from_the_start_is_running(shop: Shop) -> None:
    names = {AUTOMATION, OBSERVATION, "contracts_daily_at_06_00"}
    shop.daemon.wait_until("all are known", lambda: all(shop.daemon.state_of(name) for name in names))
    states = [shop.daemon.state_of(name) for name in names]
    assert all(state is not None and state.is_running for state in states)
