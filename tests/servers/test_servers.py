from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, closing, suppress
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from adbc_driver_manager import OperationalError
from adbc_driver_postgresql import dbapi
from azure.core.exceptions import ResourceExistsError, ResourceModifiedError
from azure.identity import ClientSecretCredential
from azure.storage.blob import BlobServiceClient
from botocore.exceptions import ClientError

from tools.servers.azure import AzuriteServer
from tools.servers.postgres import PostgresServer
from tools.servers.process import PortTakenError, ServerNotStartedError, ServerProcess, on_free_port
from tools.servers.proxy import CountingProxy
from tools.servers.s3 import S3Server, juicefs_server, moto_server

REPOSITORY = Path(__file__).resolve().parents[2]
FRAME = pl.DataFrame({"id": range(1000), "name": [f"name {number}" for number in range(1000)]})
LARGE = pl.DataFrame({"id": range(1_000_000)})
"""8 MB where it is not compressed."""
SERVERS: list[Callable[[], AbstractContextManager[Any]]] = [
    PostgresServer,
    juicefs_server,
    moto_server,
    AzuriteServer,
    lambda: AzuriteServer(oauth=True),
]


def rows(uri: str, sql: str) -> list[tuple[Any, ...]]:
    with closing(dbapi.connect(uri)) as connection, closing(connection.cursor()) as cursor:
        cursor.execute(sql)
        return cursor.fetchall()


def is_running(pid: int) -> bool:
    with suppress(ProcessLookupError):
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    return False


class TestAnyServer:
    @pytest.mark.parametrize("start", SERVERS)
    def test_is_gone_after_its_context(self, start: Callable[[], AbstractContextManager[Any]]) -> None:
        with start() as server:
            pid = server.pid
            assert is_running(pid)
            assert os.getpgid(pid) == pid
        assert not is_running(pid)

    @pytest.mark.parametrize(
        "start",
        ["postgres.PostgresServer", "s3.juicefs_server", "s3.moto_server", "azure.AzuriteServer"],
    )
    def test_is_gone_after_the_process_that_started_it_was_killed(self, start: str) -> None:
        module, name = start.split(".")
        program = (
            f"import os, signal\nfrom tools.servers.{module} import {name}\n"
            f"with {name}() as server:\n"
            "    print(server.pid, flush=True)\n    os.kill(os.getpid(), signal.SIGKILL)\n"
        )
        with tempfile.TemporaryDirectory(dir="/tmp", ignore_cleanup_errors=True) as folder:
            Path(folder).chmod(0o755)  # the server may be another user's
            ended = subprocess.run(
                [sys.executable, "-c", program],
                cwd=REPOSITORY,
                env={**os.environ, "TMPDIR": folder},
                capture_output=True,
                text=True,
                timeout=60,
            )
        assert ended.returncode == -signal.SIGKILL, ended.stderr
        deadline = time.monotonic() + 10
        while is_running(int(ended.stdout)) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not is_running(int(ended.stdout))

    def test_says_what_its_log_says_where_it_does_not_start(self, tmp_path: Path) -> None:
        command = [sys.executable, "-c", "raise SystemExit('no such option')"]
        with pytest.raises(ServerNotStartedError, match=r"(?s)It ended with code 1.*no such option"):
            ServerProcess("It", command, log=tmp_path / "log", ready=lambda _: False)

    def test_tries_another_port_where_one_was_taken(self) -> None:
        tried = []

        def start(port: int) -> str:
            tried.append(port)
            if len(tried) < 3:
                raise PortTakenError
            return "started"

        assert on_free_port(start) == "started"
        assert len(set(tried)) == 3


