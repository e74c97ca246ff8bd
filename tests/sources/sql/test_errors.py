from __future__ import annotations

import os
import pickle
import socket
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import polars as pl
import pytest

from aligned_dagster import Int32, PostgreSQLConfig, feature_view
from aligned_dagster.errors import (
    AlignedError,
    ConfigurationError,
    MissingColumnError,
    SourceError,
    SourceNotFoundError,
)
from aligned_dagster.request.explain import explained
from aligned_dagster.sources.source import DataSource, source_to_json
from aligned_dagster.sources.sql.connection import close_idle_connections, explained_sql, session
from tools.servers.postgres import PostgresServer

from .conftest import VARIABLE, Run, request

CANARY = "c4n4ry%/:?@ word"
WORDS = (CANARY, "c4n4ry", "c4n4ry%25%2F%3A%3F%40%20word")
WANTED = request("taxi", id="int32")


def everything_about(error: BaseException) -> str:
    """The error, what led to it, and the local variables of every frame that it passed."""
    told = []
    seen: set[int] = set()
    waiting: list[BaseException | None] = [error]
    while waiting:
        one = waiting.pop()
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        told += [repr(one), str(one), repr(one.args), *getattr(one, "__notes__", ())]
        summary = traceback.StackSummary.extract(traceback.walk_tb(one.__traceback__), capture_locals=True)
        told += [line for line in summary.format() if "/aligned_dagster/" in line or "/adbc_driver" in line]
        waiting += [one.__cause__, one.__context__]
    return "\n".join(told)


def failure(action: Callable[[], Any], limit: float = 8) -> AlignedError:
    """The error of an action, which comes soon and holds no secret."""
    start = time.monotonic()
    with pytest.raises(AlignedError) as caught, explained("taxi"):
        action()
    assert time.monotonic() - start < limit
    told = everything_about(caught.value)
    for word in WORDS:
        assert word not in told
    assert "adbc_driver" not in str(caught.value)
    assert "libpq" not in str(caught.value)
    return caught.value


@pytest.fixture
def address(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], PostgreSQLConfig]]:
    def set_to(uri: str) -> PostgreSQLConfig:
        monkeypatch.setenv(VARIABLE, uri)
        return PostgreSQLConfig(env_var=VARIABLE)

    yield set_to
    close_idle_connections()


def test_wrong_password_and_unknown_user(postgres: PostgresServer, address: Any) -> None:
    for user in ("postgres", "nobody at all"):
        config = address(postgres.uri(user=user, password=CANARY))
        error = failure(partial(config.table("taxi").all_data, WANTED))
        assert isinstance(error, ConfigurationError)
        assert f'password authentication failed for user "{user}"' in str(error)
        assert f"Check the user and the password in {VARIABLE}" in str(error)
        assert f"127.0.0.1:{postgres.port}" in str(error)


def test_unknown_database(postgres: PostgresServer, address: Any) -> None:
    config = address(postgres.uri("taxis"))
    error = failure(lambda: config.table("taxi").fingerprint())
    assert "has no such database" in str(error)
    assert 'database "taxis" does not exist' in str(error)


def test_unknown_host(address: Any) -> None:
    config = address("postgresql://me:c4n4ry@no-such-host.invalid:5432/shop")
    error = failure(lambda: config.table("taxi").all_data(WANTED))
    assert "The host of postgres://no-such-host.invalid:5432/shop" in str(error)
    assert "Check its spelling" in str(error)


def test_refused_port(address: Any) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        config = address(f"postgresql://me:c4n4ry@127.0.0.1:{taken.getsockname()[1]}/shop")
        error = failure(lambda: config.table("taxi").all_data(WANTED))
    assert "Nobody listens at" in str(error)
    assert "Check host and port" in str(error)


