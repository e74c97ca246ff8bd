from __future__ import annotations

import datetime as dt
import decimal
from typing import Any

import polars as pl
import pytest

from aligned_dagster import PostgreSQLConfig
from aligned_dagster.errors import CastError, SourceError
from aligned_dagster.features.dtypes import DataType
from aligned_dagster.request.explain import explained
from aligned_dagster.sources.sql.catalog import query_columns, table_shape
from aligned_dagster.sources.sql.connection import session
from aligned_dagster.sources.sql.types import contract_type, ddl_type, wire

from .conftest import Run, request

UTC = dt.UTC
NOON = dt.datetime(2024, 5, 1, 10, 0, 0, 123456, tzinfo=UTC)
KEY = "6f1c2a34-0000-4000-8000-00000000abcd"

# type in the database, a value in SQL, type in the contract, the value in Python
VALUES: list[tuple[str, str, str, Any]] = [
    ("smallint", "-32768", "int16", -32768),
    ("integer", "2147483647", "int32", 2147483647),
    ("integer", "5", "int64", 5),
    ("integer", "5", "float64", 5.0),
    ("bigint", "-9223372036854775808", "int64", -(2**63)),
    ("real", "0.1", "float32", pl.Series([0.1], dtype=pl.Float32).item()),
    ("real", "1.5", "float64", 1.5),
    ("double precision", "1e-300", "float64", 1e-300),
    ("double precision", "'-Infinity'", "float64", float("-inf")),
    ("boolean", "true", "bool", True),
    ("text", "E'l\\u00e5ng \\U0001F600\\n\"q\"'", "string", 'lång 😀\n"q"'),
    ("text", "''", "string", ""),
    ("varchar(9)", "'seven'", "string", "seven"),
    ("char(5)", "'ab'", "string", "ab"),
    ('"char"', "'x'", "string", "x"),
    ("name", "'pg'", "string", "pg"),
    ("sentence", "'Of a domain'", "string", "Of a domain"),
    ("positive", "3", "int32", 3),
    ("mood", "'so so'", "string", "so so"),
    ("uuid", f"'{KEY.upper()}'", "uuid", KEY),
    ("json", """'{"b" : 1, "a":[null]}'""", "json", '{"b" : 1, "a":[null]}'),
    ("jsonb", """'{"b" : 1, "a":[null]}'""", "json", '{"a": [null], "b": 1}'),
    ("jsonb", """'{"a": 1, "b": "x"}'""", "struct(a:int32,b:string)", {"a": 1, "b": "x"}),
    ("jsonb", "'[[1, 2], [3]]'", "list(list(int8))", [[1, 2], [3]]),
    ("pair", "ROW(7, 'x')", "struct(a:int32,b:string)", {"a": 7, "b": "x"}),
    ("bytea", r"'\x00ff27'", "binary", b"\x00\xff'"),
    ("date", "'2024-02-29'", "date", dt.date(2024, 2, 29)),
    ("date", "'0001-01-01'", "date", dt.date(1, 1, 1)),
    ("time", "'23:59:59.999999'", "time", dt.time(23, 59, 59, 999999)),
    ("timetz", "'12:30:00+02'", "string", "12:30:00+02"),
    ("timestamptz", "'2024-05-01 12:00:00.123456+02'", "timestamp(us,UTC)", NOON),
    ("timestamptz(0)", "'2024-05-01 12:00:00+02'", "timestamp(us,UTC)", NOON.replace(microsecond=0)),
    ("timestamptz", "'2024-05-01 12:00:00.123456+02'", "timestamp(us,Europe/Oslo)", NOON),
    ("timestamp", "'2024-05-01 10:00:00.123456'", "timestamp(us,)", NOON.replace(tzinfo=None)),
    ("timestamp", "'9999-12-31 23:59:59.999999'", "timestamp(us,)", dt.datetime.max),
    ("interval", "'1 day 02:03:04.000005'", "duration", dt.timedelta(days=1, seconds=7384, microseconds=5)),
    ("interval", "'-1 microsecond'", "duration", dt.timedelta(microseconds=-1)),
    ("interval", "'1 year 2 mons'", "string", "1 year 2 mons"),
    ("numeric(10,2)", "-12345678.90", "decimal(10,2)", decimal.Decimal("-12345678.90")),
    ("numeric(10,2)", "1.50", "float64", 1.5),
    ("numeric(10,2)", "7", "int32", 7),
    ("numeric(38,10)", "1234567890123456789012345678.0123456789", "decimal(38,10)",
     decimal.Decimal("1234567890123456789012345678.0123456789")),
    ("numeric", "1e30", "float64", 1e30),
    ("numeric", "1e30", "string", "1" + "0" * 30),
    ("numeric", "5.00", "int64", 5),
    ("numeric", "5.00", "string", "5.00"),
    ("numeric", "5.25", "decimal(9,3)", decimal.Decimal("5.250")),
    ("numeric", "0.1", "float64", 0.1),
    ("numeric", "18446744073709551615", "uint64", 2**64 - 1),
    ("numeric", "'Infinity'", "float64", float("inf")),
    ("money", "'12.34'", "decimal(9,2)", decimal.Decimal("12.34")),
    ("oid", "4294967295", "int64", 2**32 - 1),
    ("inet", "'10.0.0.1/8'", "string", "10.0.0.1/8"),
    ("macaddr", "'08:00:2b:01:02:03'", "string", "08:00:2b:01:02:03"),
    ("bit(3)", "B'101'", "string", "101"),
    ("point", "'(1,2)'", "string", "(1,2)"),
    ("int4range", "'[1,5)'", "string", "[1,5)"),
    ("tsvector", "'a b'", "string", "'a' 'b'"),
    ("integer[]", "'{1,NULL,-3}'", "list(int32)", [1, None, -3]),
    ("integer[]", "'{}'", "list(int32)", []),
    ("integer[]", "'{1}'", "list(int64)", [1]),
    ("integer[][]", "'{{1,2},{3,4}}'", "list(list(int32))", [[1, 2], [3, 4]]),
    ("bigint[]", "'{9223372036854775807}'", "list(int64)", [2**63 - 1]),
    ("boolean[]", "'{t,f,NULL}'", "list(bool)", [True, False, None]),
    ("text[]", """'{"a,b",NULL,"NULL","{\\"q\\"}",""}'""", "list(string)", ["a,b", None, "NULL", '{"q"}', ""]),
    ("uuid[]", f"'{{{KEY}}}'", "list(uuid)", [KEY]),
    ("jsonb[]", """ARRAY['{"a": 1}']::jsonb[]""", "list(json)", ['{"a": 1}']),
    ("json[]", """ARRAY['[1]', NULL]::json[]""", "list(json)", ["[1]", None]),
    ("mood[]", """'{"so so",good}'""", "list(string)", ["so so", "good"]),
    ("sentence[]", "'{a,b}'", "list(string)", ["a", "b"]),
    ("numeric(9,3)[]", "'{1.5,NULL}'", "list(decimal(9,3))", [decimal.Decimal("1.500"), None]),
    ("numeric[]", "'{1.5,1e30}'", "list(float64)", [1.5, 1e30]),
    ("numeric[]", "'{1.5}'", "list(decimal(9,3))", [decimal.Decimal("1.500")]),
    ("timestamptz[]", "'{2024-05-01 12:00:00.123456+02}'", "list(timestamp(us,UTC))", [NOON]),
    ("timestamp[]", "'{NULL}'", "list(timestamp(us,))", [None]),
    ("date[]", "'{2024-01-01}'", "list(date)", [dt.date(2024, 1, 1)]),
    ("time[]", "'{01:02:03.5,NULL}'", "list(time)", [dt.time(1, 2, 3, 500000), None]),
    ("interval[]", "'{1 day,NULL,1 second}'", "list(duration)", [dt.timedelta(1), None, dt.timedelta(seconds=1)]),
    ("bytea[]", r"""ARRAY['\x01']::bytea[]""", "list(binary)", [b"\x01"]),
    ("real[]", "'{1.5}'", "embedding(1,float32)", [1.5]),
    ("double precision[]", "'{NaN,1}'", "list(float64)", [float("nan"), 1.0]),
    ("oid[]", "'{4294967295}'", "list(int64)", [2**32 - 1]),
    ("inet[]", "'{10.0.0.1}'", "list(string)", ["10.0.0.1"]),
    ("pair[]", "ARRAY[ROW(1, 'x')]::pair[]", "list(struct(a:int32,b:string))", [{"a": 1, "b": "x"}]),
]  # fmt: skip