class TestPostgres:
    def test_serves_who_knows_the_password(self, postgres: PostgresServer, postgres_database: str) -> None:
        assert rows(postgres_database, "SELECT current_user::text") == [("postgres",)]
        with pytest.raises(OperationalError, match="password authentication failed"):
            rows(postgres.uri(password="wrong"), "SELECT 1")

    def test_has_users_with_hostile_passwords(self, postgres: PostgresServer) -> None:
        postgres.new_user("someone else", "it's @/:%?#")
        uri = postgres.uri(user="someone else", password="it's @/:%?#")
        assert rows(uri, "SELECT current_user::text") == [("someone else",)]

    def test_has_databases_that_see_nothing_of_each_other(self, postgres: PostgresServer) -> None:
        first, second = postgres.new_database(), postgres.new_database()
        name = first.rpartition("/")[2]
        postgres.execute("CREATE TABLE here (id int)", name)
        assert rows(first, "SELECT count(*) FROM pg_class WHERE relname = 'here'") == [(1,)]
        assert rows(second, "SELECT count(*) FROM pg_class WHERE relname = 'here'") == [(0,)]

    def test_can_lose_its_connections(self, postgres: PostgresServer, postgres_database: str) -> None:
        with closing(dbapi.connect(postgres_database)) as connection, closing(connection.cursor()) as cursor:
            cursor.execute("SELECT 1")
            cursor.fetchall()
            assert postgres.kill_connections(postgres_database.rpartition("/")[2]) == 1
            with pytest.raises(OperationalError):
                cursor.execute("SELECT 1")

    @pytest.mark.parametrize("at_once", [False, True])
    def test_keeps_what_was_committed_over_a_restart(self, at_once: bool) -> None:
        with PostgresServer() as server:
            uri = server.new_database()
            server.execute("CREATE TABLE kept AS SELECT 1 AS id", uri.rpartition("/")[2])
            server.restart(at_once=at_once)
            assert rows(uri, "SELECT id FROM kept") == [(1,)]

    def test_is_found_again_in_its_directory(self) -> None:
        with PostgresServer() as first:
            directory = first.directory
        assert not directory.exists()
        try:
            with PostgresServer(directory) as server:
                server.new_database("mine")
            with PostgresServer(directory) as server:
                assert rows(server.uri("mine"), "SELECT 1") == [(1,)]
        finally:
            subprocess.run(["rm", "-rf", directory], check=True)


class TestS3:
    @pytest.fixture(params=["s3", "s3_conditional"])
    def server(self, request: pytest.FixtureRequest) -> S3Server:
        found: S3Server = request.getfixturevalue(request.param)
        return found

    def test_polars_writes_and_reads(self, server: S3Server) -> None:
        folder = f"s3://{server.new_bucket()}/a folder"
        for name in ("one", "two"):
            FRAME.lazy().sink_parquet(f"{folder}/{name}.parquet", storage_options=server.storage_options)
        read = pl.scan_parquet(f"{folder}/*.parquet", storage_options=server.storage_options)
        assert read.select(pl.len()).collect().item() == 2000

    @pytest.mark.parametrize("name", ["aws_access_key_id", "aws_secret_access_key"])
    def test_a_wrong_key_is_refused_by_juicefs(self, s3: S3Server, name: str) -> None:
        uri = f"s3://{s3.new_bucket()}/a.parquet"
        FRAME.write_parquet(uri, storage_options=s3.storage_options)
        with pytest.raises(PermissionError):
            pl.read_parquet(uri, storage_options={**s3.storage_options, name: "wrong"})

    def test_moto_keeps_what_a_condition_does_not_hold_for(self, s3_conditional: S3Server) -> None:
        bucket = s3_conditional.new_bucket()
        with closing(s3_conditional.client()) as client:
            etag = client.put_object(Bucket=bucket, Key="a", Body=b"1", IfNoneMatch="*")["ETag"]
            for condition in ({"IfNoneMatch": "*"}, {"IfMatch": '"other"'}):
                with pytest.raises(ClientError) as refused:
                    client.put_object(Bucket=bucket, Key="a", Body=b"2", **condition)
                assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 412
            client.put_object(Bucket=bucket, Key="a", Body=b"3", IfMatch=etag)
            assert client.get_object(Bucket=bucket, Key="a")["Body"].read() == b"3"

    def test_moto_lets_one_of_many_creators_win(self, s3_conditional: S3Server) -> None:
        bucket = s3_conditional.new_bucket()

        def create(number: int) -> int:
            with suppress(ClientError):
                client.put_object(Bucket=bucket, Key="a", Body=b"%d" % number, IfNoneMatch="*")
                return 1
            return 0

        with closing(s3_conditional.client()) as client, ThreadPoolExecutor(8) as threads:
            assert sum(threads.map(create, range(40))) == 1

    def test_an_upload_that_was_cut_leaves_nothing(self, server: S3Server) -> None:
        bucket = server.new_bucket()
        with CountingProxy(server.endpoint) as proxy:
            proxy.cut_after(1_000_000, of="requests", times=100)
            with pytest.raises(OSError, match=r"a\.parquet"):
                LARGE.write_parquet(
                    f"s3://{bucket}/a.parquet",
                    compression="uncompressed",
                    storage_options={**_through(proxy, server), "max_retries": 1},
                )
        with closing(server.client()) as client:
            assert client.list_objects_v2(Bucket=bucket)["KeyCount"] == 0


