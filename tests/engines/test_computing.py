"""Rows of a source become rows of a contract on an engine: the same as on polars."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from typing import Any

import duckdb
import narwhals as nw
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from aligned_dagster.contracts.computing import computed, source_columns
from aligned_dagster.contracts.computing_on import computed_on
from aligned_dagster.features.compiling import Compiled, compile_class
from aligned_dagster.features.engines.carried import carried
from aligned_dagster.features.types import (
    Bool,
    Duration,
    EventTimestamp,
    Float,
    Float32,
    Int32,
    String,
    UInt64,
)
from aligned_dagster.request.partition import Window

START = dt.datetime(2024, 3, 31, tzinfo=dt.UTC)
NAN, INF = float("nan"), float("inf")


class Derived:
    """Nothing is taken together."""

    who = String().as_entity()
    at = EventTimestamp()
    real = Float().is_optional()
    whole = Int32().is_optional()
    flag = Bool().is_optional()
    text = String().is_optional()
    twice = real * 2
    four = twice * 2 + whole
    mean = real.aggregate().over(who).mean()
    is_more = real > mean


class Together:
    """An entity's rows are taken together."""

    who = String().as_entity()
    part = Int32().as_entity()
    at = EventTimestamp()
    real = Float().is_optional()
    half = Float32().is_optional()
    whole = Int32().is_optional()
    huge = UInt64().is_optional()
    flag = Bool().is_optional()
    text = String().is_optional()
    span = Duration().is_optional()

    twice = real * 2
    count = text.aggregate().count()
    rows = text.aggregate().len()
    total = whole.aggregate().sum()
    big = huge.aggregate().max()
    real_total = twice.aggregate().sum()
    mean = real.aggregate().mean()
    half_mean = half.aggregate().mean()
    spread = whole.aggregate().std()
    variance = whole.aggregate().variance(0)
    middle = whole.aggregate().median()
    share = whole.aggregate().percentile(0.3)
    least = real.aggregate().min()
    most = text.aggregate().max()
    kinds = text.aggregate().n_unique()
    longest = span.aggregate().max()
    flagged = whole.aggregate().where(flag).sum()
    flagged_rows = whole.aggregate().where(flag).len()
    first = text.aggregate().first()
    last = whole.aggregate().last()
    all_texts = text.aggregate().to_list()
    ratio = total / rows


class Lately:
    """An entity's rows are taken together within windows that end at each of them."""

    who = String().as_entity()
    part = Int32().as_entity()
    at = EventTimestamp()
    real = Float().is_optional()
    half = Float32().is_optional()
    whole = Int32().is_optional()
    huge = UInt64().is_optional()
    flag = Bool().is_optional()
    text = String().is_optional()
    span = Duration().is_optional()

    twice = real * 2
    count = text.aggregate().over(minutes=2).count()
    rows = text.aggregate().over(minutes=3).len()
    total = whole.aggregate().over(minutes=3).sum()
    big = huge.aggregate().over(minutes=3).max()
    real_total = twice.aggregate().over(minutes=2).sum()
    mean = real.aggregate().over(minutes=3).mean()
    half_mean = half.aggregate().over(minutes=3).mean()
    spread = whole.aggregate().over(minutes=3).std()
    variance = whole.aggregate().over(minutes=3).variance()
    middle = whole.aggregate().over(minutes=3).median()
    share = whole.aggregate().over(minutes=3).percentile(0.3)
    least = real.aggregate().over(minutes=3).min()
    most = text.aggregate().over(minutes=3).max()
    kinds = text.aggregate().over(minutes=3).n_unique()
    longest = span.aggregate().over(minutes=3).max()
    flagged = whole.aggregate().over(minutes=3).where(flag).sum()
    flagged_rows = whole.aggregate().over(minutes=3).where(flag).len()
    first = text.aggregate().over(minutes=2).first()
    last = whole.aggregate().over(minutes=2).last()
    all_texts = text.aggregate().over(minutes=2).to_list()
    ratio = total / rows


DERIVED, TOGETHER, LATELY = (compile_class(one, one.__name__) for one in (Derived, Together, Lately))
BY_ORDER = {"first", "last", "all_texts"}
"""Of rows at the same time an engine may take any as the first or the last."""
VALUES: dict[str, Sequence[Any]] = {
    "who": ["a", "a", "a", "b", "", None],
    "part": [1, 1, 2, None],
    "at": [START + dt.timedelta(seconds=s) for s in (0, 30, 60, 120, 179, 180, 181, 240, 299, 300)],
    "real": [1.5, -0.0, 0.0, 2.25, -3.0, NAN, INF, None],
    "half": [0.1, 0.5, -7.25, None],
    "whole": [0, 1, 2, 7, -5, None],
    "huge": [0, 2**64 - 1, 5, None],
    "flag": [True, False, None],
    "text": ["x", "y", "é", "", None],
    "span": [dt.timedelta(microseconds=1), dt.timedelta(days=-1), None],
}
rows = st.lists(st.tuples(*(st.sampled_from(values) for values in VALUES.values())), max_size=30)


