"""Every public method records a call whose polars result has the dtype that the feature states."""

from __future__ import annotations

import datetime as dt
import pickle
from decimal import Decimal as Exact
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aligned_dagster.errors import DerivationError
from aligned_dagster.features import expression as ex
from aligned_dagster.features.compiling import compile_class
from aligned_dagster.features.plan import with_derived
from aligned_dagster.features.schema import Schema
from aligned_dagster.features.truth import coalesce, concat_str, max_of, min_of, when
from aligned_dagster.features.types import (
    UUID,
    Bool,
    Date,
    Decimal,
    Embedding,
    EventTimestamp,
    Float,
    Float32,
    Int8,
    Int32,
    Int64,
    Json,
    List,
    String,
    Struct,
    Timestamp,
    UInt16,
)

NOON = dt.datetime(2013, 2, 12, 12, 30, 15, tzinfo=dt.UTC)


class Everything:
    id = Int64().as_entity()
    i = Int32()
    j = Int32()
    small = Int8()
    u = UInt16()
    f = Float()
    g = Float32()
    money = Decimal(10, 2)
    flag, other = Bool(), Bool()
    s = String()
    code = UUID()
    doc = Json()
    day = Date()
    at = EventTimestamp()
    until = Timestamp(time_zone="Europe/Oslo")
    items = List(Int32())
    words = List(String())
    place = Struct({"city": String(), "zip": Int32()})
    vector, vector_2 = Embedding(3), Embedding(3)

    add, radd = i + 1, 1 + i
    sub, rsub, both = i - 1, 10 - i, i - j
    mul, rmul = i * 2, 2 * f
    div, rdiv, floor_div, rfloor_div = i / 2, 1 / f, i // 2, 7 // i
    mod, rmod, power, rpower = i % 2, 7 % i, f**2, 2**f
    negative, positive, absolute = -i, +i, abs(-i)
    with_numpy = f + np.float64(1.5)
    exact = money * Exact("2")
    lt, le, gt, ge, eq, ne = i < 2, i <= 2, i > 2, i >= 2, i == 2, i != 2
    reflected = 2 < i  # noqa: SIM300  # the literal on the left is what is tested
    named_eq, named_ne = s.equals("a"), s.not_equals("a")
    both_true, either, one_of, nope = flag & other, flag | other, flag ^ other, ~flag
    logical = flag.logical_and(other).logical_or(flag)
    mixed = flag & True
    between, inside = f.is_between(0, 1), i.is_in([1, 2])
    missing, there = f.is_null(), f.is_not_null()
    filled, filled_by = i.fill_null(0), f.fill_null(f)
    filled_text = s.fill_na("?")
    as_float, as_text = i.cast(Float()), i.cast(String())
    rounded, up, down, root, cube = f.round(1), f.ceil(), f.floor(), f.sqrt(), f.cbrt()
    e, ln, log2, log10, log1p = f.exp(), f.log(), f.log(2), f.log10(), f.log1p()
    sine, cosine, tangent = f.sin(), f.cos(), f.tan()
    degrees, radians, sign = f.degrees(), f.radians(), f.sign()
    nan, not_nan, finite, infinite = f.is_nan(), f.is_not_nan(), f.is_finite(), f.is_infinite()
    clipped, hashed = f.clip(0, 1), s.hash_value()
    bins, named_bins = f.bins([0, 1]), f.bins([0.5], ["low", "high"])
    one, two = i.one_hot_encode([1, 2])
    is_a, is_b = s.one_hot_encode(["a", "b"])
    ordinal = s.ordinal_categories(["a", "b"])
    lower, upper, stripped = s.to_lowercase(), s.to_uppercase(), s.strip()
    has, has_literal = s.contains("^a"), s.contains(".", literal=True)
    starts, ends = s.starts_with("a"), s.ends_with("a")
    replaced, replaced_all = s.replace({"a": "b"}), s.replace_all("a", "b")
    parts, first_part = s.split("-"), s.split("-").at_index(0)
    cut, found, matches = s.slice(0, 1), s.find("a"), s.count_matches("a")
    extracted, length, padded = s.extract("(a)"), s.len_chars(), s.zfill(3)
    appended, prepended, joined_text = s.append("!"), s.prepend("<"), s + "x"
    number = s.extract(r"(\d+)").as_int()
    city = doc.json_path_value_at("$.city", String())
    year, quarter, month, week = at.year(), at.quarter(), at.month(), at.week()
    weekday, month_day, year_day = at.weekday(), at.day(), at.day_of_year()
    hour, minute, second = until.hour(), at.minute(), at.second()
    weekend, date, text_date = at.is_weekend(), at.date(), day.strftime("%d.%m.%Y")
    hour_start, day_start, later = at.truncate("1h"), day.truncate("1mo"), at.offset_by("1d")
    in_oslo, unix = at.convert_time_zone("Europe/Oslo"), at.unix_time()
    span = until - at
    seconds, minutes, hours, days = (
        span.total_seconds(),
        span.total_minutes(),
        span.total_hours(),
        span.total_days(),
    )
    shifted, recent = at + dt.timedelta(hours=1), at > NOON
    naive_literal = until > dt.datetime(2013, 1, 1)
    same_day = day == dt.date(2013, 2, 12)
    contains, any_of, second_item = items.contains(1), items.contains_any([1, 9]), items.at_index(1)
    first_item, last_item, count, total = items.first(), items.last(), items.length(), items.sum()
    joined_words = words.join(" ")
    in_city, zip_code = place.field("city"), place.field("zip", Float())
    dot, dimension = vector.dot_product(vector_2), vector.at_index(0)
    choice = when(f > 0).then("up").otherwise("down")
    numeric_choice = flag.then(i).otherwise(0)
    first_known, glued = coalesce(f, 0.0), concat_str(s, i, separator="-")
    greatest, smallest = max_of(i, j, 3), min_of(i, j)
    group_mean = f.aggregate().over(s).mean()
    group_count = f.aggregate().over(s, flag).count()
    rest = f - group_mean
    hatch = f.transform_polars(lambda x: x.clip(0, 1) * 2)
    hatch_2 = f.transform_polars(lambda x, y: x + y, using=[i])
    hatch_3 = f.transform_polars(pl.col("f") + pl.col("g"), as_dtype=Float())