def test_a_server_that_does_not_answer(address: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        config = address(f"postgresql://me:c4n4ry@127.0.0.1:{port}/shop?connect_timeout=2")
        error = failure(lambda: config.table("taxi").all_data(WANTED))
    assert "does not answer in time" in str(error)
    assert "connect_timeout=30" in str(error)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("", "is empty"),
        ("  ", "is empty"),
        ("c4n4ry", "should hold an address like postgresql://user:password@host:5432/database"),
        ("mysql://me:c4n4ry@host/db", "it starts with mysql://"),
        ("host=db password=c4n4ry", "should hold an address like"),
        ("postgresql://me:c4n4ry%@host/db", "%25"),
        ("postgresql://me:c4n4ry@host:port/db", "cannot be read"),
        ("postgresql://me:c4n4ry/x@host:5432/db", "cannot be read"),
        ("postgresql://me@host/db?password=c4n4ry&nonsense", "cannot be read"),
        ("postgresql://me:c4n4ry@127.0.0.1:1/db?nonsense=1", "cannot be reached"),
        ("postgresql://me:c4n4ry@127.0.0.1:1/db?connect_timeout=soon", "cannot be reached"),
    ],
)
def test_what_is_no_address(address: Any, value: str, words: str) -> None:
    config = address(value)
    error = failure(lambda: config.table("taxi").all_data(WANTED))
    assert isinstance(error, ConfigurationError)
    assert words in str(error)
    assert VARIABLE in str(error)
    assert "c4n4ry" not in config.table("taxi").uri + repr(config) + config.place


def test_a_variable_that_is_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PSQL_DB_URL_OF_TESTS", "postgresql://me:c4n4ry@host/db")
    config = PostgreSQLConfig("PSQL_DB_URL_OF_TEST")
    error = failure(lambda: config.table("taxi").all_data(WANTED))
    assert "PSQL_DB_URL_OF_TEST, the address of the database of PostgreSQLConfig, is not set" in str(error)
    assert "Did you mean 'PSQL_DB_URL_OF_TESTS'?" in str(error)


def test_a_table_that_was_not_materialised_yet_is_no_wrong_name(database: PostgreSQLConfig, run: Run) -> None:
    run("CREATE TABLE raw (id integer)", "CREATE TABLE taxis (id integer)")

    @feature_view(source=database.table("raw"), materialized_source=database.table("taxi"))
    class Taxi:
        id = Int32().as_entity()

    error = failure(Taxi.query().all().collect)
    assert isinstance(error, SourceNotFoundError)
    assert str(error).startswith("'taxi' has not been materialised yet: ")
    assert str(error).endswith("/taxi does not exist. Run: aligned-dagster materialize +taxi")


def test_a_missing_table_is_named_with_the_closest(database: PostgreSQLConfig, run: Run) -> None:
    run("CREATE TABLE taxis (id integer)", "CREATE SCHEMA raw", 'CREATE TABLE raw."Trips" (id integer)')
    for table, schema, words in (
        ("taxi", None, "Did you mean 'taxis'?"),
        ("Trips", None, "There is one in the schema 'raw'"),
        ("trips", "raw", "Did you mean 'raw.Trips'?"),
        ("trips", "rwa", "Did you mean 'raw.Trips'?"),
    ):
        source = database.table(table, schema=schema)
        for action in (partial(source.all_data, WANTED), source.fingerprint):
            error = failure(action)
            assert isinstance(error, SourceNotFoundError)
            assert words in str(error)


def test_missing_columns(database: PostgreSQLConfig, run: Run) -> None:
    run("CREATE TABLE taxi (idd integer)")
    error = failure(lambda: database.table("taxi").all_data(WANTED))
    assert isinstance(error, MissingColumnError)
    assert "Did you mean 'idd'?" in str(error)
    assert "mapping_values" in str(error)
    error = failure(lambda: database.fetch("SELECT id FROM taxi").all_data(WANTED))
    assert isinstance(error, MissingColumnError)
    assert 'column "id" does not exist' in str(error)
    error = failure(lambda: database.fetch("SELECT id FROM taxy").all_data(WANTED))
    assert isinstance(error, SourceNotFoundError)
    rows = database.table("taxi", {"idd": "id"}).all_data(WANTED)
    run("ALTER TABLE taxi RENAME idd TO other")
    assert isinstance(failure(rows.collect), MissingColumnError)
    run("DROP TABLE taxi")
    assert isinstance(failure(rows.collect), SourceNotFoundError)


def _collected(source: DataSource) -> pl.DataFrame:
    return source.all_data(WANTED).collect()


