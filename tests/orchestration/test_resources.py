"""Connections and IO managers as resources: how they are shown, and how a deployment replaces them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import pytest
from dagster_aws.redshift import RedshiftClientResource
from dagster_aws.s3 import S3Resource
from dagster_azure.blob import AzureBlobStorageKeyCredential, AzureBlobStorageResource

from aligned_dagster import (
    AwsS3Config,
    AzureBlobConfig,
    ContractStore,
    ExposedModel,
    FileSource,
    Float,
    InMemorySource,
    Int64,
    PostgreSQLConfig,
    RedshiftSQLConfig,
    String,
    feature_view,
    model_contract,
)
from aligned_dagster.contracts.connections import kinds
from aligned_dagster.errors import ConfigurationError
from aligned_dagster.orchestration import (
    AzureContainerResource,
    ContractTranslator,
    PostgreSQLResource,
    RedshiftResource,
    S3BucketResource,
    TranslatorSettings,
    build_definitions,
    produces,
)
from aligned_dagster.orchestration.project import ProjectSettings
from tools.servers.azure import AzuriteServer
from tools.servers.postgres import PostgresServer
from tools.servers.s3 import S3Server

from .conftest import Ran

Run = Callable[..., Ran]
SECRET = "c4n4ry-secret"
ROWS = {"id": [1, 2], "amount": [5.0, -1.0]}


class Rates(dg.ConfigurableResource[Any]):
    factor: float


def orders(source: Any, kept: Any = None, name: str = "orders") -> Any:
    @feature_view(name=name, source=source, materialized_source=kept, on_violation="quarantine")
    class Orders:
        id = Int64().as_entity()
        amount = Float().lower_bound(0)

    return Orders


def shown(defs: dg.Definitions) -> dict[str, Any]:
    """What the UI is told of each resource."""
    from dagster._core.remote_representation.external_data import RepositorySnap

    snap = RepositorySnap.from_def(defs.get_repository_def())
    return {one.name: one for one in snap.resources or ()}


def users(defs: dg.Definitions, resource: str) -> set[str]:
    return {key.to_user_string() for key in shown(defs)[resource].asset_keys_using}


@pytest.fixture
def two_databases(
    postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[PostgreSQLConfig, PostgreSQLConfig]]:
    """The database of a test and that of production, with other orders in each."""
    uris = {"TEST_DB_URL": postgres.new_database(), "PROD_DB_URL": postgres.new_database()}
    for number, (variable, uri) in enumerate(uris.items()):
        monkeypatch.setenv(variable, uri)
        config = PostgreSQLConfig(env_var=variable)
        rows = pl.DataFrame({"id": [number * 10 + 1, number * 10 + 2], "amount": [5.0, -1.0]})
        raw = orders(config.table("raw_orders"))
        raw.source.overwrite(rows.lazy(), raw.stored_request)
    yield PostgreSQLConfig(env_var="TEST_DB_URL"), PostgreSQLConfig(env_var="PROD_DB_URL")
    for uri in uris.values():
        postgres.drop_database(uri.rpartition("/")[2])


# --- IO managers ----------------------------------------------------------------------------------------


def test_every_kind_of_storage_has_an_io_manager_that_lists_its_contracts(tmp_path: Path) -> None:
    lake = AwsS3Config(bucket="lake")
    database = PostgreSQLConfig(env_var="DB_URL")
    raw = InMemorySource.from_values(ROWS)
    kept = {
        "in_parquet": FileSource.parquet_at(tmp_path / "a.parquet"),
        "in_csv": FileSource.csv_at(tmp_path / "a.csv"),
        "in_versions": FileSource.directory(tmp_path).with_schema_version("v").parquet_at("a.parquet"),
        "in_s3": lake.parquet_at("a.parquet"),
        "in_a_table": database.table("a"),
        "nowhere": None,
    }
    store = ContractStore(orders(raw, storage, name) for name, storage in kept.items())

    defs = build_definitions(store)

    managers = {name: one for name, one in shown(defs).items() if name.endswith("_io_manager")}
    assert {name: users(defs, name) for name in managers} == {
        "parquet_io_manager": {"in_parquet", "in_versions"},
        "csv_io_manager": {"in_csv"},
        "s3_parquet_io_manager": {"in_s3"},
        "postgres_io_manager": {"in_a_table"},
        "view_io_manager": {"nowhere"},
    }
    told = managers["parquet_io_manager"].resource_snapshot.description
    assert "2 contracts" in told and "Parquet files" in told
    assert told.endswith("- in_parquet\n- in_versions")
    assert "Parquet files in S3" in managers["s3_parquet_io_manager"].resource_snapshot.description


def test_one_io_manager_for_all_is_a_setting(tmp_path: Path) -> None:
    raw = InMemorySource.from_values(ROWS)
    store = ContractStore([orders(raw), orders(raw, FileSource.parquet_at(tmp_path / "a.parquet"), "kept")])
    defs = build_definitions(store, ContractTranslator(TranslatorSettings(io_manager_key="rows")))

    assert set(shown(defs)) == {"rows"}
    assert users(defs, "rows") == {"orders", "kept"}


def test_a_replaced_io_manager_is_that_of_its_contracts_only(tmp_path: Path, run: Run) -> None:
    class Shouting(dg.IOManager):
        def load_input(self, context: dg.InputContext) -> Any:
            return f"rows of {context.asset_key.to_user_string()}"

        def handle_output(self, context: dg.OutputContext, obj: Any) -> None:
            raise AssertionError

    raw = InMemorySource.from_values(ROWS)
    store = ContractStore(
        [
            orders(raw, FileSource.parquet_at(tmp_path / "a.parquet"), "in_parquet"),
            orders(raw, FileSource.csv_at(tmp_path / "a.csv"), "in_csv"),
        ]
    )
    taken: dict[str, Any] = {}

    @dg.asset(ins={"one": dg.AssetIn("in_parquet", dagster_type=dg.Any), "other": dg.AssetIn("in_csv")})
    def consumer(one: Any, other: pl.DataFrame) -> None:
        taken.update(one=one, other=other["id"].to_list())

    defs = build_definitions(store, assets=[consumer], resources={"parquet_io_manager": Shouting()})

    assert run(defs).success
    assert taken == {"one": "rows of in_parquet", "other": [1]}


def test_a_function_with_a_resource_of_its_own_still_produces_a_contract(tmp_path: Path, run: Run) -> None:
    kept = PostgreSQLConfig(env_var="UNUSED_URL").table("raw")
    view = orders(kept, FileSource.parquet_at(tmp_path / "a.parquet"))

    @produces(view)
    def made(rates: Rates) -> pl.DataFrame:
        return pl.DataFrame({"id": [1], "amount": [rates.factor]})

    defs = build_definitions(ContractStore([]), assets=[made], resources={"rates": Rates(factor=2.5)})

    assert run(defs, "orders").success
    assert pl.read_parquet(tmp_path / "a.parquet")["amount"].to_list() == [2.5]


# --- how connections are shown --------------------------------------------------------------------------


def everything() -> ContractStore:
    database = PostgreSQLConfig(env_var="PSQL_DB_URL")
    lake = AwsS3Config(bucket_env="LAKE", access_token_env="LAKE_KEY", secret_token_env="LAKE_SECRET")
    azure = AzureBlobConfig(account_name="shop", container="raw-data", account_key_env="SHOP_KEY")
    warehouse = RedshiftSQLConfig(env_var="WAREHOUSE_URL", s3=lake.directory("staging"))
    raw = orders(database.table("orders", schema="sales"), lake.parquet_at("orders.parquet"))
    other = orders(database.with_schema("other").table("orders"), warehouse.table("orders"), "elsewhere")
    blobs = orders(azure.directory("x").with_schema_version("o").parquet_at("o.parquet"), None, "blobs")
    both = orders(raw.join(blobs, on="id"), None, "both")
    model = model_contract(
        name="late",
        input_features=[raw().amount],
        exposed_model=ExposedModel.sklearn_at(AwsS3Config(bucket="models").at("late.joblib")),
    )(_Late)
    return ContractStore([raw, other, blobs, both, model])


class _Late:
    id = Int64().as_entity()
    score = Float()


def test_every_connection_is_a_resource_that_shows_what_it_names() -> None:
    defs = build_definitions(everything())
    resources = shown(defs)

    assert {name for name in resources if not name.endswith("io_manager")} == {
        "azure_raw_data",
        "postgres_PSQL_DB_URL",
        "redshift_WAREHOUSE_URL",
        "s3_LAKE",
        "s3_models",
    }
    values = {k: json.loads(v) for k, v in resources["s3_LAKE"].configured_values.items() if v != "null"}
    assert values == {"access_token_env": "LAKE_KEY", "bucket_env": "LAKE", "secret_token_env": "LAKE_SECRET"}
    assert resources["postgres_PSQL_DB_URL"].resource_type.endswith(".PostgreSQLResource")
    assert users(defs, "postgres_PSQL_DB_URL") == {"orders", "elsewhere"}
    assert users(defs, "s3_LAKE") == {"orders", "elsewhere"}  # Redshift stages there
    assert users(defs, "s3_models") == {"late"}
    assert users(defs, "azure_raw_data") == {"blobs"}


def test_every_field_of_a_config_is_in_its_resource() -> None:
    resources = {
        "postgres": PostgreSQLResource,
        "redshift": RedshiftResource,
        "s3": S3BucketResource,
        "azure": AzureContainerResource,
    }
    left_out = {"resource", "s3", "account_id_env"}
    for kind, resource in resources.items():
        assert set(resource.model_fields) == set(kinds()[kind].model_fields) - left_out


def test_two_connections_of_one_name_are_told_apart() -> None:
    reader = AwsS3Config(bucket="lake", access_token_env="READ_KEY", secret_token_env="READ_SECRET")
    writer = AwsS3Config(bucket="lake", access_token_env="WRITE_KEY", secret_token_env="WRITE_SECRET")
    store = ContractStore([orders(reader.parquet_at("a.parquet"), writer.parquet_at("b.parquet"))])

    names = list(store.connections)

    assert len(names) == 2 and all(name.startswith("s3_lake_") for name in names)
    assert names == list(ContractStore(store.views.values()).connections)


# --- replacing them -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "replacement",
    [
        PostgreSQLConfig(env_var="PROD_DB_URL"),
        PostgreSQLResource(env_var="PROD_DB_URL"),
        PostgreSQLResource(env_var=dg.EnvVar("PROD_DB_URL")),
        PostgreSQLResource(address=dg.EnvVar("PROD_DB_URL")),
        PostgreSQLConfig(env_var=dg.EnvVar("PROD_DB_URL")),
    ],
    ids=repr,
)
def test_a_replaced_database_is_that_of_all_sources(
    two_databases: tuple[PostgreSQLConfig, PostgreSQLConfig], replacement: Any, run: Run, tmp_path: Path
) -> None:
    test, production = two_databases
    cleaned = orders(test.table("raw_orders"), test.table("clean_orders"), "cleaned")
    virtual = cleaned.filter("large", cleaned().amount > 1)
    copied = orders(virtual, FileSource.parquet_at(tmp_path / "copied.parquet"), "copied")
    store = ContractStore([cleaned, copied])
    before = build_definitions(store)
    defs = build_definitions(store, resources={"postgres_TEST_DB_URL": replacement})

    assert run(defs, "cleaned", "copied").success

    assert (
        defs.resolve_asset_graph().get_all_asset_keys() == before.resolve_asset_graph().get_all_asset_keys()
    )
    values = shown(defs)["postgres_TEST_DB_URL"].configured_values
    assert values["env_var"] == '"PROD_DB_URL"'
    there = store.with_connections({"postgres_TEST_DB_URL": production}).view("cleaned")
    assert there.read().collect()["id"].to_list() == [11]
    assert there.storage.read_quarantine().collect()["id"].to_list() == [12]  # type: ignore[attr-defined]
    assert pl.read_parquet(tmp_path / "copied.parquet")["id"].to_list() == [11]
    with pytest.raises(Exception, match="clean_orders"):
        cleaned.read().collect()


def test_a_schema_of_a_table_stays_unless_the_new_config_has_one() -> None:
    view = orders(PostgreSQLConfig(env_var="A", schema_name="sales").table("o"))
    store = ContractStore([view])

    kept = store.with_connections({"postgres_A": PostgreSQLConfig(env_var="B")})
    other = store.with_connections({"postgres_A": PostgreSQLConfig(env_var="B", schema_name="live")})

    assert kept.view("orders").source.uri == "postgres://$B/sales.o"
    assert other.view("orders").source.uri == "postgres://$B/live.o"


def test_connections_are_replaced_wherever_they_are_nested() -> None:
    store = everything()
    other = store.with_connections(
        {
            "s3_LAKE": AwsS3Config(bucket="prod"),
            "s3_models": AwsS3Config(bucket="prod-models"),
            "azure_raw_data": AzureBlobConfig(account_name="live", container="prod-data"),
        }
    )

    views = other.views
    assert list(other.connections) == list(store.connections)
    assert views["orders"].storage.uri == "s3://prod/orders.parquet"
    assert views["elsewhere"].storage.config.s3.uri == "s3://prod/staging"  # type: ignore[attr-defined]
    assert views["blobs"].source.uri == "az://prod-data/x/o/*/o.parquet"
    assert views["both"].upstream_views["orders"] is views["orders"]
    assert views["late"].exposed_model.uri == "s3://prod-models/late.joblib"  # type: ignore[attr-defined]
    assert views["late"].upstream_views["orders"] is views["orders"]
    assert store.view("orders").storage.uri == "s3://$LAKE/orders.parquet"
    again = other.with_connections({"s3_LAKE": AwsS3Config(bucket="third")})
    assert again.view("orders").storage.uri == "s3://third/orders.parquet"


def test_what_nothing_changes_in_stays_the_same_object() -> None:
    store = everything()
    other = store.with_connections({"s3_models": AwsS3Config(bucket="prod-models")})

    same = {name for name, view in store.views.items() if other.views[name] is view}
    assert same == {"orders", "elsewhere", "blobs", "both"}


def test_a_long_chain_of_contracts_is_replaced() -> None:
    view = orders(PostgreSQLConfig(env_var="A").table("o"), None, "first")
    chain = [view]
    for number in range(1_500):
        chain.append(orders(chain[-1], None, f"number_{number}"))

    other = ContractStore(chain[-1:]).with_connections({"postgres_A": PostgreSQLConfig(env_var="B")})

    last: Any = other.view("number_1499")
    while last.upstream_views:
        [last] = last.upstream_views.values()
    assert last.source.uri == "postgres://$B/o"


def test_a_resource_of_dagster_aws_takes_the_place_of_a_bucket(
    s3: S3Server, run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    bucket = s3.new_bucket()
    monkeypatch.setenv("HANDED_KEY", s3.access_key)
    monkeypatch.setenv("HANDED_SECRET", s3.secret_key)
    resource = S3Resource(
        region_name=s3.region,
        endpoint_url=s3.endpoint,
        aws_access_key_id=dg.EnvVar("HANDED_KEY"),
        aws_secret_access_key=dg.EnvVar("HANDED_SECRET"),
    )
    view = orders(InMemorySource.from_values(ROWS), AwsS3Config(bucket=bucket).parquet_at("o.parquet"))
    defs = build_definitions(ContractStore([view]), resources={f"s3_{bucket.replace('-', '_')}": resource})

    assert run(defs, "orders").success
    keys = {one["Key"] for one in s3.client().list_objects_v2(Bucket=bucket)["Contents"]}
    assert "o.parquet" in keys


def test_a_resource_of_dagster_azure_takes_the_place_of_a_container(
    azurite: AzuriteServer, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    container = azurite.new_container()
    monkeypatch.setenv("HANDED_AZURE_KEY", azurite.key)
    resource = AzureBlobStorageResource(
        account_url=azurite.endpoint,
        credential=AzureBlobStorageKeyCredential(key=dg.EnvVar("HANDED_AZURE_KEY")),
    )
    kept = AzureBlobConfig(account_name="elsewhere", container=container).parquet_at("o.parquet")
    store = ContractStore([orders(InMemorySource.from_values(ROWS), kept)])
    [name] = store.connections
    defs = build_definitions(store, resources={name: resource})

    assert run(defs, "orders").success
    assert azurite.key not in str(shown(defs))
    given = AzureBlobConfig.from_resource(resource, container).parquet_at("o.parquet")
    handed = shown(build_definitions(ContractStore([orders(InMemorySource.from_values(ROWS), given)])))
    assert handed[name].configured_values == {
        "place": f'"{container}"',
        "resource": '"AzureBlobStorageResource"',
    }


def test_a_resource_of_dagster_aws_takes_the_place_of_redshift() -> None:
    lake = AwsS3Config(bucket="lake").directory("staging")
    warehouse = RedshiftSQLConfig(env_var="TEST_WAREHOUSE", schema_name="sales", s3=lake)
    store = ContractStore([orders(warehouse.table("o"))])
    resource = RedshiftClientResource(
        host="prod.example", user="me", password=dg.EnvVar("PROD_PASSWORD"), database="shop"
    )
    defs = build_definitions(store, resources={"redshift_TEST_WAREHOUSE": resource})

    sources = [key.to_user_string() for key in defs.resolve_asset_graph().get_all_asset_keys()]
    assert sorted(sources) == ["orders", "raw/sales.o"]
    assert shown(defs)["redshift_TEST_WAREHOUSE"].resource_type.endswith("RedshiftClientResource")
    staged = RedshiftResource(env_var="PROD_WAREHOUSE").config(store.connections["redshift_TEST_WAREHOUSE"])
    assert staged.s3 is not None and staged.s3.uri == "s3://lake/staging"  # type: ignore[union-attr]


def test_resources_of_other_names_are_the_users_own(run: Run) -> None:
    view = orders(InMemorySource.from_values(ROWS))

    said = []

    @dg.asset
    def speaker(mine: Rates) -> None:
        said.append(mine.factor)

    defs = build_definitions(ContractStore([view]), assets=[speaker], resources={"mine": Rates(factor=3)})

    assert run(defs, "speaker").success and said == [3.0]


@pytest.mark.parametrize(
    ("name", "replacement", "words"),
    [
        ("postgres_PSQL_DB_ULR", PostgreSQLConfig(env_var="X"), "Did you mean 'postgres_PSQL_DB_URL'?"),
        ("warehouse", PostgreSQLResource(env_var="X"), "No contract uses a connection 'warehouse'"),
        ("postgres_PSQL_DB_URL", AwsS3Config(bucket="x"), "cannot be replaced by a AwsS3Config"),
        ("postgres_PSQL_DB_URL", S3BucketResource(bucket="x"), "Give a PostgreSQLResource"),
        ("postgres_PSQL_DB_URL", "postgresql://me:c4n4ry-secret@host/db", "and not by a str"),
        ("s3_LAKE", S3Resource(aws_secret_access_key=SECRET), 'aws_secret_access_key=dg.EnvVar("NAME")'),
        (
            "azure_raw_data",
            AzureBlobStorageResource(
                account_url="https://x.example", credential=AzureBlobStorageKeyCredential(key=SECRET)
            ),
            'key=dg.EnvVar("NAME")',
        ),
        ("redshift_WAREHOUSE_URL", RedshiftClientResource(host="h", password=SECRET), "password"),
    ],
)
def test_a_replacement_that_cannot_be_is_an_error(name: str, replacement: Any, words: str) -> None:
    with pytest.raises(ConfigurationError) as found:
        build_definitions(everything(), resources={name: replacement})

    assert words in str(found.value)
    assert SECRET not in str(found.value)


@pytest.mark.parametrize(
    "make",
    [
        lambda: PostgreSQLResource(env_var=f"postgresql://me:{SECRET}@host/db"),
        lambda: PostgreSQLResource(address=f"postgresql://me:{SECRET}@host/db"),
        lambda: S3BucketResource(bucket="b", access_token_env="A", secret_token_env=SECRET),
        lambda: AzureContainerResource(account_name="a", account_key_env=SECRET),
        lambda: S3BucketResource(),
        lambda: S3BucketResource(bucket="b", verify=True),
        lambda: AzureContainerResource(account_name="a", verify_certificates=dg.EnvVar("X")),
    ],
)
def test_a_resource_that_is_wrong_is_refused_where_it_is_made(make: Callable[[], object]) -> None:
    with pytest.raises(ConfigurationError) as found:
        make()
    assert SECRET not in str(found.value)


def test_an_environment_variable_of_dagster_names_itself_in_a_config() -> None:
    assert AwsS3Config(bucket=dg.EnvVar("LAKE"), endpoint_url=dg.EnvVar("HERE")) == AwsS3Config(
        bucket_env="LAKE", endpoint_env="HERE"
    )
    assert PostgreSQLConfig(address=dg.EnvVar("URL")).env_var == "URL"
    azure = AzureBlobConfig(account_name=dg.EnvVar("ACCOUNT"), account_key_env=dg.EnvVar("KEY"))
    assert (azure.account_name_env, azure.account_key_env, azure.account_name) == ("ACCOUNT", "KEY", None)
    for fields in (
        {"bucket": dg.EnvVar("A"), "bucket_env": "B"},
        {"bucket_env": "B", "bucket": dg.EnvVar("A")},
    ):
        with pytest.raises(ConfigurationError, match="bucket_env is given twice"):
            AwsS3Config(**fields)


# --- profiles -------------------------------------------------------------------------------------------

CONTRACT = """
from aligned_dagster import Int32, PostgreSQLConfig, feature_view

