"""A resource of dagster-aws or dagster-azure in the place of a config: it reads, writes, and shows no secret."""

from __future__ import annotations

import copy
import pickle
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cloudpickle
import dagster as dg
import polars as pl
import pytest
from dagster_aws.s3 import S3Resource
from dagster_azure.blob import (
    AzureBlobStorageAnonymousCredential,
    AzureBlobStorageDefaultCredential,
    AzureBlobStorageKeyCredential,
    AzureBlobStorageResource,
    AzureBlobStorageSASTokenCredential,
)

from aligned_dagster.errors import AccessDeniedError, AlignedError, ConfigurationError
from aligned_dagster.request.retrieval_request import RetrievalRequest
from aligned_dagster.sources.aws_s3 import AwsS3Config
from aligned_dagster.sources.azure_blob_storage import AzureBlobConfig
from aligned_dagster.sources.source import source_to_json
from tools.servers.azure import AzuriteServer
from tools.servers.s3 import S3Server

from ..behaviours import same
from .test_credentials import OWN_CERTIFICATE, nothing_in_the_environment, principal, sas, used

__all__ = ["nothing_in_the_environment"]

Config = AwsS3Config | AzureBlobConfig


def refused(send: Callable[[], object], secret: str) -> None:
    """What cannot be sent says why, whoever passes the reason on in an error of its own."""
    with pytest.raises(Exception, match="cannot be sent to another process") as found:
        send()
    assert secret not in "".join(traceback.format_exception(found.value))


def shows_nothing(config: Config, secret: str, request: RetrievalRequest) -> None:
    """The secret is in nothing that is printed or sent, and what cannot be without it is refused with a reason."""
    assert secret not in repr(config) + str(config) + repr(dict(config))
    for source in (config.csv_at("a/rows.csv"), config.partitioned_parquet_at("a/tree", ["region"])):
        plan = source.all_data(request)
        assert secret not in repr(source) + str(source) + source.uri + plan.explain() + repr(plan)
        for told in (source_to_json, pickle.dumps, cloudpickle.dumps, lambda one: one.model_dump()):
            refused(lambda told=told, source=source: told(source), secret)
        refused(plan.serialize, secret)
        assert copy.deepcopy(source) == source


def s3_resource(server: S3Server, **given: Any) -> S3Resource:
    keys = {"aws_access_key_id": server.access_key, "aws_secret_access_key": server.secret_key}
    return S3Resource(**{"region_name": server.region, "endpoint_url": server.endpoint, **keys, **given})


def test_a_resource_of_s3(s3: S3Server, request_for: RetrievalRequest, rows: pl.DataFrame) -> None:
    config = AwsS3Config.from_resource(s3_resource(s3), s3.new_bucket())
    used(config, request_for, rows)
    shows_nothing(config, s3.secret_key, request_for)
    wrong = AwsS3Config.from_resource(s3_resource(s3, aws_secret_access_key="c4n4ry"), s3.new_bucket())
    with pytest.raises(AccessDeniedError, match="<S3Resource>") as found:
        wrong.csv_at("a.csv").all_data(request_for)
    assert "c4n4ry" not in str(found.value)


