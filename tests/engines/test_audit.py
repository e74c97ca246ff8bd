"""The audit of engines: whatever the rows, the report and the split are those of polars."""

from __future__ import annotations

import datetime as dt
import math
import random
from collections.abc import Iterator
from decimal import Decimal
from typing import Any, Literal
from zoneinfo import ZoneInfo

import duckdb
import narwhals as nw
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aligned_dagster.errors import SchemaMismatchError, UnknownContractError, UnknownFeatureError
from aligned_dagster.features.constraints import (
    AcceptedValues,
    Constraint,
    EndsWith,
    LowerBound,
    MaxLength,
    MinLength,
    NotNull,
    Reference,
    Regex,
    Rule,
    StartsWith,
    Unique,
    UpperBound,
)
from aligned_dagster.features.dtypes import DataType
from aligned_dagster.features.engines.carried import carried
from aligned_dagster.features.expression import Call, ColumnRef
from aligned_dagster.features.schema import Column, Schema
from aligned_dagster.quality.audit import Split, audit, split
from aligned_dagster.quality.audit_on import SplitOn, audit_on, split_on
from aligned_dagster.quality.report import AuditReport

Kind = Literal["duckdb", "spark"]
OSLO = ZoneInfo("Europe/Oslo")
NEW_YEAR = dt.datetime(2025, 1, 1, tzinfo=dt.UTC)
NAN, INF = float("nan"), float("inf")
DAYS = [dt.date(2024, 1, 1), dt.date(2024, 1, 1), dt.date(1582, 10, 10), None]


def column(name: str, dtype: str, *constraints: Constraint, role: Any = "feature") -> Column:
    return Column(name, DataType.from_text(dtype), role, constraints=constraints)


def call(method: str, *args: Any) -> Call:
    return Call(method, *(ColumnRef(arg) if isinstance(arg, str) else arg for arg in args))


