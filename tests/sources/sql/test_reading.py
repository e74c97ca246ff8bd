from __future__ import annotations

import datetime as dt
import multiprocessing
import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from aligned_dagster import (
    EventTimestamp,
    Float,
    Int32,
    PostgreSQLConfig,
    String,
    feature_view,
)
from aligned_dagster.errors import CastError, ConfigurationError, MissingColumnError, UnreadableSourceError
from aligned_dagster.request.explain import explained
from aligned_dagster.sources.source import source_from_json, source_to_json
from aligned_dagster.sources.sql.config import SqlConfig
from aligned_dagster.sources.sql.connection import close_idle_connections, idle_connections, session

from .conftest import VARIABLE, Run, fill, request

Statements = Callable[[], list[str]]
NUMBERS = request("numbers", id="entity int64", name="string", weight="float64", day="date")


@pytest.fixture
def numbers(database: PostgreSQLConfig, statements: Statements) -> pl.DataFrame:
    day = dt.date(2024, 1, 1)
    frame = pl.DataFrame(
        {
            "id": range(1000),
            "name": [f"n{number % 7}" for number in range(1000)],
            "weight": [None if number % 10 == 0 else number / 4 for number in range(1000)],
            "day": [day + dt.timedelta(days=number % 30) for number in range(1000)],
        },
        schema=NUMBERS.polars,
    )
    fill(database, "numbers", frame)
    statements()
    return frame


def test_a_definition_touches_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PSQL_DB_URL", raising=False)
    source = PostgreSQLConfig(env_var="PSQL_DB_URL").table("taxi")
    renamed = PostgreSQLConfig("PSQL_DB_URL").table(
        name="taxi", mapping_values={"ID": "taxi_id"}, schema="raw"
    )

    @feature_view(source=source)
    class Taxi:
        taxi_id = Int32().as_entity()
        duration = Float()

    assert source.uri == "postgres://$PSQL_DB_URL/taxi"
    assert renamed.label == "raw.taxi"
    assert source.kind == "postgres"
    code = (
        "import sys\n"
        "from aligned_dagster import PostgreSQLConfig\n"
        "PostgreSQLConfig(env_var='PSQL_DB_URL').table('taxi').uri\n"
        "print([n for n in ('adbc_driver_manager', 'adbc_driver_postgresql', 'pyarrow', 'psycopg') if n in sys.modules])"
    )
    environment = {name: value for name, value in os.environ.items() if name != "PSQL_DB_URL"}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment
    )
    assert done.stdout.strip() == "[]"


def test_asking_for_rows_reads_none(
    database: PostgreSQLConfig, numbers: pl.DataFrame, statements: Statements
) -> None:
    rows = database.table("numbers").all_data(NUMBERS)
    rows = rows.filter(pl.col("id") < 3).select("name")
    assert rows.collect_schema() == {"name": pl.String}
    assert statements() == []


@pytest.mark.parametrize("engine", ["in-memory", "streaming"])
def test_projection_filter_and_limit_reach_the_server(
    database: PostgreSQLConfig, numbers: pl.DataFrame, statements: Statements, engine: Any
) -> None:
    source = database.table("numbers", mapping_values={})
    rows = source.all_data(NUMBERS)
    table = '"public"."numbers" AS stored'
    assert_frame_equal(rows.select("name").collect(engine=engine), numbers.select("name"))
    assert statements() == [f'COPY (SELECT "name" FROM {table}) TO STDOUT (FORMAT binary)']
    wanted = (pl.col("id") >= 990) & pl.col("weight").is_not_null()
    assert_frame_equal(
        rows.filter(wanted).select("name", "id").collect(engine=engine),
        numbers.filter(wanted).select("name", "id"),
    )
    (query,) = statements()
    assert "\"id\" >= '990'::bigint" in query
    assert '"weight" IS NOT NULL' in query
    assert '"day"' not in query
    assert source.all_data(NUMBERS, limit=7).collect(engine=engine).height == 7
    assert statements() == [
        f'COPY (SELECT "id", "name", "weight", "day" FROM {table} LIMIT 7) TO STDOUT (FORMAT binary)'
    ]
    assert rows.head(3).filter(pl.col("id") > -1).collect(engine=engine).height == 3
    assert "LIMIT 3) AS stored WHERE" in statements()[0]
    texts = rows.filter(pl.col("name").is_in(["n1", "o'hara"])).select("id").collect(engine=engine)
    assert_frame_equal(texts, numbers.filter(pl.col("name") == "n1").select("id"))
    bound, query = statements()
    assert "o'hara" not in query
    assert bound.startswith("SELECT set_config('aligned.p1', $1, true)")
    assert "unnest(current_setting('aligned.p1')::text[])" in query