def test_permission_denied(
    database: PostgreSQLConfig, run: Run, postgres: PostgresServer, postgres_database: str, address: Any
) -> None:
    run("CREATE TABLE taxi (id integer)", "CREATE SCHEMA secret", "CREATE TABLE secret.taxi (id integer)")
    name = postgres_database.rpartition("/")[2]
    role = f"visitor_{name}"
    postgres.new_user(role, CANARY)
    config = address(postgres.uri(name, role, CANARY))
    for source in (
        config.table("taxi"),
        config.table("taxi", schema="secret"),
        config.fetch("SELECT * FROM taxi"),
    ):
        error = failure(partial(_collected, source))
        assert isinstance(error, SourceError)
        assert "permission denied for" in str(error)
        assert "GRANT SELECT" in str(error)
    close_idle_connections()
    postgres.execute(f'DROP ROLE "{role}"')


@pytest.mark.parametrize("engine", ["in-memory", "streaming"])
def test_a_connection_lost_in_the_middle(
    database: PostgreSQLConfig, run: Run, postgres: PostgresServer, postgres_database: str, engine: Any
) -> None:
    run("CREATE TABLE taxi AS SELECT n AS id, repeat('x', 500) AS text FROM generate_series(1, 400000) AS n")
    name = postgres_database.rpartition("/")[2]
    wanted = request("taxi", id="int32", text="string")

    def cut() -> None:
        time.sleep(0.3)
        postgres.kill_connections(name)

    thread = threading.Thread(target=cut)
    thread.start()
    slow = database.fetch("SELECT 1 AS id, pg_sleep(20)::text AS text").all_data(wanted)
    error = failure(lambda: slow.collect(engine=engine))
    thread.join()
    assert "The connection was lost" in str(error)
    assert "try again" in str(error)

    def read() -> None:
        with explained_sql("taxi", "here", database), session(database) as opened:
            for _ in opened.batches("SELECT * FROM taxi"):
                postgres.kill_connections(name)

    assert "The connection was lost" in str(failure(read))
    assert database.table("taxi").all_data(wanted).select("id").collect(engine=engine).height == 400_000


def test_a_query_that_takes_too_long(
    database: PostgreSQLConfig, address: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = address(os.environ[VARIABLE] + "?options=-c%20statement_timeout%3D300")
    error = failure(lambda: config.fetch("SELECT 1 AS id, pg_sleep(20)").all_data(WANTED).collect())
    assert "took too long or was cancelled" in str(error)


def test_a_query_that_fails_in_the_middle(database: PostgreSQLConfig, run: Run) -> None:
    run("CREATE TABLE taxi AS SELECT n AS id FROM generate_series(0, 200000) AS n")
    query = database.fetch("SELECT 10 / (150000 - id) AS id FROM taxi")
    error = failure(lambda: query.all_data(WANTED).collect())
    assert "division by zero" in str(error)
    assert "'taxi' in postgres://" in str(error)


def test_no_secret_in_anything_that_is_shown(
    postgres: PostgresServer, postgres_database: str, address: Any, run: Run
) -> None:
    run("CREATE TABLE taxi (id integer)")
    name = postgres_database.rpartition("/")[2]
    role = f"canary_{name}"
    postgres.new_user(role, CANARY)
    postgres.execute(f'GRANT SELECT ON taxi TO "{role}"', name)
    config = address(postgres.uri(name, role, CANARY))
    source = config.table("taxi")
    query = config.fetch("SELECT * FROM taxi")
    rows = source.all_data(WANTED)
    assert rows.collect().height == 0
    shown = [
        *(repr(thing) + str(thing) for thing in (config, source, query, source.fingerprint())),
        *(
            thing.uri + thing.label + str(source_to_json(thing)) + thing.model_dump_json()
            for thing in (source, query)
        ),
        *(repr(pickle.dumps(thing)) for thing in (config, source, query)),
        rows.explain(),
        rows.filter(pl.col("id") > 1).explain(),
    ]
    for word in (*WORDS, role):
        assert not any(word in text for text in shown)
    close_idle_connections()
    postgres.execute(f'DROP OWNED BY "{role}"', name)
    postgres.execute(f'DROP ROLE "{role}"')
