"""A canary in every secret that a project reads: materialised, observed, failed and asked for, it is found nowhere."""

from __future__ import annotations

import base64
import json
import logging
import os
import pickle
import sqlite3
import traceback
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any
from urllib.parse import quote, quote_plus, unquote

import cloudpickle
import dagster as dg
import polars as pl
import pytest
from dagster_aws.s3 import S3Resource
from dagster_azure.blob import AzureBlobStorageKeyCredential, AzureBlobStorageResource

from aligned_dagster import (
    AwsS3Config,
    AzureBlobConfig,
    ContractStore,
    Float,
    Int32,
    PostgreSQLConfig,
    RedshiftSQLConfig,
    feature_view,
)
from aligned_dagster.errors import AlignedError
from aligned_dagster.orchestration import build_definitions
from aligned_dagster.sources.sql.connection import close_idle_connections
from tools.servers.azure import AzuriteServer
from tools.servers.postgres import PostgresServer
from tools.servers.redshift import RedshiftServer
from tools.servers.s3 import S3Server

ROWS = pl.DataFrame(
    {"id": [1, 2, 3], "amount": [1.5, 2.5, -1.0]}, schema={"id": pl.Int32, "amount": pl.Float64}
)
SHORTEST = 12
"""Characters of a secret, or of a part of one, that are worth looking for."""


# --- the project: it names environment variables, and this file is what Dagster's server loads --------


def bucket(prefix: str) -> AwsS3Config:
    return AwsS3Config(
        access_token_env=f"{prefix}_KEY",
        secret_token_env=f"{prefix}_SECRET",
        session_token_env=f"{prefix}_TOKEN" if f"{prefix}_TOKEN" in os.environ else None,
        bucket_env=f"{prefix}_BUCKET",
        region_env="SAFE_REGION",
        endpoint_env=f"{prefix}_ENDPOINT",
    )


def account(container: str = "SAFE_CONTAINER", **named: Any) -> AzureBlobConfig:
    return AzureBlobConfig(
        account_name_env="SAFE_ACCOUNT", container_env=container, endpoint_env="SAFE_BLOBS", **named
    )


def configs() -> dict[str, Any]:
    """Every kind of config, with each kind of secret; those that fail say so in their names."""
    principal = {"tenant_id_env": "SAFE_TENANT", "client_id_env": "SAFE_CLIENT"}
    secure = {
        "account_name_env": "SAFE_ACCOUNT",
        "container_env": "SAFE_CONTAINER",
        "endpoint_env": "SAFE_SECURE_BLOBS",
        "authority_host": os.environ["SAFE_AUTHORITY"],
        "verify_certificates": False,
    }
    staging = bucket("STAGING").directory("staging")
    return {
        "s3": bucket("S3"),
        "azure_key": account(account_key_env="AZURE_KEY"),
        "azure_sas": account(sas_token_env="AZURE_SAS"),
        "azure_principal": AzureBlobConfig(**principal, client_secret_env="PRINCIPAL_SECRET", **secure),
        "postgres": PostgreSQLConfig("PG_URL"),
        "redshift": RedshiftSQLConfig(env_var="REDSHIFT_URL"),
        "redshift_staged": RedshiftSQLConfig(env_var="REDSHIFT_URL", s3=staging, large_rows=1),
        "failing_s3_key": bucket("WRONG"),
        "failing_s3_bucket": bucket("S3").model_copy(update={"bucket_env": "SAFE_NOWHERE"}),
        "failing_azure_key": account(account_key_env="WRONG_AZURE_KEY"),
        "failing_azure_sas": account(sas_token_env="EXPIRED_SAS"),
        "failing_azure_container": account("SAFE_NOWHERE", account_key_env="AZURE_KEY"),
        "failing_azure_principal": AzureBlobConfig(
            **principal, client_secret_env="WRONG_PRINCIPAL_SECRET", **secure
        ),
        "failing_postgres_password": PostgreSQLConfig("WRONG_PG_URL"),
        "failing_postgres_table": PostgreSQLConfig("PG_URL", schema_name="nowhere"),
        "failing_postgres_port": PostgreSQLConfig("LOST_PG_URL"),
        "failing_postgres_address": PostgreSQLConfig("BROKEN_PG_URL"),
        "failing_redshift_password": RedshiftSQLConfig(env_var="WRONG_REDSHIFT_URL"),
        "failing_redshift_staging": RedshiftSQLConfig(
            env_var="REDSHIFT_URL", s3=bucket("WRONG").directory("staging"), large_rows=1
        ),
    }


