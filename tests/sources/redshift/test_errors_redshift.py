"""What goes wrong with Redshift and its bucket, in words that name the source and what to check, and within seconds."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import polars as pl
import pytest

from aligned_dagster import AwsS3Config, RedshiftSQLConfig
from aligned_dagster.errors import (
    AlignedError,
    ConfigurationError,
    MissingColumnError,
    PublishError,
    SourceError,
    SourceNotFoundError,
    UnreadableSourceError,
)
from aligned_dagster.sources.sql.connection import close_idle_connections
from tools.servers.redshift import RedshiftServer
from tools.servers.redshift_files import S3Files
from tools.servers.s3 import S3Server

from ..sql.conftest import request
from ..sql.test_errors import CANARY, failure
from .conftest import VARIABLE, Run

WANTED = request("taxi", id="entity int64", name="string")
ROWS = pl.DataFrame({"id": range(5), "name": ["a", "b", "c", "d", "e"]})


@pytest.fixture
def address(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], RedshiftSQLConfig]]:
    def set_to(uri: str) -> RedshiftSQLConfig:
        monkeypatch.setenv(VARIABLE, uri.replace("postgresql://", "redshift://"))
        return RedshiftSQLConfig(VARIABLE)

    yield set_to
    close_idle_connections()


def both_ways(config: RedshiftSQLConfig, limit: float = 8) -> list[AlignedError]:
    """The errors of a read and of a write of the table `taxi`."""
    table = config.table("taxi")
    return [
        failure(lambda: table.all_data(WANTED).collect(), limit),
        failure(lambda: table.overwrite(ROWS.lazy(), WANTED), limit),
    ]


def test_wrong_password(redshift: RedshiftServer, address: Any) -> None:
    for error in both_ways(address(redshift.uri(user="nobody at all", password=CANARY))):
        assert isinstance(error, ConfigurationError)
        assert f"redshift://127.0.0.1:{redshift.port}" in str(error)
        assert f"Check the user and the password in {VARIABLE}" in str(error)


def test_unknown_host(address: Any) -> None:
    for error in both_ways(address("redshift://me:c4n4ry@no-such-host.invalid:5439/dev")):
        assert "The host of redshift://no-such-host.invalid:5439/dev" in str(error)
        assert "Check its spelling" in str(error)


def test_refused_port(address: Any) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        for error in both_ways(address(f"redshift://me:c4n4ry@127.0.0.1:{taken.getsockname()[1]}/dev")):
            assert "Nobody listens at" in str(error)
            assert "Check host and port" in str(error)


def test_a_server_that_does_not_answer(address: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        uri = f"redshift://me:c4n4ry@127.0.0.1:{silent.getsockname()[1]}/dev?connect_timeout=2"
        error = failure(lambda: address(uri).table("taxi").fingerprint())
    assert "does not answer in time" in str(error)


def test_unknown_database(redshift: RedshiftServer, address: Any) -> None:
    for error in both_ways(address(redshift.uri("taxis"))):
        assert "has no such database" in str(error)
        assert 'database "taxis" does not exist' in str(error)


def test_no_address(address: Any) -> None:
    error = failure(lambda: address("mysql://me:c4n4ry@host/dev").table("taxi").fingerprint())
    assert VARIABLE in str(error)
    assert "redshift://user:password@host:5439/database" in str(error)


def test_missing_table_and_columns(warehouse: RedshiftSQLConfig, run: Run) -> None:
    run(
        "CREATE TABLE taxis (id bigint, nam varchar(9))",
        "CREATE SCHEMA raw",
        "CREATE TABLE raw.trips (id int)",
    )
    for table, schema, words in (
        ("taxi", None, "Did you mean 'taxis'?"),
        ("trips", None, "There is one in the schema 'raw'"),
        ("trip", "raw", "Did you mean 'raw.trips'?"),
    ):
        source = warehouse.table(table, schema=schema)
        for action in (partial(source.all_data, WANTED), source.fingerprint):
            error = failure(action)
            assert isinstance(error, SourceNotFoundError)
            assert words in str(error)
            assert warehouse.place in str(error)
    error = failure(lambda: warehouse.table("taxis").all_data(WANTED))
    assert isinstance(error, MissingColumnError)
    assert "Did you mean 'nam'?" in str(error)
    error = failure(lambda: warehouse.fetch("SELECT id FROM taxy").all_data(WANTED))
    assert isinstance(error, SourceNotFoundError)
    error = failure(lambda: warehouse.fetch("SELECT name FROM taxis").all_data(WANTED))
    assert isinstance(error, MissingColumnError)
    error = failure(lambda: warehouse.table("taxis").upsert(ROWS.lazy(), WANTED))
    assert isinstance(error, PublishError)
    assert 'ALTER TABLE "public"."taxis" ADD COLUMN "name" varchar(65535)' in str(error)


def test_permission_denied(
    redshift: RedshiftServer, warehouse: RedshiftSQLConfig, run: Run, address: Any
) -> None:
    run("CREATE TABLE taxi (id bigint, name varchar(9))")
    name = os.environ[VARIABLE].rpartition("/")[2]
    role = f"visitor_{name}"
    redshift.postgres.new_user(role, CANARY)
    reading, writing = both_ways(address(redshift.uri(name, role, CANARY)))
    assert "permission denied for table taxi" in str(reading)
    assert "GRANT SELECT" in str(reading)
    assert "permission denied for schema public" in str(writing)
    assert "GRANT" in str(writing)
    close_idle_connections()
    redshift.postgres.execute(f'DROP ROLE "{role}"')


def test_a_connection_lost_in_mid_read(
    redshift: RedshiftServer, warehouse: RedshiftSQLConfig, run: Run
) -> None:
    name = os.environ[VARIABLE].rpartition("/")[2]
    slow = warehouse.fetch("SELECT 1::bigint AS id, pg_sleep(20)::varchar(9) AS name").all_data(WANTED)
    thread = threading.Timer(0.5, redshift.postgres.kill_connections, (name,))
    thread.start()
    error = failure(slow.collect)
    thread.join()
    assert "The connection was lost" in str(error)
    assert "try again" in str(error)


@pytest.fixture
def filled(staging: RedshiftSQLConfig) -> RedshiftSQLConfig:
    """A database with a table `taxi` of five rows, which go by way of the bucket."""
    staging.table("taxi").overwrite(ROWS.lazy(), WANTED)
    return staging


def test_missing_bucket(filled: RedshiftSQLConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALIGNED_TEST_S3_BUCKET", "no-such-bucket")
    reading, writing = both_ways(filled)
    for error in (reading, writing):
        assert "'taxi'" in str(error)
        assert filled.table("taxi").uri in str(error)
        assert "no-such-bucket" in str(error)
    assert "NoSuchBucket" in str(reading)
    assert "Check the bucket" in str(reading)
    assert "Check ALIGNED_TEST_S3_BUCKET" in str(writing)


@pytest.mark.parametrize("which", ["ACCESS", "SECRET"])
def test_denied_bucket(filled: RedshiftSQLConfig, monkeypatch: pytest.MonkeyPatch, which: str) -> None:
    monkeypatch.setenv(f"ALIGNED_TEST_S3_{which}", CANARY)
    for error in both_ways(filled):
        assert "'taxi'" in str(error)
        assert filled.table("taxi").uri in str(error)
        assert "ALIGNED_TEST_S3_ACCESS and ALIGNED_TEST_S3_SECRET" in str(error)


def test_unreachable_bucket(filled: RedshiftSQLConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALIGNED_TEST_S3_ENDPOINT", "http://127.0.0.1:9")
    for error in both_ways(filled, 20):
        assert "'taxi'" in str(error)
        assert "http://127.0.0.1:9" in str(error)
        assert "Check the endpoint" in str(error)


def test_denied_or_missing_bucket_leaves_the_old_rows(
    filled: RedshiftSQLConfig, warehouse: RedshiftSQLConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setenv("ALIGNED_TEST_S3_BUCKET", "no-such-bucket")
        error = failure(lambda: filled.table("taxi").overwrite(ROWS.lazy().with_columns(name=None), WANTED))
    assert isinstance(error, SourceError)
    assert warehouse.table("taxi").all_data(WANTED).collect().sort("id").equals(ROWS)


def _cut_in_half(client: Any, bucket: str, key: str) -> None:
    body = client.get_object(Bucket=bucket, Key=key)["Body"].read()
    client.put_object(Bucket=bucket, Key=key, Body=body[: len(body) // 2])


def _exchange(client: Any, bucket: str, key: str) -> None:
    other = key.replace("0000_part", "0001_part")
    client.copy({"Bucket": bucket, "Key": other}, bucket, key)


def _remove(client: Any, bucket: str, key: str) -> None:
    client.delete_object(Bucket=bucket, Key=key)


@pytest.mark.parametrize(
    ("harm", "name", "words"),
    [
        (_cut_in_half, "0000_part_00.parquet", "is damaged: it has"),
        (_exchange, "0000_part_00.parquet", "is damaged: it has"),
        (_remove, "0000_part_00.parquet", "is not there any more"),
        (_remove, "manifest", "is not there any more"),
    ],
)
def test_unloaded_objects_that_are_harmed(
    filled: RedshiftSQLConfig,
    bucket: AwsS3Config,
    s3: S3Server,
    monkeypatch: pytest.MonkeyPatch,
    harm: Callable[[Any, str, str], None],
    name: str,
    words: str,
) -> None:
    write = S3Files.write

    def write_and_harm(self: S3Files, statement: Any, frame: pl.DataFrame) -> None:
        write(self, statement, frame)
        harm(s3.client(), statement.bucket, f"{statement.prefix}{name}")

    monkeypatch.setattr(S3Files, "write", write_and_harm)
    error = failure(lambda: filled.table("taxi").all_data(WANTED).collect())
    assert isinstance(error, UnreadableSourceError | SourceNotFoundError)
    assert words in str(error)
    assert f"s3://{bucket.shown_bucket}/staging/aligned_staging/" in str(error)
    assert name in str(error)
    assert "Check that nothing else, such as a lifecycle rule" in str(error)