PERSON = Schema(
    (
        column("id", "int64", role="entity"),
        column("day", "date", role="event_timestamp"),
        column("tiny", "int8", LowerBound(-5), UpperBound(100, inclusive=False), NotNull(on_violation="quarantine")),
        column("byte", "uint8", AcceptedValues((0, 7, 255)), UpperBound(200)),
        column("huge", "uint64", Unique(on_violation="quarantine"), UpperBound(2**63)),
        column("half", "float32", LowerBound(0.1), AcceptedValues((0.1, 2.5))),
        column("real", "float64", LowerBound(0, inclusive=False), UpperBound(1e3), Unique()),
        column("money", "decimal(10,2)", LowerBound(0.5), AcceptedValues((Decimal("0.50"), 3))),
        column("text", "string", MinLength(2), MaxLength(3), Regex("a|é", on_violation="quarantine"), Unique()),
        column("name", "string", StartsWith("a"), EndsWith("z"), AcceptedValues(("az", "a'z", "")), NotNull()),
        column("at", "timestamp(us,Europe/Oslo)", LowerBound(dt.datetime(2024, 1, 1, 1)), UpperBound(NEW_YEAR)),
        column("naive", "timestamp(us,)", LowerBound(dt.datetime(2024, 1, 1)), AcceptedValues((dt.datetime(2024, 1, 1),))),
        column("clock", "time", UpperBound(dt.time(12))),
        column("span", "duration", LowerBound(dt.timedelta(0)), AcceptedValues((dt.timedelta(1),))),
        column("flag", "bool", AcceptedValues((True,), on_violation="warn")),
        column("items", "list(string)", MinLength(1), MaxLength(2)),
        column("vector", "embedding(2,float32)", MinLength(2), NotNull()),
        column("data", "binary", NotNull(on_violation="quarantine")),
        column("other", "int16", Reference("others", "key", on_violation="quarantine")),
        column("parent", "uint64", Reference("person", "id", on_violation="quarantine")),
        column("friend", "string", Reference("others", "name")),
        column("foe", "string", Reference("others", "key")),
    ),
    (
        Rule("grown", call("ge", "real", "tiny"), "real is not below tiny", "quarantine"),
        Rule("known", call("is_not_null", "real"), mostly=0.5, on_violation="quarantine"),
        Rule("usual", call("le", "tiny", Call("over", call("mean", "tiny"), ColumnRef("flag")))),
    ),
)  # fmt: skip
VALUES: dict[str, list[Any]] = {
    "id": [1, 1, 2, 3, -(2**63), 2**63 - 1, None],
    "day": DAYS,
    "tiny": [-128, -6, -5, 0, 99, 100, 127, None],
    "byte": [0, 7, 255, 201, None],
    "huge": [0, 1, 2**63, 2**63 + 1, 2**64 - 1, None],
    "half": [0.1, 0.0999, 2.5, NAN, INF, -0.0, 1e38, None],
    "real": [0.0, -0.0, 5e-324, 1.5, 1e3, 1e300, NAN, INF, -INF, None],
    "money": [Decimal("0.50"), Decimal("0.49"), Decimal("3.00"), Decimal("99999999.99"), None],
    "text": ["a", "aé", "é\u0301é", "😀a", "", " ", "A\n", "aaaa", None],
    "name": ["az", "a'z", "", "a\\z", "z", "a", "\0", None],
    "at": [
        dt.datetime(2024, 1, 1, 1, tzinfo=OSLO), dt.datetime(2023, 10, 29, 2, 30, tzinfo=OSLO), NEW_YEAR + dt.timedelta(0, 1),
        None,
    ],
    "naive": [dt.datetime(2024, 1, 1), dt.datetime(2023, 12, 31, 23, 59, 59, 999_999), dt.datetime(1, 1, 1), None],
    "clock": [dt.time(0), dt.time(12), dt.time(12, 0, 0, 1), None],
    "span": [dt.timedelta(1), dt.timedelta(microseconds=-1), dt.timedelta(days=99_999), None],
    "flag": [True, False, None],
    "items": [[], ["a"], [None, "b"], ["a", "b", "c"], None],
    "vector": [[0.0, NAN], [1.0, None], None],
    "data": [b"", b"\0\xff", None],
    "other": [1, 2, 300, None],
    "parent": [1, 2, 2**63 - 1, 2**64 - 1, None],
    "friend": ["a", "A", "", "\0", None],
    "foe": ["1", None],
}  # fmt: skip
OTHERS = pl.LazyFrame(
    {"key": [1, 1, 300, None, 2**40], "name": ["a", "a", "", None, "b"]},
    schema={"key": pl.Int64, "name": pl.String},
)

HOSTILE = Schema(
    (
        column("k.1", "int64", role="entity"),
        column("day of", "date", role="event_timestamp"),
        column("a.b", "uint8", UpperBound(200, on_violation="quarantine"), NotNull()),
        column("a`b", "string", Unique(on_violation="quarantine"), MinLength(2)),
        column('a"b', "decimal(10,2)", LowerBound(0.5)),
        column("sel\nect", "float32", LowerBound(0.1), Unique()),
        column("from", "int64", Reference("others", "ke.y", on_violation="quarantine")),
        column("${x", "string", Reference("others", "na`me"), AcceptedValues(("a", "${HOME}", ""))),
        column("日.本", "list(string)", MaxLength(2)),
        column("rows", "duration", LowerBound(dt.timedelta(0), on_violation="quarantine")),
        column("broken_rules", "bool", AcceptedValues((True,))),
    ),
    (
        Rule("more", call("ge", "from", "a.b"), "from is at least a.b", "quarantine"),
        Rule("usual", call("le", "a.b", Call("over", call("mean", "a.b"), ColumnRef("a`b")))),
        Rule("known", call("is_not_null", 'a"b'), mostly=0.5, on_violation="quarantine"),
    ),
)
HOSTILE_VALUES: dict[str, list[Any]] = {
    "k.1": [1, 2, 3, 4, None],
    "day of": DAYS,
    "a.b": [0, 7, 201, None],
    "a`b": ["aa", "bb", "c", "dd", "ee", None],
    'a"b': [Decimal("0.50"), Decimal("0.49"), None],
    "sel\nect": [0.1, 0.0999, NAN, None],
    "from": [1, 2, 300, None],
    "${x": ["a", "${HOME}", "", None],
    "日.本": [[], ["a"], ["a", "b", "c"], None],
    "rows": [dt.timedelta(1), dt.timedelta(-1), None],
    "broken_rules": [True, False, None],
}
HOSTILE_OTHERS = OTHERS.rename({"key": "ke.y", "name": "na`me"})