COMPILED = compile_class(Everything, "everything")


def frame() -> pl.DataFrame:
    rows: dict[str, Any] = {
        "id": [1, 2, 3],
        "i": [1, 2, None],
        "j": [3, 1, 2],
        "small": [1, -1, 0],
        "u": [1, 2, 3],
        "f": [0.5, -1.5, None],
        "g": [0.25, 1.0, 2.0],
        "money": [Exact("1.50"), Exact("2.25"), None],
        "flag": [True, False, None],
        "other": [True, True, False],
        "s": ["a-b1", "b", None],
        "code": ["x", "y", "z"],
        "doc": ['{"city": "Oslo"}', "{}", None],
        "day": [dt.date(2013, 2, 12), dt.date(2013, 1, 31), None],
        "at": [NOON, NOON + dt.timedelta(days=3), NOON - dt.timedelta(hours=13)],
        "until": [NOON + dt.timedelta(hours=2), NOON, NOON],
        "items": [[1, 2], [], None],
        "words": [["a", "b"], ["c"], None],
        "place": [{"city": "Oslo", "zip": 1}, {"city": None, "zip": 2}, None],
        "vector": [[1.0, 0.0, 2.0], [0.0, 1.0, 0.0], None],
        "vector_2": [[1.0, 0.0, 2.0], [1.0, 1.0, 1.0], [0.0, 0.0, 0.0]],
    }
    schema = {c.name: c.dtype.polars for c in COMPILED.schema.stored}
    return pl.DataFrame(
        {name: pl.Series(name, rows[name]).cast(dtype) for name, dtype in schema.items() if name in rows}
    )


@pytest.fixture(scope="module")
def derived() -> pl.DataFrame:
    return with_derived(frame().lazy(), COMPILED.schema.derivations).collect()


@pytest.mark.parametrize("name", [column.name for column in COMPILED.schema.derived])
def test_the_stated_dtype_is_the_one_that_polars_gives(name: str, derived: pl.DataFrame) -> None:
    assert derived.schema[name] == COMPILED.schema.column(name).dtype.polars


EXPECTED: dict[str, list[Any]] = {
    "add": [2, 3, None],
    "rsub": [9, 8, None],
    "div": [0.5, 1.0, None],
    "floor_div": [0, 1, None],
    "negative": [-1, -2, None],
    "absolute": [1, 2, None],
    "with_numpy": [2.0, 0.0, None],
    "exact": [Exact("3.00"), Exact("4.50"), None],
    "reflected": [False, False, None],
    "either": [True, True, None],
    "filled": [1, 2, 0],
    "filled_text": ["a-b1", "b", "?"],
    "bins": ["(0, 1]", "(-inf, 0]", None],
    "named_bins": ["low", "low", None],
    "is_b": [False, True, None],
    "ordinal": [None, 1, None],
    "first_part": ["a", "b", None],
    "number": [1, None, None],
    "appended": ["a-b1!", "b!", None],
    "prepended": ["<a-b1", "<b", None],
    "city": ["Oslo", None, None],
    "hour": [15, 13, 13],
    "weekend": [False, False, False],
    "weekday": [2, 5, 1],
    "text_date": ["12.02.2013", "31.01.2013", None],
    "seconds": [7200, -259200, 46800],
    "recent": [False, True, False],
    "naive_literal": [True, True, True],
    "same_day": [True, False, None],
    "any_of": [True, False, None],
    "second_item": [2, None, None],
    "joined_words": ["a b", "c", None],
    "zip_code": [1.0, 2.0, None],
    "dot": [5.0, 1.0, None],
    "choice": ["up", "down", "down"],
    "numeric_choice": [1, 0, 0],
    "first_known": [0.5, -1.5, 0.0],
    "glued": ["a-b1-1", "b-2", None],
    "greatest": [3, 3, 3],
    "smallest": [1, 1, 2],
    "group_mean": [0.5, -1.5, None],
    "group_count": [1, 1, 0],
    "hatch": [1.0, 0.0, None],
    "hatch_2": [1.5, 0.5, None],
    "hatch_3": [0.75, -0.5, None],
}