@pytest.fixture
def types(run: Run) -> None:
    run(
        "CREATE TYPE mood AS ENUM ('good', 'so so')",
        "CREATE DOMAIN sentence AS text",
        "CREATE DOMAIN positive AS integer CHECK (value > 0)",
        "CREATE TYPE pair AS (a integer, b text)",
    )


@pytest.mark.usefixtures("types")
def test_values_come_back_true_and_so_do_nulls(database: PostgreSQLConfig, run: Run) -> None:
    columns = [f"c{number}" for number in range(len(VALUES))]
    definition = ", ".join(f"{name} {value[0]}" for name, value in zip(columns, VALUES, strict=True))
    run(
        f"CREATE TABLE t ({definition})",
        f"INSERT INTO t VALUES ({', '.join(f'({value[1]})::{value[0]}' for value in VALUES)})",
        "INSERT INTO t DEFAULT VALUES",
    )
    wanted = request(**{name: value[2] for name, value in zip(columns, VALUES, strict=True)})
    for source in (database.table("t"), database.fetch("SELECT * FROM t")):
        found = source.all_data(wanted).collect()
        assert dict(found.schema) == wanted.polars
        for name, (stored, text, dtype, value) in zip(columns, VALUES, strict=True):
            got = found[name].to_list()
            assert repr(got[0]) == repr(value) or got[0] == value, (stored, text, dtype, got[0])
            assert got[1] is None, stored
        assert source.all_data(wanted.project(columns[:3])).collect().equals(found.select(columns[:3]))


