from __future__ import annotations

import datetime as dt
from typing import Any

import pandera.errors
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aligned_dagster.features import constraints as c
from aligned_dagster.features.dtypes import DataType
from aligned_dagster.features.expression import Call, ColumnRef
from aligned_dagster.features.schema import Column, Schema
from aligned_dagster.quality.audit import audit
from aligned_dagster.quality.pandera_schema import pandera_schema

OTHERS = pl.LazyFrame({"id": [0, 1, 2]}, schema={"id": pl.Int8})

numbers = st.integers(-3, 3)
floats = st.sampled_from([-1.5, -0.0, 0.0, 1.0, 2.5, float("nan"), float("inf"), float("-inf")])
words = st.sampled_from(["", "a", "ab", "abc", "b", "é"])
days = st.integers(0, 3).map(lambda n: dt.date(2024, 1, 1) + dt.timedelta(n))

bounds = st.tuples(numbers, st.booleans())
number_rules = st.one_of(
    bounds.map(lambda b: c.LowerBound(*b)),
    bounds.map(lambda b: c.UpperBound(*b)),
    st.lists(numbers, max_size=4, unique=True).map(lambda v: c.AcceptedValues(tuple(v))),
    st.just(c.Unique()),
    st.just(c.NotNull()),
)
float_rules = number_rules.filter(lambda rule: not isinstance(rule, c.AcceptedValues))
integer_rules = number_rules | st.just(c.Reference("others", "id"))
word_rules = st.one_of(
    st.lists(words, max_size=4, unique=True).map(lambda v: c.AcceptedValues(tuple(v))),
    st.sampled_from([c.Regex("^a"), c.StartsWith("a"), c.EndsWith("b"), c.MinLength(1), c.MaxLength(2)]),
    st.just(c.Unique()),
    st.just(c.NotNull()),
)
day_rules = st.one_of(
    st.tuples(days, st.booleans()).map(lambda b: c.LowerBound(*b)),
    st.tuples(days, st.booleans()).map(lambda b: c.UpperBound(*b)),
)

KINDS: dict[str, tuple[Any, Any]] = {
    "int32": (numbers, integer_rules),
    "float64": (floats, float_rules),
    "float32": (floats, float_rules),
    "string": (words, word_rules),
    "date": (days, day_rules),
}


@st.composite
def contracts(draw: st.DrawFn) -> tuple[Schema, pl.DataFrame]:
    kinds = draw(st.lists(st.sampled_from(sorted(KINDS)), min_size=1, max_size=4))
    height = draw(st.integers(0, 6))
    columns, data = [], {}
    for number, kind in enumerate(kinds):
        values, rules = KINDS[kind]
        found = draw(st.lists(rules, max_size=3, unique_by=lambda rule: rule.key))
        role = draw(st.sampled_from(["feature", "feature", "entity"]))
        name = f"c{number}"
        columns.append(Column(name, DataType(kind), role, constraints=tuple(found)))
        data[name] = draw(st.lists(st.none() | values, min_size=height, max_size=height))
    comparable = [column.name for column in columns if column.dtype.is_numeric]
    rules = ()
    if len(comparable) > 1:
        rules = (c.Rule("order", Call("le", ColumnRef(comparable[0]), ColumnRef(comparable[1]))),)
    schema = Schema(tuple(columns), rules)
    frame = pl.DataFrame(data, schema=schema.polars, strict=False)
    if draw(st.integers(0, 9)) == 0:
        frame = frame.with_columns(c0=pl.lit(1, dtype=pl.Int16))
    if draw(st.integers(0, 9)) == 0:
        frame = frame.with_columns(extra=pl.lit(1))
    return schema, frame


def accepted(schema: Schema, frame: pl.DataFrame) -> bool:
    try:
        pandera_schema(schema, "contract", references={"others": OTHERS}).validate(frame, lazy=True)
    except pandera.errors.SchemaErrors:
        return False
    return True


@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(contracts())
def test_pandera_and_the_audit_come_to_the_same_verdict(case: tuple[Schema, pl.DataFrame]) -> None:
    schema, frame = case
    report = audit(frame.lazy(), schema, contract="contract", references={"others": OTHERS})
    assert accepted(schema, frame) == report.passed, str(report)


def test_failure_cases_name_the_rule() -> None:
    schema = Schema((Column("age", DataType("int64"), constraints=(c.LowerBound(0),)),))
    with pytest.raises(pandera.errors.SchemaErrors) as caught:
        pandera_schema(schema, "person").validate(pl.DataFrame({"age": [1, -5]}), lazy=True)
    cases = caught.value.failure_cases
    assert cases["failure_case"].to_list() == ["-5"]
    assert "value must be at least 0" in cases["check"].to_list()[0]


def test_references_are_left_out_where_their_frames_are_not_given() -> None:
    schema = Schema((Column("id", DataType("int64"), constraints=(c.Reference("others", "id"),)),))
    frame = pl.DataFrame({"id": [7]})
    assert pandera_schema(schema, "contract").validate(frame, lazy=True).height == 1
    assert not accepted(schema, frame)


def test_nan_is_a_value_and_null_is_none() -> None:
    share = Column("share", DataType("float64"), constraints=(c.NotNull(),))
    schema = pandera_schema(Schema((share,)), "shares")
    schema.validate(pl.DataFrame({"share": [float("nan")]}), lazy=True)
    with pytest.raises(Exception, match="not_null"):
        schema.validate(pl.DataFrame({"share": [None]}, schema={"share": pl.Float64}), lazy=True)