@feature_view(source=PostgreSQLConfig(env_var="TEST_URL").table("orders"))
class Orders:
    id = Int32().as_entity()
"""
PRODUCTION = '[tool.aligned_dagster.profiles.production.postgres_TEST_URL]\nenv_var = "PROD_URL"\n'


def settings(root: Path, table: str = "", profiles: str = PRODUCTION) -> ProjectSettings:
    (root / "contracts.py").write_text(CONTRACT, encoding="utf-8")
    text = f'[tool.aligned_dagster]\ncontracts = "contracts.py"\n{table}\n{profiles}'
    (root / "pyproject.toml").write_text(text, encoding="utf-8")
    return ProjectSettings.find(root, environ={})


def place(store: ContractStore) -> str:
    return store.view("orders").source.uri


def test_a_profile_is_chosen_by_the_environment_or_by_a_setting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ALIGNED_PROFILE", raising=False)
    assert place(settings(tmp_path).load_store()) == "postgres://$TEST_URL/orders"
    assert place(settings(tmp_path, 'profile = "production"').load_store()) == "postgres://$PROD_URL/orders"
    monkeypatch.setenv("ALIGNED_PROFILE", "production")
    store = settings(tmp_path).load_store()
    assert place(store) == "postgres://$PROD_URL/orders"
    assert shown(build_definitions(store))["postgres_TEST_URL"].configured_values["env_var"] == '"PROD_URL"'
    monkeypatch.setenv("ALIGNED_DUMMY", "1")
    assert settings(tmp_path).load_store().connections == {}


@pytest.mark.parametrize(
    ("table", "profiles", "words"),
    [
        ('profile = "prodution"', PRODUCTION, "Did you mean 'production'?"),
        ('profile = "production"', "", "Profiles: none"),
        (
            'profile = "production"',
            PRODUCTION.replace("postgres_TEST_URL", "postgres_TEST_ULR"),
            "Did you mean 'postgres_TEST_URL'?",
        ),
        ('profile = "production"', PRODUCTION.replace("env_var", "env_vra"), "Did you mean 'env_var'?"),
        (
            'profile = "production"',
            PRODUCTION.replace("PROD_URL", f"postgresql://me:{SECRET}@host/db"),
            "must be the name of an environment variable",
        ),
        ('profile = "production"', PRODUCTION.replace('"PROD_URL"', "3"), "valid string"),
        ("profile = 3", PRODUCTION, "name one of the profiles"),
        ("profiles = 3", "", "must have for each profile the connections"),
        ("profiles = {production = {postgres_TEST_URL = 'X'}}", "", "must have for each profile"),
    ],
)
def test_a_wrong_profile_is_an_error(
    tmp_path: Path, table: str, profiles: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ALIGNED_PROFILE", raising=False)
    with pytest.raises(ConfigurationError) as found:
        settings(tmp_path, table, profiles).load_store()
    assert words in str(found.value)
    assert SECRET not in str(found.value)
    assert "pyproject.toml" in str(found.value)


def test_string_columns_are_no_part_of_a_connection() -> None:
    @feature_view(source=InMemorySource.from_values({"name": ["a"]}))
    class Names:
        name = String().as_entity()

    assert ContractStore([Names]).connections == {}


def test_the_config_of_a_run_cannot_change_where_contracts_are() -> None:
    resource = PostgreSQLResource(env_var="PSQL_DB_URL")

    @dg.asset(required_resource_keys={"database"})
    def reader() -> None: ...

    job = dg.Definitions([reader], resources={"database": resource}).resolve_implicit_global_asset_job_def()
    assert job.execute_in_process().success
    with pytest.raises(dg.DagsterResourceFunctionError) as caught:
        job.execute_in_process({"resources": {"database": {"config": {"env_var": "STAGING"}}}})
    assert "changes env_var of a PostgreSQLResource" in str(caught.value.__cause__)


def test_no_error_of_a_config_shows_what_it_was_given() -> None:
    fields: dict[str, Any] = {"env_var": "X", "address": 12, "password": SECRET}
    with pytest.raises(ValueError, match="password") as caught:
        PostgreSQLConfig(**fields)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    "url", [f"https://a.blob.example/?sig={SECRET}", f"https://key:{SECRET}@store.example"]
)
def test_an_endpoint_with_a_credential_is_refused(url: str) -> None:
    for make in (
        lambda: AzureContainerResource(account_name="a", endpoint_url=url),
        lambda: S3BucketResource(bucket="b", endpoint_url=url),
    ):
        with pytest.raises(ConfigurationError, match="endpoint_env") as caught:
            make()
        assert SECRET not in str(caught.value)
