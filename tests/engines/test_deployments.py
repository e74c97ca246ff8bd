"""The engine of a deployment: its settings, what Dagster shows of it, and what a killed run leaves behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import pytest

from aligned_dagster import (
    ContractStore,
    FileSource,
    Float,
    InMemorySource,
    Int64,
    String,
    feature_view,
    publish,
)
from aligned_dagster.contracts.feature_view import FeatureView
from aligned_dagster.errors import ConfigurationError, UnsupportedError
from aligned_dagster.orchestration import build_definitions
from aligned_dagster.orchestration.project import ProjectSettings
from aligned_dagster.orchestration.project_check import check_engines
from aligned_dagster.sources import publishing
from aligned_dagster.sources.engines.session import SPOOL
from aligned_dagster.sources.engines.spark_config import SparkConfig

CONTRACTS = """
from __future__ import annotations

from aligned_dagster import FileSource, Float, InMemorySource, Int64, feature_view

@feature_view(
    source=InMemorySource.from_values({"id": [1, 2], "amount": [1.0, None]}),
    materialized_source=FileSource.parquet_at("data/orders.parquet"),
)
class Orders:
    id = Int64().as_entity()
    amount = Float().is_optional()
    twice = amount * 2
"""
POLARS_ALONE = """
    number = id.hash_value()