def sources(config: Any, name: str) -> tuple[Any, Any]:
    """What is read and what is written."""
    if isinstance(config, AwsS3Config | AzureBlobConfig):
        return config.csv_at(f"{name}/raw.csv"), config.parquet_at(f"{name}/kept.parquet")
    return config.table("raw"), config.table(f"kept_{name}")


def contract(name: str, config: Any) -> Any:
    raw, kept = sources(config, name)

    @feature_view(name=name, source=raw, materialized_source=kept, on_violation="quarantine")
    class Sales:
        id = Int32().as_entity()
        amount = Float().lower_bound(0)

    return Sales


def contracts() -> ContractStore:
    """A contract of each config, with a bad row that is put aside; and one whose bad row fails its audit."""

    @feature_view(
        source=configs()["postgres"].table("raw"),
        materialized_source=configs()["s3"].partitioned_parquet_at("strict", ["id"]),
    )
    class FailingAudit:
        id = Int32().as_entity()
        amount = Float().lower_bound(0)

    return ContractStore([*(contract(name, config) for name, config in configs().items()), FailingAudit])


@dg.definitions
def project() -> dg.Definitions:
    return build_definitions(contracts())


# --- the servers, which take the canaries for the secrets that they are ------------------------------


@dataclass
class Canaries:
    """The secrets, and where they were found."""

    forms: dict[bytes, str] = field(default_factory=dict)
    found: list[str] = field(default_factory=list)
    looked_at: int = 0

    def add(self, name: str, *secrets: str) -> None:
        for secret in secrets:
            assert len(secret) >= SHORTEST
            raw = secret.encode()
            texts = {secret, quote(secret, safe=""), quote_plus(secret), quote(secret), unquote(secret)}
            texts |= {repr(secret)[1:-1], json.dumps(secret)[1:-1]}
            texts |= {base64.b64encode(raw[start:]).decode().rstrip("=")[4:-4] for start in range(3)}
            texts |= {base64.urlsafe_b64encode(raw[start:]).decode().rstrip("=")[4:-4] for start in range(3)}
            self.forms |= {text.encode(): name for text in texts if len(text) >= SHORTEST}

    def look(self, where: str, told: str | bytes) -> None:
        """Note each canary that is in what is told."""
        data = told if isinstance(told, bytes) else told.encode("utf-8", "surrogatepass")
        self.looked_at += len(data)
        self.found += [f"{name} in {where}" for form, name in self.forms.items() if form in data]

    def nowhere(self) -> None:
        """End the test where one was found."""
        if self.found:
            pytest.fail("\n".join(sorted(set(self.found))), pytrace=False)


def sas(server: AzuriteServer, container: str, *, hours: int) -> str:
    import datetime as dt

    from azure.storage.blob import generate_container_sas

    now = dt.datetime.now(dt.UTC)
    made: str = generate_container_sas(
        server.account,
        container,
        account_key=server.key,
        permission="rwdlac",
        start=now - dt.timedelta(hours=9),
        expiry=now + dt.timedelta(hours=hours),
    )
    return made


@pytest.fixture(scope="module")
def canary_account() -> Iterator[AzuriteServer]:
    """An account whose key is a canary."""
    with AzuriteServer(key=base64.b64encode(b"c4n4ry-azure-key-" * 4).decode()) as server:
        yield server


