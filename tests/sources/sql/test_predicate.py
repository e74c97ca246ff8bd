from __future__ import annotations

import datetime as dt
import decimal
import math
from collections.abc import Iterator
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from aligned_dagster import PostgreSQLConfig
from aligned_dagster.sources.sql.bound import text_of
from aligned_dagster.sources.sql.catalog import table_shape
from aligned_dagster.sources.sql.connection import close_idle_connections, session
from aligned_dagster.sources.sql.identifiers import TableName
from aligned_dagster.sources.sql.predicate import split, to_sql
from aligned_dagster.sources.sql.types import StoredColumn
from tools.servers.postgres import PostgresServer

MIDNIGHT = dt.datetime(2024, 1, 1)
EARLIER = dt.datetime(1969, 12, 31, 23, 59, 59, 999999, dt.UTC)
NAN = float("nan")
KEYS = [f"6f1c2a34-0000-4000-8000-00000000abc{n}" for n in range(3)]

POOL: dict[str, tuple[str, pl.DataType, list[Any]]] = {
    "i2": ("smallint", pl.Int16(), [-1, 0, 1, 32767]),
    "i4": ("integer", pl.Int32(), [-2, 0, 1, 2, 2**31 - 1]),
    "i8": ("bigint", pl.Int64(), [-(2**63), 0, 1, 2, 2**53 + 1]),
    "f4": ("real", pl.Float32(), [-1.5, 0.0, -0.0, 0.1, 1.0, NAN, math.inf, -math.inf]),
    "f8": ("double precision", pl.Float64(), [-1.5, 0.0, -0.0, 0.1, 1.0, NAN, math.inf, -math.inf, 1e300]),
    "dec": ("numeric(9,2)", pl.Decimal(9, 2), [decimal.Decimal(n) for n in ("-1.50", "0.00", "1.00", "0.10")]),
    "b": ("boolean", pl.Boolean(), [True, False]),
    "t": ("text", pl.String(), ["", "a", "B", "b", "A", "ab", "å", "z", "_", "o'hara", '"', "\\", "%", "😀", "\n", "ﬀ"]),
    "v": ("varchar(5)", pl.String(), ["a", "A", "b", "B", "å"]),
    "u": ("uuid", pl.String(), KEYS),
    "y": ("bytea", pl.Binary(), [b"", b"\x00", b"\xff", b"a'"]),
    "d": ("date", pl.Date(), [dt.date(1, 1, 1), dt.date(2024, 1, 1), dt.date(9999, 12, 31)]),
    "n": ("timestamp", pl.Datetime("us"), [MIDNIGHT, MIDNIGHT.replace(microsecond=1), dt.datetime(1, 1, 1)]),
    "z": ("timestamptz", pl.Datetime("us", "UTC"), [MIDNIGHT.replace(tzinfo=dt.UTC), EARLIER]),
    "c": ("time", pl.Time(), [dt.time(0), dt.time(12, 30, 0, 1)]),
}  # fmt: skip
DTYPES = {name: dtype for name, (_, dtype, _) in POOL.items()}


@pytest.fixture(scope="module")
def config(postgres: PostgresServer) -> Iterator[PostgreSQLConfig]:
    with pytest.MonkeyPatch.context() as patch:
        uri = postgres.new_database()
        patch.setenv("PREDICATES", uri)
        config = PostgreSQLConfig("PREDICATES")
        with session(config) as opened:
            opened.execute(
                "CREATE TABLE pool (place integer, "
                + ", ".join(f"{name} {stored}" for name, (stored, _, _) in POOL.items())
                + ")"
            )
            place = 0
            for name, (stored, _, values) in POOL.items():
                for value in [*values, None, None]:
                    place += 1
                    if value is None:
                        opened.execute(f"INSERT INTO pool (place) VALUES ({place})")
                    else:
                        opened.execute(
                            f"INSERT INTO pool (place, {name}) VALUES ({place}, $1::{stored})",
                            (text_of(value),),
                        )
            opened.execute(  # rows with a value in every column
                "INSERT INTO pool SELECT 1000 + n, "
                + ", ".join(
                    f"(ARRAY(SELECT {name} FROM pool WHERE {name} IS NOT NULL ORDER BY place))[1 + n % {len(values)}]"
                    for name, (_, _, values) in POOL.items()
                )
                + " FROM generate_series(0, 40) AS n"
            )
            opened.commit()
        yield config
        close_idle_connections()
        postgres.drop_database(uri.rpartition("/")[2])


@pytest.fixture(scope="module")
def columns(config: PostgreSQLConfig) -> dict[str, StoredColumn]:
    with session(config) as opened:
        shape = table_shape(opened, TableName(None, "pool"))
    assert shape is not None
    return {column.name: column for column in shape.columns}


