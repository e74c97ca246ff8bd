"""What is written is what is read, for every type; and what cannot be stored is an error that leaves the old rows."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import polars as pl
import pytest

from aligned_dagster import PostgreSQLConfig
from aligned_dagster.errors import AccessDeniedError, CastError, PublishError, SourceError
from aligned_dagster.features.dtypes import DataType
from aligned_dagster.sources.sql.spool import Spool
from tools.servers.postgres import PostgresServer

from ..behaviours import same
from .conftest import Run, request

UTC = dt.UTC
VALUES: dict[str, list[Any]] = {
    "bool": [True, False],
    "int8": [-128, 127],
    "int16": [-(2**15), 2**15 - 1],
    "int32": [-(2**31), 2**31 - 1],
    "int64": [-(2**63), 2**63 - 1],
    "uint8": [0, 255],
    "uint16": [0, 2**16 - 1],
    "uint32": [0, 2**32 - 1],
    "uint64": [0, 2**64 - 1],
    "float32": [1.5, float("inf")],
    "float64": [0.1, float("nan"), -0.0, 1e300],
    "string": ["", "a'b\"c\\d\n\te", "😀" * 1000, "null", "{1,2}"],
    "uuid": ["550e8400-e29b-41d4-a716-446655440000"],
    "json": ['{"a": [1, 2.5, null], "b": {"c": "d"}}', "[]", "null"],
    "date": [dt.date(1, 1, 1), dt.date(9999, 12, 31), dt.date(1999, 12, 31)],
    "time": [dt.time(0), dt.time(23, 59, 59, 999999)],
    "timestamp(us,UTC)": [
        dt.datetime(1, 1, 2, tzinfo=UTC),
        dt.datetime(9999, 12, 30, 23, 59, 59, 999999, UTC),
    ],
    "timestamp(us,Europe/Oslo)": [
        dt.datetime(2024, 7, 1, 12, tzinfo=UTC),
        dt.datetime(2024, 10, 27, 1, 30, tzinfo=UTC),
    ],
    "timestamp(us,)": [
        dt.datetime(1, 1, 1),
        dt.datetime(2024, 3, 31, 2, 30),
        dt.datetime(9999, 12, 31, 23, 59, 59, 999999),
    ],
    "duration": [dt.timedelta(days=-400, microseconds=1), dt.timedelta(days=10_000), dt.timedelta(0)],
    "binary": [b"", b"\x00\xff\\x41"],
    "decimal(38,10)": [Decimal("1234567890123456789012345678.0123456789"), Decimal("-0.0000000001")],
    "decimal(5,0)": [Decimal(99999)],
    "list(int32)": [[], [1, None, 2**31 - 1]],
    "list(int8)": [[], [-128, None, 127]],
    "list(uint64)": [[2**64 - 1, None]],
    "list(string)": [["a,b", "", None, '"', "NULL", "{}"], []],
    "list(float64)": [[0.1, float("nan"), None]],
    "list(float32)": [[0.5, None]],
    "list(bool)": [[True, None]],
    "list(date)": [[dt.date(2020, 1, 1), None]],
    "list(time)": [[dt.time(1, 2, 3, 4), None]],
    "list(timestamp(us,UTC))": [[dt.datetime(2020, 1, 1, tzinfo=UTC), None]],
    "list(duration)": [[dt.timedelta(days=40), None]],
    "list(binary)": [[b"\x00", None]],
    "list(uuid)": [["550e8400-e29b-41d4-a716-446655440000", None]],
    "list(decimal(10,2))": [[Decimal("1.50"), None]],
    "list(list(int32))": [[[1], [], None], []],
    "embedding(3,float32)": [[1.0, 2.0, 3.5]],
    "struct(a:int32,b:list(string),`c:float64)": [
        {"a": 1, "b": ["x", None], "`c": 0.5},
        {"a": None, "b": None, "`c": None},
    ],
    "list(struct(a:int64,d:timestamp(us,)))": [[{"a": 2**60, "d": dt.datetime(2020, 1, 1)}], []],
}


@pytest.mark.parametrize("dtype", VALUES)
@pytest.mark.parametrize("mode", ["overwrite", "upsert"])
def test_every_type_comes_back(database: PostgreSQLConfig, dtype: str, mode: str) -> None:
    values = [*VALUES[dtype], None]
    series = pl.Series("value", values, dtype=DataType.from_text(dtype).polars)
    frame = pl.DataFrame({"id": pl.int_range(len(values), eager=True)}).with_columns(series)
    source, wanted = database.table("typed"), request(id="entity int64", value=dtype)
    for _ in range(2):
        getattr(source, mode)(frame.lazy(), wanted)
        same(source.all_data(wanted), frame)
    with source.stage(frame.lazy(), wanted, mode) as staged:  # type: ignore[arg-type]  # one of two
        same(staged.frame, frame)
        staged.keep(staged.frame.head(1))
        staged.publish()
    same(source.all_data(wanted), frame.head(1))


@pytest.mark.parametrize("dtype", [name for name in VALUES if "list(" not in name and "struct" not in name])
def test_keys_of_every_type(database: PostgreSQLConfig, dtype: str) -> None:
    series = pl.Series("key", [*VALUES[dtype], None], dtype=DataType.from_text(dtype).polars)
    frame = pl.DataFrame([series]).with_columns(number=pl.int_range(len(series), dtype=pl.Int64))
    wanted = request(key=f"entity {dtype}", number="int64")
    for name, first in (("unindexed", "overwrite"), ("keyed", "upsert")):
        source = database.table(name)
        getattr(source, first)(frame.drop_nulls().lazy(), wanted)
        for plus in (10, 20):
            changed = frame.with_columns(pl.col("number") + plus)
            source.upsert(changed.lazy(), wanted) if name == "unindexed" else source.upsert(
                changed.drop_nulls().lazy(), wanted
            )
            expected = changed if name == "unindexed" else changed.drop_nulls()
            same(source.all_data(wanted), expected)


STORED = {
    "enum": ("mood", "string", ["good", "bad", None]),
    "domain": ("positive", "int32", [1, None]),
    "varchar": ("varchar(5)", "string", ["abcde", None]),
    "inet": ("inet", "string", ["10.0.0.1", None]),
    "uuid as text": ("uuid", "string", ["550e8400-e29b-41d4-a716-446655440000", None]),
    "jsonb as text": ("jsonb", "string", ['{"a": 1}', None]),
    "wider integer": ("bigint", "int8", [-1, None]),
    "narrower integer": ("smallint", "int64", [300, None]),
    "integer as numeric": ("numeric(10,2)", "int32", [5, None]),
    "wider float": ("double precision", "float32", [0.5, None]),
    "free numeric": ("numeric", "decimal(10,4)", [Decimal("1.2500"), None]),
    "rounder numeric": ("numeric(10,2)", "decimal(10,4)", [Decimal("1.2500"), None]),
    "naive as zoned": ("timestamptz", "timestamp(us,)", [dt.datetime(2024, 1, 1), None]),
    "zoned as naive": ("timestamp", "timestamp(us,UTC)", [dt.datetime(2024, 1, 1, tzinfo=UTC), None]),
    "seconds": ("timestamptz(0)", "timestamp(us,UTC)", [dt.datetime(2024, 1, 1, tzinfo=UTC), None]),
    "enums": ("mood[]", "list(string)", [["good"], [None], [], None]),
    "list as json": ("jsonb", "list(int32)", [[1, None], [], None]),
}


@pytest.mark.parametrize("name", STORED)
@pytest.mark.parametrize("mode", ["overwrite", "upsert", "insert"])
def test_tables_of_others(database: PostgreSQLConfig, run: Run, name: str, mode: str) -> None:
    sql_type, dtype, values = STORED[name]
    run("CREATE TYPE mood AS ENUM ('good', 'bad')")
    run("CREATE DOMAIN positive AS integer CHECK (value > 0)")
    run(f"CREATE TABLE theirs (value {sql_type}, id bigint, noted timestamptz DEFAULT now())")
    source, wanted = database.table("theirs"), request(id="entity int64", value=dtype)
    series = pl.Series("value", values, dtype=DataType.from_text(dtype).polars)
    frame = pl.DataFrame({"id": pl.int_range(len(values), eager=True)}).with_columns(series)
    getattr(source, mode)(frame.lazy(), wanted)
    same(source.all_data(wanted), frame)
    assert run("SELECT count(noted) FROM theirs") == [(len(values),)]


REFUSED: dict[str, tuple[str, str, Any, str]] = {
    "too wide": ("smallint", "int64", 40_000, "40000.*'value'"),
    "no uuid": ("uuid", "string", "not one", "'not one'.*uuid"),
    "no enum": ("mood", "string", "ugly", 'invalid input value for enum mood: "ugly"'),
    "too long": ("varchar(3)", "string", "abcd", "too long"),
    "too fine": ("numeric(10,2)", "decimal(10,4)", Decimal("1.2345"), r"1\.2345.*numeric\(10,2\)"),
    "too precise": ("timestamp(0)", "timestamp(us,)", dt.datetime(2024, 1, 1, 0, 0, 0, 5), r"timestamp\(0\)"),
    "zero byte": ("text", "string", "a\0b", "zero byte"),
    "no json": ("jsonb", "string", "{", "invalid input syntax for type json"),
    "too late": (
        "date",
        "date",
        pl.Series([3_000_000]).cast(pl.Int32).cast(pl.Date),
        "no year from 1 to 9999",
    ),
    "nanoseconds": ("time", "time", pl.Series([1], dtype=pl.Int64).cast(pl.Time), "counts microseconds"),
    "an hour twice": (
        "timestamp",
        "timestamp(us,Europe/Oslo)",
        dt.datetime(2024, 10, 27, 1, 30, tzinfo=UTC),
        "no such time, or two",
    ),
    "rule": ("positive", "int32", -1, "positive_check"),
}


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.parametrize("mode", ["overwrite", "upsert", "insert"])
def test_what_does_not_fit_is_refused(database: PostgreSQLConfig, run: Run, name: str, mode: str) -> None:
    sql_type, dtype, value, message = REFUSED[name]
    run("CREATE TYPE mood AS ENUM ('good', 'bad')")
    run("CREATE DOMAIN positive AS integer CHECK (value > 0)")
    run(f"CREATE TABLE theirs (id bigint, value {sql_type})")
    run("INSERT INTO theirs VALUES (1, NULL)")
    source, wanted = database.table("theirs"), request(id="entity int64", value=dtype)
    polars = DataType.from_text(dtype).polars
    series = value if isinstance(value, pl.Series) else pl.Series([value], dtype=polars)
    frame = pl.DataFrame({"id": [2], "value": series})
    with pytest.raises((CastError, PublishError), match=f"(?s){message}"):
        getattr(source, mode)(frame.lazy(), wanted)
    assert run("SELECT id, value::text FROM theirs") == [(1, None)]


def test_upsert_keeps_columns_of_others_where_a_key_allows(database: PostgreSQLConfig, run: Run) -> None:
    run("CREATE TABLE shared (id bigint PRIMARY KEY, value bigint, theirs text)")
    run("INSERT INTO shared VALUES (1, 1, 'kept')")
    source, wanted = database.table("shared"), request(id="entity int64", value="int64")
    source.upsert(pl.LazyFrame({"id": [1, 2], "value": [10, 20]}), wanted)
    source.insert(pl.LazyFrame({"id": [3], "value": [30]}), wanted)
    assert run("SELECT * FROM shared ORDER BY id") == [(1, 10, "kept"), (2, 20, None), (3, 30, None)]
    again = pl.LazyFrame({"id": [1], "value": [0]})
    unknown = "'theirs': text, of which the contract knows nothing"
    with pytest.raises(PublishError, match=unknown):
        source.overwrite(again, wanted)
    with pytest.raises(PublishError, match=unknown):
        source.replace(again, wanted, pl.col("id") == 1)
    with source.stage(again.with_columns(id=pl.lit(4)), wanted, "insert") as staged:
        staged.keep(staged.frame)
        with pytest.raises(PublishError, match="would be lost"):
            staged.publish()
    assert run("SELECT count(*) FROM shared") == [(3,)]


def test_upsert_into_a_key_that_only_forbids_a_null(database: PostgreSQLConfig, run: Run) -> None:
    run("CREATE TABLE nulls (id bigint UNIQUE, value bigint)")
    source, wanted = database.table("nulls"), request(id="entity int64", value="int64")
    for value in (1, 2):
        rows = pl.DataFrame({"id": [1, None], "value": [value, value]})
        source.upsert(rows.lazy(), wanted)
        same(source.all_data(wanted), rows)


@pytest.mark.parametrize(
    "where",
    [
        pl.col("name").str.starts_with("a"),
        pl.col("level") == 9.0,
        pl.col("name").str.len_chars() * 2 > 4,
    ],
)
def test_replace_of_what_only_polars_can_tell(database: PostgreSQLConfig, where: pl.Expr) -> None:
    from dataclasses import replace

    from aligned_dagster.features.schema import Schema
    from aligned_dagster.request.retrieval_request import RetrievalRequest

    source, plain = database.table("odd"), request(name="entity string", level="float64")
    rows = pl.DataFrame({"name": ["ab", "b", "abc", "d"], "level": [1.0, None, 9.0, None]})
    source.overwrite(rows.lazy(), plain)
    columns = [
        replace(c, has_default=True, default=9.0) if c.name == "level" else c for c in plain.schema.columns
    ]
    wanted = RetrievalRequest("odd", Schema(tuple(columns)))
    before = source.all_data(wanted).collect()
    incoming = before.filter(where).head(1)
    source.replace(incoming.lazy(), wanted, where)
    same(source.all_data(wanted), pl.concat([before.filter(~where), incoming]))


def test_rows_that_break_a_key_are_named(database: PostgreSQLConfig) -> None:
    source, wanted = database.table("keyed"), request(id="entity int64", value="int64")
    rows = pl.LazyFrame({"id": [1], "value": [1]})
    source.upsert(rows, wanted)
    with pytest.raises(PublishError, match=r"(?s)second row with the same key.*\(id\)=\(1\).*Use upsert"):
        source.insert(rows, wanted)


def test_views_are_only_read(database: PostgreSQLConfig, run: Run) -> None:
    run("CREATE VIEW seen AS SELECT 1::bigint AS id")
    for mode in ("overwrite", "insert"):
        with pytest.raises(PublishError, match="is a view"):
            getattr(database.table("seen"), mode)(pl.LazyFrame({"id": [1]}), request(id="entity int64"))


def test_who_may_only_read(
    postgres: PostgresServer,
    postgres_database: str,
    database: PostgreSQLConfig,
    run: Run,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    name = postgres_database.rpartition("/")[2]
    run("CREATE TABLE locked (id bigint)", "GRANT SELECT ON locked TO public")
    postgres.execute("DROP ROLE IF EXISTS reader")
    postgres.new_user("reader", "canary-4711")
    monkeypatch.setenv("READER_URL", postgres.uri(name, "reader", "canary-4711"))
    source = PostgreSQLConfig("READER_URL").table("locked")
    for mode in ("overwrite", "upsert"):
        with pytest.raises(AccessDeniedError, match="GRANT SELECT, INSERT") as error:
            getattr(source, mode)(pl.LazyFrame({"id": [1]}), request(id="entity int64"))
        assert "canary" not in str(error.value)
        assert error.value.__context__ is None or "canary" not in repr(error.value.__context__)


def test_nothing_is_left_on_the_disk(
    database: PostgreSQLConfig, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    source, wanted = database.table("tidy"), request(id="entity int64")
    source.overwrite(pl.LazyFrame({"id": [1]}), wanted)
    with pytest.raises(SourceError):
        source.insert(pl.LazyFrame({"id": ["x"]}), wanted)
    with source.stage(pl.LazyFrame({"id": [1]}), wanted, "insert"):
        assert [oct(path.stat().st_mode)[-3:] for path in tmp_path.iterdir()] == ["700"]
    assert list(tmp_path.iterdir()) == []


def test_spools_of_the_dead_are_removed(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    old, young = Spool(), Spool()
    os.utime(old._directory, (0, 0))
    third = Spool()
    assert {path.name for path in tmp_path.iterdir()} == {young._directory.name, third._directory.name}


def test_quarantine_of_changing_columns(database: PostgreSQLConfig, run: Run) -> None:
    source, wanted = database.table("a" * 63), request(id="entity int64")
    source.overwrite(pl.LazyFrame({"id": [1]}), wanted)
    first = pl.DataFrame({"id": ["x", None], "run_id": [1.5, float("nan")], 'od"d': [[b"\xff"], None]})
    second = pl.DataFrame(
        {
            "id": [1],
            "at": [dt.datetime(2024, 1, 1, 1, 1, 1, 1, tzinfo=UTC)],
            "kind": pl.Series(["a"], dtype=pl.Enum(["a"])),
            "big": pl.Series([2**64 - 1], dtype=pl.UInt64),
            "nothing": [None],
            "s": [{"a": 1, "b": ["q\0"]}],
        }
    )
    source.quarantine(first.lazy(), wanted, "one")
    source.quarantine(second.lazy(), wanted, "two")
    source.quarantine(first.head(1).lazy(), wanted, "one")
    found = source.read_quarantine("one")
    assert found is not None
    same(found, first.head(1))
    found = source.read_quarantine("two")
    assert found is not None
    same(found, second.with_columns(pl.col("kind", "nothing").cast(pl.String)))
    both = source.read_quarantine()
    assert both is not None
    assert both.collect()["id"].to_list() == ["1", "x"]
    name = run("SELECT tablename::text FROM pg_tables WHERE tablename LIKE '%quarantine'")[0][0]
    assert len(name) == 63