rows = st.lists(st.tuples(*(st.sampled_from(values) for values in VALUES.values())), max_size=12)


def frame_of(found: list[Any], schema: Schema = PERSON) -> pl.DataFrame:
    return pl.DataFrame(found, schema=schema.polars, orient="row")


def some(values: dict[str, Any], count: int) -> list[Any]:
    """Rows of values, the same in every run."""
    chosen = random.Random(count)
    return [tuple(chosen.choice(options) for options in values.values()) for _ in range(count)]


@pytest.fixture(scope="module")
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        connection.sql("SET TimeZone = 'UTC'")
        yield connection


def in_duckdb(
    connection: duckdb.DuckDBPyConnection, frame: pl.LazyFrame, schema: Schema | None = None
) -> Any:
    dtypes = {} if schema is None else {c.name: carried(c.dtype, "duckdb") for c in schema.columns}
    return nw.from_native(connection.from_arrow(frame.cast(dtypes).collect().to_arrow()))


def assert_reports_equal(got: AuditReport, expected: AuditReport, frame: pl.DataFrame) -> None:
    assert got.outcomes == expected.outcomes
    assert (got.contract, got.rows, got.beyond) == (expected.contract, expected.rows, ())
    for mine, theirs in zip(got.statistics, expected.statistics, strict=True):
        assert (mine.name, mine.nulls) == (theirs.name, theirs.nulls)
        exact = 1e-6 if frame.schema[mine.name] == pl.Float32 else 1e-9
        for figure in ("min", "max", "mean", "std"):
            value, wanted = getattr(mine, figure), getattr(theirs, figure)
            assert (value is None) == (wanted is None), (mine, theirs)
            if value is not None:
                # What cancels out in a mean is as inexact as the values are wide apart.
                wide = exact * theirs.std if theirs.std is not None and math.isfinite(theirs.std) else 0.0
                close = math.isclose(value, wanted, rel_tol=exact, abs_tol=wide)
                assert close or str(value) == str(wanted), (figure, mine, theirs)
    for mine_found, theirs_found in zip(got.outcomes, expected.outcomes, strict=True):
        assert mine_found.sample.height == theirs_found.sample.height
        assert mine_found.sample.schema == theirs_found.sample.schema
        for row in mine_found.sample.iter_rows():
            assert repr(row) in {repr(one) for one in frame.select(mine_found.sample.columns).iter_rows()}


def assert_split_equal(got: SplitOn, expected: Split) -> None:
    """The same rows in any order."""
    for mine, theirs in ((got.good, expected.good), (got.bad, expected.bad)):
        wanted = theirs.collect()
        rows = mine.collect("polars").to_native().cast(dict(wanted.schema))
        assert sorted(map(repr, rows.iter_rows())) == sorted(map(repr, wanted.iter_rows()))


@settings(max_examples=12, deadline=None)
@given(found=rows, on_violation=st.sampled_from(["block", "quarantine"]))
def test_duckdb_reports_and_splits_as_polars_does(
    connection: duckdb.DuckDBPyConnection, found: list[Any], on_violation: Any
) -> None:
    frame = frame_of(found)
    how: dict[str, Any] = {"contract": "person", "on_violation": on_violation}
    held, known = in_duckdb(connection, frame.lazy(), PERSON), {"others": in_duckdb(connection, OTHERS)}
    expected = audit(frame.lazy(), PERSON, references={"others": OTHERS}, **how)
    got = audit_on(held, PERSON, engine="duckdb", references=known, **how)
    assert_reports_equal(got, expected, frame)
    checks = {outcome.name for outcome in expected.quarantined if outcome.checked}
    parts = split(frame.lazy(), PERSON, references={"others": OTHERS}, checks=checks, **how)
    assert_split_equal(split_on(held, PERSON, engine="duckdb", references=known, checks=checks, **how), parts)