@pytest.fixture
def canaries(
    s3_conditional: S3Server,
    s3: S3Server,
    canary_account: AzuriteServer,
    azurite_oauth: AzuriteServer,
    postgres: PostgresServer,
    redshift: RedshiftServer,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Canaries]:
    """Servers that have the rows, and every variable of the project."""
    made = Canaries()
    values: dict[str, str] = {}

    def secret(name: str, value: str, *parts: str) -> str:
        made.add(name, *(parts or (value,)))
        values[name] = value
        return value

    csv = ROWS.write_csv().encode()
    secret("S3_SECRET", "c4n4ry+s3/secret%key=1")
    secret("S3_TOKEN", "c4n4ry+s3/session%token==2")
    values |= {"S3_KEY": "shop", "S3_ENDPOINT": s3_conditional.endpoint, "SAFE_REGION": s3_conditional.region}
    values["S3_BUCKET"] = s3_conditional.new_bucket()
    s3_conditional.client().put_object(Bucket=values["S3_BUCKET"], Key="s3/raw.csv", Body=csv)
    secret("WRONG_SECRET", "c4n4ry/wrong+s3%secret=3")
    values |= {"WRONG_KEY": s3.access_key, "WRONG_ENDPOINT": s3.endpoint, "WRONG_BUCKET": s3.new_bucket()}
    secret("STAGING_SECRET", s3.secret_key)
    values |= {"STAGING_KEY": s3.access_key, "STAGING_ENDPOINT": s3.endpoint}
    values["STAGING_BUCKET"] = s3.new_bucket()

    container = canary_account.new_container()
    azurite_oauth.new_container(container)
    secret("AZURE_KEY", canary_account.key, canary_account.key, "c4n4ry-azure-key-")
    secret("WRONG_AZURE_KEY", base64.b64encode(b"c4n4ry-wrong-azure-key" * 3).decode())
    for name, hours in (("AZURE_SAS", 1), ("EXPIRED_SAS", -1)):
        token = sas(canary_account, container, hours=hours)
        secret(name, token, unquote(token.partition("sig=")[2].partition("&")[0]))
    tokens = azurite_oauth.tokens
    monkeypatch.setattr(tokens, "client_secret", secret("PRINCIPAL_SECRET", "c4n4ry~principal/secret+4"))
    secret("WRONG_PRINCIPAL_SECRET", "c4n4ry~wrong/principal+secret")
    values |= {
        "SAFE_ACCOUNT": canary_account.account,
        "SAFE_CONTAINER": container,
        "SAFE_BLOBS": canary_account.endpoint,
        "SAFE_SECURE_BLOBS": azurite_oauth.endpoint,
        "SAFE_AUTHORITY": tokens.authority_host,
        "SAFE_TENANT": tokens.tenant_id,
        "SAFE_CLIENT": tokens.client_id,
        "SAFE_NOWHERE": "no-such-place",
    }
    for server, names in (
        (canary_account, ("azure_key", "azure_sas")),
        (azurite_oauth, ("azure_principal",)),
    ):
        with server.client() as client:
            for name in names:
                client.get_blob_client(container, f"{name}/raw.csv").upload_blob(csv)

    uris = {"PG": postgres.new_database(), "REDSHIFT": postgres.new_database()}
    for name, word in (("PG", "c4n4ry pg/pass+word%:@5"), ("REDSHIFT", "c4n4ry rs/pass+word%:@6")):
        database = uris[name].rpartition("/")[2]
        role = f"canary_{database}"
        postgres.new_user(role, word)
        postgres.execute(f'GRANT ALL ON SCHEMA public TO "{role}"', database)
        postgres.execute("CREATE TABLE raw (id int4, amount float8)", database)
        postgres.execute("INSERT INTO raw VALUES (1, 1.5), (2, 2.5), (3, -1)", database)
        postgres.execute(f'GRANT ALL ON ALL TABLES IN SCHEMA public TO "{role}"', database)
        of = postgres if name == "PG" else redshift
        made.add(name, word)
        made.add(f"WRONG_{name}", f"{word} wrong")
        values[f"{name}_URL"] = of.uri(database, role, word)
        values[f"WRONG_{name}_URL"] = of.uri(database, role, f"{word} wrong")
    values["LOST_PG_URL"] = values["PG_URL"].replace(f":{postgres.port}/", ":9/")
    values["BROKEN_PG_URL"] = values["PG_URL"].replace("%25", "%")
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    yield made
    close_idle_connections()
    for uri in uris.values():
        database = uri.rpartition("/")[2]
        postgres.drop_database(database)
        postgres.execute(f'DROP ROLE "canary_{database}"')


