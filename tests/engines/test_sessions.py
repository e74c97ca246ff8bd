"""Sessions of engines keep secrets and rows to themselves, lose no row, and hold none in memory that need not be there."""

from __future__ import annotations

import logging
import os
import re
import stat
import sys
import tempfile
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from aligned_dagster import FeatureView, FileSource, InMemorySource, Int64, feature_view, publish
from aligned_dagster.contracts.staging_on import rows_on
from aligned_dagster.errors import ConfigurationError, PublishError
from aligned_dagster.features.dtypes import DataType
from aligned_dagster.features.engines.names import Engine
from aligned_dagster.features.schema import Column, Schema
from aligned_dagster.request.retrieval_request import RetrievalRequest
from aligned_dagster.sources.engines import spark_session
from aligned_dagster.sources.engines.duckdb_session import DuckDbSession
from aligned_dagster.sources.engines.session import SPOOL, EngineSession, StagedFiles, engine_session
from aligned_dagster.sources.engines.spark_config import SparkConfig
from aligned_dagster.sources.engines.spark_session import SparkRows
from tests.engines.conftest import SPARK

NUMBERS = {"id": DataType("int64"), "x": DataType("float64")}
REQUEST = RetrievalRequest(
    "numbers",
    Schema((Column("id", NUMBERS["id"], "entity"), Column("x", NUMBERS["x"], "feature"))),
)


def numbers(count: int = 10) -> pl.LazyFrame:
    return pl.LazyFrame({"id": range(count)}, schema={"id": pl.Int64}).with_columns(x=pl.col("id") / 3)


def view(source: Any, engine: Engine, target: Any = None) -> FeatureView[Any]:
    made: FeatureView[Any] = feature_view(
        name="numbers", source=source, materialized_source=target, engine=engine
    )(type("Numbers", (), {"id": Int64().as_entity()}))
    return made


@pytest.fixture
def duckdb_rows() -> DuckDbSession:
    """DuckDB in this thread."""
    found = engine_session("duckdb")
    assert isinstance(found, DuckDbSession)
    return found


@pytest.fixture
def spark_rows(spark: EngineSession) -> SparkRows:
    """Spark on this machine."""
    assert isinstance(spark, SparkRows)
    return spark


# --- Spark ------------------------------------------------------------------------------------------------


def test_secrets_of_spark_stand_on_no_command_line(spark_rows: SparkRows) -> None:
    secret = os.environ["ENGINES_SPARK_SECRET"]
    hadoop = spark_rows.spark.sparkContext._jsc.hadoopConfiguration()  # type: ignore[attr-defined]  # the one of Java
    assert hadoop.get("fs.tests.secret.key") == secret
    lines = []
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            lines.append(process.read_bytes())
        except OSError:  # it has ended
            continue
    assert any(b"spark.sql.shuffle.partitions=2" in line for line in lines)
    assert not [line for line in lines if secret.encode() in line]


def test_spark_shows_no_value_of_a_secret(spark_rows: SparkRows) -> None:
    hidden = re.compile(spark_rows.spark.sparkContext.getConf().get("spark.redaction.regex") or "")
    names = [
        "fs.s3a.secret.key",
        "fs.azure.account.key.me.dfs.core.windows.net",
        "fs.azure.sas.fixed",
        "a.Token",
    ]
    assert [name for name in [*names, "x.password", "fs.s3a.access.key"] if not hidden.search(name)] == []
    assert hidden.search("spark.executor.memory") is None