@pytest.fixture(scope="module")
def pool(config: PostgreSQLConfig) -> pl.DataFrame:
    from aligned_dagster.features.dtypes import DataType
    from aligned_dagster.features.schema import Column, Schema
    from aligned_dagster.request.retrieval_request import RetrievalRequest

    made = [
        Column(name, DataType.from_polars(dtype)) for name, dtype in ({"place": pl.Int32()} | DTYPES).items()
    ]
    rows = config.table("pool").all_data(RetrievalRequest("pool", Schema(tuple(made)))).collect()
    assert rows.height > 100
    return rows.sort("place")


OPERATORS = ["eq", "ne", "lt", "le", "gt", "ge", "eq_missing", "ne_missing"]


@st.composite
def conditions(draw: st.DrawFn, depth: int = 2) -> pl.Expr:
    kind = draw(
        st.sampled_from(
            ["compare", "compare", "in", "between", "null", "bool", "columns", "and", "or", "not", "fill"]
        )
    )
    if depth == 0 and kind in {"and", "or", "not", "fill"}:
        kind = "compare"
    name = draw(st.sampled_from(list(POOL)))
    values = st.sampled_from(POOL[name][2])
    column = pl.col(name)
    dtype = DTYPES[name]

    def literal(value: Any) -> pl.Expr:
        return pl.lit(value, dtype=dtype) if draw(st.booleans()) or dtype == pl.Binary else pl.lit(value)

    if kind == "compare":
        other = literal(draw(values))
        operator = draw(st.sampled_from(OPERATORS))
        left, right = (column, other) if draw(st.booleans()) else (other, column)
        compared: pl.Expr = getattr(left, {"le": "le", "ge": "ge"}.get(operator, operator))(right)
        return compared
    if kind == "in":
        listed = draw(st.lists(values | st.none(), max_size=4))
        return column.is_in(
            pl.lit(pl.Series([listed], dtype=pl.List(dtype))).first() if draw(st.booleans()) else listed
        )
    if kind == "between":
        closed = draw(st.sampled_from(["both", "left", "right", "none"]))
        return column.is_between(literal(draw(values)), literal(draw(values)), closed=closed)  # type: ignore[arg-type]  # one of the allowed texts
    if kind == "null":
        return column.is_null() if draw(st.booleans()) else column.is_not_null()
    if kind == "bool":
        return draw(
            st.sampled_from(
                [pl.col("b"), pl.lit(True), pl.lit(False), pl.col("f8").is_nan(), pl.col("f4").is_not_nan()]
            )
        )
    if kind == "columns":
        pairs = [("i4", "i8"), ("i2", "i4"), ("f4", "f8"), ("t", "v"), ("f8", "f8"), ("i8", "f8"), ("t", "u")]
        a, b = draw(st.sampled_from(pairs))
        compared = getattr(pl.col(a), draw(st.sampled_from(OPERATORS)))(pl.col(b))
        return compared
    if kind == "not":
        return ~draw(conditions(depth - 1))
    if kind == "fill":
        return draw(conditions(depth - 1)).fill_null(draw(st.booleans()))
    a, b = draw(conditions(depth - 1)), draw(conditions(depth - 1))
    return a & b if kind == "and" else a | b


@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(condition=conditions())
@example(condition=pl.col("t") > "B")
@example(condition=~pl.col("t").is_in(["a", None]))
@example(condition=pl.col("f8") >= NAN)
@example(condition=pl.col("f8") == -0.0)
@example(condition=pl.col("f4") > 0.1)
@example(condition=pl.col("i8") == 2.0**53)
def test_the_server_finds_the_rows_that_polars_finds(
    config: PostgreSQLConfig, columns: dict[str, StoredColumn], pool: pl.DataFrame, condition: pl.Expr
) -> None:
    wanted = pool.filter(condition)["place"].to_list()
    # as a write asks, with placeholders
    found = to_sql(condition, columns)
    if found is not None:
        with session(config) as opened:
            rows = opened.rows(f"SELECT place FROM pool WHERE {found.sql} ORDER BY place", found.parameters)
        assert [place for (place,) in rows] == wanted, found
    # as a scan asks, through the optimiser of polars
    read = _scan(config).filter(condition).select("place").collect()
    assert sorted(read["place"]) == wanted, found


def _scan(config: PostgreSQLConfig) -> pl.LazyFrame:
    from aligned_dagster.features.dtypes import DataType
    from aligned_dagster.features.schema import Column, Schema
    from aligned_dagster.request.retrieval_request import RetrievalRequest

    made = [
        Column(name, DataType.from_polars(dtype)) for name, dtype in ({"place": pl.Int32()} | DTYPES).items()
    ]
    return config.table("pool").all_data(RetrievalRequest("pool", Schema(tuple(made))))


COLUMNS = {
    "i": StoredColumn("i", "integer", base="int4"),
    "f": StoredColumn("f", "real", base="float4"),
    "t": StoredColumn('t"', "text", base="text"),
    "z": StoredColumn("z", "timestamptz", base="timestamptz"),
    "tags": StoredColumn("tags", "text[]", base="text", is_array=True),
    "took": StoredColumn("took", "interval", base="interval"),
}