@pytest.mark.parametrize("name", EXPECTED)
def test_the_values_are_those_that_the_words_promise(name: str, derived: pl.DataFrame) -> None:
    assert derived[name].to_list() == EXPECTED[name]


def test_json_brings_back_the_same_columns() -> None:
    again = Schema.from_json(COMPILED.schema.to_json())
    assert again == COMPILED.schema
    assert (
        with_derived(frame().lazy(), again.derivations)
        .collect()
        .equals(with_derived(frame().lazy(), COMPILED.schema.derivations).collect())
    )


def test_expressions_survive_a_pickle() -> None:
    for column in COMPILED.schema.derived:
        assert pickle.loads(pickle.dumps(column.derivation)) == column.derivation


def test_lineage_goes_through_the_escape_hatch() -> None:
    assert ex.inputs(COMPILED.schema.derivations["hatch_2"]) == {"f", "i"}
    assert ex.inputs(COMPILED.schema.derivations["hatch_3"]) == {"f", "g"}


def test_a_named_column_is_read_by_name_and_not_computed_again() -> None:
    assert ex.inputs(COMPILED.schema.derivations["rest"]) == {"f", "group_mean"}


def test_a_chain_of_a_thousand_compiles_and_runs() -> None:
    class Deep:
        x = Int64().as_entity()
        y = x + 0
        for _ in range(1000):
            y = y + 1
        del _

    derivations = compile_class(Deep, "deep").schema.derivations
    assert with_derived(pl.LazyFrame({"x": [1]}), derivations).collect()["y"].to_list() == [1001]


def test_the_cost_of_a_chain_is_linear() -> None:
    """Nodes are counted, not seconds: a chain twice as long has twice the nodes."""

    def nodes(length: int) -> int:
        feature: Any = Int64()
        start = feature
        for _ in range(length):
            feature = feature + 1
        chain = type("Chain", (), {"x": start, "y": feature})
        return len(ex.to_json(compile_class(chain, "chain").schema.derivations["y"])["nodes"])

    assert nodes(400) - nodes(200) == nodes(200) - 1


@given(st.lists(st.integers(-100, 100), min_size=1, max_size=20), st.integers(-9, 9), st.integers(1, 9))
def test_arithmetic_is_that_of_python(values: list[int], other: int, divisor: int) -> None:
    x = Int64()
    chain = type("Chain", (), {"x": x, "y": (x - other) * 3 // divisor, "z": (other - x) % divisor})
    derivations = compile_class(chain, "chain").schema.derivations
    out = with_derived(pl.LazyFrame({"x": values}), derivations).collect()
    assert out["y"].to_list() == [(v - other) * 3 // divisor for v in values]
    assert out["z"].to_list() == [(other - v) % divisor for v in values]


BAD: dict[str, Any] = {
    "a text added to a truth value": lambda: Bool() + "x",
    "a number added to a text": lambda: String() + 1,
    "a text compared with a number": lambda: String() > 3,
    "logic on numbers": lambda: Int32() & Int32(),
    "null by ==": lambda: Int32() == None,  # noqa: E711  # the mistake is what is tested
    "and in place of &": lambda: (Int32() > 1) and (Int32() > 2),
    "a date times two": lambda: Date() * 2,
    "the negative of a text": lambda: -String(),
    "not a number": lambda: ~Int32(),
    "a list ordered": lambda: List(Int32()) < List(Int32()),
    "a zone against none": lambda: Timestamp(time_zone=None) > NOON,
    "an object": lambda: Int32() + object(),
    "a choice of a text or a list": lambda: when(Bool()).then("a").otherwise(List(Int32())),
    "a choice without a condition": lambda: when(Int32()),  # type: ignore[arg-type]  # the mistake is what is tested
    "both kinds of over": lambda: Float().aggregate().over(String(), days=1),
    "neither kind of over": lambda: Float().aggregate().over(),
    "a function that returns no expression": lambda: Float().transform_polars(lambda x: 3),
    "a Python function in polars": lambda: Float().transform_polars(
        lambda x: x.map_elements(abs, pl.Float64)
    ),
    "a Python function in a fold": lambda: Float().transform_polars(
        lambda x: pl.fold(pl.lit(0.0), lambda a, b: a + b, [x, x])
    ),
    "a Python function over a rolling window": lambda: Float().transform_polars(
        lambda x: x.rolling_map(lambda window: window[0], 3)
    ),
}


@pytest.mark.parametrize("what", BAD)
def test_a_wrong_derivation_is_told_where_it_is_written(what: str) -> None:
    with pytest.raises(DerivationError, match=r"test_derivations\.py:\d+\)$"):
        BAD[what]()
