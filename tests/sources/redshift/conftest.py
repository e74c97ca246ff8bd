from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest

from aligned_dagster import AwsS3Config, RedshiftSQLConfig
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
def bucket(s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> AwsS3Config:
    """An empty bucket."""
    return new_bucket(s3, monkeypatch)


def new_bucket(s3: S3Server, patch: pytest.MonkeyPatch) -> AwsS3Config:
    """An empty bucket, of which environment variables hold everything."""
    values = {
        "BUCKET": s3.new_bucket(),
        "REGION": s3.region,
        "ACCESS": s3.access_key,
        "SECRET": s3.secret_key,
        "ENDPOINT": s3.endpoint,
    }
    for name, value in values.items():
        patch.setenv(f"ALIGNED_TEST_S3_{name}", value)
    return AwsS3Config(
        bucket_env="ALIGNED_TEST_S3_BUCKET",
        region_env="ALIGNED_TEST_S3_REGION",
        access_token_env="ALIGNED_TEST_S3_ACCESS",
        secret_token_env="ALIGNED_TEST_S3_SECRET",
        endpoint_env="ALIGNED_TEST_S3_ENDPOINT",
    )


@pytest.fixture
def staging(warehouse: RedshiftSQLConfig, bucket: AwsS3Config) -> RedshiftSQLConfig:
    """An empty database; three rows and more go by way of the bucket."""
    return RedshiftSQLConfig(env_var=warehouse.env_var, s3=bucket.directory("staging"), large_rows=3)


@pytest.fixture
def objects(s3: S3Server, bucket: AwsS3Config) -> Callable[[], list[str]]:
    """Gives the keys in the bucket."""

    def listed() -> list[str]:
        found = s3.client().list_objects_v2(Bucket=bucket.shown_bucket).get("Contents", [])
        return [entry["Key"] for entry in found if entry["Size"]]

    return listed


@pytest.fixture
def run(warehouse: RedshiftSQLConfig) -> Run:
    """Runs statements in one transaction, and gives the rows of the last one."""

    def execute(*statements: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        with session(warehouse) as opened:
            rows = [opened.rows(statement, parameters) for statement in statements]
            opened.commit()
        return rows[-1]

    return execute
