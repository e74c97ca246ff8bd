"""What goes wrong with objects, who may see the keys, and how many bytes move."""

from __future__ import annotations

import pickle
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from aligned_dagster.errors import (
    AccessDeniedError,
    ConfigurationError,
    ConflictError,
    SourceError,
    SourceNotFoundError,
    UnavailableSourceError,
)
from aligned_dagster.features.schema import Schema
from aligned_dagster.request.retrieval_request import RetrievalRequest
from aligned_dagster.sources.aws_s3 import AwsS3Config
from aligned_dagster.sources.azure_blob_storage import AzureBlobConfig
from aligned_dagster.sources.source import source_to_json
from tools.servers.azure import AzuriteServer
from tools.servers.proxy import CountingProxy
from tools.servers.s3 import S3Server

from ..behaviours import same
from ..conftest import column
from .conftest import s3_config as config_for

CANARY = "c4n4ry-s3cr3t"


def failing(config: AwsS3Config | AzureBlobConfig, key: str, request: RetrievalRequest) -> SourceError:
    began = time.monotonic()
    with pytest.raises(SourceError) as found:
        config.parquet_at(key).all_data(request).collect()
    assert time.monotonic() - began < 20
    assert CANARY not in str(found.getrepr(style="long", showlocals=False))
    return found.value


def test_what_is_missing_is_named(
    s3: S3Server, request_for: RetrievalRequest, rows: pl.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = config_for(s3, s3.new_bucket(), monkeypatch)
    config.parquet_at("data/rows.parquet").overwrite(rows.lazy(), request_for)
    missing = failing(config, "data/row.parquet", request_for)
    assert isinstance(missing, SourceNotFoundError)
    assert "Did you mean 'rows.parquet'?" in str(missing)
    monkeypatch.setenv("TEST_S3_BUCKET", "no-such-bucket")
    missing = failing(config, "data/rows.parquet", request_for)
    assert "no bucket 'no-such-bucket'" in str(missing)
    assert "TEST_S3_BUCKET" in str(missing)
    monkeypatch.delenv("TEST_S3_BUCKET")
    assert config.parquet_at("a.parquet").uri == "s3://$TEST_S3_BUCKET/a.parquet"
    assert isinstance(failing(config, "a.parquet", request_for), ConfigurationError)


def test_refused_keys(s3: S3Server, request_for: RetrievalRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    config = config_for(s3, s3.new_bucket(), monkeypatch)
    monkeypatch.setenv("TEST_S3_SECRET", CANARY)
    denied = failing(config, "rows.parquet", request_for)
    assert isinstance(denied, AccessDeniedError)
    assert "TEST_S3_SECRET" in str(denied)


def test_refused_key_of_an_account(
    azurite: AzuriteServer, request_for: RetrievalRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEST_AZURE_KEY", "YzRuNHJ5")
    config = AzureBlobConfig(
        account_name=azurite.account, account_key_env="TEST_AZURE_KEY", endpoint_url=azurite.endpoint
    )
    denied = failing(config, f"{azurite.new_container()}/rows.parquet", request_for)
    assert isinstance(denied, AccessDeniedError)
    assert "TEST_AZURE_KEY" in str(denied)
    monkeypatch.setenv("TEST_AZURE_KEY", azurite.key)
    assert "no container 'nowhere'" in str(failing(config, "nowhere/rows.parquet", request_for))


def test_nobody_listens(s3: S3Server, request_for: RetrievalRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    nowhere = replace(s3, endpoint="http://127.0.0.1:9", secret_key=CANARY)
    gone = failing(config_for(nowhere, "bucket", monkeypatch), "rows.parquet", request_for)
    assert isinstance(gone, UnavailableSourceError)
    assert "http://127.0.0.1:9" in str(gone)


def test_a_shortened_object(
    s3: S3Server, request_for: RetrievalRequest, rows: pl.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket = s3.new_bucket()
    config = config_for(s3, bucket, monkeypatch)
    config.parquet_at("rows.parquet").overwrite(rows.lazy(), request_for)
    content = s3.client().get_object(Bucket=bucket, Key="rows.parquet")["Body"].read()
    s3.client().put_object(Bucket=bucket, Key="rows.parquet", Body=content[:-20])
    assert f"s3://{bucket}/rows.parquet" in str(failing(config, "rows.parquet", request_for))


def test_a_plan_holds_names_and_no_keys(
    s3_conditional: S3Server,
    request_for: RetrievalRequest,
    rows: pl.DataFrame,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    config = config_for(s3_conditional, s3_conditional.new_bucket(), monkeypatch)
    monkeypatch.setenv("TEST_S3_SECRET", CANARY)
    for source in (config.parquet_at("a.parquet"), config.partitioned_parquet_at("b", ["region"])):
        source.overwrite(rows.lazy(), request_for)
        plan = source.all_data(request_for)
        for text in (repr(source), str(source_to_json(source)), plan.explain(), repr(config)):
            assert CANARY not in text
        assert CANARY.encode() not in pickle.dumps(source) + plan.serialize()
        same(plan, rows)


@pytest.mark.parametrize("how", ["file", "tree"])
def test_a_writer_from_elsewhere_is_a_conflict(
    s3_conditional: S3Server,
    request_for: RetrievalRequest,
    rows: pl.DataFrame,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    how: str,
) -> None:
    config = config_for(s3_conditional, s3_conditional.new_bucket(), monkeypatch)
    source = (
        config.parquet_at("a.parquet") if how == "file" else config.partitioned_parquet_at("a", ["region"])
    )
    source.overwrite(rows.head(1).lazy(), request_for)
    with source.stage(rows.slice(1, 1).lazy(), request_for, "upsert") as staged:
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))  # no lock is shared with another machine
        source.upsert(rows.tail(1).lazy(), request_for)
        with pytest.raises(ConflictError, match="Run the same write again"):
            staged.publish()
    same(source.all_data(request_for), pl.concat([rows.head(1), rows.tail(1)]))


def test_only_the_wanted_bytes_move(s3_conditional: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    names = [f"f{number}" for number in range(50)]
    schema = Schema((column("day", "int32", "entity"), *(column(name, "float64") for name in names)))
    request = RetrievalRequest("wide", schema)
    noise = pl.int_range(2_000_000, eager=True).hash(seed=1).cast(pl.Float64)
    wide = pl.DataFrame({name: noise[i * 40_000 : (i + 1) * 40_000] for i, name in enumerate(names)})
    wide = wide.with_columns(day=(pl.int_range(pl.len()) % 20).cast(pl.Int32))
    bucket = s3_conditional.new_bucket()
    config_for(s3_conditional, bucket, monkeypatch).partitioned_parquet_at("wide", ["day"]).overwrite(
        wide.lazy(), request
    )
    with CountingProxy(s3_conditional.endpoint) as proxy:
        behind = replace(s3_conditional, endpoint=proxy.endpoint)
        source = config_for(behind, bucket, monkeypatch).partitioned_parquet_at("wide", ["day"])
        found = source.all_data(request).filter(pl.col("day") == 7).select("f3", "f9").collect()
        moved = proxy.bytes_out_of_server
    assert found.height == 2_000
    assert (
        moved < 2_000 * 8 * 50
    )  # all is twenty times that; of one small partition polars also reads what is between
