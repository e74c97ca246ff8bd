"""Configs for the stores of the tests, with an empty bucket or container and the keys in the environment."""

from __future__ import annotations

import gc
import threading
import time
import warnings
from collections.abc import Iterator
from dataclasses import replace

import pytest

from aligned_dagster.sources import azure_client
from aligned_dagster.sources.aws_s3 import AwsS3Config
from aligned_dagster.sources.azure_blob_storage import AzureBlobConfig
from tools.servers.azure import AzuriteServer
from tools.servers.proxy import CountingProxy
from tools.servers.s3 import S3Server

Config = AwsS3Config | AzureBlobConfig


def s3_config(server: S3Server, bucket: str, monkeypatch: pytest.MonkeyPatch) -> AwsS3Config:
    monkeypatch.setenv("TEST_S3_KEY", server.access_key)
    monkeypatch.setenv("TEST_S3_SECRET", server.secret_key)
    monkeypatch.setenv("TEST_S3_BUCKET", bucket)
    return AwsS3Config(
        access_token_env="TEST_S3_KEY",
        secret_token_env="TEST_S3_SECRET",
        bucket_env="TEST_S3_BUCKET",
        region=server.region,
        endpoint_url=server.endpoint,
    )


def azure_config(
    server: AzuriteServer, container: str, monkeypatch: pytest.MonkeyPatch, endpoint: str | None = None
) -> AzureBlobConfig:
    monkeypatch.setenv("TEST_AZURE_KEY", server.key)
    monkeypatch.setenv("TEST_AZURE_ACCOUNT", server.account)
    return AzureBlobConfig(
        account_name_env="TEST_AZURE_ACCOUNT",
        account_key_env="TEST_AZURE_KEY",
        container=container,
        endpoint_url=endpoint or server.endpoint,
    )


@pytest.fixture(scope="module", params=["s3", "azure"])
def both(request: pytest.FixtureRequest) -> Iterator[tuple[Config, Config, CountingProxy]]:
    """A config, the same one behind a proxy, and the proxy; on S3 and on Azure."""
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "s3":
            server: S3Server = request.getfixturevalue("s3_conditional")
            bucket = server.new_bucket()
            with CountingProxy(server.endpoint) as proxy:
                behind = s3_config(replace(server, endpoint=proxy.endpoint), bucket, patch)
                yield s3_config(server, bucket, patch), behind, proxy
        else:
            azurite: AzuriteServer = request.getfixturevalue("azurite")
            container = azurite.new_container()
            with CountingProxy(azurite.endpoint) as proxy:
                behind_proxy = azure_config(azurite, container, patch, proxy.endpoint)
                yield azure_config(azurite, container, patch), behind_proxy, proxy
    collect_broken_connections()


def collect_broken_connections() -> None:
    """Collect the sockets that the clients dropped when a connection broke, so that no later test meets their warnings."""
    azure_client._of_names.cache_clear()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds that were to be waited between tries, a tenth of which is waited."""
    waited: list[float] = []
    sleep = time.sleep
    others = set(threading.enumerate()) - {threading.current_thread()}  # such as one that Spark left behind

    def shorter(seconds: float) -> None:
        if threading.current_thread() in others:
            sleep(seconds)
            return
        waited.append(seconds)
        sleep(seconds / 10)

    monkeypatch.setattr(time, "sleep", shorter)
    return waited


@pytest.fixture
def direct(both: tuple[Config, Config, CountingProxy]) -> Config:
    """A store, to be asked directly."""
    return both[0]


@pytest.fixture
def behind(both: tuple[Config, Config, CountingProxy]) -> Config:
    """The same store, behind the proxy."""
    return both[1]


@pytest.fixture
def proxy(both: tuple[Config, Config, CountingProxy]) -> Iterator[CountingProxy]:
    """The proxy, counting from zero; it does no harm after the test."""
    both[2].reset()
    yield both[2]
    both[2].reset()
