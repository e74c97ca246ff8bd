from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from aligned_dagster import PostgreSQLConfig
from aligned_dagster.errors import CastError, RequestError
from aligned_dagster.features.dtypes import DataType
from aligned_dagster.features.schema import Column, Schema
from aligned_dagster.request.explain import explained
from aligned_dagster.request.retrieval_request import RetrievalRequest
from aligned_dagster.sources.source import DataSource
from aligned_dagster.sources.sql import point_in_time
from aligned_dagster.sources.sql.connection import close_idle_connections, session
from tools.servers.postgres import PostgresServer

from ...request.test_point_in_time import FACTS, FEATURES, facts_rows, feature_rows, minute, oracle
from .conftest import Run, request

TYPES = {
    "id": "int32",
    "name": "string",
    "ts": "timestamp(us,UTC)",
    "created": "timestamp(us,UTC)",
    "value": "int16",
}


@pytest.fixture(scope="module")
def config(postgres: PostgresServer) -> Iterator[PostgreSQLConfig]:
    with pytest.MonkeyPatch.context() as patch:
        uri = postgres.new_database()
        patch.setenv("FEATURES", uri)
        config = PostgreSQLConfig("FEATURES")
        definition = (
            "(place serial, id integer, name text, ts timestamptz, created timestamptz, value smallint)"
        )
        with session(config) as opened:
            for table in ("plain", "indexed"):
                opened.execute(f"CREATE TABLE {table} {definition}")
            opened.execute("CREATE INDEX ON indexed (name, id, ts)")
            opened.execute("CREATE VIEW seen AS SELECT id, name, ts, created, value FROM plain")
            opened.commit()
        yield config
        close_idle_connections()
        postgres.drop_database(uri.rpartition("/")[2])


@pytest.fixture
def always(monkeypatch: pytest.MonkeyPatch) -> None:
    """The server is asked however small the table is."""
    _always(monkeypatch)


def _always(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(point_in_time, "FEW_ROWS", -1)
    patch.setattr(point_in_time, "ROWS_PER_FACT", 0)
    patch.setattr(point_in_time, "ROWS_PER_FACT_WITHOUT_INDEX", 0)


def _asked(*, event: bool, created: bool) -> RetrievalRequest:
    roles = {"id": "entity", "name": "entity"}
    roles |= {"ts": "event_timestamp"} if event else {}
    roles |= {"created": "created_timestamp"} if created else {}
    columns = [
        Column(name, DataType.from_text(text), roles.get(name, "feature"))  # type: ignore[arg-type]  # roles as they are
        for name, text in TYPES.items()
    ]
    return RetrievalRequest("seen", Schema(tuple(columns))).project(["value"])


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    facts=facts_rows,
    features=feature_rows,
    event=st.booleans(),
    created=st.booleans(),
    timed=st.booleans(),
    table=st.sampled_from(["plain", "indexed"]),
)
def test_every_fact_gets_what_a_naive_search_finds(
    config: PostgreSQLConfig,
    always: None,
    facts: list[Any],
    features: list[Any],
    event: bool,
    created: bool,
    timed: bool,
    table: str,
) -> None:
    asked = pl.DataFrame([(i, n, minute(t)) for i, n, t in facts], schema=FACTS, orient="row")
    known = pl.DataFrame(
        [(i, n, minute(t), minute(c), p) for p, (i, n, t, c) in enumerate(features)],
        schema=FEATURES,
        orient="row",
    )
    with session(config) as opened:
        opened.execute(f"TRUNCATE {table} RESTART IDENTITY")
        opened.ingest(table, known)
        opened.commit()
    found = config.table(table).features_for(
        asked.lazy(), _asked(event=event, created=created), fact_timestamp="at" if timed else None
    )
    expected = oracle(facts, features, event=event, created=created, timed=timed, max_age=None)
    wanted = asked.with_columns(value=pl.Series(expected, dtype=pl.Int16))
    assert dict(found.collect_schema()) == dict(wanted.schema)
    assert_frame_equal(found.collect(), wanted)
    assert_frame_equal(found.select("value", "id").head(2).collect(), wanted.select("value", "id").head(2))
    condition = pl.col("value") > 3
    assert_frame_equal(found.filter(condition).collect(), wanted.filter(condition))


