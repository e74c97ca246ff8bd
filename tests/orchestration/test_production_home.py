"""An instance on `dagster_home/dagster.production.yaml` keeps what it is told, and no secret."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from aligned_dagster import (
    ContractStore,
    EventTimestamp,
    FileSource,
    Float,
    Int32,
    PostgreSQLConfig,
    feature_view,
)
from aligned_dagster.orchestration import build_definitions
from aligned_dagster.sources.sql.connection import close_idle_connections
from tools.servers.azure import AzuriteServer
from tools.servers.postgres import PostgresServer
from tools.servers.s3 import S3Server

PRODUCTION = Path(__file__).parents[2] / "dagster_home" / "dagster.production.yaml"
AZURE = re.compile(r"^# compute_logs:\n(?:# .*\n)+", re.MULTILINE)
AWS = re.compile(r"^compute_logs:\n(?: .*\n)+", re.MULTILINE)


@pytest.fixture
def home(tmp_path: Path, postgres_database: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A Dagster home with the very file, and a database for it."""
    made = tmp_path / "home"
    made.mkdir()
    (made / "dagster.yaml").write_text(PRODUCTION.read_text(encoding="utf-8"), encoding="utf-8")
    monkeypatch.setenv("DAGSTER_HOME", str(made))
    monkeypatch.setenv("DAGSTER_PG_URL", postgres_database.replace("postgresql://", "postgresql+psycopg2://"))
    monkeypatch.setenv("PSQL_DB_URL", postgres_database)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))  # where logs wait for their upload
    yield made
    close_idle_connections()


@pytest.fixture
def bucket(s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> str:
    """A bucket for logs, and in the environment what leads to it."""
    made = s3.new_bucket()
    monkeypatch.setenv("DAGSTER_LOGS_BUCKET", made)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", s3.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", s3.secret_key)
    monkeypatch.setenv("AWS_DEFAULT_REGION", s3.region)
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", s3.endpoint)
    return made


def definitions(tmp_path: Path) -> dg.Definitions:
    """Sales (a table of the database, one bad row), a table that nobody made, and a step that prints."""
    (tmp_path / "sales.csv").write_text(
        "id,at,amount\n1,2024-05-01T09:00:00Z,12.5\n2,2024-05-01T10:00:00Z,-3\n", encoding="utf-8"
    )
    database = PostgreSQLConfig(env_var="PSQL_DB_URL")

    @feature_view(
        source=FileSource.csv_at(str(tmp_path / "sales.csv")),
        materialized_source=database.table("sales"),
        on_violation="quarantine",
    )
    class Sales:
        id = Int32().as_entity()
        at = EventTimestamp()
        amount = Float().lower_bound(0)

    @feature_view(
        source=database.table("nobody_made_this"),
        materialized_source=FileSource.parquet_at(str(tmp_path / "lost.parquet")),
    )
    class Lost:
        id = Int32().as_entity()

    @dg.asset(deps=[dg.AssetKey("sales")])
    def told() -> None:
        print("the sales are in")  # noqa: T201  # what a step prints is what goes to the bucket

    contracts = build_definitions(ContractStore([Sales, Lost]))
    return dg.Definitions.merge(contracts, dg.Definitions(assets=[told]))


def materialize(instance: dg.DagsterInstance, defs: dg.Definitions, *keys: str) -> Any:
    job = defs.resolve_implicit_global_asset_job_def()
    chosen = [dg.AssetKey(key) for key in keys]
    return job.execute_in_process(instance=instance, asset_selection=chosen, raise_on_error=False)


def objects(s3: S3Server, bucket: str) -> dict[str, str]:
    client = s3.client()
    found = {
        one["Key"]: client.get_object(Bucket=bucket, Key=one["Key"])["Body"].read().decode()
        for one in client.list_objects_v2(Bucket=bucket).get("Contents", [])
    }
    client.close()
    return found


def everything_kept(postgres: PostgresServer, uri: str) -> str:
    """All rows of all tables of the database, those of the instance and those of contracts, as text."""
    database = uri.rpartition("/")[2]
    tables = postgres.execute(
        "SELECT quote_ident(tablename) FROM pg_tables WHERE schemaname = 'public'", database
    )
    rows = [row for (name,) in tables for row in postgres.execute(f"SELECT t::text FROM {name} t", database)]
    return "\n".join(str(text) for (text,) in rows)