def source_of(found: list[Any], compiled: Compiled, *, ties: bool) -> pl.DataFrame:
    """The stored columns of random rows, without rows of one entity and time where ties are not wanted."""
    known = compiled.inputs.polars
    frame = pl.DataFrame(found, schema=list(VALUES), orient="row", infer_schema_length=None)
    frame = frame.select(pl.col(c.name).cast(known[c.name]) for c in compiled.inputs.stored)
    return (
        frame if ties else frame.unique(subset=list(compiled.inputs.key), keep="first", maintain_order=True)
    )


def wanted_of(compiled: Compiled, *, ties: bool) -> tuple[str, ...]:
    return tuple(name for name in compiled.schema.names if not (ties and name in BY_ORDER))


def assert_rows_equal(got: pl.DataFrame, expected: pl.DataFrame, compiled: Compiled) -> None:
    """The same rows in any order; polars adds up 32-bit numbers in 32 bits."""
    dtypes = expected.schema
    by = [name for name in expected.columns if name in compiled.schema.key]
    by += [name for name, dtype in dtypes.items() if name not in by and not dtype.is_nested()]
    mine, theirs = got.cast(dict(dtypes)).sort(by), expected.sort(by)
    coarse = [name for name, dtype in dtypes.items() if dtype == pl.Float32]
    assert_frame_equal(mine.drop(coarse), theirs.drop(coarse), rel_tol=1e-9, abs_tol=1e-12)
    assert_frame_equal(mine.select(coarse), theirs.select(coarse), rel_tol=1e-5, abs_tol=1e-6)


@pytest.fixture(scope="module")
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        connection.sql("SET TimeZone = 'UTC'")
        yield connection


def in_duckdb(connection: duckdb.DuckDBPyConnection, frame: pl.DataFrame, compiled: Compiled) -> Any:
    dtypes = {c.name: carried(c.dtype, "duckdb") for c in compiled.inputs.stored}
    return nw.from_native(connection.from_arrow(frame.cast(dtypes).to_arrow()))  # type: ignore[arg-type]  # of two names of dtypes


@settings(max_examples=40, deadline=None)
@given(found=rows, which=st.sampled_from([DERIVED, TOGETHER, LATELY]), ties=st.booleans())
def test_duckdb_computes_what_polars_computes(
    connection: duckdb.DuckDBPyConnection, found: list[Any], which: Compiled, ties: bool
) -> None:
    source = source_of(found, which, ties=ties)
    wanted = wanted_of(which, ties=ties)
    got = computed_on(in_duckdb(connection, source, which), which, wanted, "duckdb")
    assert got.collect_schema().names() == list(wanted)
    assert_rows_equal(
        got.collect("polars").to_native(), computed(source.lazy(), which, wanted).collect(), which
    )


@pytest.mark.parametrize("apart", [False, True])
def test_entities_are_taken_together_within_each_cell(
    connection: duckdb.DuckDBPyConnection, apart: bool
) -> None:
    moments = [START + dt.timedelta(seconds=s) for s in (0, 60, 120, 180, 300)]
    cells = [Window(moments[0], moments[1]), Window(moments[2 if apart else 1], moments[3])]
    found = [
        ("a", 1, START + dt.timedelta(seconds=s), 1.0, 1.0, s, s, True, "t", None) for s in range(0, 300, 20)
    ]
    source = source_of(found, TOGETHER, ties=True)
    wanted = TOGETHER.schema.names
    got = computed_on(in_duckdb(connection, source, TOGETHER), TOGETHER, wanted, "duckdb", cells=cells)
    expected = computed(source.lazy(), TOGETHER, wanted, cells=cells).collect()
    assert expected.height == 2
    assert_rows_equal(got.collect("polars").to_native(), expected, TOGETHER)


def test_only_what_is_asked_for_is_computed(connection: duckdb.DuckDBPyConnection) -> None:
    needed = source_columns(TOGETHER, ["ratio"])
    assert needed == ("who", "part", "at", "whole", "text")
    source = source_of([], TOGETHER, ties=True).select(needed)
    dtypes = {name: carried(TOGETHER.inputs.column(name).dtype, "duckdb") for name in needed}
    held = nw.from_native(connection.from_arrow(source.cast(dict(dtypes)).to_arrow()))
    assert computed_on(held, TOGETHER, ("ratio",), "duckdb").collect_schema().names() == ["ratio"]
