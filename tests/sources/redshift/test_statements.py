"""Every statement that is generated, beside the text file of those that a person has looked at."""

from __future__ import annotations

import datetime as dt
import os
import re
from pathlib import Path

import polars as pl
import pytest

from aligned_dagster import RedshiftSQLConfig
from aligned_dagster.features.constraints import NotNull
from aligned_dagster.features.dtypes import DataType
from aligned_dagster.features.schema import Column, Schema
from aligned_dagster.request.retrieval_request import RetrievalRequest
from aligned_dagster.sources.sql import point_in_time
from tools.servers.redshift import RedshiftServer

from .redshift_grammar import faults

SNAPSHOT = Path(__file__).with_name("statements.txt")
OF_THE_DRIVER = re.compile(
    r"\s*(BEGIN|COMMIT|ROLLBACK|SELECT 1$|SELECT version|SET TIME ZONE|.*typ(receive|relid))", re.DOTALL
)
AT = dt.datetime(2024, 2, 29, 12, tzinfo=dt.UTC)
TRIPS = RetrievalRequest(
    "trips",
    Schema(
        (
            Column("id", DataType("int64"), "entity", constraints=(NotNull(),)),
            Column("at", DataType.from_text("timestamp(us,UTC)"), "event_timestamp"),
            Column("fare", DataType.from_text("decimal(10,2)"), description="What it's \\ cost"),
            Column("paid_by", DataType("string")),
            Column("stops", DataType.from_text("list(int32)")),
        )
    ),
)
ROWS = pl.DataFrame(
    {
        "id": [1, 2, 3, 4],
        "at": [AT] * 4,
        "fare": ["1.50", "2", None, "4"],
        "paid_by": ["cash", "o'hara", None, "card"],
        "stops": [[1, 2], [], None, [3]],
    },
    schema_overrides={"at": pl.Datetime("us", "UTC"), "stops": pl.List(pl.Int32)},
).with_columns(pl.col("fare").cast(pl.Decimal(10, 2)))


def generated(redshift: RedshiftServer, since: int) -> list[str]:
    """What the server got, with names that are drawn by chance replaced; each statement once."""
    found = []
    for statement in redshift.statements[since:]:
        if OF_THE_DRIVER.match(statement):
            continue
        text = re.sub(r"aligned_[0-9a-f]{12}", "aligned_received", statement)
        text = re.sub(
            r"s3://[^/]+/staging/aligned_staging/[0-9a-f]{32}/",
            "s3://bucket/staging/aligned_staging/place/",
            text,
        )
        found.append(text.strip())
    return list(dict.fromkeys(found))


@pytest.fixture
def statements(
    redshift: RedshiftServer, staging: RedshiftSQLConfig, monkeypatch: pytest.MonkeyPatch
) -> list[str]:
    """All that reads, writes and describes, over the connection and by way of the bucket."""
    monkeypatch.setattr(point_in_time, "FEW_ROWS", 0)
    monkeypatch.setattr(point_in_time, "ROWS_PER_FACT_WITHOUT_INDEX", 0)
    since = len(redshift.statements)
    table = staging.with_schema("city").table("trips", {"key": "id"}, dist_key="key", sort_keys=["at", "key"])
    few = ROWS.head(2).lazy()
    table.overwrite(few, TRIPS)
    table.upsert(few, TRIPS)
    table.upsert(few.with_columns(at=pl.lit(None, pl.Datetime("us", "UTC"))), TRIPS)
    table.insert(ROWS.lazy(), TRIPS)
    table.all_data(TRIPS).filter(pl.col("fare") > 0).collect()
    table.all_data(TRIPS).collect()
    for where in (pl.col("id") > 2, pl.col("paid_by").is_in(["cash", "o'hara"])):
        table.replace(few.filter(where), TRIPS, where)
    table.all_data(TRIPS).collect()
    table.all_data(TRIPS, limit=2).filter(pl.col("paid_by") == "o'hara").collect()
    table.all_between_dates(TRIPS, AT, AT).select("id", "fare").collect()
    facts = pl.LazyFrame(
        {"id": [1, 2], "asked": [AT, AT]}, schema_overrides={"asked": pl.Datetime("us", "UTC")}
    )
    table.features_for(facts, TRIPS, fact_timestamp="asked").collect()
    table.fingerprint()
    table.quarantine(few, TRIPS, "run")
    table.read_quarantine("run")
    table.read_quarantine()
    query = staging.fetch("SELECT id, paid_by FROM (SELECT key AS id, paid_by FROM city.trips) AS t")
    query.all_data(TRIPS.project(["id", "paid_by"])).collect()
    query.fingerprint()
    return generated(redshift, since)


def test_statements_are_the_known_ones_and_of_redshift(statements: list[str]) -> None:
    assert {statement: faults(statement) for statement in statements if faults(statement)} == {}
    text = "\n\n".join(statements) + "\n"
    assert any(statement.startswith("UNLOAD") for statement in statements)
    assert any(statement.startswith("COPY") for statement in statements)
    if "ALIGNED_WRITE_SNAPSHOT" in os.environ:
        SNAPSHOT.write_text(text, encoding="utf-8")
    assert text == SNAPSHOT.read_text(encoding="utf-8"), (
        "See what changed; ALIGNED_WRITE_SNAPSHOT=1 writes it."
    )


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO t (a) VALUES (1) ON CONFLICT (a) DO NOTHING",
        "SELECT DISTINCT ON (a) a FROM t",
        "SELECT * FROM t CROSS JOIN LATERAL (SELECT 1) AS l",
        "SELECT a::uuid FROM t",
        "SELECT a::jsonb FROM t",
        "SELECT array_agg(a) FROM t",
        "SELECT a IS NOT DISTINCT FROM b FROM t",
        "DELETE FROM t RETURNING a",
        "CREATE INDEX ON t (a)",
        "LOCK TABLE t IN SHARE MODE",
        "CREATE TABLE t (a text)",
        'SELECT a COLLATE "C" FROM t',
        "UNLOAD ('SELECT a::uuid FROM t') TO 's3://b/p' IAM_ROLE 'r' FORMAT AS PARQUET",
    ],
)
def test_grammar_finds_what_redshift_has_not(statement: str) -> None:
    assert faults(statement)