def test_a_resource_of_s3_that_names_variables(
    s3: S3Server, request_for: RetrievalRequest, rows: pl.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    resource = s3_resource(
        s3, aws_access_key_id=dg.EnvVar("SHOP_KEY"), aws_secret_access_key=dg.EnvVar("SHOP_SECRET")
    )
    config = AwsS3Config.from_resource(resource, s3.new_bucket())
    monkeypatch.setenv("SHOP_KEY", s3.access_key)
    with pytest.raises(ConfigurationError, match="SHOP_SECRET, read by <S3Resource>, is not set"):
        config.csv_at("a.csv").all_data(request_for)
    monkeypatch.setenv("SHOP_SECRET", s3.secret_key)
    used(config, request_for, rows)
    shows_nothing(config, s3.secret_key, request_for)
    monkeypatch.setenv("SHOP_SECRET", "another")
    with pytest.raises(AccessDeniedError):
        config.csv_at("a/rows.csv").all_data(request_for)


def test_a_resource_of_s3_that_names_a_profile(
    s3: S3Server,
    request_for: RetrievalRequest,
    rows: pl.DataFrame,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    file = tmp_path / "credentials"
    file.write_text(f"[shop]\naws_access_key_id={s3.access_key}\naws_secret_access_key={s3.secret_key}\n")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(file))
    resource = S3Resource(profile_name="shop", endpoint_url=s3.endpoint, region_name=s3.region)
    used(AwsS3Config.from_resource(resource, s3.new_bucket()), request_for, rows)
    lost = S3Resource(profile_name="shops", endpoint_url=s3.endpoint)
    with pytest.raises(ConfigurationError, match="<S3Resource>: The config profile \\(shops\\)"):
        AwsS3Config.from_resource(lost, "bucket").csv_at("a.csv").all_data(request_for)


def test_a_resource_of_s3_that_does_not_sign(
    s3_conditional: S3Server, request_for: RetrievalRequest, rows: pl.DataFrame
) -> None:
    resource = S3Resource(
        use_unsigned_session=True, endpoint_url=s3_conditional.endpoint, region_name="us-east-1"
    )
    bucket = s3_conditional.new_bucket()
    s3_conditional.client().put_bucket_acl(Bucket=bucket, ACL="public-read-write")
    used(AwsS3Config.from_resource(resource, bucket), request_for, rows)


class Refusing:
    """Somebody's own resource, which is none that a bucket can be reached with."""

    password = "c4n4ry"

    def process_config_and_initialize(self) -> None:
        raise ValueError(self.password)


@pytest.mark.parametrize("resource", [object(), Refusing()], ids=["no resource", "refusing"])
@pytest.mark.parametrize("config", [AwsS3Config, AzureBlobConfig])
def test_what_cannot_be_used_is_said(
    config: Callable[..., Any], resource: object, request_for: RetrievalRequest
) -> None:
    name = "bucket" if config is AwsS3Config else "container"
    with pytest.raises(ConfigurationError, match=f"<{type(resource).__name__}>") as found:
        config(resource=resource, **{name: "shop"}).csv_at("a.csv").all_data(request_for)
    assert "c4n4ry" not in "".join(traceback.format_exception(found.value))


def azure_resource(server: AzuriteServer, credential: Any, **given: Any) -> AzureBlobStorageResource:
    return AzureBlobStorageResource(**{"account_url": server.endpoint, "credential": credential, **given})


@pytest.mark.parametrize("how", ["key", "sas", "variable", "sas in the URL"])
def test_a_resource_of_azure(
    azurite: AzuriteServer,
    request_for: RetrievalRequest,
    rows: pl.DataFrame,
    monkeypatch: pytest.MonkeyPatch,
    how: str,
) -> None:
    container = azurite.new_container()
    secret = azurite.key if how in ("key", "variable") else sas(azurite, container)
    credential: Any = AzureBlobStorageKeyCredential(key=azurite.key)
    given = {}
    if how == "sas":
        credential = AzureBlobStorageSASTokenCredential(token=secret)
    elif how == "variable":
        credential = AzureBlobStorageKeyCredential(key=dg.EnvVar("SHOP_KEY"))
    elif how == "sas in the URL":
        credential = AzureBlobStorageAnonymousCredential()
        given = {"account_url": dg.EnvVar("SHOP_URL")}
        monkeypatch.setenv("SHOP_URL", f"{azurite.endpoint}?{secret}")
    config = AzureBlobConfig.from_resource(azure_resource(azurite, credential, **given), container)
    if how == "variable":
        with pytest.raises(ConfigurationError, match="SHOP_KEY, read by <AzureBlobStorageResource>, is not"):
            config.csv_at("a.csv").all_data(request_for)
        monkeypatch.setenv("SHOP_KEY", secret)
    used(config, request_for, rows)
    shows_nothing(config, secret, request_for)
    shows_nothing(config, secret.partition("sig=")[2] or secret, request_for)


def test_a_public_container_by_a_resource_without_credentials(
    azurite: AzuriteServer, request_for: RetrievalRequest, rows: pl.DataFrame
) -> None:
    container = azurite.new_container()
    with azurite.client() as client:
        client.get_container_client(container).set_container_access_policy({}, public_access="container")
    keyed = azure_resource(azurite, AzureBlobStorageKeyCredential(key=azurite.key))
    used(AzureBlobConfig.from_resource(keyed, container), request_for, rows)
    anybody = azure_resource(azurite, AzureBlobStorageAnonymousCredential())
    public = AzureBlobConfig.from_resource(anybody, container)
    same(public.parquet_at("a/rows.parquet").all_data(request_for), rows)
    same(public.partitioned_parquet_at("a/tree", ["region"]).all_data(request_for), rows)
    with pytest.raises(AlignedError, match="<AzureBlobStorageResource>"):
        public.csv_at("a/rows.csv").overwrite(rows.lazy(), request_for)


@OWN_CERTIFICATE
def test_a_resource_with_the_default_chain_of_azure(
    azurite_oauth: AzuriteServer,
    request_for: RetrievalRequest,
    rows: pl.DataFrame,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in principal(azurite_oauth).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(azurite_oauth.certificate))
    credential = AzureBlobStorageDefaultCredential(
        kwargs={"authority": azurite_oauth.tokens.authority_host, "disable_instance_discovery": True}
    )
    config = AzureBlobConfig(
        resource=azure_resource(azurite_oauth, credential),
        container=azurite_oauth.new_container(),
        verify_certificates=False,  # polars knows no certificates but the system's
    )
    before = azurite_oauth.tokens.tokens_given
    used(config, request_for, rows)
    assert azurite_oauth.tokens.tokens_given > before
    shows_nothing(config, azurite_oauth.tokens.client_secret, request_for)