# --- what is looked at --------------------------------------------------------------------------------


def look_at_error(canaries: Canaries, where: str, error: BaseException) -> None:
    """What a log, pytest or rich prints of an error, with the variables of every frame but those of this file."""
    seen: BaseException | None = error
    while seen is not None:
        canaries.look(f"the arguments of {where}", f"{seen.args!r} {seen!s} {seen!r}")
        seen = seen.__cause__ or seen.__context__
    canaries.look(f"the traceback of {where}", "".join(traceback.format_exception(error)))
    shown: BaseException | None = error
    while shown is not None:
        for frame, _ in traceback.walk_tb(shown.__traceback__):
            if frame.f_code.co_filename != __file__:
                canaries.look(f"a frame of {where}: {_place(frame)}", _locals(frame))
        shown = shown.__cause__ or (None if shown.__suppress_context__ else shown.__context__)


def _place(frame: FrameType) -> str:
    return f"{frame.f_code.co_filename}:{frame.f_code.co_name}"


def _locals(frame: FrameType) -> str:
    told = []
    for name, value in frame.f_locals.items():
        try:
            told.append(f"{name} = {value!r}")
        except Exception as error:  # an object that is not finished has no text
            told.append(f"{name} = {error!r}")
    return "\n".join(told)


def attempt(canaries: Canaries, where: str, action: Any) -> bool:
    """Whether an action succeeds; what it gives or raises is looked at."""
    try:
        given = action()
    except AlignedError as error:
        look_at_error(canaries, where, error)
        return False
    canaries.look(f"what {where} gives", repr(given))
    return True


def files_below(folder: Path) -> Iterator[tuple[str, bytes]]:
    for file in folder.rglob("*"):
        if file.is_file():
            yield str(file), file.read_bytes()


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    """An instance whose events, schedules and captured output are files."""
    home = tmp_path / "home"
    home.mkdir()
    with dg.DagsterInstance.local_temp(str(home)) as made:
        yield made