@pytest.mark.parametrize("engine", ["in-memory", "streaming"])
def test_what_the_server_cannot_decide_is_decided_here(
    database: PostgreSQLConfig, numbers: pl.DataFrame, statements: Statements, engine: Any
) -> None:
    rows = database.table("numbers").all_data(NUMBERS)
    wanted = (pl.col("id") < 100) & pl.col("name").str.ends_with("3") & (pl.col("weight") * 2 > 30)
    found = rows.filter(wanted).select("day").collect(engine=engine)
    assert_frame_equal(found, numbers.filter(wanted).select("day"))
    (query,) = statements()
    assert "\"id\" < '100'::bigint" in query
    odd = rows.filter(pl.col("id") % 2 == 1).select("id").collect(engine=engine)
    assert_frame_equal(odd, numbers.filter(pl.col("id") % 2 == 1).select("id"))
    assert "WHERE" not in statements()[0]
    assert rows.select(pl.len()).collect(engine=engine).item() == 1000
    python = pl.col("id").map_batches(lambda ids: ids > 996, return_dtype=pl.Boolean, is_elementwise=True)
    assert rows.filter(python & (pl.col("id") < 999)).select("id").collect(engine=engine)["id"].to_list() == [
        997,
        998,
    ]


def test_a_filter_crosses_renames_and_the_derivations_of_a_view(
    database: PostgreSQLConfig, run: Run, statements: Statements
) -> None:
    run(
        'CREATE TABLE "Trips" ("ID" integer, "Seen At" timestamptz, "Kind" text, length numeric(8, 2), other text)',
        """INSERT INTO "Trips" SELECT n, timestamptz '2024-01-01' + n * interval '1 hour', 'k' || n % 3, n / 4.0, 'x'
           FROM generate_series(1, 200) AS n""",
    )

    @feature_view(source=database.table("Trips", {"ID": "trip", "Seen At": "seen", "Kind": "kind"}))
    class Trips:
        trip = Int32().as_entity()
        seen = EventTimestamp()
        kind = String()
        length = Float()
        is_late = trip > 150
        is_first_kind = kind == "k1"

    statements()
    rows = Trips.query().all().lazy()
    late = (pl.col("trip") > 150) & (pl.col("kind") == "k1") & pl.col("is_late") & pl.col("is_first_kind")
    found = rows.filter(late).select("trip", "seen").collect()
    assert found["trip"].to_list() == [number for number in range(151, 201) if number % 3 == 1]
    query = statements()[-1]
    assert "\"ID\" > '150'::integer" in query
    assert "\"Kind\" = current_setting('aligned.p1')::text" in query
    assert "length" not in query and "other" not in query
    window = Trips.query().between_dates(dt.datetime(2024, 1, 3), dt.datetime(2024, 1, 3, 2)).collect()
    assert window["trip"].to_list() == [48, 49, 50]
    assert "\"Seen At\" >= '2024-01-03 00:00:00.000000+00'::timestamptz" in statements()[-1]


@pytest.mark.parametrize("zone", ["UTC", "Europe/Oslo", "America/New_York"])
@pytest.mark.parametrize(
    ("dtype", "stored"),
    [
        ("timestamp(us,UTC)", "timestamptz"),
        ("timestamp(us,Asia/Tokyo)", "timestamptz"),
        ("timestamp(us,)", "timestamp"),
        ("timestamp(us,)", "timestamptz"),
        ("date", "date"),
    ],
)
def test_days_are_days_in_the_zone_of_the_contract(
    database: PostgreSQLConfig, run: Run, zone: str, dtype: str, stored: str, statements: Statements
) -> None:
    from dataclasses import replace

    from aligned_dagster import InMemorySource

    step = "1 day" if stored == "date" else "37 minutes"
    run(
        f"CREATE TABLE seen AS SELECT n::integer AS id, (timestamp '2024-03-29' + n * interval '{step}')::{stored} AS at "
        "FROM generate_series(0, 200) AS n"
    )
    wanted = replace(request(id="entity int32", at=f"event_timestamp {dtype}"), zone=zone)
    source = database.table("seen")
    whole = source.all_data(wanted).collect()
    statements()
    for start, end in [
        (dt.date(2024, 3, 31), dt.date(2024, 3, 31)),
        (dt.datetime(2024, 3, 30, 5), dt.date(2024, 4, 1)),
        (dt.datetime(2024, 3, 31, 1, tzinfo=dt.UTC), dt.datetime(2024, 3, 31, 9)),
    ]:
        found = source.all_between_dates(wanted, start, end).collect()
        assert_frame_equal(found, InMemorySource(whole).all_between_dates(wanted, start, end).collect())
        assert 0 < found.height < whole.height
        (query,) = statements()
        assert ("WHERE" in query) == (stored != "timestamptz" or dtype != "timestamp(us,)")


