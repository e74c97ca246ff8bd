"""A raw object in a bucket is an external asset that is observed: its etag is its data version."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import dagster as dg
import polars as pl
import pytest

from aligned_dagster import (
    AwsS3Config,
    AzureBlobConfig,
    ContractStore,
    FileSource,
    Float,
    Int32,
    feature_view,
)
from aligned_dagster.orchestration import build_definitions
from aligned_dagster.sources.source import DataSource
from tools.servers.azure import AzuriteServer
from tools.servers.s3 import S3Server

KEY = dg.AssetKey(["raw", "sales.csv"])


@dataclass
class Raw:
    """A bucket or container, what puts an object into it, and the etag that its server tells of one."""

    config: AwsS3Config | AzureBlobConfig
    url: str
    put: Callable[[str, bytes], object]
    etag: Callable[[str], str]
    secret: str


def in_s3(server: S3Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[Raw]:
    monkeypatch.setenv("SHOP_KEY", server.access_key)
    monkeypatch.setenv("SHOP_SECRET", server.secret_key)
    bucket, client = server.new_bucket(), server.client()
    config = AwsS3Config(
        access_token_env="SHOP_KEY",
        secret_token_env="SHOP_SECRET",
        bucket=bucket,
        region=server.region,
        endpoint_url=server.endpoint,
    )
    yield Raw(
        config,
        f"s3://{bucket}",
        lambda key, body: client.put_object(Bucket=bucket, Key=key, Body=body),
        lambda key: client.head_object(Bucket=bucket, Key=key)["ETag"].strip('"'),
        server.secret_key,
    )
    client.close()


def in_azure(server: AzuriteServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Raw]:
    monkeypatch.setenv("SHOP_KEY", server.key)
    container = server.new_container()
    config = AzureBlobConfig(
        account_name=server.account,
        account_key_env="SHOP_KEY",
        container=container,
        endpoint_url=server.endpoint,
    )
    with server.client() as client:
        yield Raw(
            config,
            f"az://{container}",
            lambda key, body: client.get_blob_client(container, key).upload_blob(body, overwrite=True),
            lambda key: client.get_blob_client(container, key).get_blob_properties().etag.strip('"'),
            server.key,
        )


@pytest.fixture(params=["s3", "azure"])
def raw(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Raw]:
    if request.param == "s3":
        yield from in_s3(request.getfixturevalue("s3"), monkeypatch)
    else:
        yield from in_azure(request.getfixturevalue("azurite"), monkeypatch)


def store(source: Any, target: str) -> ContractStore:
    @feature_view(source=source, materialized_source=FileSource.parquet_at(target))
    class Sales:
        id = Int32().as_entity()
        amount = Float()

    return ContractStore([Sales])


def parquet(*amounts: float) -> bytes:
    sink = io.BytesIO()
    rows = pl.DataFrame({"id": range(len(amounts)), "amount": amounts})
    rows.with_columns(pl.col("id").cast(pl.Int32)).write_parquet(sink)
    return sink.getvalue()


def test_an_object_is_observed_by_its_etag(raw: Raw, run: Any, instance: dg.DagsterInstance, tmp_path: Any):
    raw.put("in/sales.csv", b"id,amount\n1,2.5\n")
    defs = build_definitions(store(raw.config.csv_at("in/sales.csv"), str(tmp_path / "sales.parquet")))
    node = defs.resolve_asset_graph().get(KEY)
    assert node.is_observable
    assert node.is_external
    assert node.metadata["dagster/uri"] == f"{raw.url}/in/sales.csv"

    def observed() -> tuple[str, dict[str, Any]]:
        assert run(defs, "raw/sales.csv").success
        event = instance.fetch_observations(KEY, limit=1).records[0].asset_observation
        assert event is not None and event.tags is not None
        assert raw.secret not in repr(event)
        return event.tags["dagster/data_version"], {k: v.value for k, v in event.metadata.items()}

    first, told = observed()
    assert first == raw.etag("in/sales.csv")
    assert '"' not in first
    assert told["dagster/uri"] == f"{raw.url}/in/sales.csv"
    assert told["dagster/size_bytes"] == len(b"id,amount\n1,2.5\n")
    assert observed()[0] == first
    raw.put("in/sales.csv", b"id,amount\n1,2.5\n2,3\n")
    second, _ = observed()
    assert second == raw.etag("in/sales.csv") != first


def test_what_reads_it_is_stale_after_a_change(
    raw: Raw, run: Any, instance: dg.DagsterInstance, tmp_path: Any
):
    raw.put("sales.csv", b"id,amount\n1,2.5\n")
    defs = build_definitions(store(raw.config.csv_at("sales.csv"), str(tmp_path / "sales.parquet")))
    assert run(defs, "raw/sales.csv").success
    assert run(defs, "sales").success

    def input_version() -> str:
        event = instance.get_latest_materialization_event(dg.AssetKey("sales"))
        assert event is not None and event.asset_materialization is not None
        tags = event.asset_materialization.tags or {}
        return tags["dagster/input_data_version/raw/sales.csv"]

    assert input_version() == raw.etag("sales.csv")
    raw.put("sales.csv", b"id,amount\n1,2.5\n2,3\n")
    assert run(defs, "raw/sales.csv").success
    assert input_version() != raw.etag("sales.csv")
    assert run(defs, "sales").success
    assert input_version() == raw.etag("sales.csv")


def test_a_parquet_object_tells_its_rows_and_a_tree_is_a_digest(raw: Raw):
    raw.put("in/sales.parquet", parquet(1.0, 2.0))
    found = raw.config.parquet_at("in/sales.parquet").fingerprint()
    assert found.data_version == raw.etag("in/sales.parquet")
    assert found.rows == 2
    raw.put("tree/day=1/a.parquet", parquet(1.0))
    raw.put("tree/day=2/a.parquet", parquet(2.0))
    tree = raw.config.partitioned_parquet_at("tree", ["day"])

    def version(source: DataSource) -> str:
        digest = source.fingerprint().data_version
        assert len(digest) == 32
        assert digest not in (raw.etag("tree/day=1/a.parquet"), raw.etag("tree/day=2/a.parquet"))
        return digest

    first = version(tree)
    assert version(tree) == first
    raw.put("tree/day=2/a.parquet", parquet(3.0))
    assert version(tree) != first


def test_an_object_that_is_missing_fails_the_observation_with_its_url(raw: Raw, run: Any, tmp_path: Any):
    raw.put("in/sale.csv", b"id,amount\n")
    defs = build_definitions(store(raw.config.csv_at("in/sales.csv"), str(tmp_path / "sales.parquet")))
    described = run(defs, "raw/sales.csv").failure("observe__raw__sales_csv").user_failure_data.description
    assert f"{raw.url}/in/sales.csv does not exist" in described
    assert "Did you mean 'sale.csv'?" in described
