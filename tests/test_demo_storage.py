"""The demo in PostgreSQL, S3 and Azure: what is stored there, read by polars alone, is what its files hold."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import pytest

from aligned_dagster import ContractStore, EventTimestamp, Float, InMemorySource, String, feature_view
from aligned_dagster.demo.storage import STORAGES, storage
from aligned_dagster.errors import ConfigurationError, UnknownFeatureError
from aligned_dagster.orchestration import build_definitions
from aligned_dagster.sources.sql.connection import close_idle_connections
from tools.servers.postgres import PostgresServer
from tools.servers.process import accepts_connections
from tools.storage import SERVERS, StorageError
from tools.storage import storage as served

ROOT = Path(__file__).parents[1]
ROWS = {
    "congestion": 19_486,
    "departures": 336_776,
    "flights": 336_776,
    "monthly_carriers": 185,
    "monthly_weather": 36,
    "planes": 3_322,
    "weather": 26_114,
}
Read = Mapping[str, pl.LazyFrame]


@pytest.fixture
def folder() -> Iterator[Path]:
    """A directory that PostgreSQL can enter also where the tests run as root."""
    with tempfile.TemporaryDirectory(prefix="demo-", ignore_cleanup_errors=True) as name:
        Path(name).chmod(0o711)
        yield Path(name)


def materialised(folder: Path, environ: Mapping[str, str]) -> str:
    """What the command says that materialises the demo, with its files and Dagster's storage in a folder."""
    contracts = os.path.relpath(ROOT / "aligned_dagster" / "demo" / "contracts", folder)
    (folder / "pyproject.toml").write_text(f'[tool.aligned_dagster]\ncontracts = "{contracts}/*.py"\n')
    run = subprocess.run(
        [sys.executable, "-m", "aligned_dagster.cli", "materialize"],
        cwd=folder,
        env={**os.environ, "DAGSTER_HOME": str(folder / "home"), "PYTHONPATH": str(ROOT), **environ},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    return run.stdout


def in_files(root: str, options: Mapping[str, str]) -> Read:
    def scan(path: str) -> pl.LazyFrame:
        return pl.scan_parquet(f"{root}/{path}", storage_options=dict(options), hive_partitioning="=" in path)

    return {
        **{name: scan(f"{name}.parquet") for name in ("congestion", "departures", "monthly_carriers")},
        **{name: scan(f"{name}/origin=*/*.parquet") for name in ("flights", "monthly_weather")},
        "planes": scan("planes/*/planes.parquet"),
        "weather": scan("weather.parquet"),
        "weather_quarantine": scan("weather.parquet.quarantine/*.parquet"),
    }


def in_tables(uri: str) -> Read:
    kept = {"origin": "text", "time_hour": "timestamptz", "wind_speed": "float8"}
    aside = ", ".join(f"(kept_row->>'{name}')::{dtype} AS {name}" for name, dtype in kept.items())
    queries = {
        **{name: f"SELECT * FROM {name}" for name in ROWS},
        "weather_quarantine": f"SELECT {aside} FROM weather_quarantine",
    }
    return {name: pl.read_database_uri(sql, uri, engine="adbc").lazy() for name, sql in queries.items()}


def found_in(name: str, settings: Mapping[str, str]) -> Read:
    """What a storage holds, read by polars alone."""
    if name == "postgres":
        return in_tables(settings["DEMO_DB_URL"])
    if name == "s3":
        options = {
            "aws_access_key_id": settings["DEMO_S3_ACCESS_KEY"],
            "aws_secret_access_key": settings["DEMO_S3_SECRET_KEY"],
            "aws_region": settings["DEMO_S3_REGION"],
            "aws_endpoint_url": settings["DEMO_S3_ENDPOINT"],
            "aws_allow_http": "true",
        }
        return in_files(f"s3://{settings['DEMO_S3_BUCKET']}/nycflights13", options)
    if name == "azure":
        options = {
            "azure_storage_account_name": settings["DEMO_AZURE_ACCOUNT"],
            "azure_storage_account_key": settings["DEMO_AZURE_KEY"],
            "azure_storage_endpoint": settings["DEMO_AZURE_ENDPOINT"],
            "azure_allow_http": "true",
        }
        return in_files(f"az://{settings['DEMO_AZURE_CONTAINER']}/nycflights13", options)
    raise AssertionError(f"no way to read {name}")


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("postgres", r"postgres://127\.0\.0\.1:\d+/demo"),
        ("s3", "s3://demo/nycflights13"),
        ("azure", "az://demo/nycflights13"),
    ],
)
def test_the_demo_is_the_same_in_each_storage(name: str, place: str, folder: Path) -> None:
    with served(name, folder) as settings:
        said = materialised(folder, settings)
    assert re.search(f"^stored +7 contracts in {place} *$", said, re.MULTILINE), said
    assert "departures: the plane is one that the FAA knows, and is named at all: 52,606 of 336,776" in said

    with served(name, folder) as settings:  # another server on what the first one left, as in the next run
        found = found_in(name, settings)
        assert {table: height(found[table]) for table in ROWS} == ROWS
        by_origin = found["flights"].group_by("origin").len().sort("origin").collect()
        assert by_origin.rows() == [("EWR", 120_835), ("JFK", 111_279), ("LGA", 104_662)]
        without_plane = found["departures"].filter(~pl.col("has_plane"))
        assert height(without_plane) == 52_606
        aside = found["weather_quarantine"].select("origin", "time_hour", "wind_speed").collect()
        [(origin, hour, speed)] = aside.rows()
        assert (origin, str(hour), round(speed)) == ("EWR", "2013-02-12 08:00:00+00:00", 1048)
        assert found["weather"].select(pl.col("wind_speed").max()).collect().item() < 50
        temperatures = found["monthly_weather"].filter(pl.col("origin") == "JFK").collect()
        assert temperatures["mean_temp"].mean() == pytest.approx(12.385, abs=0.001)


