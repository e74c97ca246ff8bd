from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest

from aligned_dagster import RedshiftSQLConfig
from aligned_dagster.sources.redshift import StagingBucket
from aligned_dagster.sources.sql.connection import close_idle_connections, session
from tools.servers.redshift import RedshiftServer
from tools.servers.s3 import S3Server

VARIABLE = "ALIGNED_TEST_REDSHIFT"
Run = Callable[..., list[tuple[Any, ...]]]


@pytest.fixture
def warehouse(redshift: RedshiftServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[RedshiftSQLConfig]:
    """An empty database, whose rows go through the connection."""
    uri = redshift.new_database()
    monkeypatch.setenv(VARIABLE, uri.replace("postgresql://", "redshift://"))
    yield RedshiftSQLConfig(env_var=VARIABLE)
    close_idle_connections()
    redshift.postgres.drop_database(uri.rpartition("/")[2])


@pytest.fixture
def bucket(s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> StagingBucket:
    """An empty bucket, by which three rows and more go."""
    values = {
        "BUCKET": s3.new_bucket(),
        "REGION": s3.region,
        "ACCESS": s3.access_key,
        "SECRET": s3.secret_key,
        "ENDPOINT": s3.endpoint,
    }
    for name, value in values.items():
        monkeypatch.setenv(f"ALIGNED_TEST_S3_{name}", value)
    return StagingBucket(
        bucket_env="ALIGNED_TEST_S3_BUCKET",
        region_env="ALIGNED_TEST_S3_REGION",
        access_key_env="ALIGNED_TEST_S3_ACCESS",
        secret_key_env="ALIGNED_TEST_S3_SECRET",
        endpoint_env="ALIGNED_TEST_S3_ENDPOINT",
        large_rows=3,
    )


@pytest.fixture
def staging(warehouse: RedshiftSQLConfig, bucket: StagingBucket) -> RedshiftSQLConfig:
    """An empty database, whose rows go by way of the bucket."""
    return warehouse.model_copy(update={"s3": bucket})


@pytest.fixture
def run(warehouse: RedshiftSQLConfig) -> Run:
    """Runs statements in one transaction, and gives the rows of the last one."""

    def execute(*statements: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        with session(warehouse) as opened:
            rows = [opened.rows(statement, parameters) for statement in statements]
            opened.commit()
        return rows[-1]

    return execute
