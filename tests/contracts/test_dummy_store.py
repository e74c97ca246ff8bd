"""A store on made-up rows: no source is touched, keys join, and the whole graph runs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from aligned_dagster import (
    ContractStore,
    EventTimestamp,
    FileSource,
    Float,
    Int32,
    RandomDataSource,
    String,
    feature_view,
    rule,
)
from aligned_dagster.errors import AlignedError
from aligned_dagster.sources.random_source import RandomDataSource as Random


def untouchable(request: Any) -> pl.LazyFrame:
    raise AssertionError("a source was touched")


@feature_view(source=untouchable)
class Customer:
    customer_id = Int32().as_entity()
    country = String().accepted_values(["no", "se"])
    age = Int32().bounded_between(18, 99)


@feature_view(source=FileSource.csv_at("nowhere.csv"))
class Country:
    code = String().as_entity().accepted_values(["no", "se", "dk"])
    name = String()


@feature_view(
    source=FileSource.parquet_at("nowhere.parquet"),
    materialized_source=FileSource.parquet_at("nowhere/orders.parquet"),
)
class Orders:
    order_id = Int32().as_entity()
    at = EventTimestamp()
    customer_id = Int32().reference_to(Customer().customer_id)
    country = String().reference_to(Country().code)
    amount = Float().lower_bound(0)
    weight = Float()
    is_large = amount > 500
    heavy = rule(weight < amount)


@feature_view(
    source=Orders.join(Customer, on="customer_id"), materialized_source=FileSource.parquet_at("x.parquet")
)
class Sales:
    order_id = Int32().as_entity()
    at = EventTimestamp()
    customer_id = Int32()
    age = Int32()
    amount = Float()
    per_year = amount / age


@feature_view(source=Random.with_values({"id": [7]}))
class Fixed:
    id = Int32().as_entity()
    name = String()


STORE = ContractStore([Sales, Orders, Customer, Country, Fixed])


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_every_contract_passes_its_audit_and_nothing_is_touched(tmp_path: Path) -> None:
    store = STORE.dummy_store(rows=300)
    assert list(store.views) == list(STORE.views)
    for name in store.views:
        report = store.feature_view(name).all().audit()
        assert report.passed, str(report)
    assert store.view("orders").is_virtual
    assert store.view("orders").raw_sources == (
        RandomDataSource(default_data_size=300, seed=0, exact_size=False),
    )
    assert STORE.view("orders").materialized_source is not None
    assert list(tmp_path.iterdir()) == []


def test_keys_join() -> None:
    store = STORE.dummy_store(rows=300)
    sales = store.feature_view("sales").all().collect()
    assert sales.height == 300
    customers = store.feature_view("customer").all().collect()
    both = sales.join(customers, on="customer_id")
    assert (both["age"] == both["age_right"]).all()
    found = store.execute_sql("SELECT count(*) AS n FROM sales JOIN country ON true").collect()
    assert found["n"].item() == 900


def test_fewer_rows_where_the_key_has_few_values() -> None:
    assert sorted(STORE.dummy_store().feature_view("country").all().collect()["code"]) == ["dk", "no", "se"]


def test_given_values_stay() -> None:
    assert STORE.dummy_store(seed=3).feature_view("fixed").all().collect()["id"].to_list() == [7]


def test_the_seed_decides() -> None:
    def orders(seed: int) -> pl.DataFrame:
        rows: pl.DataFrame = STORE.dummy_store(seed, 50).feature_view("orders").all().collect()
        return rows

    assert orders(1).equals(orders(1))
    assert not orders(1).equals(orders(2))


def test_features_for() -> None:
    store = STORE.dummy_store(rows=20)
    found = store.feature_view("customer").features_for({"customer_id": [3, 99, 3]}).collect()
    assert found["age"].is_between(18, 99).all()
    assert found.row(0) == found.row(2)


def test_json_round_trip() -> None:
    store = ContractStore([Orders, Customer, Country]).dummy_store(rows=30)
    again = ContractStore.from_json(store.to_json())
    assert again.feature_view("orders").all().collect().equals(store.feature_view("orders").all().collect())


def test_a_project_runs_on_dummy_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "pyproject.toml").write_text('[tool.aligned_dagster]\ncontracts = "contracts/*.py"\n')
    (tmp_path / "contracts").mkdir()
    (tmp_path / "contracts" / "shop.py").write_text(
        "from aligned_dagster import FileSource, Float, Int32, feature_view\n"
        "@feature_view(source=FileSource.csv_at('no.csv'), materialized_source=FileSource.parquet_at('out.parquet'))\n"
        "class Shop:\n"
        "    id = Int32().as_entity()\n"
        "    sales = Float().lower_bound(0)\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "aligned_dagster.cli", "dummy"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1,000 rows" in done.stdout
    assert sorted(p.name for p in tmp_path.iterdir()) == ["contracts", "pyproject.toml"]

    from aligned_dagster.orchestration.project import ProjectSettings

    monkeypatch.setenv("ALIGNED_DUMMY", "1")
    assert ProjectSettings.find().load_store().feature_view("shop").all().collect().height == 1_000
    monkeypatch.setenv("ALIGNED_DUMMY", "0")
    with pytest.raises(AlignedError, match=r"no\.csv"):
        ProjectSettings.find().load_store().view("shop").compute().collect()
