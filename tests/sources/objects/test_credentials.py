"""Every way to say who asks a bucket or an account, on servers that check it; polars asks as boto3 and Azure do."""

from __future__ import annotations

import datetime as dt
import io
import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import polars as pl
import pytest

from aligned_dagster.errors import AccessDeniedError, ConfigurationError
from aligned_dagster.request.retrieval_request import RetrievalRequest
from aligned_dagster.sources import azure_client
from aligned_dagster.sources.aws_s3 import AwsS3Config
from aligned_dagster.sources.azure_blob_storage import AzureBlobConfig
from tools.servers.azure import AzuriteServer
from tools.servers.proxy import CountingProxy
from tools.servers.s3 import S3Server, moto_server

from ..behaviours import same

OWN_CERTIFICATE = pytest.mark.filterwarnings("ignore::urllib3.exceptions.InsecureRequestWarning")


@pytest.fixture(autouse=True)
def nothing_in_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No credentials but those of the test, and nobody is asked for the role of this machine."""
    for name in os.environ:
        if name.startswith(("AWS_", "AZURE_")):
            monkeypatch.delenv(name)
    for name in ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


def used(config: AwsS3Config | AzureBlobConfig, request: RetrievalRequest, rows: pl.DataFrame) -> None:
    """Write, read, list and write again with each kind of source."""
    sources = (
        config.csv_at("a/rows.csv"),
        config.directory("a").parquet_at("rows.parquet"),
        config.partitioned_parquet_at("a/tree", ["region"]),
    )
    for source in sources:
        source.overwrite(rows.head(2).lazy(), request)
        source.upsert(rows.lazy(), request)
        same(source.all_data(request), rows)
    below = config.at("a")
    assert below.what_is_there() == "directory"
    assert below.directories() == ["tree"]


def denied(config: AwsS3Config | AzureBlobConfig, request: RetrievalRequest, rows: pl.DataFrame) -> str:
    """What is said to who may neither read nor write."""
    with pytest.raises(AccessDeniedError):
        config.csv_at("rows.csv").overwrite(rows.lazy(), request)
    with pytest.raises(AccessDeniedError) as found:
        config.parquet_at("rows.parquet").all_data(request).collect()
    return str(found.value)


# --- S3 -----------------------------------------------------------------------------------------------


def test_keys_that_are_named(
    s3: S3Server, request_for: RetrievalRequest, rows: pl.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {
        "SHOP_KEY": s3.access_key,
        "SHOP_SECRET": s3.secret_key,
        "SHOP_REGION": s3.region,
        "SHOP_ENDPOINT": s3.endpoint,
        "AWS_ACCESS_KEY_ID": "of-somebody-else",
        "AWS_SECRET_ACCESS_KEY": "of-somebody-else",
        "AWS_SESSION_TOKEN": "of-somebody-else",
    }.items():
        monkeypatch.setenv(name, value)
    config = AwsS3Config(
        access_token_env="SHOP_KEY",
        secret_token_env="SHOP_SECRET",
        bucket=s3.new_bucket(),
        region_env="SHOP_REGION",
        endpoint_env="SHOP_ENDPOINT",
    )
    used(config, request_for, rows)
    monkeypatch.setenv("SHOP_SECRET", "another")
    assert "SHOP_SECRET" in denied(config, request_for, rows)


def test_keys_of_the_environment(
    s3: S3Server, request_for: RetrievalRequest, rows: pl.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = AwsS3Config(bucket=s3.new_bucket(), endpoint_url=s3.endpoint)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", s3.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", s3.secret_key)
    monkeypatch.setenv("AWS_DEFAULT_REGION", s3.region)
    used(config, request_for, rows)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "another")
    assert "environment or profile" in denied(config, request_for, rows)


@pytest.mark.parametrize("profile", ["default", "shop"])
def test_keys_of_a_profile(
    s3: S3Server,
    request_for: RetrievalRequest,
    rows: pl.DataFrame,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    profile: str,
) -> None:
    config = AwsS3Config(bucket=s3.new_bucket(), endpoint_url=s3.endpoint)
    keys = {"default": ("wrong", "wrong"), profile: (s3.access_key, s3.secret_key)}
    file = tmp_path / "credentials"
    file.write_text(
        "".join(
            f"[{name}]\naws_access_key_id = {key}\naws_secret_access_key = {secret}\n"
            for name, (key, secret) in keys.items()
        )
    )
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(file))
    if profile != "default":
        monkeypatch.setenv("AWS_PROFILE", profile)
    used(config, request_for, rows)
    monkeypatch.setenv("AWS_PROFILE", "no-such-profile")
    with pytest.raises(ConfigurationError, match="no-such-profile"):
        config.csv_at("a.csv").all_data(request_for)


def test_no_keys_at_all(s3: S3Server, request_for: RetrievalRequest) -> None:
    config = AwsS3Config(bucket=s3.new_bucket(), endpoint_url=s3.endpoint)
    with pytest.raises(ConfigurationError, match="access_token_env and secret_token_env"):
        config.csv_at("a.csv").all_data(request_for)


@dataclass
class Temporary:
    """A server of S3 that checks keys and tokens, a bucket of it, and temporary keys that may use the bucket."""

    server: S3Server
    bucket: str
    keys: dict[str, Any]


@pytest.fixture(scope="module")
def temporary() -> Iterator[Temporary]:
    """Moto's server, which lets four requests prepare all, and checks signatures, tokens and policies from then on."""
    import boto3

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("INITIAL_NO_AUTH_ACTION_COUNT", "4")
        with moto_server() as server:
            anybody = {
                "endpoint_url": server.endpoint,
                "region_name": server.region,
                "aws_access_key_id": "anybody",
                "aws_secret_access_key": "anything",
            }
            bucket = server.new_bucket()
            allowed = {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}
            roles, tokens = boto3.client("iam", **anybody), boto3.client("sts", **anybody)
            policy = {"Version": "2012-10-17", "Statement": []}
            roles.create_role(RoleName="reader", AssumeRolePolicyDocument=json.dumps(policy))
            policy = {"Version": "2012-10-17", "Statement": [allowed]}
            roles.put_role_policy(RoleName="reader", PolicyName="all", PolicyDocument=json.dumps(policy))
            role = "arn:aws:iam::123456789012:role/reader"
            made = tokens.assume_role(RoleArn=role, RoleSessionName="tests")
            roles.close()
            tokens.close()
            yield Temporary(server, bucket, made["Credentials"])