def test_runs_events_and_checks_are_read_back_by_another_instance(
    home: Path,
    bucket: str,
    s3: S3Server,
    postgres: PostgresServer,
    postgres_database: str,
    tmp_path: Path,
) -> None:
    defs = definitions(tmp_path)
    with dg.DagsterInstance.get() as first:
        good = materialize(first, defs, "sales", "told")
        bad = materialize(first, defs, "lost")
        shown = [first.info_str(), repr(first), repr(first.get_ref()), str(first.info_dict())]
    assert good.success
    assert not bad.success

    with dg.DagsterInstance.get() as second:
        runs = {run.run_id: run.status for run in second.get_runs()}
        assert runs == {
            good.run_id: dg.DagsterRunStatus.SUCCESS,
            bad.run_id: dg.DagsterRunStatus.FAILURE,
        }
        event = second.get_latest_materialization_event(dg.AssetKey("sales"))
        assert event is not None and event.asset_materialization is not None
        assert event.run_id == good.run_id
        assert event.asset_materialization.metadata["dagster/row_count"].value == 1
        events = second.all_logs(good.run_id)
        [broken] = [
            one.dagster_event.asset_check_evaluation_data
            for one in events
            if one.dagster_event is not None
            and one.dagster_event.event_type == dg.DagsterEventType.ASSET_CHECK_EVALUATION
            and not one.dagster_event.asset_check_evaluation_data.passed
        ]
        kept = second.event_log_storage.get_latest_asset_check_execution_by_key([broken.asset_check_key])
        assert kept[broken.asset_check_key].run_id == good.run_id
        failures = [e.message for e in second.all_logs(bad.run_id, of_type=dg.DagsterEventType.STEP_FAILURE)]
        assert len(failures) == 1
        log_keys = [
            one.dagster_event.logs_captured_data.file_key
            for one in events
            if one.dagster_event is not None
            and one.dagster_event.event_type == dg.DagsterEventType.LOGS_CAPTURED
        ]
        output = second.compute_log_manager.get_log_data([good.run_id, "compute_logs", log_keys[0]])
        assert output.stdout == b"the sales are in\n"

    stored = objects(s3, bucket)
    assert {key.rpartition(".")[2] for key in stored} == {"out", "err"}  # skip_empty_files holds
    assert all(key.startswith("dagster/storage/") for key in stored)
    text = everything_kept(postgres, postgres_database)
    assert "nobody_made_this" in text and "ASSET_CHECK_EVALUATION" in text
    for secret in (postgres.password, s3.secret_key):
        assert secret not in text
        for told in [*shown, *stored.values()]:
            assert secret not in told
    assert "DAGSTER_LOGS_BUCKET" in shown[0]


def test_the_queue_has_its_limits(home: Path, bucket: str) -> None:
    with dg.DagsterInstance.get() as instance:
        config = instance.get_concurrency_config()
        assert config.run_queue_config is not None
        assert config.run_queue_config.max_concurrent_runs == 8
        limits = {limit["key"]: limit["limit"] for limit in config.run_queue_config.tag_concurrency_limits}
        assert limits == {"dagster/backfill": 4, "database": 1}
        assert config.pool_config.default_pool_limit == 4
        instance.event_log_storage.initialize_concurrency_limit_to_default("warehouse")
        claims = [
            instance.event_log_storage.claim_concurrency_slot("warehouse", "run", step) for step in "abcde"
        ]
        assert [claim.is_claimed for claim in claims] == [True] * 4 + [False]


def test_a_variable_that_is_not_set_is_named(
    home: Path, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DAGSTER_PG_URL")
    with pytest.raises(Exception, match="DAGSTER_PG_URL"), dg.DagsterInstance.get():
        pass


def test_logs_go_to_azure(
    home: Path,
    azurite: AzuriteServer,
    postgres: PostgresServer,
    postgres_database: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import dagster_azure.blob.compute_log_manager as azure
    from azure.storage.blob import BlobServiceClient

    text = PRODUCTION.read_text(encoding="utf-8")
    [variant] = AZURE.findall(text)
    written, count = AWS.subn(re.sub("^# ", "", variant, flags=re.MULTILINE), AZURE.sub("", text))
    assert count == 1
    (home / "dagster.yaml").write_text(written, encoding="utf-8")
    container = azurite.new_container()
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT", azurite.account)
    monkeypatch.setenv("AZURE_STORAGE_KEY", azurite.key)
    monkeypatch.setenv("DAGSTER_LOGS_BUCKET", container)

    def client(account: str, credential: str, suffix: str) -> BlobServiceClient:
        """Dagster makes https://ACCOUNT.blob.SUFFIX of these, which is no address on loopback."""
        assert (account, suffix) == (azurite.account, "core.windows.net")
        return BlobServiceClient(azurite.endpoint, {"account_name": account, "account_key": credential})

    monkeypatch.setattr(azure, "create_blob_client", client)
    with dg.DagsterInstance.get() as instance:
        assert isinstance(instance.compute_log_manager, azure.AzureBlobComputeLogManager)
        result = materialize(instance, definitions(tmp_path), "sales", "told")
        shown = instance.info_str()
    assert result.success
    with azurite.client() as server, server.get_container_client(container) as blobs:
        stored = {name: blobs.download_blob(name).readall().decode() for name in blobs.list_blob_names()}
    assert "the sales are in\n" in stored.values()
    assert any(name.endswith(".err") and "STEP_SUCCESS" in said for name, said in stored.items())
    for told in (shown, everything_kept(postgres, postgres_database), *stored.values()):
        assert azurite.key not in told
        assert postgres.password not in told
