"""What Redshift has of its own: configs, types, keys of tables, writers at the same time."""

from __future__ import annotations

import pickle
from pathlib import Path
from types import SimpleNamespace

import polars as pl
import pytest

import aligned_dagster.sources.source
from aligned_dagster import RedshiftSQLConfig
from aligned_dagster.errors import ConfigurationError, ConflictError, PublishError, SourceNotFoundError
from aligned_dagster.sources.source import source_from_json, source_to_json
from aligned_dagster.sources.sql import committing, redshift_writes, staged_table
from aligned_dagster.sources.sql.connection import close_idle_connections
from tools.servers.redshift import RedshiftServer

from ..sql.conftest import request
from ..sql.sharing import find_out_about_commits, lose_answers, upsert_at_once
from .conftest import Run


def test_processes_that_upsert_lose_nothing(warehouse: RedshiftSQLConfig, tmp_path: Path) -> None:
    upsert_at_once(warehouse.table("counted"), tmp_path)


def test_writer_gives_up_after_a_while(warehouse: RedshiftSQLConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    source, wanted = warehouse.table("held"), request(id="entity int64")
    source.overwrite(pl.LazyFrame({"id": [1]}), wanted)
    monkeypatch.setattr(staged_table, "LOCK_TIMEOUT", 0.3)
    monkeypatch.setattr(aligned_dagster.sources.source, "_RETRIED_FOR", 0.0)
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


def test_rows_of_more_than_one_statement(warehouse: RedshiftSQLConfig, redshift: RedshiftServer) -> None:
    """libpq loses its place in the answers to a statement with some 7,500 values."""
    source, wanted = warehouse.table("many"), request(id="entity int64", a="int32", b="string", c="float64")
    rows = pl.DataFrame({"id": range(2_500), "a": range(2_500)}).with_columns(
        pl.col("a").cast(pl.Int32), pl.col("id").cast(pl.String).alias("b"), pl.lit(0.5).alias("c")
    )
    since = len(redshift.statements)
    source.overwrite(rows.lazy(), wanted)
    inserted = [s for s in redshift.statements[since:] if s.startswith('INSERT INTO "many"')]
    assert [statement.count("), (") + 1 for statement in inserted] == [1_750, 750]
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


@pytest.mark.parametrize("came_through", [True, False])
def test_answer_to_a_commit_that_is_lost(
    warehouse: RedshiftSQLConfig, monkeypatch: pytest.MonkeyPatch, came_through: bool
) -> None:
    find_out_about_commits(warehouse.table("unsure"), monkeypatch, came_through)


def test_commit_of_which_nobody_can_tell(
    warehouse: RedshiftSQLConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, wanted = warehouse.table("unsure"), request(id="entity int64")
    source.overwrite(pl.LazyFrame({"id": [1]}), wanted)

    lose_answers(monkeypatch, None)
    monkeypatch.setattr(redshift_writes, "_PATIENCE", 100)
    monkeypatch.setattr(committing, "PATIENCE", 0.3)
    with pytest.raises(
        PublishError,
        match=r'or none of them is.*SELECT last_write FROM "unsure_aligned_lock" tells: .* where it is',
    ):
        source.overwrite(pl.LazyFrame({"id": [2]}), wanted)


def test_fingerprint_sees_a_write_of_the_same_number_of_rows(warehouse: RedshiftSQLConfig) -> None:
    source, wanted = warehouse.table("seen"), request(id="entity int64", state="int64")
    source.overwrite(pl.LazyFrame({"id": [1], "state": [1]}), wanted)
    before = source.fingerprint()
    source.upsert(pl.LazyFrame({"id": [1], "state": [2]}), wanted)
    assert source.fingerprint().data_version != before.data_version


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
    assert "sslmode=require" in config.uri() and "connect_timeout=5" in config.uri()
    plain = SimpleNamespace(host="h", user="u", password="p", database=None, port=None)
    with pytest.raises(ConfigurationError, match="password_env="):
        RedshiftSQLConfig.from_resource(plain)
    config = RedshiftSQLConfig.from_resource(plain, password_env="REDSHIFT_PASSWORD")
    assert config.table("t").uri == "redshift://h:5439/dev/t"
    with pytest.raises(ConfigurationError, match="no host"):
        RedshiftSQLConfig.from_resource(SimpleNamespace())
    monkeypatch.delenv("REDSHIFT_HOST")
    with pytest.raises(
        ConfigurationError, match="REDSHIFT_HOST, the host of RedshiftClientResource, is not set"
    ):
        RedshiftSQLConfig.from_resource(resource)


def test_client_resource_that_is_handed_over_reads_and_writes(
    redshift: RedshiftServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dagster import EnvVar
    from dagster_aws.redshift import RedshiftClientResource

    name = redshift.new_database().rpartition("/")[2]
    word, role = "c4n4ry%/:?@ word", f"robot_{name}"
    redshift.postgres.new_user(role, word)
    redshift.postgres.execute(f'GRANT ALL ON SCHEMA public TO "{role}"', name)
    monkeypatch.setenv("HANDED_OVER_PASSWORD", word)
    resource = RedshiftClientResource(
        host="127.0.0.1",
        port=redshift.port,
        user=role,
        password=EnvVar("HANDED_OVER_PASSWORD"),
        database=name,
        sslmode="disable",  # the stand-in has none
    )
    source = RedshiftSQLConfig.from_resource(resource).table("handed_over")
    wanted = request(id="entity int64")
    source.upsert(pl.LazyFrame({"id": [1, 2]}), wanted)
    rows = source.all_data(wanted)
    assert rows.collect()["id"].sort().to_list() == [1, 2]
    assert source_from_json(source_to_json(source)) == pickle.loads(pickle.dumps(source)) == source
    shown = [repr(source), str(source), source.uri, str(source_to_json(source)), rows.explain()]
    shown += [
        pickle.dumps(source).decode("latin-1"),
        source.config.model_dump_json(),
        repr(source.fingerprint()),
    ]
    assert not [text for text in shown if "c4n4ry" in text]
    monkeypatch.setenv("HANDED_OVER_PASSWORD", "another c4n4ry")
    with pytest.raises(
        ConfigurationError, match="Check the user and the password in HANDED_OVER_PASSWORD"
    ) as told:
        source.all_data(wanted)
    assert "c4n4ry" not in str(told.value)
    close_idle_connections()
    redshift.postgres.drop_database(name)
    redshift.postgres.execute(f'DROP ROLE "{role}"')