def set_keys(monkeypatch: pytest.MonkeyPatch, keys: dict[str, Any], names: tuple[str, str, str]) -> None:
    for name, key in zip(names, ("AccessKeyId", "SecretAccessKey", "SessionToken"), strict=True):
        monkeypatch.setenv(name, keys[key])


def test_a_session_token(
    temporary: Temporary, request_for: RetrievalRequest, rows: pl.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_keys(monkeypatch, temporary.keys, ("TEMP_KEY", "TEMP_SECRET", "TEMP_TOKEN"))
    config = AwsS3Config(
        access_token_env="TEMP_KEY",
        secret_token_env="TEMP_SECRET",
        session_token_env="TEMP_TOKEN",
        bucket=temporary.bucket,
        region=temporary.server.region,
        endpoint_url=temporary.server.endpoint,
    )
    used(config, request_for, rows)
    without = config.model_copy(update={"session_token_env": None})
    denied(without, request_for, rows)
    monkeypatch.setenv("TEMP_TOKEN", "another")
    assert "session token that is wrong or has expired" in denied(config, request_for, rows)


def test_a_session_token_of_the_environment(
    temporary: Temporary, request_for: RetrievalRequest, rows: pl.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_keys(monkeypatch, temporary.keys, ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"))
    config = AwsS3Config(bucket=temporary.bucket, endpoint_url=temporary.server.endpoint)
    used(config, request_for, rows)
    monkeypatch.setenv("AWS_SESSION_TOKEN", "another")
    denied(config, request_for, rows)


def test_another_endpoint_is_asked_with_the_bucket_in_the_path(
    s3: S3Server, request_for: RetrievalRequest, rows: pl.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", s3.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", s3.secret_key)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")  # what the config says comes first
    bucket = s3.new_bucket()
    with CountingProxy(s3.endpoint) as proxy:
        source = AwsS3Config(bucket=bucket, region=s3.region, endpoint_url=proxy.endpoint).parquet_at("a/b")
        source.overwrite(rows.lazy(), request_for)
        plan = source.all_data(request_for)
        proxy.reset()
        same(plan, rows)
        assert proxy.seen
        assert all(one.startswith((f"GET /{bucket}/a/b", f"HEAD /{bucket}/a/b")) for one in proxy.seen)


def test_a_secret_in_the_place_of_a_name_is_not_repeated() -> None:
    for config, given in (
        (AwsS3Config, {"access_token_env": "KEY", "secret_token_env": "c4n4ry/key+", "bucket": "shop"}),
        (AzureBlobConfig, {"account_name": "shop", "sas_token_env": "sv=1&sig=c4n4ry"}),
    ):
        with pytest.raises(ConfigurationError, match="must be the name of an environment variable") as found:
            config(**given)
        assert "c4n4ry" not in str(found.value)


# --- Azure --------------------------------------------------------------------------------------------


def sas(server: AzuriteServer, container: str, permission: str = "rwdlac", seconds: float = 3600) -> str:
    """A SAS token for a container."""
    from azure.storage.blob import generate_container_sas

    now = dt.datetime.now(dt.UTC)
    made: str = generate_container_sas(
        server.account,
        container,
        account_key=server.key,
        permission=permission,
        start=now - dt.timedelta(hours=2),
        expiry=now + dt.timedelta(seconds=seconds),
    )
    return made


def by_sas(server: AzuriteServer, container: str) -> AzureBlobConfig:
    return AzureBlobConfig(
        account_name=server.account,
        sas_token_env="SHOP_SAS",
        container=container,
        endpoint_url=server.endpoint,
    )


def test_the_key_of_an_account(
    azurite: AzuriteServer,
    request_for: RetrievalRequest,
    rows: pl.DataFrame,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in {
        "SHOP_ACCOUNT": azurite.account,
        "SHOP_KEY": azurite.key,
        "SHOP_CONTAINER": azurite.new_container(),
        "AZURE_STORAGE_ACCOUNT_KEY": "b2Ygc29tZWJvZHkgZWxzZQ==",
    }.items():
        monkeypatch.setenv(name, value)
    config = AzureBlobConfig(
        account_name_env="SHOP_ACCOUNT",
        account_key_env="SHOP_KEY",
        container_env="SHOP_CONTAINER",
        endpoint_url=azurite.endpoint,
    )
    used(config, request_for, rows)
    for wrong in ("YW5vdGhlcg==", "no base64"):
        monkeypatch.setenv("SHOP_KEY", wrong)
        with pytest.raises((AccessDeniedError, ConfigurationError), match=r"SHOP_KEY|account") as found:
            config.csv_at("a/rows.csv").all_data(request_for)
        assert wrong not in str(found.value)


@pytest.mark.parametrize("mark", ["", "?"])
def test_a_sas_token(
    azurite: AzuriteServer,
    request_for: RetrievalRequest,
    rows: pl.DataFrame,
    monkeypatch: pytest.MonkeyPatch,
    mark: str,
) -> None:
    container = azurite.new_container()
    monkeypatch.setenv("SHOP_SAS", mark + sas(azurite, container))
    used(by_sas(azurite, container), request_for, rows)
    assert "SHOP_SAS" in denied(by_sas(azurite, azurite.new_container()), request_for, rows)


def test_a_sas_token_that_only_reads(
    azurite: AzuriteServer,
    request_for: RetrievalRequest,
    rows: pl.DataFrame,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    container = azurite.new_container()
    source = by_sas(azurite, container).parquet_at("rows.parquet")
    monkeypatch.setenv("SHOP_SAS", sas(azurite, container))
    source.overwrite(rows.lazy(), request_for)
    monkeypatch.setenv("SHOP_SAS", sas(azurite, container, "rl"))
    same(source.all_data(request_for), rows)
    with pytest.raises(AccessDeniedError, match="what they may do there"):
        source.overwrite(rows.lazy(), request_for)


def test_a_sas_token_that_expired(
    azurite: AzuriteServer,
    request_for: RetrievalRequest,
    rows: pl.DataFrame,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    container = azurite.new_container()
    token = sas(azurite, container, seconds=-60)
    monkeypatch.setenv("SHOP_SAS", token)
    said = denied(by_sas(azurite, container), request_for, rows)
    assert "The SAS token expired at " in said
    assert "make a new one" in said
    assert token.partition("sig=")[2] not in said


def test_a_sas_token_that_expires_before_the_rows_are_read(
    azurite: AzuriteServer,
    request_for: RetrievalRequest,
    rows: pl.DataFrame,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(azure_client, "KEYS_LAST", 1)
    container = azurite.new_container()
    source = by_sas(azurite, container).parquet_at("rows.parquet")
    monkeypatch.setenv("SHOP_SAS", sas(azurite, container))
    source.overwrite(rows.lazy(), request_for)
    plan = source.all_data(request_for)
    token = sas(azurite, container, seconds=-60)
    monkeypatch.setenv("SHOP_SAS", token)
    time.sleep(2)  # until polars asks for the token again
    with pytest.raises(OSError, match="403") as found:
        pl.LazyFrame.deserialize(io.BytesIO(plan.serialize())).collect()
    for told in (token.partition("sig=")[2], unquote(token.partition("sig=")[2])):
        assert told not in str(found.value)


def principal(server: AzuriteServer) -> dict[str, str]:
    """The service principal as Azure's default chain looks for it in the environment."""
    tokens = server.tokens
    return {
        "AZURE_TENANT_ID": tokens.tenant_id,
        "AZURE_CLIENT_ID": tokens.client_id,
        "AZURE_CLIENT_SECRET": tokens.client_secret,
    }


@OWN_CERTIFICATE
@pytest.mark.parametrize("how", ["named", "default chain"])
def test_a_service_principal(
    azurite_oauth: AzuriteServer,
    request_for: RetrievalRequest,
    rows: pl.DataFrame,
    monkeypatch: pytest.MonkeyPatch,
    how: str,
) -> None:
    for name, value in principal(azurite_oauth).items():
        monkeypatch.setenv(name if how == "default chain" else f"SHOP_{name}", value)
    named = {
        "tenant_id_env": "SHOP_AZURE_TENANT_ID",
        "client_id_env": "SHOP_AZURE_CLIENT_ID",
        "client_secret_env": "SHOP_AZURE_CLIENT_SECRET",
    }
    config = AzureBlobConfig(
        **(named if how == "named" else {}),
        account_name=azurite_oauth.account,
        container=azurite_oauth.new_container(),
        endpoint_url=azurite_oauth.endpoint,
        authority_host=azurite_oauth.tokens.authority_host,
        verify_certificates=False,
    )
    azure_client._of_names.cache_clear()  # another test's client would bring its token along
    before = azurite_oauth.tokens.tokens_given
    used(config, request_for, rows)
    assert azurite_oauth.tokens.tokens_given > before
    monkeypatch.setenv("AZURE_CLIENT_SECRET" if how != "named" else "SHOP_AZURE_CLIENT_SECRET", "another")
    began = time.monotonic()
    said = denied(config, request_for, rows)
    assert time.monotonic() - began < 20
    assert "AADSTS7000215" in said
    assert ("default credentials" if how != "named" else "SHOP_AZURE_CLIENT_SECRET") in said