"""


def project(directory: Path, settings: str = "", more: str = "") -> Path:
    (directory / "contracts.py").write_text(CONTRACTS + more, "utf-8")
    (directory / "pyproject.toml").write_text(
        f'[tool.aligned_dagster]\ncontracts = "contracts.py"\n{settings}', "utf-8"
    )
    return directory


def test_the_engine_is_a_setting_and_the_environment_comes_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spark = 'master = "spark://host:7077"\nconfig = {"spark.executor.memory" = "4g"}\n'
    table = f'engine = "spark"\n[tool.aligned_dagster.spark]\n{spark}'
    settings = ProjectSettings.find(project(tmp_path, table))
    view = settings.load_store().view("orders")
    assert view.engine == "spark" and view.spark is not None
    assert (view.spark.master, view.spark.config) == ("spark://host:7077", {"spark.executor.memory": "4g"})
    monkeypatch.setenv("ALIGNED_SPARK_MASTER", "local[2]")
    monkeypatch.setenv("ALIGNED_ENGINE", "duckdb")
    view = settings.load_store().view("orders")
    assert view.engine == "duckdb" and view.spark is not None and view.spark.master == "local[2]"
    monkeypatch.setenv("ALIGNED_ENGINE", "duckbd")
    with pytest.raises(ConfigurationError, match=r"ALIGNED_ENGINE .*got 'duckbd'\. Did you mean 'duckdb'"):
        settings.load_store()


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ('engine = "sprak"', r"engine in \[tool.aligned_dagster\] of .*Did you mean 'spark'"),
        ('spark = {mastre = "local"}', r"has the field 'mastre'\. Did you mean 'master'"),
        ('spark = {config = {"spark.executor.memory" = 4}}', r"does not say how Spark is reached: config"),
        ('spark = "local"', r"does not say how Spark is reached"),
        ('spark = {config = {"spark.hadoop.fs.s3a.secret.key" = "hush"}}', r"looks like a secret"),
    ],
)
def test_what_is_wrong_with_the_settings_is_told(tmp_path: Path, settings: str, words: str) -> None:
    project(tmp_path, settings)
    with pytest.raises(ConfigurationError, match=words) as caught:
        ProjectSettings.find(tmp_path)
    assert "hush" not in str(caught.value)


def test_a_check_of_the_project_names_what_the_engine_cannot_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ALIGNED_ENGINE", raising=False)
    settings = ProjectSettings.find(project(tmp_path, 'engine = "spark"', POLARS_ALONE))
    with pytest.raises(UnsupportedError, match=r"orders\.number: .*contracts\.py:15"):
        settings.load_store()
    plain = ContractStore.discover(tmp_path / "contracts.py")
    _, (finding,) = check_engines(settings, plain)
    assert (finding.aspect, finding.subject, finding.ok) == ("engine", "spark", False)
    assert "orders.number" in finding.words
    run = subprocess.run(
        [sys.executable, "-m", "aligned_dagster.cli", "check"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert run.returncode == 1 and "orders.number" in run.stdout.replace("\n", "")


def test_an_engine_that_is_not_installed_is_found_by_the_check(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import aligned_dagster.orchestration.project_check as module

    settings = ProjectSettings.find(project(tmp_path, 'engine = "spark"'))
    store = ContractStore.discover(tmp_path / "contracts.py")
    changed, (finding,) = check_engines(settings, store)
    assert finding.ok and finding.contracts == ("orders",) and changed.view("orders").engine == "spark"
    monkeypatch.setattr(module, "find_spec", lambda name: None if name == "pyspark" else name)
    _, (finding,) = check_engines(settings, store)
    assert not finding.ok and "pip install 'aligned-dagster[spark]'" in finding.words


def test_a_cluster_needs_a_directory_that_all_of_it_sees(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(SPOOL, raising=False)
    orders = shop(tmp_path)[1]
    store = ContractStore([orders]).with_engine("spark", spark=SparkConfig(master="spark://far.example:7077"))
    with pytest.raises(ConfigurationError, match=f"'orders' need a directory .*{SPOOL}"):
        publish(store.view("orders"))


# --- Dagster ---------------------------------------------------------------------------------------------


def shop(directory: Path) -> tuple[FeatureView[Any], FeatureView[Any], FeatureView[Any]]:
    @feature_view(
        source=InMemorySource.from_values({"id": [1, 2, 3], "name": ["a", "b", "c"]}),
        materialized_source=FileSource.parquet_at(str(directory / "buyers.parquet")),
    )
    class Buyers:
        id = Int64().as_entity()
        name = String()

    @feature_view(
        source=InMemorySource.from_values(
            {"order": [1, 2, 3, 4], "id": [1, 2, 3, 1], "amount": [1.0, -2, 3, 4]}
        ),
        materialized_source=FileSource.parquet_at(str(directory / "orders.parquet")),
        on_violation="quarantine",
    )
    class Orders:
        order = Int64().as_entity()
        id = Int64().reference_to(Buyers().id)
        amount = Float().lower_bound(0)
        cents = amount * 100

    @feature_view(source=Orders.join(Buyers, on="id"))
    class Sales:
        order = Int64().as_entity()
        name = String()
        cents = Float()

    return Buyers, Orders, Sales


def ran(store: ContractStore, **resources: Any) -> dg.ExecuteInProcessResult:
    definitions = build_definitions(store, resources=resources, executor=dg.in_process_executor)
    job = definitions.resolve_implicit_global_asset_job_def()
    with dg.DagsterInstance.ephemeral() as instance:
        return job.execute_in_process(instance=instance, raise_on_error=False)


def metadata(result: dg.ExecuteInProcessResult) -> dict[str, dict[str, Any]]:
    """Asset to its metadata of this run."""
    return {
        event.asset_key.to_user_string(): {
            name: value.value
            for name, value in event.step_materialization_data.materialization.metadata.items()
        }
        for event in result.get_asset_materialization_events()
        if event.asset_key is not None
    }


def test_dagster_shows_the_engine_and_what_ran_where(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    truth = ContractStore(shop(tmp_path / "polars"))
    store = ContractStore(shop(tmp_path / "duckdb")).with_engine("duckdb")
    keys = {key.to_user_string(): key for key in build_definitions(store).resolve_all_asset_keys()}
    graph = build_definitions(store).resolve_asset_graph()
    kinds = {name: graph.get(key).kinds for name, key in keys.items() if name in store.views}
    assert kinds == {
        "buyers": {"duckdb", "parquet"},
        "orders": {"duckdb", "parquet"},
        "sales": {"duckdb", "view"},
    }
    assert graph.get(keys["orders"]).metadata["engine"] == "duckdb"

    result, expected = ran(store), ran(truth)
    assert result.success and expected.success
    told, as_polars = metadata(result), metadata(expected)
    for name in store.views:
        assert (told[name]["engine"], told[name]["audited_on"]) == ("duckdb", "duckdb")
        assert "engine" not in as_polars[name]
        assert told[name]["dagster/row_count"] == as_polars[name]["dagster/row_count"]
        assert told[name]["checks_passed"] == as_polars[name]["checks_passed"]
    assert told["orders"]["quarantined_rows"] == as_polars["orders"]["quarantined_rows"] == 1
    log = capfd.readouterr().err
    assert (
        "DuckDB computed the rows of orders and wrote them to files, DuckDB audited them, and polars copied them"
        in log
    )
    assert "DuckDB computed the rows of sales, and DuckDB audited them." in log


class Elsewhere(dg.IOManager):
    """Has other rows than those that are stored."""

    def handle_output(self, context: dg.OutputContext, obj: object) -> None:
        """Nothing."""

    def load_input(self, context: dg.InputContext) -> pl.LazyFrame:
        """One order."""
        if context.asset_key.path[-1] == "buyers":
            return pl.LazyFrame({"id": [1, 2, 3], "name": ["x", "y", "z"]})
        return pl.LazyFrame({"order": [7], "id": [1], "amount": [1.0], "cents": [100.0]})


def test_rows_that_an_io_manager_of_the_user_reads_reach_the_engine(tmp_path: Path) -> None:
    store = ContractStore(shop(tmp_path)).with_engine("duckdb")
    result = ran(store, parquet_io_manager=dg.IOManagerDefinition.hardcoded_io_manager(Elsewhere()))
    assert result.success
    assert {name: one["dagster/row_count"] for name, one in metadata(result).items()} == {
        "buyers": 3,
        "orders": 3,
        "sales": 1,
    }


# --- a run that is killed --------------------------------------------------------------------------------

KILLED = """
import os, signal, sys
import polars as pl
from aligned_dagster import ContractStore, publish
from aligned_dagster.contracts import staging_on

view = ContractStore.discover("contracts.py").with_engine("duckdb").view("orders")
publish(view)
print(view.read().collect().rows(), flush=True)
real = staging_on.RowsOn.audit

def killed(rows):
    real(rows)
    os.kill(os.getpid(), signal.SIGKILL)

staging_on.RowsOn.audit = killed
publish(view)
"""


def test_a_run_that_is_killed_leaves_the_old_rows_and_its_files_are_swept_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project(tmp_path)
    run = subprocess.run(
        [sys.executable, "-c", KILLED],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == -signal.SIGKILL, run.stderr
    assert pl.read_parquet(tmp_path / "data" / "orders.parquet").rows() == [(1, 1.0, 2.0), (2, None, None)]
    left = list((tmp_path / "data").glob(".orders.parquet.rows.staging-*"))
    assert len(left) == 1
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(publishing, "STALE_AFTER", -1.0)
    publish(ContractStore.discover("contracts.py").with_engine("duckdb").view("orders"))
    assert list((tmp_path / "data").glob(".orders.parquet.*staging-*")) == []