def test_rows_that_this_machine_does_not_see_are_missed(
    spark_rows: SparkRows, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frame = spark_rows.from_polars(numbers(), NUMBERS)
    assert spark_rows.stage(frame, NUMBERS, tmp_path / "all").rows == 10
    every = StagedFiles.files.fget  # type: ignore[attr-defined]  # of the property
    for some, left in ((slice(1, None), r"[1-9]"), (slice(0), "0")):
        with monkeypatch.context() as patched:
            patched.setattr(StagedFiles, "files", property(lambda staged, some=some: every(staged)[some]))
            with pytest.raises(
                PublishError, match=rf"wrote 10 rows of 'numbers', and {left} of them .* {SPOOL}"
            ):
                spark_rows.stage(frame, NUMBERS, tmp_path / f"some {left}", contract="numbers")


def test_where_spark_runs_is_told_by_spark(spark_rows: SparkRows) -> None:
    class Connected:
        @property
        def sparkContext(self) -> object:  # noqa: N802  # as Spark calls it
            raise AttributeError("of no use in Spark Connect")

    assert spark_rows.is_local
    cluster: Any = SimpleNamespace(sparkContext=SimpleNamespace(master="spark://far.example:7077"))
    connected: Any = Connected()
    assert not SparkRows(cluster).is_local and not SparkRows(connected).is_local


def test_a_spark_of_other_machines_that_runs_already_needs_a_directory_of_all_of_them(
    spark_rows: SparkRows, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SparkRows, "is_local", property(lambda _: False))
    monkeypatch.delenv(SPOOL, raising=False)
    target = FileSource.parquet_at(str(tmp_path / "out.parquet"))
    source = InMemorySource.from_values({"id": [1, 2]})
    far = view(source, "spark", target)
    monkeypatch.setattr(spark_session, "_RUNNING", [(SparkConfig(), spark_rows)])
    with pytest.raises(ConfigurationError, match=f"'numbers' need a directory that each .*{SPOOL}"):
        publish(far)
    monkeypatch.setenv(SPOOL, str(tmp_path / "spool"))
    assert publish(far).rows == 2


def test_what_a_spark_that_runs_already_cannot_be_told_is_told_to_the_user(
    spark_rows: SparkRows, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(spark_session, "_RUNNING", [])
    monkeypatch.setenv("HIDDEN", "hunter2")
    asked = SparkConfig(
        master="local[9]",
        config={
            "spark.driver.memory": "7g",
            "spark.sql.shuffle.partitions": "3",
            "spark.default.parallelism": "2",
        },
        config_env={"spark.hadoop.fs.s3a.secret.key": "HIDDEN"},
        jars=("x.jar",),
    )
    with caplog.at_level(logging.WARNING, "aligned_dagster.engines"):
        found = engine_session("spark", asked)
    assert isinstance(found, SparkRows) and found.is_local and found.spark is not spark_rows.spark
    settings = found.spark.conf
    assert settings.get("spark.sql.shuffle.partitions") == "3"
    assert settings.get("spark.sql.ansi.enabled") == "true"
    assert spark_rows.spark.conf.get("spark.sql.shuffle.partitions") == "2"
    (words,) = caplog.messages
    assert "master, jars, spark.hadoop.fs.s3a.secret.key, spark.driver.memory of the settings" in words
    assert "hunter2" not in words


def test_a_message_shows_no_token_of_spark_connect(
    spark_rows: SparkRows, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = {"spark.some.proxy": "http://me:hunter2@host"}
    asked = SparkConfig(remote="sc://me:hunter2@host:15002/;token=hunter3;use_ssl=true", config=config)
    assert "hunter" not in repr(asked) + str(asked) and "sc://host:15002" in repr(asked)
    monkeypatch.setattr(spark_session, "_RUNNING", [(SPARK, spark_rows)])
    with pytest.raises(ConfigurationError, match="sc://host:15002") as told:
        engine_session("spark", asked)
    assert "hunter" not in str(told.value)


# --- DuckDB -----------------------------------------------------------------------------------------------


def test_rows_for_duckdb_wait_in_files(duckdb_rows: DuckDbSession, tmp_path: Path) -> None:
    with duckdb_rows.holding(lambda: tmp_path):
        frame = duckdb_rows.from_polars(numbers(), NUMBERS)
    assert [file.suffix for file in tmp_path.iterdir()] == [".parquet"]
    plan = frame.to_native().explain()
    assert "PARQUET" in plan and "ARROW" not in plan
    assert_frame_equal(duckdb_rows.collect(frame, NUMBERS), numbers().collect())
    duckdb_rows.from_polars(numbers(), NUMBERS)
    assert len(list(tmp_path.iterdir())) == 1


def test_duckdb_reads_parquet_where_it_lies(duckdb_rows: DuckDbSession, tmp_path: Path) -> None:
    source = FileSource.parquet_at(str(tmp_path / "stored.parquet"))
    source.overwrite(numbers(), REQUEST)
    parts = FileSource.partitioned_parquet_at(str(tmp_path / "parts"), ["id"])
    parts.overwrite(numbers(), REQUEST)
    held = tmp_path / "held"
    with duckdb_rows.holding(lambda: held):
        whole = duckdb_rows.read(source, REQUEST)
        part = duckdb_rows.read(parts, REQUEST.project(["x"]), pl.col("id") == 4)
        assert not held.exists()
        keys = duckdb_rows.read(parts, REQUEST)
        assert held.exists()
    assert_frame_equal(duckdb_rows.collect(whole, NUMBERS), numbers().collect())
    assert duckdb_rows.collect(part, {"x": NUMBERS["x"]}).rows() == [(4 / 3,)]
    assert_frame_equal(duckdb_rows.collect(keys, NUMBERS).sort("id"), numbers().collect())


def test_what_a_file_tells_of_its_values_hides_no_nan(duckdb_rows: DuckDbSession, tmp_path: Path) -> None:
    import narwhals as nw

    source = FileSource.parquet_at(str(tmp_path / "stored.parquet"))
    rows = pl.LazyFrame({"id": [1, 2, 3], "x": [0.0, float("nan"), 1.0]})
    source.overwrite(rows, REQUEST)
    for frame in (duckdb_rows.read(source, REQUEST), duckdb_rows.from_polars(rows, NUMBERS)):
        above = duckdb_rows.collect(frame.filter(nw.col("x") > 100), NUMBERS)
        assert above["id"].to_list() == [2]


def test_all_threads_share_one_duckdb(duckdb_rows: DuckDbSession) -> None:
    found: list[Any] = []

    def ask() -> None:
        other = engine_session("duckdb")
        assert isinstance(other, DuckDbSession)
        zone = other.connection.execute("SELECT current_setting('TimeZone')").fetchall()[0][0]
        found.extend([other, other.connection.execute("SELECT n FROM shared").fetchall(), zone])

    duckdb_rows.connection.execute("CREATE TABLE shared AS SELECT 7 AS n")
    thread = threading.Thread(target=ask)
    thread.start()
    thread.join()
    duckdb_rows.connection.execute("DROP TABLE shared")
    assert found[0] is not duckdb_rows and found[1:] == [[(7,)], "UTC"]
    (spilled,) = duckdb_rows.connection.execute("SELECT current_setting('temp_directory')").fetchall()[0]
    assert stat.S_IMODE(Path(spilled).parent.stat().st_mode) == 0o700


# --- both -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("engine", ["spark", "duckdb"])
def test_rows_on_their_way_are_for_this_user_alone(
    engine: Engine, request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session: EngineSession = request.getfixturevalue("spark" if engine == "spark" else "duckdb_session")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.delenv(SPOOL, raising=False)
    target = InMemorySource.empty()
    made = view(InMemorySource.from_values({"id": [1, 2]}), engine, target)
    monkeypatch.setattr(spark_session, "_RUNNING", [(SparkConfig(), session)])
    with rows_on(made, engine) as rows:
        staged = rows.staged.directory
        assert staged.is_relative_to(tmp_path) and rows.frame().collect().height == 2
        assert stat.S_IMODE(staged.parent.stat().st_mode) == 0o700
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("spark_rows")
def test_where_nothing_is_written_there_is_no_directory(
    spark_rows: SparkRows, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(spark_session, "_RUNNING", [(SparkConfig(), spark_rows)])
    with rows_on(view(InMemorySource.from_values({"id": [1]}), "spark"), "spark") as rows:
        assert rows.audit().passed
        assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("engine", ["spark", "duckdb"])
def test_an_engine_without_narwhals_is_told(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    from aligned_dagster.sources.engines import duckdb_session

    monkeypatch.setattr(spark_session, "_RUNNING", [])
    monkeypatch.setattr(duckdb_session, "_THREAD", threading.local())
    monkeypatch.setattr(duckdb_session, "_database", duckdb_session._database.__wrapped__)
    monkeypatch.setitem(sys.modules, "narwhals", None)
    with pytest.raises(ConfigurationError, match=rf"narwhals: pip install 'aligned-dagster\[{engine}\]'"):
        engine_session(engine)


def test_a_narwhals_that_is_too_new_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    from aligned_dagster.features.engines.native import native

    monkeypatch.setitem(sys.modules, "narwhals._expression_parsing", None)
    with pytest.raises(ConfigurationError, match=r"narwhals 2\.\d.* pip install 'aligned-dagster\[duckdb\]'"):
        native("1", "duckdb")
