"""Objects are sources like files are: the unchanged suite over two S3 servers."""

from __future__ import annotations

import pytest

from aligned_dagster.request.retrieval_request import RetrievalRequest
from aligned_dagster.sources.aws_s3 import AwsS3Config
from aligned_dagster.sources.azure_blob_storage import AzureBlobConfig
from tools.servers.azure import AzuriteServer
from tools.servers.s3 import S3Server

from ..behaviours import Persists, Stored, Writes
from ..test_file_sources import RENAMED, filled
from ..test_schema_versioned import OtherVersions
from .conftest import azure_config, s3_config


@pytest.fixture
def bucket(s3_conditional: S3Server, monkeypatch: pytest.MonkeyPatch) -> AwsS3Config:
    return s3_config(s3_conditional, s3_conditional.new_bucket(), monkeypatch)


@pytest.fixture
def signed_bucket(s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> AwsS3Config:
    return s3_config(s3, s3.new_bucket(), monkeypatch)


class TestCsvInS3(Persists):
    @pytest.fixture
    def stored(self, bucket: AwsS3Config, request_for: RetrievalRequest) -> Stored:
        return filled(bucket.csv_at("new/rows.csv", mapping_keys=RENAMED), request_for)


class TestZippedCsvInS3(Writes):
    @pytest.fixture
    def stored(self, bucket: AwsS3Config, request_for: RetrievalRequest) -> Stored:
        return filled(bucket.csv_at("rows.csv.zip"), request_for)


class TestParquetInS3(Persists):
    @pytest.fixture
    def stored(self, bucket: AwsS3Config, request_for: RetrievalRequest) -> Stored:
        return filled(bucket.directory("new").parquet_at("rows.parquet", RENAMED), request_for)


class TestPartitionsInS3(Persists):
    @pytest.fixture
    def stored(self, bucket: AwsS3Config, request_for: RetrievalRequest) -> Stored:
        renamed = {**RENAMED, "Region": "region"}
        return filled(bucket.partitioned_parquet_at("new=1/rows", ["region"], renamed), request_for)


class TestPartitionsInSignedS3(Writes):
    @pytest.fixture
    def stored(self, signed_bucket: AwsS3Config, request_for: RetrievalRequest) -> Stored:
        return filled(signed_bucket.partitioned_parquet_at("rows", ["day", "region"]), request_for)


class TestVersionsInS3(OtherVersions, Persists):
    @pytest.fixture
    def stored(self, bucket: AwsS3Config, request_for: RetrievalRequest) -> Stored:
        return filled(bucket.with_schema_version("vendors").parquet_at("rows.parquet"), request_for)


@pytest.fixture
def account(azurite: AzuriteServer, monkeypatch: pytest.MonkeyPatch) -> AzureBlobConfig:
    return azure_config(azurite, azurite.new_container(), monkeypatch)


class TestParquetInAzure(Persists):
    @pytest.fixture
    def stored(self, account: AzureBlobConfig, request_for: RetrievalRequest) -> Stored:
        return filled(account.parquet_at("new/rows.parquet", RENAMED), request_for)


class TestPartitionsInAzure(Persists):
    @pytest.fixture
    def stored(self, account: AzureBlobConfig, request_for: RetrievalRequest) -> Stored:
        return filled(account.partitioned_parquet_at("rows", ["region"]), request_for)


@pytest.mark.filterwarnings("ignore::urllib3.exceptions.InsecureRequestWarning")  # the certificate is its own
class TestCsvInAzureByAServicePrincipal(Writes):
    @pytest.fixture
    def stored(
        self,
        azurite_oauth: AzuriteServer,
        request_for: RetrievalRequest,
        monkeypatch: pytest.MonkeyPatch,
    ) -> Stored:
        tokens = azurite_oauth.tokens
        monkeypatch.setenv("TEST_TENANT", tokens.tenant_id)
        monkeypatch.setenv("TEST_CLIENT", tokens.client_id)
        monkeypatch.setenv("TEST_CLIENT_SECRET", tokens.client_secret)
        config = AzureBlobConfig(
            tenant_id_env="TEST_TENANT",
            client_id_env="TEST_CLIENT",
            client_secret_env="TEST_CLIENT_SECRET",
            account_name=azurite_oauth.account,
            endpoint_url=azurite_oauth.endpoint,
            authority_host=tokens.authority_host,
            verify_certificates=False,
        )
        return filled(config.csv_at(f"{azurite_oauth.new_container()}/rows.csv"), request_for)
