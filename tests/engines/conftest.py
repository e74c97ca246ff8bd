"""One Spark for all tests of a process: it takes ten seconds to start, and a process can have only one."""

from __future__ import annotations

import os
import secrets
import subprocess
from pathlib import Path

import pytest

from aligned_dagster.sources.engines.session import EngineSession, engine_session
from aligned_dagster.sources.engines.spark_config import SparkConfig

ROOT = Path(__file__).resolve().parents[2]

SPARK = SparkConfig(
    master="local[2]",
    jars=(str(ROOT / ".venv" / "jdbc" / "postgresql.jar"),),
    config={
        "spark.driver.memory": "1g",
        "spark.sql.shuffle.partitions": "2",
        "spark.default.parallelism": "2",
    },
    config_env={"spark.hadoop.fs.tests.secret.key": "ENGINES_SPARK_SECRET"},
)


@pytest.fixture(scope="session")
def spark() -> EngineSession:
    """Spark on two cores of this machine. It ends with the process."""
    for tool in ("java.sh", "postgres_jdbc.sh"):
        ran = subprocess.run([ROOT / "tools" / tool], capture_output=True, text=True, check=False)
        assert ran.returncode == 0, ran.stdout + ran.stderr
    os.environ.setdefault("ENGINES_SPARK_SECRET", secrets.token_hex())
    return engine_session("spark", SPARK)


@pytest.fixture
def duckdb_session() -> EngineSession:
    """DuckDB in this process."""
    return engine_session("duckdb")
