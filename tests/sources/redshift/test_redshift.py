"""What Redshift has of its own: configs, types, keys of tables, writers at the same time."""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import polars as pl
import pytest

from aligned_dagster import RedshiftSQLConfig
from aligned_dagster.errors import ConfigurationError, ConflictError, PublishError, SourceNotFoundError
from aligned_dagster.sources.sql import staged_table

from ..sql.conftest import request
from .conftest import Run

WRITERS = 8
SCRIPT = """
import pickle, sys, polars as pl
source, request = pickle.loads(open(sys.argv[1], "rb").read())
me = int(sys.argv[2])
for number in range(20):
    rows = pl.LazyFrame({"id": [me * 100 + number, -1], "writer": [me, me]})
    source.upsert(rows, request)
"""


def test_processes_that_upsert_lose_nothing(warehouse: RedshiftSQLConfig, tmp_path: Path) -> None:
    source, wanted = warehouse.table("counted"), request(id="entity int64", writer="int64")
    plan = tmp_path / "plan.pickle"
    plan.write_bytes(pickle.dumps((source, wanted)))
    writers = [
        subprocess.Popen([sys.executable, "-c", SCRIPT, str(plan), str(number)]) for number in range(WRITERS)
    ]
    assert [writer.wait(200) for writer in writers] == [0] * WRITERS
    found = source.all_data(wanted).collect()
    assert sorted(found["id"]) == [-1, *(me * 100 + number for me in range(WRITERS) for number in range(20))]


def test_writer_gives_up_after_a_while(warehouse: RedshiftSQLConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    source, wanted = warehouse.table("held"), request(id="entity int64")
    source.overwrite(pl.LazyFrame({"id": [1]}), wanted)
    monkeypatch.setattr(staged_table, "LOCK_TIMEOUT", 0.3)
    with source.stage(pl.LazyFrame({"id": [2]}), wanted, "insert") as staged:
        with pytest.raises(ConflictError, match=r"svv_transactions tells who has locked held_aligned_lock"):
            source.upsert(pl.LazyFrame({"id": [3]}), wanted)
        staged.publish()
    assert source.all_data(wanted).collect()["id"].to_list() == [1, 2]


def test_types_come_back_true(warehouse: RedshiftSQLConfig) -> None:
    wanted = request(
        "typed",
        id="entity int8",
        big="uint64",
        price="decimal(12,3)",
        real="float32",
        ratio="float64",
        flag="bool",
        day="date",
        clock="time",
        local="timestamp(us,)",
        moment="timestamp(us,UTC)",
        key="uuid",
        tags="list(string)",
    )
    rows = pl.DataFrame(
        {
            "id": [1, 2],
            "big": [2**64 - 1, None],
            "price": ["123456789.125", None],
            "real": [1.5, float("nan")],
            "ratio": [float("-inf"), None],
            "flag": [True, None],
            "day": ["2024-02-29", None],
            "clock": ["12:30:15.123456", None],
            "local": ["2024-02-29 12:30:15.123456", None],
            "moment": ["2024-02-29 12:30:15.123456+00:00", None],
            "key": ["a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", None],
            "tags": [["a", '"', None], None],
        },
        schema_overrides={"big": pl.UInt64},
    ).with_columns(
        pl.col("id").cast(pl.Int8),
        pl.col("price").cast(pl.Decimal(12, 3)),
        pl.col("real").cast(pl.Float32),
        pl.col("day").str.to_date(),
        pl.col("clock").str.to_time("%H:%M:%S%.f"),
        pl.col("local").str.to_datetime("%Y-%m-%d %H:%M:%S%.f", time_unit="us"),
        pl.col("moment").str.to_datetime("%Y-%m-%d %H:%M:%S%.f%:z", time_unit="us", time_zone="UTC"),
    )
    source = warehouse.table("typed")
    for _ in range(2):
        source.upsert(rows.lazy(), wanted)
        assert source.all_data(wanted).collect().sort("id").equals(rows)


@pytest.mark.parametrize("dtype", ["binary", "duration"])
def test_types_without_a_place_are_refused(warehouse: RedshiftSQLConfig, dtype: str) -> None:
    wanted = request(id="entity int64", value=dtype)
    polars = wanted.schema.column("value").dtype.polars
    rows = pl.LazyFrame({"id": [1], "value": [None]}, schema_overrides={"value": polars})
    with pytest.raises(PublishError, match=rf"'value'.*varchar\(65535\) cannot hold {dtype}"):
        warehouse.table("refused").insert(rows, wanted)


def test_keys_of_a_table_are_columns_of_it(warehouse: RedshiftSQLConfig) -> None:
    wanted = request(id="entity int64")
    with pytest.raises(PublishError, match="cannot have 'key' as a key to distribute or sort by"):
        warehouse.table("t", dist_key="key").insert(pl.LazyFrame({"id": [1]}), wanted)


def test_missing_table(warehouse: RedshiftSQLConfig, run: Run) -> None:
    run("CREATE SCHEMA other", "CREATE TABLE trips (id bigint)", "CREATE TABLE other.rides (id bigint)")
    with pytest.raises(SourceNotFoundError, match="Did you mean 'trips'"):
        warehouse.table("tripz").all_data(request(id="int64"))
    with pytest.raises(SourceNotFoundError, match="in the schema 'other'"):
        warehouse.table("rides").all_data(request(id="int64"))


def test_fingerprint_sees_rows_of_others(warehouse: RedshiftSQLConfig, run: Run) -> None:
    run("CREATE TABLE seen (id bigint, at timestamp)")
    source, query = warehouse.table("seen"), warehouse.fetch("SELECT at FROM seen")
    before = (source.fingerprint(), query.fingerprint())
    assert before == (source.fingerprint(), query.fingerprint())
    run("INSERT INTO seen VALUES (1, '2024-02-29 12:00:00')")
    after = (source.fingerprint(), query.fingerprint())
    for old, new in zip(before, after, strict=True):
        assert old.data_version != new.data_version
        assert new.modified is not None and new.modified.isoformat() == "2024-02-29T12:00:00+00:00"


def test_client_resource_of_dagster_aws(monkeypatch: pytest.MonkeyPatch) -> None:
    from dagster import EnvVar
    from dagster_aws.redshift import RedshiftClientResource

    monkeypatch.setenv("REDSHIFT_HOST", "cluster.example.com")
    monkeypatch.setenv("REDSHIFT_PASSWORD", "p@ss")
    resource = RedshiftClientResource(
        host=EnvVar("REDSHIFT_HOST"),
        port=5439,
        user="me",
        password=EnvVar("REDSHIFT_PASSWORD"),
        database="db",
    )
    config = RedshiftSQLConfig.from_resource(resource, schema_name="raw")
    assert config.table("t").uri == "redshift://cluster.example.com:5439/db/raw.t"
    assert config.uri().startswith("postgresql://me:p%40ss@cluster.example.com:5439/db?")
    assert "p@ss" not in repr(config) and "p%40ss" not in config.model_dump_json()
    plain = SimpleNamespace(host="h", user="u", password="p", database=None, port=None)
    with pytest.raises(ConfigurationError, match="password_env="):
        RedshiftSQLConfig.from_resource(plain)
    config = RedshiftSQLConfig.from_resource(plain, password_env="REDSHIFT_PASSWORD")
    assert config.table("t").uri == "redshift://h:5439/dev/t"
    with pytest.raises(ConfigurationError, match="no host"):
        RedshiftSQLConfig.from_resource(SimpleNamespace())
