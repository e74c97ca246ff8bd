"""The pool of an asset is the connection at which it works."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest

from aligned_dagster import AwsS3Config, ContractStore, FileSource, Int64, PostgreSQLConfig, feature_view
from aligned_dagster.contracts.feature_view import FeatureView
from aligned_dagster.orchestration import ContractTranslator, build_definitions, produces

SHOP = PostgreSQLConfig(env_var="SHOP_URL")
LAKE = AwsS3Config(access_token_env="KEY", secret_token_env="SECRET", bucket_env="LAKE", region_env="REGION")
FILE = FileSource.parquet_at("orders.parquet")


def contract(name: str, source: Any, target: Any = None) -> FeatureView[Any]:
    @feature_view(name=name, source=source, materialized_source=target)
    class Orders:
        id = Int64().as_entity()

    return Orders  # type: ignore[return-value]  # the decorator makes it one


def pools(
    *views: FeatureView[Any], translator: ContractTranslator | None = None, **options: Any
) -> dict[str, Any]:
    """The pools of the assets of contracts, by the names of the contracts."""
    defs = build_definitions(ContractStore(views), translator, **options)
    return {view.name: defs.resolve_assets_def(view.name).op.pool for view in views}


def test_it_is_that_of_what_is_read() -> None:
    stored = contract("stored", SHOP.table("orders"), LAKE.parquet_at("stored.parquet"))
    seen = contract("seen", stored)
    assert pools(
        contract("files", FILE, FileSource.parquet_at("copy.parquet")),
        contract("copied", LAKE.parquet_at("orders.parquet"), FileSource.parquet_at("copied.parquet")),
        stored,
        seen,
        contract("again", seen, FileSource.parquet_at("again.parquet")),
        contract("virtual", SHOP.table("orders")),
    ) == {
        "files": None,
        "copied": "s3_LAKE",
        "stored": "postgres_SHOP_URL",
        "seen": "s3_LAKE",  # and not the database, which was read by the contract that it reads
        "again": "s3_LAKE",
        "virtual": "postgres_SHOP_URL",
    }


def test_a_database_that_is_written_to_comes_before_a_bucket_that_is_read() -> None:
    read = contract("read", LAKE.parquet_at("orders.parquet"), SHOP.table("read"))
    sent = contract("sent", FILE, LAKE.parquet_at("sent.parquet"))
    through = contract("through", contract("virtual", SHOP.table("raw")), LAKE.parquet_at("through.parquet"))
    assert pools(read, sent, through) == {
        "read": "postgres_SHOP_URL",
        "sent": None,
        "through": "postgres_SHOP_URL",
    }


def test_a_pool_that_somebody_states_is_the_one() -> None:
    view = contract("orders", SHOP.table("raw"), SHOP.table("orders"))

    @produces(view, pool="warehouse")
    def orders() -> pl.DataFrame:
        return pl.DataFrame({"id": [1]})

    class Unlimited(ContractTranslator):
        def get_pool(self, view: FeatureView[Any], inferred: str | None) -> str | None:
            assert inferred == "postgres_SHOP_URL"
            return None

    assert pools(view, assets=[orders]) == {"orders": "warehouse"}

    class Tagged(ContractTranslator):
        def get_op_tags(self, view: FeatureView[Any]) -> dict[str, Any]:
            return {"dagster/concurrency_key": "tagged"}

    assert pools(view, translator=Unlimited()) == {"orders": None}
    assert pools(view, translator=Tagged()) == {"orders": None}, "Dagster refuses two names"


def test_a_replaced_connection_keeps_its_pool(monkeypatch: pytest.MonkeyPatch) -> None:
    view = contract("orders", SHOP.table("raw"), SHOP.table("orders"))
    other = {"postgres_SHOP_URL": PostgreSQLConfig(env_var="OTHER_URL")}
    assert pools(view, resources=other) == {"orders": "postgres_SHOP_URL"}