def height(frame: pl.LazyFrame) -> int:
    return int(frame.select(pl.len()).collect().item())


@pytest.mark.parametrize(
    ("name", "kinds", "uri"),
    [
        ("files", {"polars", "parquet"}, "data/demo/readings"),
        ("postgres", {"polars", "postgres"}, "postgres://$DEMO_DB_URL/readings"),
        ("s3", {"polars", "parquet", "s3"}, "s3://$DEMO_S3_BUCKET/nycflights13/readings"),
        ("azure", {"polars", "parquet", "azure"}, "az://$DEMO_AZURE_CONTAINER/nycflights13/readings"),
    ],
)
def test_the_asset_tells_its_storage(
    name: str, kinds: set[str], uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("DEMO_DB_URL", "DEMO_S3_BUCKET", "DEMO_AZURE_CONTAINER"):
        monkeypatch.delenv(variable, raising=False)
    spec = definitions(readings(name)).get_assets_def("readings").get_asset_spec()
    assert spec.kinds == kinds
    assert spec.metadata["dagster/uri"].endswith(uri)
    assert spec.metadata.get("dagster/table_name") == ("readings" if name == "postgres" else None)
    assert spec.partitions_def == dg.StaticPartitionsDefinition(["EWR", "JFK", "LGA"])


def test_a_run_of_one_partition_touches_no_row_of_another_in_the_table(
    postgres: PostgresServer, postgres_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEMO_DB_URL", postgres_database)
    before, after = readings("postgres", wind=10.0), readings("postgres", wind=20.0)
    with dg.DagsterInstance.ephemeral() as instance:
        for key in ("EWR", "JFK", "LGA"):
            run(before, key, instance)
        was = versions(postgres, postgres_database)
        run(after, "JFK", instance)
        assert instance.get_materialized_partitions(dg.AssetKey("readings")) == {"EWR", "JFK", "LGA"}
    now = versions(postgres, postgres_database)
    close_idle_connections()
    assert {key: wind for key, (wind, _) in now.items()} == {"EWR": 10.0, "JFK": 20.0, "LGA": 10.0}
    assert {key for key in was if was[key] != now[key]} == {"JFK"}


def readings(name: str, wind: float = 10.0, by: str = "origin") -> Any:
    """A contract of one reading at each airport, which a storage divides by airport."""

    @feature_view(
        name="readings",
        source=InMemorySource.from_values(
            {"origin": ["EWR", "JFK", "LGA"], "at": ["2013-01-01T00:00Z"] * 3, "wind": [wind] * 3}
        ),
        materialized_source=STORAGES[name].partitioned("readings", by=[by]),
    )
    class Readings:
        origin = String().as_entity().accepted_values(["EWR", "JFK", "LGA"])
        at = EventTimestamp()
        wind = Float()

    return Readings


def definitions(contract: Any) -> dg.Definitions:
    return build_definitions(ContractStore([contract]))


def run(contract: Any, key: str, instance: dg.DagsterInstance) -> None:
    job = definitions(contract).get_repository_def().get_implicit_global_asset_job_def()
    assert job.execute_in_process(partition_key=key, instance=instance).success


def versions(server: PostgresServer, database: str) -> dict[str, tuple[float, str]]:
    """Each airport's reading, and the transaction that wrote its row."""
    rows = server.execute("SELECT origin, wind, xmin::text FROM readings", database.rpartition("/")[2])
    return {origin: (wind, transaction) for origin, wind, transaction in rows}


def test_an_unknown_storage_is_an_error_that_lists_the_known_ones(folder: Path) -> None:
    with pytest.raises(
        ConfigurationError, match=r"'postgre'.*Did you mean 'postgres'.*files, postgres, s3, azure"
    ):
        storage({"DEMO_STORAGE": "postgre"})
    with (
        pytest.raises(StorageError, match=r"STORAGE=oracle .*files, postgres, s3, azure"),
        served("oracle", folder),
    ):
        pass
    make = shutil.which("make")
    assert make is not None
    ended = subprocess.run(
        [make, "-n", "run", "STORAGE=oracle"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 2
    assert "STORAGE=oracle is no storage of the demo. Choose one of: files postgres s3 azure" in ended.stderr
    assert list(STORAGES) == ["files", *SERVERS]


def test_without_a_choice_the_demo_is_in_files() -> None:
    assert storage({}) is storage({"DEMO_STORAGE": ""}) is STORAGES["files"]


def test_a_table_is_divided_by_columns_of_its_contract() -> None:
    with pytest.raises(ConfigurationError, match="'origin' is named twice"):
        STORAGES["postgres"].partitioned("readings", by=["origin", "origin"])
    with pytest.raises(UnknownFeatureError, match=r"no column 'orign'\. Did you mean 'origin'"):
        definitions(readings("postgres", by="orign"))


PROBE = """
import os, time
from urllib.parse import urlsplit
print(urlsplit(os.environ["DEMO_S3_ENDPOINT"]).port, flush=True)
time.sleep({seconds})
raise SystemExit(7)
"""


@pytest.mark.parametrize(
    ("seconds", "sent", "code"),
    [(0, None, 7), (60, signal.SIGTERM, 128 + signal.SIGTERM), (60, signal.SIGINT, 0)],
)
def test_the_server_ends_with_the_command_that_it_was_started_for(
    seconds: int, sent: signal.Signals | None, code: int, folder: Path
) -> None:
    command = [sys.executable, "-c", PROBE.format(seconds=seconds)]
    with subprocess.Popen(
        [sys.executable, "-m", "tools.foreground", "--storage", "s3", *command],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,  # a terminal sends Ctrl-C to the whole group
    ) as process:
        assert process.stdout is not None
        assert str(folder / "data" / "s3") in process.stdout.readline()
        port = int(process.stdout.readline())
        assert accepts_connections(port) or sent is None
        if sent is signal.SIGINT:
            os.killpg(process.pid, sent)
        elif sent is not None:
            process.send_signal(sent)
        assert process.wait(30) == code
    assert not accepts_connections(port)
    assert (folder / "data" / "s3" / "server" / "metadata.db").exists()