@pytest.mark.parametrize(
    "condition",
    [
        pl.col("i") + 1 > 2,
        pl.col("i") == 2**40,
        pl.col("i") == 1.5,
        pl.col("i") == pl.col("i").max(),
        pl.col("t").str.starts_with("a"),
        pl.col("t") == "zero\0byte",
        pl.col("t") == 1,
        pl.col("other") == 1,
        pl.col("t").cast(pl.Int32) == 1,
        pl.col("z") == MIDNIGHT,
        pl.col("z").dt.year() == 2024,
        pl.col("tags").list.contains("a"),
        pl.col("tags") == ["a"],
        pl.col("took") == dt.timedelta(1),
        pl.col("i").is_in(pl.col("i")),
        pl.col("i").shift() == 1,
        pl.col("i").is_in([1, None], nulls_equal=True),
        (pl.col("i") == 1) ^ (pl.col("i") == 2),
        pl.len() > 3,
        pl.col("i").map_batches(lambda values: values == 1, return_dtype=pl.Boolean, is_elementwise=True),
        pl.any_horizontal(pl.col("i") == 1, pl.col("t") == "a"),
    ],
)
def test_what_might_mean_something_else_is_left_to_polars(condition: pl.Expr) -> None:
    assert to_sql(condition, COLUMNS) is None
    assert to_sql((pl.col("i") == 1) | condition, COLUMNS) is None
    if condition.meta.root_names():
        found, is_whole = split((pl.col("i") == 1) & condition, COLUMNS)
        assert found is not None and not is_whole
        assert found.sql == '("i" = $1::integer)'


def test_text_compares_by_its_bytes_whatever_the_language_of_the_column() -> None:
    blind = {"t": StoredColumn("t", "text", base="text", bytewise=False)}
    for condition, in_language, without in (
        (pl.col("t") > "a", '(("t") COLLATE "C" > $1::text)', '(("t") COLLATE "C" > $1::text)'),
        (pl.col("t") == "a", '("t" = $1::text)', '(("t") COLLATE "C" = $1::text)'),
        (
            pl.col("t") < pl.col("t"),
            '(("t") COLLATE "C" < ("t") COLLATE "C")',
            '(("t") COLLATE "C" < ("t") COLLATE "C")',
        ),
    ):
        found = to_sql(condition, {"t": StoredColumn("t", "text", base="text")}), to_sql(condition, blind)
        assert [sql.sql if sql else None for sql in found] == [in_language, without]
    listed = to_sql(pl.col("t").is_in(["a"]), blind)
    assert listed is not None and listed.sql.startswith('(("t") COLLATE "C" IN')


def test_values_are_bound() -> None:
    hostile = "x'; DROP TABLE t; --"
    found = to_sql((pl.col("t") == hostile) & pl.col("t").is_in([hostile, "b"]) & (pl.col("i") > 3), COLUMNS)
    assert found is not None
    assert hostile not in found.sql + found.streamed
    assert found.parameters == (hostile, '{"' + hostile + '","b"}', "3")
    assert found.settings == found.parameters[:2]
    assert found.sql.count("$") == 3
    assert "\"i\" > '3'::integer" in found.streamed
    assert found.numbered(5).count("$7") == 1


def test_an_index_serves_a_condition(config: PostgreSQLConfig) -> None:
    with session(config) as opened:
        opened.execute(
            "CREATE TABLE large AS SELECT n AS id, md5(n::text) AS t, md5(n::text)::uuid AS u FROM generate_series(1, 50000) n"
        )
        for name in ("id", "t", "u"):
            opened.execute(f"CREATE INDEX ON large ({name})")
        opened.execute("ANALYZE large")
        shape = table_shape(opened, TableName(None, "large"))
        assert shape is not None
        known = {column.name: column for column in shape.columns}
        key = opened.rows("SELECT u::text FROM large WHERE id = 77")[0][0]
        for condition in (
            pl.col("id") == 77,
            pl.col("id").is_between(70, 80),
            pl.col("id").is_in([1, 2, 3]),
            pl.col("t") == "x",
            pl.col("t").is_in(["x", "y"]),
            pl.col("u") == key,
            pl.col("u").is_in([key]),
        ):
            found = to_sql(condition, known)
            assert found is not None
            opened.rows(
                "SELECT "
                + ", ".join(
                    f"set_config('aligned.p{n + 1}', ${n + 1}, true)"
                    for n in range(max(1, len(found.settings)))
                ),
                found.settings or ("",),
            )
            plan = "\n".join(
                row[0] for row in opened.rows(f"EXPLAIN SELECT id FROM large WHERE {found.streamed}")
            )
            assert "Index" in plan and "Seq Scan on large" not in plan, (condition, plan)
