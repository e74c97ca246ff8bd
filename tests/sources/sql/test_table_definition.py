"""Tables that contracts create, and the difference that is told where one has another shape."""

from __future__ import annotations

from dataclasses import replace

import polars as pl
import pytest

from aligned_dagster import PostgreSQLConfig
from aligned_dagster.errors import PublishError
from aligned_dagster.features.constraints import NotNull
from aligned_dagster.features.dtypes import DataType
from aligned_dagster.features.schema import Column, Schema
from aligned_dagster.request.retrieval_request import RetrievalRequest

from .conftest import Run, request

COLUMNS = """
SELECT a.attname::text, format_type(a.atttypid, a.atttypmod), a.attnotnull, col_description(a.attrelid, a.attnum)
FROM pg_attribute AS a WHERE a.attrelid = $1::regclass AND a.attnum > 0 ORDER BY a.attnum
"""
INDEXES = "SELECT indexdef FROM pg_indexes WHERE tablename = $1::text"


@pytest.fixture
def readings() -> RetrievalRequest:
    return RetrievalRequest(
        "readings",
        Schema(
            (
                Column("station", DataType("string"), "entity", description='The "station"\'s \\ code'),
                Column("at", DataType("timestamp", time_zone="UTC"), "event_timestamp"),
                Column("level", DataType("float64"), constraints=(NotNull(),)),
                Column("guess", DataType("int16"), constraints=(NotNull(on_violation="warn"),)),
                Column(
                    "tags", DataType("list", inner=DataType("string")), optional=True, description="words"
                ),
            )
        ),
    )


@pytest.fixture
def rows(readings: RetrievalRequest) -> pl.DataFrame:
    from datetime import UTC, datetime

    at = datetime(2024, 1, 1, tzinfo=UTC)
    return pl.DataFrame(
        [("a", at, 1.0, 1, ["x"]), ("b", at, 2.0, None, None)], schema=readings.polars, orient="row"
    )


def test_types_nulls_and_descriptions(
    database: PostgreSQLConfig, run: Run, readings: RetrievalRequest, rows: pl.DataFrame
) -> None:
    database.table("made", {"Guess?": "guess"}, schema="new schema").upsert(rows.lazy(), readings)
    assert run(COLUMNS, parameters=['"new schema".made']) == [
        ("station", "text", True, 'The "station"\'s \\ code'),
        ("at", "timestamp with time zone", True, None),
        ("level", "double precision", True, None),
        ("Guess?", "smallint", False, None),
        ("tags", "text[]", False, "words"),
    ]
    said = run("SELECT obj_description('\"new schema\".made'::regclass)")
    assert said == [("Rows of readings, written by aligned_dagster",)]


@pytest.mark.parametrize("mode", ["overwrite", "insert", "upsert", "replace"])
def test_key(
    database: PostgreSQLConfig, run: Run, readings: RetrievalRequest, rows: pl.DataFrame, mode: str
) -> None:
    where = {"where": pl.lit(True)} if mode == "replace" else {}
    getattr(database.table("made"), mode)(rows.lazy(), readings, **where)
    found = [line for (line,) in run(INDEXES, parameters=["made"])]
    unique = "UNIQUE " if mode == "upsert" else ""
    assert len(found) == 1
    assert found[0].startswith(f"CREATE {unique}INDEX")
    assert found[0].endswith("(station, at)")


def test_first_rows_with_nulls_that_a_contract_may_only_warn_of(
    database: PostgreSQLConfig, run: Run, readings: RetrievalRequest, rows: pl.DataFrame
) -> None:
    table = database.table("made")
    changed = rows.with_columns(level=pl.lit(None, pl.Float64), station=pl.lit(None, pl.String))
    table.upsert(changed.lazy(), readings)
    assert [line[2] for line in run(COLUMNS, parameters=["made"])] == [False] * 5
    assert "UNIQUE" not in run(INDEXES, parameters=["made"])[0][0]
    table.upsert(changed.lazy(), readings)
    assert table.all_data(readings).collect().height == 1


def test_a_contract_without_entity_has_no_key(database: PostgreSQLConfig, run: Run) -> None:
    database.table("made").overwrite(pl.LazyFrame({"a": [1]}), request(a="int64"))
    assert run(INDEXES, parameters=["made"]) == []


def test_nothing_is_created_when_the_rows_are_not_published(
    database: PostgreSQLConfig, run: Run, readings: RetrievalRequest, rows: pl.DataFrame
) -> None:
    for mode in ("overwrite", "insert", "upsert"):
        with database.table("made").stage(rows.lazy(), readings, mode) as staged:  # type: ignore[arg-type]  # one of them
            assert staged.frame.collect().height == 2
        assert run("SELECT to_regclass('made')::text") == [(None,)]