HOSTILE = [
    '"',
    "%",
    ";",
    "a b",
    "ÆØÅ😀",
    "select",
    "$1",
    "'",
    "\\",
    "x\ny",
    "{}",
    "Upper",
    "c" * 63,
    "--",
    "stored",
]


def test_hostile_names(database: PostgreSQLConfig, run: Run, statements: Statements) -> None:
    for name in HOSTILE:
        run(f"CREATE SCHEMA IF NOT EXISTS {_quoted(name + 's' if len(name) < 60 else name)}")
    frame = pl.DataFrame({name: [1, 2, number] for number, name in enumerate(HOSTILE)}, schema_overrides={})
    wanted = request(**{f"c{number}": "int64" for number in range(len(HOSTILE))})
    mapping = {name: f"c{number}" for number, name in enumerate(HOSTILE)}
    for name in HOSTILE:
        schema = name + "s" if len(name) < 60 else name
        fill(database, name, frame, schema)
        source = database.table(name, mapping, schema=schema)
        for number in (0, 4, 12):
            column = pl.col(f"c{number}")
            found = source.all_data(wanted).filter(column == 2, column.is_in([2, 5])).collect()
            assert found.height == 2 if number == 2 else found.height >= 1
        assert source.fingerprint().data_version
        assert database.with_schema(schema).table(name, mapping).all_data(wanted).collect().height == 3


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def test_a_name_that_the_server_would_cut_is_refused(database: PostgreSQLConfig, run: Run) -> None:
    run(f"CREATE TABLE {'t' * 63} (id integer)")
    assert database.table("t" * 63).all_data(request(id="int32")).collect().is_empty()
    for name in ("t" * 64, "æ" * 32):
        with pytest.raises(ConfigurationError, match="64 bytes long, and the database keeps 63"):
            database.table(name).all_data(request(id="int32"))
    with pytest.raises(ConfigurationError, match="no name of a table"):
        database.table("")


def test_queries_are_read_and_nothing_else(
    database: PostgreSQLConfig, numbers: pl.DataFrame, run: Run, statements: Statements
) -> None:
    query = database.fetch(
        'SELECT id AS "The Id", upper(name) AS name FROM numbers -- all of them;\n;\n', {"The Id": "id"}
    )
    wanted = request(id="int64", name="string")
    statements()
    found = query.all_data(wanted).filter(pl.col("id") < 2).collect()
    assert found.rows() == [(0, "N0"), (1, "N1")]
    assert "\"The Id\" < '2'::bigint" in statements()[-1]
    assert query.fingerprint() == query.fingerprint()
    before = query.fingerprint()
    run("INSERT INTO numbers SELECT * FROM numbers LIMIT 1")
    assert query.fingerprint().data_version != before.data_version
    assert source_from_json(source_to_json(query)) == query
    run("CREATE FUNCTION sneaky() RETURNS bigint LANGUAGE sql AS 'DELETE FROM numbers RETURNING id'")
    with pytest.raises(Exception, match="only reads"):
        database.fetch("SELECT sneaky() AS id").all_data(request(id="int64")).collect()
    with pytest.raises(UnreadableSourceError, match="two columns 'id'"):
        database.fetch("SELECT 1 AS id, 2 AS id").all_data(request(id="int64"))
    with pytest.raises(UnreadableSourceError, match="syntax error"):
        database.fetch("SELEC 1").all_data(request(id="int64"))
    with pytest.raises(ConfigurationError, match="empty"):
        database.fetch(" ; ")