class TestAzurite:
    @pytest.fixture(params=["azurite", "azurite_oauth"])
    def server(self, request: pytest.FixtureRequest) -> AzuriteServer:
        found: AzuriteServer = request.getfixturevalue(request.param)
        return found

    def test_polars_writes_and_reads(self, server: AzuriteServer) -> None:
        folder = f"az://{server.new_container()}/a folder"
        for name in ("one", "two"):
            FRAME.lazy().sink_parquet(f"{folder}/{name}.parquet", storage_options=server.storage_options)
        read = pl.scan_parquet(f"{folder}/*.parquet", storage_options=server.storage_options)
        assert read.select(pl.len()).collect().item() == 2000

    def test_a_wrong_key_is_refused(self, azurite: AzuriteServer) -> None:
        uri = f"az://{azurite.new_container()}/a.parquet"
        FRAME.write_parquet(uri, storage_options=azurite.storage_options)
        with pytest.raises(PermissionError):
            pl.read_parquet(
                uri, storage_options={**azurite.storage_options, "azure_storage_account_key": "d3Jvbmc="}
            )

    def test_keeps_what_a_condition_does_not_hold_for(self, server: AzuriteServer) -> None:
        with server.client() as client:
            container = client.get_container_client(server.new_container())
            etag = container.upload_blob("a", b"1", overwrite=False).get_blob_properties().etag
            with pytest.raises(ResourceExistsError):
                container.upload_blob("a", b"2", overwrite=False)
            unchanged = {"etag": etag, "match_condition": _unmodified(), "overwrite": True}
            container.upload_blob("a", b"3", **unchanged)
            with pytest.raises(ResourceModifiedError) as refused:
                container.upload_blob("a", b"4", **unchanged)
            assert refused.value.status_code == 412
            assert container.download_blob("a").readall() == b"3"

    def test_lets_one_of_many_creators_win(self, azurite: AzuriteServer) -> None:
        name = azurite.new_container()

        def create(number: int) -> int:
            with suppress(ResourceExistsError), azurite.client() as client:
                client.get_blob_client(name, "a").upload_blob(b"%d" % number, overwrite=False)
                return 1
            return 0

        with ThreadPoolExecutor(8) as threads:
            assert sum(threads.map(create, range(40))) == 1

    @pytest.mark.parametrize("authority", ["authority_host", "plain_authority_host"])
    def test_a_service_principal_reads_with_polars(
        self, azurite_oauth: AzuriteServer, authority: str
    ) -> None:
        uri = f"az://{azurite_oauth.new_container()}/a.parquet"
        FRAME.write_parquet(uri, storage_options=azurite_oauth.storage_options)
        tokens = azurite_oauth.tokens
        options = {
            "azure_storage_account_name": azurite_oauth.account,
            "azure_storage_tenant_id": tokens.tenant_id,
            "azure_storage_client_id": tokens.client_id,
            "azure_storage_client_secret": tokens.client_secret,
            "azure_storage_authority_host": getattr(tokens, authority),
            "azure_storage_endpoint": azurite_oauth.endpoint,
            "allow_invalid_certificates": "true",
            "azure_allow_http": "true",
        }
        assert pl.read_parquet(uri, storage_options=options).equals(FRAME)
        with pytest.raises(OSError, match="AADSTS7000215"):
            pl.read_parquet(uri, storage_options={**options, "azure_storage_client_secret": "wrong"})

    def test_a_service_principal_reads_with_the_sdk(self, azurite_oauth: AzuriteServer) -> None:
        tokens, trusted = azurite_oauth.tokens, str(azurite_oauth.certificate)
        with (
            ClientSecretCredential(
                tokens.tenant_id,
                tokens.client_id,
                tokens.client_secret,
                authority=tokens.authority_host,
                disable_instance_discovery=True,
                connection_verify=trusted,
            ) as credential,
            BlobServiceClient(
                azurite_oauth.endpoint, credential=credential, connection_verify=trusted
            ) as client,
        ):
            container = client.get_container_client(azurite_oauth.new_container())
            container.upload_blob("a", b"1")
            assert container.download_blob("a").readall() == b"1"