@pytest.mark.parametrize("count", [0, 3, 60])
def test_names_that_engines_read_otherwise_are_names(
    connection: duckdb.DuckDBPyConnection, count: int
) -> None:
    frame = frame_of(some(HOSTILE_VALUES, count), HOSTILE)
    held = in_duckdb(connection, frame.lazy(), HOSTILE)
    assert_audit_and_split_equal(held, in_duckdb(connection, HOSTILE_OTHERS), frame, "duckdb")


def assert_audit_and_split_equal(held: Any, others: Any, frame: pl.DataFrame, engine: Kind) -> None:
    """Of a frame of `HOSTILE`."""
    known = {"others": HOSTILE_OTHERS}
    expected = audit(frame.lazy(), HOSTILE, references=known, contract="hostile")
    got = audit_on(held, HOSTILE, engine=engine, references={"others": others}, contract="hostile")
    assert_reports_equal(got, expected, frame)
    parts = split(frame.lazy(), HOSTILE, references=known, include_blocking=True)
    found = split_on(held, HOSTILE, engine=engine, references={"others": others}, include_blocking=True)
    assert_split_equal(found, parts)


def test_a_split_tells_rules_for_a_share_by_all_rows(connection: duckdb.DuckDBPyConnection) -> None:
    seen = Schema(
        (column("id", "int64", role="entity"), column("x", "int64"), column("broken_rules", "string")),
        (Rule("known", call("is_not_null", "x"), mostly=0.5),),
    )
    for values in ([1, None], [1, None, None]):
        frame = pl.DataFrame(
            {"id": [1] * len(values), "x": values, "broken_rules": "b"}, schema_overrides={"x": pl.Int64}
        )
        for blocking in (False, True):
            expected = split(frame.lazy(), seen, include_blocking=blocking)
            got = split_on(
                in_duckdb(connection, frame.lazy()), seen, engine="duckdb", include_blocking=blocking
            )
            assert_split_equal(got, expected)


def test_wrong_columns_are_named_as_by_polars(connection: duckdb.DuckDBPyConnection) -> None:
    frame = pl.LazyFrame({"id": ["1", "2"], "tiny": [1.5, None], "more": [1, 2], "half": [1.0, 2.0]})
    expected = audit(frame, PERSON, contract="person", references={"others": OTHERS})
    got = audit_on(
        in_duckdb(connection, frame),
        PERSON,
        contract="person",
        engine="duckdb",
        references={"others": in_duckdb(connection, OTHERS)},
    )
    assert got.outcomes == expected.outcomes
    assert_reports_equal(got, expected, frame.collect())
    with pytest.raises(SchemaMismatchError, match="'tiny' is Float64 and should be Int8"):
        split_on(
            in_duckdb(connection, frame),
            PERSON,
            engine="duckdb",
            references={
                "others": in_duckdb(connection, OTHERS),
                "person": in_duckdb(connection, OTHERS.with_columns(id=1)),
            },
        )


def test_a_reference_that_cannot_be_followed_is_an_error(connection: duckdb.DuckDBPyConnection) -> None:
    held = in_duckdb(connection, frame_of([]).lazy(), PERSON)
    with pytest.raises(UnknownContractError, match="Did you mean 'other'"):
        audit_on(held, PERSON, contract="person", engine="duckdb", references={"other": held})
    with pytest.raises(UnknownFeatureError, match="has no column 'key'"):
        audit_on(held, PERSON, contract="person", engine="duckdb", references={"others": held})