@pytest.mark.parametrize(
    ("stored", "value", "dtype", "message"),
    [
        ("timestamptz", "'infinity'", "timestamp(us,UTC)", r"column 'x'.*infinity"),
        ("timestamp", "'-infinity'", "timestamp(us,)", r"column 'x'.*infinity"),
        ("timestamptz", "'infinity'", "timestamp(us,Europe/Oslo)", r"column 'x'.*infinity"),
        ("timestamptz", "'0044-03-15 BC'", "timestamp(us,UTC)", r"column 'x'.*years 1 to 9999"),
        ("timestamptz", "'20000-01-01'", "timestamp(us,UTC)", r"column 'x'.*years 1 to 9999"),
        ("date", "'infinity'", "date", r"column 'x'.*infinity"),
        ("timestamptz[]", "'{infinity}'", "list(timestamp(us,UTC))", r"column 'x'.*infinity"),
        ("time", "'24:00'", "time", r"column 'x'.*24:00"),
        ("time[]", "'{24:00}'", "list(time)", r"'24:00:00'.*column 'x'"),
        ("interval", "'1 mon'", "duration", r"'1 mon'.*column 'x'.*fixed length"),
        ("interval", "'infinity'", "duration", r"'infinity'.*column 'x'"),
        ("numeric(9,2)", "'NaN'", "decimal(9,2)", r"'NaN'.*column 'x'.*Float64 or String"),
        ("numeric", "1e40", "decimal(38,0)", r"'10{40}'.*column 'x'"),
        ("numeric", "5.5", "int32", r"'5.5'.*column 'x'.*int32"),
        ("numeric", "1.2345", "decimal(9,3)", r"1.2345.*column 'x'"),
        ("bigint", "2147483648", "int32", r"2147483648.*column 'x'.*int32"),
        ("integer", "300", "uint8", r"300.*column 'x'.*uint8"),
        ("oid", "4294967295", "int32", r"4294967295.*column 'x'"),
        ("integer[]", "'{{1,2},{3,4}}'", "list(int32)", r"'x'.*array of arrays"),
        ("text[]", "'{{a},{b}}'", "list(string)", r"'x'.*array of arrays"),
        ("integer[]", "'[2:3]={5,6}'", "list(int32)", r"does not start at 1"),
        ("integer[]", "'{3000}'", "list(int8)", r"(?s)3000.*column 'x'"),
        ("numeric(9,2)[]", "'{NaN}'", "list(decimal(9,2))", r"'NaN'.*column 'x'"),
        ("numeric", "1e400", "float64", r"out of range"),
    ],
)
@pytest.mark.parametrize("engine", ["in-memory", "streaming"])
def test_a_value_that_no_frame_can_hold_is_told(
    database: PostgreSQLConfig, run: Run, stored: str, value: str, dtype: str, message: str, engine: Any
) -> None:
    run(
        f"CREATE TABLE t AS SELECT n AS id, CASE WHEN n = 2 THEN {value}::{stored} END AS x FROM generate_series(1, 3) n"
    )
    rows = database.table("t").all_data(request("readings", id="int32", x=dtype))
    with pytest.raises(CastError, match=message) as error, explained("readings"):
        rows.join(rows.select("id"), on="id").collect(engine=engine)
    assert "'readings'" in str(error.value)
    assert rows.select("id").collect(engine=engine).height == 3
    assert rows.filter(pl.col("id") != 2).collect(engine=engine)["x"].null_count() == 2