class TestCountingProxy:
    @pytest.fixture
    def proxy(self, s3: S3Server) -> Iterator[CountingProxy]:
        with CountingProxy(s3.endpoint) as proxy:
            yield proxy

    @pytest.fixture
    def uri(self, s3: S3Server) -> str:
        uri = f"s3://{s3.new_bucket()}/large.parquet"
        LARGE.write_parquet(uri, compression="uncompressed", storage_options=s3.storage_options)
        return uri

    def test_counts_what_leaves_the_server(self, s3: S3Server, proxy: CountingProxy, uri: str) -> None:
        options = _through(proxy, s3)
        assert pl.scan_parquet(uri, storage_options=options).select(pl.len()).collect().item() == LARGE.height
        assert proxy.bytes_out_of_server < 500_000
        proxy.reset()
        assert pl.read_parquet(uri, storage_options=options).height == LARGE.height
        assert 8_000_000 < proxy.bytes_out_of_server < 9_000_000
        assert proxy.requests == len(proxy.seen) > 0
        assert all("large.parquet" in seen for seen in proxy.seen)

    def test_counts_what_enters_the_server(self, s3: S3Server, proxy: CountingProxy) -> None:
        LARGE.write_parquet(
            f"s3://{s3.new_bucket()}/a.parquet",
            compression="uncompressed",
            storage_options=_through(proxy, s3),
        )
        assert 8_000_000 < proxy.bytes_into_server < 9_000_000

    def test_answers_with_an_error_instead_of_the_server(
        self, s3: S3Server, proxy: CountingProxy, uri: str
    ) -> None:
        bucket = uri.split("/")[2]
        proxy.fail_next(2)
        with closing(_impatient(s3, proxy)) as client:
            for _ in range(2):
                with pytest.raises(ClientError) as failed:
                    client.put_object(Bucket=bucket, Key="a", Body=b"1")
                assert failed.value.response["ResponseMetadata"]["HTTPStatusCode"] == 503
            assert client.list_objects_v2(Bucket=bucket)["KeyCount"] == 1
        assert proxy.requests == 3

    def test_errors_that_pass_are_tried_again_by_polars(
        self, s3: S3Server, proxy: CountingProxy, uri: str
    ) -> None:
        proxy.fail_next(2)
        assert pl.read_parquet(uri, storage_options=_through(proxy, s3)).height == LARGE.height
        proxy.reset()
        proxy.cut_after(5_000_000)
        assert pl.read_parquet(uri, storage_options=_through(proxy, s3)).height == LARGE.height

    def test_cuts_what_is_under_way(self, s3: S3Server, proxy: CountingProxy, uri: str) -> None:
        proxy.cut_after(500_000, times=1000)
        with pytest.raises(OSError, match=r"large\.parquet"):
            pl.read_parquet(uri, storage_options={**_through(proxy, s3), "max_retries": 1})

    def test_cuts_connections_to_postgres(self, postgres: PostgresServer, postgres_database: str) -> None:
        with CountingProxy(postgres_database) as proxy, closing(dbapi.connect(proxy.endpoint)) as connection:
            assert proxy.requests > 0
            with closing(connection.cursor()) as cursor:
                cursor.execute("SELECT repeat('x', 1000) FROM generate_series(1, 10000)")
                proxy.cut_after(100_000)
                with pytest.raises(OperationalError):
                    cursor.fetchall()
        with CountingProxy(postgres_database) as proxy, closing(dbapi.connect(proxy.endpoint)) as connection:
            assert proxy.cut_now() > 0
            with closing(connection.cursor()) as cursor, pytest.raises(OperationalError):
                cursor.execute("SELECT 1")


def _through(proxy: CountingProxy, server: S3Server) -> dict[str, str]:
    return {**server.storage_options, "aws_endpoint_url": proxy.endpoint}


def _impatient(server: S3Server, proxy: CountingProxy) -> Any:
    from botocore.config import Config

    return server.client(endpoint_url=proxy.endpoint, config=Config(retries={"total_max_attempts": 1}))


def _unmodified() -> Any:
    from azure.core import MatchConditions

    return MatchConditions.IfNotModified
