"""Where Spark runs is configuration that holds no secret; what is missing for it is told in plain words."""

from __future__ import annotations

import inspect
import sys

import pytest

from aligned_dagster.errors import ConfigurationError
from aligned_dagster.sources.engines import duckdb_session, spark_session
from aligned_dagster.sources.engines.duckdb_session import DuckDbSession
from aligned_dagster.sources.engines.session import engine_session
from aligned_dagster.sources.engines.spark_config import SparkConfig


@pytest.fixture
def no_spark_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if no test had started Spark in this process."""
    monkeypatch.setattr(spark_session, "_RUNNING", [])


def test_variables_come_before_what_is_stated(monkeypatch: pytest.MonkeyPatch) -> None:
    stated = SparkConfig(
        master="yarn",
        config={"spark.driver.memory": "1g", "spark.sql.shuffle.partitions": "9"},
        jars=("a.jar",),
    )
    assert SparkConfig.from_environment(stated) == stated
    monkeypatch.setenv("ALIGNED_SPARK_CONF_spark_driver_memory", "3g")
    monkeypatch.setenv("ALIGNED_SPARK_REMOTE", "sc://host:15002")
    monkeypatch.setenv("ALIGNED_SPARK_JARS", "b.jar,c.jar")
    found = SparkConfig.from_environment(stated)
    assert found.remote == "sc://host:15002" and found.master is None and not found.is_local
    assert found.config == {"spark.driver.memory": "3g", "spark.sql.shuffle.partitions": "9"}
    assert found.jars == ("b.jar", "c.jar")


def test_this_machine_is_the_default() -> None:
    assert SparkConfig().is_local and SparkConfig(master="local[3]").is_local
    assert not SparkConfig(master="spark://host:7077").is_local


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"config": {"spark.hadoop.fs.s3a.secret.key": "hunter2"}}, "looks like a secret"),
        ({"config": {"driver.memory": "1g"}}, "is no setting of Spark"),
        ({"master": "local", "remote": "sc://host"}, "Keep one of them"),
    ],
)
def test_what_is_refused(fields: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words) as told:
        SparkConfig.model_validate(fields)
    assert "hunter2" not in str(told.value)


@pytest.mark.usefixtures("no_spark_yet")
def test_without_pyspark(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyspark.sql", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'aligned-dagster\[spark\]'"):
        engine_session("spark", SparkConfig())


def test_without_duckdb(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "duckdb", None)
    monkeypatch.setattr(
        duckdb_session, "_database", inspect.unwrap(duckdb_session._database)
    )  # none made earlier
    with pytest.raises(ConfigurationError, match=r"pip install 'aligned-dagster\[duckdb\]'"):
        DuckDbSession()


@pytest.mark.usefixtures("no_spark_yet")
def test_a_secret_that_is_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_SUCH_SECRET", raising=False)
    settings = SparkConfig(config_env={"spark.hadoop.fs.s3a.secret.key": "NO_SUCH_SECRET"})
    with pytest.raises(ConfigurationError, match="The environment variable NO_SUCH_SECRET"):
        engine_session("spark", settings)


@pytest.mark.usefixtures("no_spark_yet")
def test_without_java(monkeypatch: pytest.MonkeyPatch) -> None:
    from pyspark.sql import SparkSession

    monkeypatch.setattr(SparkSession, "getActiveSession", lambda: None)
    monkeypatch.setenv("JAVA_HOME", "/no/such/java")
    with pytest.raises(
        ConfigurationError, match=r"runs on Java, and there is none on JAVA_HOME \(/no/such/java\)"
    ):
        engine_session("spark", SparkConfig())