def test_views_partitions_and_materialised_views(database: PostgreSQLConfig, run: Run) -> None:
    run(
        "CREATE TABLE parts (id integer, day date) PARTITION BY RANGE (day)",
        "CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM ('2024-01-01') TO ('2024-02-01')",
        "CREATE TABLE parts_2 PARTITION OF parts FOR VALUES FROM ('2024-02-01') TO ('2024-03-01')",
        "INSERT INTO parts VALUES (1, '2024-01-05'), (2, '2024-02-05')",
        "CREATE VIEW v AS SELECT id, day FROM parts",
        "CREATE MATERIALIZED VIEW m AS SELECT * FROM v",
    )
    wanted = request(id="entity int32", day="date")
    before = {}
    for name in ("parts", "v", "m"):
        source = database.table(name)
        assert sorted(source.all_data(wanted).collect()["id"]) == [1, 2]
        before[name] = source.fingerprint()
        assert before[name] == source.fingerprint()
    run("INSERT INTO parts VALUES (3, '2024-02-05')")
    after = {name: database.table(name).fingerprint() for name in before}
    assert [name for name in before if before[name].data_version != after[name].data_version] == [
        "parts",
        "v",
    ]
    run("REFRESH MATERIALIZED VIEW m")
    assert database.table("m").fingerprint().data_version != before["m"].data_version


def test_a_fingerprint_sees_every_kind_of_change_and_scans_nothing(
    database: PostgreSQLConfig, run: Run
) -> None:
    run(
        "CREATE TABLE events (id integer PRIMARY KEY, at timestamptz)",
        "CREATE INDEX ON events (at)",
        "INSERT INTO events VALUES (1, '2024-01-01 12:00+00')",
    )
    source = database.table("events")
    versions = [source.fingerprint().data_version]
    for statement in (
        "INSERT INTO events VALUES (2, '2024-05-01 12:00+02')",
        "UPDATE events SET id = 9 WHERE id = 1",
        "DELETE FROM events WHERE id = 9",
        "INSERT INTO events VALUES (3, 'infinity'), (4, '2999-01-01')",
        "TRUNCATE events",
    ):
        run(statement)
        versions.append(source.fingerprint().data_version)
        if "+02" in statement:
            assert source.fingerprint().modified == dt.datetime(2024, 5, 1, 10, tzinfo=dt.UTC)
    assert len(set(versions)) == len(versions)
    assert source.fingerprint().modified is None
    run("INSERT INTO events SELECT n, now() FROM generate_series(1, 5000) AS n", "ANALYZE events")
    scans = "SELECT seq_tup_read FROM pg_stat_all_tables WHERE relname = 'events'"
    run("SELECT pg_stat_force_next_flush()")
    before = run(scans)
    source.fingerprint()
    run("SELECT pg_stat_force_next_flush()")
    assert run(scans) == before


def test_a_dropped_reader_gives_its_connection_back(database: PostgreSQLConfig, run: Run) -> None:
    run("CREATE TABLE wide AS SELECT n AS id, repeat('x', 200) AS text FROM generate_series(1, 300000) AS n")
    close_idle_connections()
    with session(database) as opened:
        for batch in opened.batches("SELECT * FROM wide"):
            assert 0 < batch.height < 300_000
            break
    assert idle_connections(database) == 1
    rows = database.table("wide").all_data(request(id="int32", text="string"))
    assert rows.filter(pl.col("id") % 2 == 0).head(5).collect(engine="streaming").height == 5
    assert rows.collect().height == 300_000
    active = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state <> 'idle'"
    assert run(active) == [(1,)]


def test_rows_come_as_they_are_read(database: PostgreSQLConfig, run: Run) -> None:
    run("CREATE TABLE many AS SELECT n AS id FROM generate_series(1, 3000000) AS n")
    with session(database) as opened:
        heights = [batch.height for batch in opened.batches("SELECT id FROM many")]
    assert sum(heights) == 3_000_000
    assert len(heights) > 1


def _read_in_child(source: Any, results: Any) -> None:
    try:
        with session(source.config) as opened:
            results.put(opened.rows("SELECT count(*), pg_backend_pid() FROM numbers")[0])
    except BaseException as error:
        results.put(repr(error))


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:.*fork.*:RuntimeWarning")
def test_a_forked_process_uses_connections_of_its_own(
    database: PostgreSQLConfig, numbers: pl.DataFrame, run: Run
) -> None:
    (mine,) = run("SELECT pg_backend_pid()")[0]
    assert idle_connections(database) >= 1
    context = multiprocessing.get_context("fork")
    results = context.Queue()
    child = context.Process(target=_read_in_child, args=(database.table("numbers"), results))
    child.start()
    count, backend = results.get(timeout=30)
    child.join(30)
    assert count == 1000
    assert backend != mine
    assert run("SELECT pg_backend_pid()") == [(mine,)]