@pytest.fixture
def everything_logged(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> Iterator[pytest.LogCaptureFixture]:
    """All that all loggers say, of this code and of others' alike, also where another test made one silent.

    Dagster's migrations configure logging, which disables the loggers that are there already.
    """
    for logger in logging.root.manager.loggerDict.values():
        if isinstance(logger, logging.Logger):
            monkeypatch.setattr(logger, "disabled", False)
            monkeypatch.setattr(logger, "propagate", True)
            monkeypatch.setattr(logger, "level", logging.NOTSET)
            logger._cache.clear()
    with caplog.at_level(logging.DEBUG):
        yield caplog


pytestmark = pytest.mark.filterwarnings(
    "ignore::urllib3.exceptions.InsecureRequestWarning"
)  # its own certificate


def test_sources_and_their_errors(canaries: Canaries, everything_logged: pytest.LogCaptureFixture) -> None:
    outcomes: dict[str, list[bool]] = {}
    for name, config in configs().items():
        view = contract(name, config)
        raw, kept = sources(config, name)
        request = view.stored_request
        for told in (config, raw, kept, view, view.query().all()):
            canaries.look(f"the text of {name}", f"{told!r} {told!s}")
        canaries.look(f"the JSON of {name}", json.dumps(view.to_json()))
        canaries.look(f"the model of {name}", repr(config.model_dump()) + raw.uri + kept.uri + raw.label)
        for one in (config, raw, kept):
            canaries.look(f"a pickle of {name}", pickle.dumps(one) + cloudpickle.dumps(one))

        def planned(raw: Any = raw, request: Any = request, name: str = name) -> Any:
            plan = raw.all_data(request)
            canaries.look(f"the plan of {name}", plan.serialize() + plan.explain().encode())
            return plan.collect()

        outcomes[name] = [
            attempt(canaries, f"{name}: reading", planned),
            attempt(canaries, f"{name}: fingerprint", raw.fingerprint),
            attempt(canaries, f"{name}: overwrite", lambda k=kept, r=request: k.overwrite(ROWS.lazy(), r)),
            attempt(canaries, f"{name}: upsert", lambda k=kept, r=request: k.upsert(ROWS.lazy(), r)),
        ]
    failing = {name for name, done in outcomes.items() if not any(done)}
    assert failing == {name for name in outcomes if name.startswith("failing_")} - {
        "failing_redshift_staging",  # reading the statistics of a table needs no bucket
    }
    assert not any(done for name, (done, *_) in outcomes.items() if name.startswith("failing_"))
    assert all(all(done) for name, done in outcomes.items() if not name.startswith("failing_"))
    for record in everything_logged.records:
        canaries.look(f"a log of {record.name}", f"{record.getMessage()} {record.args!r}")
    canaries.look("the log", everything_logged.text)
    assert "botocore" in everything_logged.text and "urllib3" in everything_logged.text
    canaries.nowhere()


GIVEN = """
  metadataEntries { __typename label description
    ... on TextMetadataEntry { text } ... on JsonMetadataEntry { jsonString } ... on UrlMetadataEntry { url }
    ... on MarkdownMetadataEntry { mdStr } ... on PathMetadataEntry { path }
    ... on TableMetadataEntry { table { records } } }
"""
QUERIES = {
    "assets": f"""{{ assetNodes {{
        id description opNames jobNames kinds groupName graphName tags {{ key value }} {GIVEN}
        configField {{ configType {{ key description }} }}
        assetMaterializations {{ label description tags {{ key value }} {GIVEN} }}
        assetObservations {{ label description tags {{ key value }} {GIVEN} }}
        assetChecksOrError {{ ... on AssetChecks {{ checks {{ name description
            executionForLatestMaterialization {{ status evaluation {{ description {GIVEN} }} }} }} }} }}
    }} }}""",
    "runs": """{ runsOrError { ... on Runs { results { runConfigYaml status tags { key value }
        eventConnection { events { __typename ... on MessageEvent { message }
            ... on ExecutionStepFailureEvent { error { message stack className
                errorChain { error { message stack } } }
                failureMetadata { metadataEntries { label ... on MarkdownMetadataEntry { mdStr }
                    ... on TextMetadataEntry { text } } } } } } } } } }""",
    "repositories": """{ repositoriesOrError { __typename ... on RepositoryConnection { nodes { name
        jobs { name description runTags { key value } } displayMetadata { key value }
        allTopLevelResourceDetails { name description resourceType
            configuredValues { key value type } configFields { name description defaultValueAsJson } }
    } } } }""",
    "workspace": """{ workspaceOrError { __typename ... on Workspace { locationEntries {
        name loadStatus locationOrLoadError { __typename ... on PythonError { message stack } } } } } }""",
}


def answers(instance: dg.DagsterInstance) -> dict[str, Any]:
    """What the GraphQL server of Dagster's UI says of the project and its runs."""
    from dagster._core.remote_origin import InProcessCodeLocationOrigin
    from dagster._core.test_utils import InProcessTestWorkspaceLoadTarget
    from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
    from dagster._core.workspace.context import WorkspaceProcessContext
    from dagster_graphql.test.utils import execute_dagster_graphql

    loaded = LoadableTargetOrigin(python_file=__file__, attribute="project")
    target = InProcessTestWorkspaceLoadTarget(
        [InProcessCodeLocationOrigin(loadable_target_origin=loaded, location_name="secrets")]
    )
    with WorkspaceProcessContext(instance, target) as process:
        told = {}
        for name, query in QUERIES.items():
            result = execute_dagster_graphql(process.create_request_context(), query)
            assert result.errors is None
            told[name] = result.data
    return told


def test_a_project_in_dagster(
    canaries: Canaries,
    instance: dg.DagsterInstance,
    tmp_path: Path,
    everything_logged: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    store = contracts()
    canaries.look("the text of the store", f"{store!r} {store!s}")
    canaries.look("the JSON of the store", json.dumps(store.to_json()))
    store.write_to(tmp_path / "store.json")
    defs = project()
    job = defs.resolve_implicit_global_asset_job_def()
    canaries.look("the job", f"{job!r} {defs!r}")
    failed: set[str] = set()
    keys = defs.resolve_asset_graph().get_all_asset_keys()
    raw = {key for key in keys if key.path[0] == "raw"}
    for chosen in (raw, keys - raw):
        result = job.execute_in_process(instance=instance, asset_selection=list(chosen), raise_on_error=False)
        failed |= {str(event.step_key) for event in result.get_step_failure_events()}
    observed = {name for name in failed if name.startswith("observe__raw__")}
    assert failed - observed == {name for name in store.views if name.startswith("failing_")}
    assert 0 < len(observed) < len(raw)

    for path, content in files_below(tmp_path):
        canaries.look(path, content)
    stored = [path for path in (tmp_path / "home").rglob("*.db") if path.stat().st_size]
    rows = 0
    for path in stored:
        with closing(sqlite3.connect(path)) as database:
            names = [
                name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type='table'")
            ]
            for name in names:
                for row in database.execute(f'SELECT * FROM "{name}"'):
                    rows += 1
                    canaries.look(f"{path.name}: {name}", repr(row))
    assert rows > 500
    told = answers(instance)
    for name, answer in told.items():
        canaries.look(f"the answer to {name}", json.dumps(answer))
        canaries.look(f"the answer to {name}", json.dumps(answer, ensure_ascii=False))
    events = json.dumps(told["runs"])
    for name in (*store.views, "ExecutionStepFailureEvent", "password authentication failed"):
        assert name in events
    assert len(told["assets"]["assetNodes"]) == len(keys)
    assert told["workspace"]["workspaceOrError"]["locationEntries"][0]["loadStatus"] == "LOADED"
    for record in everything_logged.records:
        canaries.look(f"a log of {record.name}", f"{record.getMessage()} {record.args!r}")
    canaries.look("the log", everything_logged.text)
    written = capfd.readouterr()
    canaries.look("standard output", written.out + written.err)
    assert "STEP_FAILURE" in everything_logged.text + written.err
    canaries.nowhere()


def test_handed_over_resources(canaries: Canaries, everything_logged: pytest.LogCaptureFixture) -> None:
    of_s3 = S3Resource(
        aws_access_key_id="shop",
        aws_secret_access_key=dg.EnvVar("S3_SECRET"),
        aws_session_token=os.environ["S3_TOKEN"],  # held by the resource itself
        region_name="us-east-1",
        endpoint_url=os.environ["S3_ENDPOINT"],
    )
    key = AzureBlobStorageKeyCredential(key=os.environ["AZURE_KEY"])
    of_azure = AzureBlobStorageResource(account_url=os.environ["SAFE_BLOBS"], credential=key)
    wrong = AzureBlobStorageKeyCredential(key=os.environ["WRONG_AZURE_KEY"])
    lost = AzureBlobStorageResource(account_url=os.environ["SAFE_BLOBS"], credential=wrong)
    container = os.environ["SAFE_CONTAINER"]
    for name, config, good in (
        ("s3", AwsS3Config.from_resource(of_s3, os.environ["S3_BUCKET"]), True),
        ("azure_key", AzureBlobConfig.from_resource(of_azure, container), True),
        ("nowhere", AwsS3Config.from_resource(of_s3, "no-such-bucket"), False),
        ("refused", AzureBlobConfig.from_resource(lost, container), False),
    ):
        view = contract(name, config)
        raw, kept = sources(config, name)
        request = view.stored_request
        for told in (config, raw, kept, view, view.query().all(), dict(config)):
            canaries.look(f"the text of {name}", f"{told!r} {told!s}")
        assert attempt(canaries, f"{name}: reading", lambda r=raw, q=request: r.all_data(q).collect()) is good
        assert (
            attempt(canaries, f"{name}: writing", lambda k=kept, q=request: k.upsert(ROWS.lazy(), q)) is good
        )
    canaries.look("the log", everything_logged.text)
    canaries.nowhere()