def test_every_difference_is_told(
    database: PostgreSQLConfig, run: Run, readings: RetrievalRequest, rows: pl.DataFrame
) -> None:
    run(
        "CREATE TABLE other (stations text, level real, guess text, tags text, at timestamptz, must integer NOT NULL)"
    )
    run("INSERT INTO other (must) VALUES (1)")
    for mode in ("overwrite", "insert", "upsert"):
        with pytest.raises(PublishError) as error:
            getattr(database.table("other"), mode)(rows.lazy(), readings)
        lines = str(error.value).splitlines()
        assert (
            "does not have the shape in which 'readings' is to be stored, so nothing was written" in lines[0]
        )
        assert lines[1] == (
            "  'station': not there, wanted text. Did you mean 'stations'? "
            'ALTER TABLE "public"."other" ADD COLUMN "station" text;'
        )
        assert lines[2].startswith(
            "  'level': stored as real, wanted double precision for float64; real cannot hold"
        )
        assert 'ALTER COLUMN "level" TYPE double precision USING "level"::double precision' in lines[2]
        assert lines[3].startswith("  'guess': stored as text, wanted smallint for int16")
        assert any("'must': integer NOT NULL, of which the contract knows nothing" in line for line in lines)
        assert any("'stations': text, of which the contract" in line for line in lines) == (
            mode == "overwrite"
        )
    assert run("SELECT count(*) FROM other") == [(1,)]


def test_names_that_the_server_would_cut(database: PostgreSQLConfig) -> None:
    wanted = request(**{"é" * 40: "int64"})
    with pytest.raises(PublishError, match="at most 63 bytes, and this one has 80"):
        database.table("made").overwrite(pl.LazyFrame({"é" * 40: [1]}), wanted)


def test_columns_that_the_server_computes_are_not_written(database: PostgreSQLConfig, run: Run) -> None:
    run(
        "CREATE TABLE computed (id bigint GENERATED ALWAYS AS IDENTITY, "
        "twice bigint GENERATED ALWAYS AS (a * 2) STORED, a bigint)"
    )
    table = database.table("computed")
    table.overwrite(pl.LazyFrame({"a": [1, 2]}), request(a="int64"))
    assert run("SELECT a, twice FROM computed ORDER BY a") == [(1, 2), (2, 4)]
    with pytest.raises(PublishError, match=r"'id': stored as bigint.*the server computes it itself"):
        table.overwrite(pl.LazyFrame({"id": [1], "a": [1]}), request(id="int64", a="int64"))


def test_a_table_that_changes_between_staging_and_publishing(database: PostgreSQLConfig, run: Run) -> None:
    run("CREATE TABLE moving (id bigint, value uuid)")
    value = "550e8400-e29b-41d4-a716-446655440000"
    table, wanted = database.table("moving"), request(id="entity int64", value="uuid")
    with table.stage(pl.LazyFrame({"id": [1], "value": [value]}), wanted, "overwrite") as staged:
        run("ALTER TABLE moving ALTER COLUMN value TYPE text USING value::text")
        staged.publish()
    assert run("SELECT value FROM moving") == [(value,)]
    with table.stage(pl.LazyFrame({"id": [2], "value": [value]}), wanted, "overwrite") as staged:
        run("ALTER TABLE moving DROP COLUMN value")
        with pytest.raises(PublishError, match="'value': not there"):
            staged.publish()
    assert run("SELECT id FROM moving") == [(1,)]


def test_an_optional_column_that_is_new_to_the_table(database: PostgreSQLConfig, run: Run) -> None:
    table, narrow = database.table("grown"), request(id="entity int64")
    table.overwrite(pl.LazyFrame({"id": [1]}), narrow)
    note = Column("note", DataType("string"), optional=True)
    wide = replace(narrow, schema=Schema((*narrow.schema.columns, note)), columns=())
    with pytest.raises(PublishError, match=r'ADD COLUMN "note" text;') as error:
        table.insert(pl.LazyFrame({"id": [2], "note": ["x"]}), wide)
    run(str(error.value).rpartition("ALTER TABLE")[2].join(["ALTER TABLE", ""]))
    table.insert(pl.LazyFrame({"id": [2], "note": ["x"]}), wide)
    assert table.all_data(wide).collect().sort("id").rows() == [(1, None), (2, "x")]