def test_a_connection_that_died_in_the_pool_is_replaced(
    database: PostgreSQLConfig, numbers: pl.DataFrame, postgres: Any, postgres_database: str
) -> None:
    assert idle_connections(database) >= 1
    assert postgres.kill_connections(postgres_database.rpartition("/")[2]) >= 1
    assert database.table("numbers").all_data(NUMBERS).collect().height == 1000


def test_a_session_leaves_nothing_in_its_connection(database: PostgreSQLConfig) -> None:
    for _ in range(2):
        with session(database) as opened:
            opened.execute("CREATE TEMP TABLE kept (id integer)")
            opened.execute("CREATE TABLE IF NOT EXISTS not_committed (id integer)")
        with session(database) as opened:
            assert opened.rows("SELECT to_regclass('not_committed') IS NULL") == [(True,)]
    for _ in range(2):
        with session(database) as opened:
            opened.execute("CREATE TEMP TABLE kept (id integer)")
            opened.commit()


def test_a_column_that_needs_a_cast_is_checked(database: PostgreSQLConfig, run: Run) -> None:
    run(
        "CREATE TABLE t (id bigint, code text, small smallint)",
        "INSERT INTO t VALUES (1, '7', 1), (3000000000, 'abc', -1)",
    )
    source = database.table("t")
    assert (
        source.all_data(request(id="int64", small="int64")).filter(pl.col("small") > 0).collect().height == 1
    )
    for column, dtype, value in (
        ("id", "int32", "3000000000"),
        ("small", "uint8", "-1"),
        ("code", "int32", "abc"),
    ):
        with pytest.raises(CastError, match=rf"{value}.*'{column}'.*{dtype}"), explained("rows"):
            source.all_data(request(**{column: dtype})).collect()
    with pytest.raises(MissingColumnError, match=r"no column 'cod'.*Did you mean 'code'\?"):
        source.all_data(request(cod="string"))


def test_configs_travel_without_the_address(
    database: PostgreSQLConfig, numbers: pl.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = database.with_schema("public").table("numbers", {"id": "key"})
    again = pickle.loads(pickle.dumps(source))
    assert again == source
    assert again.all_data(request(key="int64")).collect().height == 1000
    form = source_to_json(source)
    assert form["config"]["env_var"] == VARIABLE
    assert source_from_json(form) == source
    uri = os.environ[VARIABLE]
    word = uri.partition("://")[2].partition("@")[0].partition(":")[2]
    assert word not in repr(source) + str(form) + source.uri + repr(pickle.dumps(source))
    port, name = uri.rpartition(":")[2].split("/")
    monkeypatch.setenv("WORD", word)
    local = PostgreSQLConfig.localhost(name, "postgres", "WORD", int(port))
    assert local.table("numbers").all_data(request(id="int64")).collect().height == 1000
    assert local.table("numbers").uri == source.uri.replace("public.", "")


@pytest.mark.parametrize("scheme", ["postgres://", "postgresql+psycopg2://", "postgresql+asyncpg://"])
def test_addresses_of_other_libraries_are_understood(
    database: PostgreSQLConfig, numbers: pl.DataFrame, monkeypatch: pytest.MonkeyPatch, scheme: str
) -> None:
    monkeypatch.setenv(VARIABLE, os.environ[VARIABLE].replace("postgresql://", scheme))
    assert database.table("numbers").all_data(NUMBERS, limit=1).collect().height == 1


def test_what_a_config_refuses() -> None:
    with pytest.raises(ConfigurationError, match="needs the name of an environment variable"):
        PostgreSQLConfig()
    with pytest.raises(ConfigurationError, match="not the address itself") as error:
        PostgreSQLConfig("postgresql://me:canary@host/db")
    assert "canary" not in str(error.value)
    with pytest.raises(ConfigurationError, match="holds a password") as error:
        SqlConfig(address="postgresql://me:canary@host/db")
    assert "canary" not in str(error.value)
    with pytest.raises(ConfigurationError, match="from both"):
        PostgreSQLConfig("X").table("t", {"a": "x", "b": "x"})