def test_text_of_another_encoding(postgres: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    postgres.execute("DROP DATABASE IF EXISTS latin")
    postgres.execute(
        "CREATE DATABASE latin ENCODING 'LATIN1' LOCALE_PROVIDER libc LOCALE 'C' TEMPLATE template0"
    )
    monkeypatch.setenv("LATIN", postgres.uri("latin"))
    config = PostgreSQLConfig("LATIN")
    with session(config) as opened:
        opened.execute("CREATE TABLE t AS SELECT U&'\\00E6\\00F8' AS x")
        opened.commit()
    rows = config.table("t").all_data(request(x="string"))
    assert rows.filter(pl.col("x") == "æø").collect()["x"].to_list() == ["æø"]
    with pytest.raises(SourceError, match="no equivalent"), explained("rows"):
        rows.filter(pl.col("x") > "😀").collect()


@pytest.mark.usefixtures("types")
def test_the_catalog_knows_a_table(database: PostgreSQLConfig, run: Run) -> None:
    run(
        "CREATE TABLE t (id bigint GENERATED ALWAYS AS IDENTITY, a integer NOT NULL DEFAULT 1, b positive, c mood[],"
        ' d numeric(7, 3), twice integer GENERATED ALWAYS AS (a * 2) STORED, "Odd ""one""" text, gone text,'
        " PRIMARY KEY (id, a), UNIQUE (b), UNIQUE NULLS NOT DISTINCT (d))",
        "ALTER TABLE t DROP COLUMN gone",
        "CREATE UNIQUE INDEX ON t (a) WHERE a > 3",
        'CREATE UNIQUE INDEX ON t (lower("Odd ""one"""))',
        "CREATE INDEX ON t (a, b) INCLUDE (d)",
        "COMMENT ON COLUMN t.b IS 'how many'",
        "INSERT INTO t (b, d) SELECT n, n FROM generate_series(1, 10) AS n",
        "ANALYZE t",
    )
    with session(database) as opened:
        from aligned_dagster.sources.sql.identifiers import TableName

        shape = table_shape(opened, TableName(None, "t"))
        assert table_shape(opened, TableName("public", "T")) is None
        assert table_shape(opened, TableName("nowhere", "t")) is None
        queried = query_columns(opened, 'SELECT b, c, d, "Odd ""one""" FROM t', "it")
    assert shape is not None
    assert [column.name for column in shape.columns] == ["id", "a", "b", "c", "d", "twice", 'Odd "one"']
    assert shape.primary_key == ("id", "a")
    assert shape.unique_indexes == (("id", "a"), ("b",), ("d",))
    assert [index.nulls_equal for index in shape.indexes] == [False, False, True, False]
    assert shape.has_index_on({"b", "a"})
    assert not shape.has_index_on({"d", "a"})
    assert shape.has_index_on({"a"}, "b")
    assert shape.estimated_rows == 10
    known = {column.name: column for column in shape.columns}
    assert known["b"].comment == "how many"
    assert (known["b"].sql_type, known["b"].base) == ("positive", "int4")
    assert (known["c"].sql_type, known["c"].is_array, known["c"].family) == ("mood[]", True, "e")
    assert (known["d"].precision, known["d"].scale) == (7, 3)
    assert known["id"].is_generated and known["twice"].is_generated and not known["a"].is_generated
    assert known["a"].not_null and known["a"].has_default
    assert [wire(column) for column in queried] == [wire(known[column.name]) for column in queried]


@pytest.mark.parametrize(
    "text",
    [
        *(
            "bool",
            "int8",
            "int16",
            "int32",
            "int64",
            "uint8",
            "uint16",
            "uint32",
            "uint64",
            "float32",
            "float64",
        ),
        *(
            "string",
            "uuid",
            "json",
            "date",
            "time",
            "duration",
            "binary",
            "decimal(9,2)",
            "timestamp(us,UTC)",
        ),
        *("timestamp(us,)", "list(int32)", "list(string)", "list(timestamp(us,UTC))", "embedding(3,float32)"),
        *("struct(a:int32)", "list(list(int8))", "list(struct(a:int8))", "list(uuid)", "list(duration)"),
    ],
)
def test_a_declared_column_is_read_as_the_contract_has_it(
    database: PostgreSQLConfig, run: Run, text: str
) -> None:
    dtype = DataType.from_text(text)
    run(f"CREATE TABLE t (x {ddl_type(dtype)})")
    found = database.table("t").all_data(request(x=text)).collect()
    assert dict(found.schema) == {"x": dtype.polars}
    with session(database) as opened:
        from aligned_dagster.sources.sql.identifiers import TableName

        shape = table_shape(opened, TableName(None, "t"))
    assert shape is not None
    again = contract_type(shape.columns[0])
    if (
        text not in {"int8", "uint8", "uint16", "uint32", "uint64"}
        and not dtype.is_nested
        and text != "duration"
    ):
        assert again == dtype