@pytest.mark.usefixtures("always")
@pytest.mark.parametrize("source", ["view", "query"])
def test_views_and_queries_are_looked_up_too(
    config: PostgreSQLConfig, source: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = pl.DataFrame([(1, "a", minute(t), minute(t), t) for t in range(5)], schema=FEATURES, orient="row")
    with session(config) as opened:
        opened.execute("TRUNCATE plain")
        opened.ingest("plain", known)
        opened.commit()
    monkeypatch.setattr(DataSource, "all_data", None)
    place = config.table("seen") if source == "view" else config.fetch("SELECT * FROM seen WHERE value < 4")
    asked = pl.LazyFrame({"id": [1, 1, 2], "name": ["a"] * 3, "at": [minute(2), minute(9), minute(9)]})
    found = place.features_for(asked, _asked(event=True, created=True), fact_timestamp="at").collect()
    assert found["value"].to_list() == [2, 4 if source == "view" else 3, None]


@pytest.fixture
def history(run: Run) -> None:
    run(
        "CREATE TABLE history (id integer, key uuid, day date, at timestamptz, naive timestamp, amount numeric(9, 2), "
        "note text, tags text[])",
        "INSERT INTO history SELECT n % 2000, md5((n % 2000)::text)::uuid, date '2024-01-01' + n / 2000, "
        "timestamptz '2024-01-01' + n * interval '1 second', timestamp '2024-01-01' + n * interval '1 second', n / 4.0, "
        "CASE WHEN n % 3 > 0 THEN 'n' || n END, ARRAY['t' || n] FROM generate_series(0, 39999) AS n",
        "CREATE INDEX ON history (id, at)",
        "CREATE INDEX ON history (key)",
        "ANALYZE history",
    )


Statements = Callable[[], list[str]]
COLUMNS = {"amount": "float64", "note": "string", "tags": "list(string)"}


@pytest.mark.usefixtures("history")
def test_only_what_is_needed_crosses_the_wire(database: PostgreSQLConfig, statements: Statements) -> None:
    wanted = request(id="entity int32", at="event_timestamp timestamp(us,UTC)", **COLUMNS)
    moment = dt.datetime(2024, 1, 1, 6, tzinfo=dt.UTC)
    few = pl.DataFrame({"id": [7, 8, 7, None, 2**40], "time": [moment] * 5})
    many = pl.DataFrame({"id": range(30_000), "time": [moment] * 30_000})
    source = database.table("history")
    for facts, is_sent in ((few, True), (many, False)):
        statements()
        found = source.features_for(facts.lazy(), wanted.project(["note", "tags"]), fact_timestamp="time")
        assert statements() == []
        rows = found.collect()
        told = statements()
        assert any("LATERAL" in query for query in told) == is_sent
        assert (
            any(query.startswith('COPY "aligned facts"') or "aligned facts" in query for query in told)
            == is_sent
        )
        assert not any("amount" in query for query in told)
        plain = DataSource.features_for(
            source, facts.lazy(), wanted.project(["note", "tags"]), fact_timestamp="time"
        )
        assert_frame_equal(rows, plain.collect())
    assert rows["note"].is_not_null().any()


@pytest.mark.usefixtures("history", "always")
@pytest.mark.parametrize("zone", ["UTC", "Europe/Oslo"])
@pytest.mark.parametrize(
    ("key", "event"),
    [
        ("id int64", ("at", "timestamp(us,UTC)")),
        ("id int32", ("at", "timestamp(us,Asia/Tokyo)")),
        ("id string", ("at", "timestamp(us,UTC)")),
        ("key uuid", ("at", "timestamp(us,UTC)")),
        ("key string", ("naive", "timestamp(us,)")),
        ("id int32", ("naive", "timestamp(us,)")),
        ("id int32", ("naive", "timestamp(us,UTC)")),
        ("id int32", ("at", "timestamp(us,)")),
        ("id int32", ("day", "date")),
        ("id int32", ("at", "date")),
        ("note string", ("at", "timestamp(us,UTC)")),
    ],
)
def test_keys_and_times_of_every_type_find_the_same(
    database: PostgreSQLConfig, run: Run, zone: str, key: str, event: tuple[str, str]
) -> None:
    from dataclasses import replace

    if event == ("at", "date"):
        run("UPDATE history SET at = date_trunc('day', at AT TIME ZONE 'UTC') AT TIME ZONE 'UTC'")
    name, dtype = key.split()
    wanted = replace(
        request(**{name: f"entity {dtype}", event[0]: f"event_timestamp {event[1]}"}, amount="decimal(9,2)"),
        zone=zone,
    )
    source = database.table("history")
    keys = source.all_data(wanted.project([name])).collect()[name].unique(maintain_order=True).head(20)
    if dtype in {"uuid", "string"}:
        keys = pl.concat([keys, pl.Series(name, ["NOT-A-KEY", "zero\0byte", "", "A" * 32], dtype=pl.String)])
    moments = [dt.datetime(2024, 1, 1) + dt.timedelta(hours=hour) for hour in (-1, 0, 1, 5, 24, 24 * 30)]
    naive = pl.col("time")
    abroad = naive.dt.cast_time_unit("ms").dt.replace_time_zone("America/New_York")
    for time in (
        naive,
        abroad,
        naive.dt.date(),
        naive.dt.cast_time_unit("ns").dt.replace_time_zone("UTC"),
        None,
    ):
        facts = keys.to_frame().join(pl.DataFrame({"time": moments}), how="cross")
        facts = facts if time is None else facts.with_columns(time)
        asked, fact_timestamp = wanted.project(["amount"]), None if time is None else "time"
        found = source.features_for(facts.lazy(), asked, fact_timestamp=fact_timestamp)
        plain = DataSource.features_for(source, facts.lazy(), asked, fact_timestamp=fact_timestamp)
        assert_frame_equal(found.collect(), plain.collect())
    assert found.collect()["amount"].is_not_null().any()


@pytest.mark.usefixtures("history", "always")
def test_defaults_derivations_and_missing_columns(database: PostgreSQLConfig) -> None:
    wanted = RetrievalRequest(
        "history",
        Schema(
            (
                Column("id", DataType("int32"), "entity"),
                Column("at", DataType("timestamp", time_zone="UTC"), "event_timestamp"),
                Column("note", DataType("string"), has_default=True, default="none"),
                Column("extra", DataType("int8"), optional=True),
            )
        ),
    )
    facts = pl.LazyFrame({"id": [0, 3, 9999]})
    found = database.table("history").features_for(facts, wanted).collect()
    plain = DataSource.features_for(database.table("history"), facts, wanted).collect()
    assert_frame_equal(found, plain)
    assert found["note"].to_list()[2] is None


@pytest.mark.usefixtures("history", "always")
def test_what_cannot_be_answered_is_said(database: PostgreSQLConfig, run: Run) -> None:
    wanted = request(id="entity int32", at="event_timestamp timestamp(us,UTC)", note="string")
    source = database.table("history")
    with pytest.raises(RequestError, match="lack the entity columns 'id'"):
        source.features_for(pl.LazyFrame({"idd": [1]}), wanted)
    with pytest.raises(RequestError, match="already have the columns 'note'"):
        source.features_for(pl.LazyFrame({"id": [1], "note": ["x"]}), wanted)
    with pytest.raises(RequestError, match="cannot be compared"):
        source.features_for(pl.LazyFrame({"id": ["1"]}), wanted)
    run("INSERT INTO history (id, at, note) VALUES (1, 'infinity', 'x')")
    latest = source.features_for(pl.LazyFrame({"id": [1]}), wanted)
    with pytest.raises(CastError, match=r"column 'at'.*infinity"), explained("history"):
        latest.collect()
    numbers = request(id="entity int32", at="event_timestamp timestamp(us,UTC)", note="int32")
    broken = source.features_for(pl.LazyFrame({"id": [2]}), numbers.project(["note"]))
    with pytest.raises(CastError, match="'note'"), explained("history"):
        broken.collect()


@pytest.mark.usefixtures("history", "always")
def test_a_user_who_may_not_create_temporary_tables_gets_the_same(
    database: PostgreSQLConfig,
    run: Run,
    postgres: PostgresServer,
    postgres_database: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    name = postgres_database.rpartition("/")[2]
    role = f"reader_{name}"
    postgres.new_user(role, "word")
    run(f'GRANT SELECT ON history TO "{role}"')
    postgres.execute(f'REVOKE TEMP ON DATABASE "{name}" FROM PUBLIC')
    monkeypatch.setenv("READER", postgres.uri(name, role, "word"))
    wanted = request(id="entity int32", at="event_timestamp timestamp(us,UTC)", note="string").project(
        ["note"]
    )
    facts = pl.LazyFrame({"id": [1, 2, -1]})
    found = PostgreSQLConfig("READER").table("history").features_for(facts, wanted).collect()
    assert_frame_equal(found, database.table("history").features_for(facts, wanted).collect())
    close_idle_connections()
    run(f'REVOKE ALL ON history FROM "{role}"')
    postgres.execute(f'DROP ROLE "{role}"')
