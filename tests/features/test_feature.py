"""Features are immutable and hashable; what a class states becomes columns, or an error with file and line."""

from __future__ import annotations

import datetime as dt
import subprocess
import sys
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aligned_dagster.errors import ContractError, DerivationError, DuplicateNameError
from aligned_dagster.features.compiling import compile_class, rule
from aligned_dagster.features.constraints import (
    Constraint,
    LowerBound,
    NotNull,
    Rule,
    UpperBound,
    constraint_from_json,
)
from aligned_dagster.features.dtypes import DataType
from aligned_dagster.features.literals import freeze, value_from_json, value_to_json
from aligned_dagster.features.schema import Schema
from aligned_dagster.features.types import (
    Bool,
    CreatedTimestamp,
    EventTimestamp,
    Float,
    Int32,
    Int64,
    List,
    String,
    ValidFrom,
)


def schema_of(**attributes: Any) -> Schema:
    return compile_class(type("Made", (), attributes), "made").schema


def test_a_chained_method_leaves_the_feature_as_it_was() -> None:
    age = Int32()
    bounded = age.lower_bound(0).description("years").with_tag("pii").is_optional()
    assert age.facts.constraints == () and age.facts.description == "" and not age.facts.optional
    assert bounded.facts.description == "years" and bounded.facts.tags == ("pii",) and bounded.facts.optional
    assert type(bounded) is Int32


def test_a_feature_cannot_be_set_and_can_be_a_key() -> None:
    age = Int32()
    with pytest.raises(AttributeError, match="immutable"):
        age.dtype = DataType("string")
    assert {age: 1}[age] == 1
    assert len({Int32(), Int32(), age, age}) == 3


def test_roles_and_facts() -> None:
    schema = schema_of(
        id=Int32().as_entity(),
        at=EventTimestamp(),
        written=CreatedTimestamp(),
        a=Float().is_optional(),
        b=Float().default_value(1.5),
        c=Float(),
    )
    assert (schema.entities, schema.event_timestamp, schema.created_timestamp) == (("id",), "at", "written")
    assert schema.key == ("id", "at")
    assert [column.nullable for column in schema.columns] == [False, False, False, True, False, False]
    assert schema.column("b").default == 1.5
    assert schema_of(id=Int32().as_entity(), at=ValidFrom()).event_timestamp == "at"
    assert schema_of(x=Int32()).column("x").dtype.polars == pl.Int32()
    assert schema_of(x=Float()).column("x").dtype.polars == pl.Float64()


def test_constraints_are_kept_with_their_words() -> None:
    age = Float().lower_bound(0).upper_bound(120, is_inclusive=False)
    words = [c.words("age") for c in schema_of(age=age).column("age").constraints]
    assert words == ["age must not be null", "age must be at least 0", "age must be less than 120"]


def test_a_constraint_said_twice_counts_as_said_last() -> None:
    column = schema_of(x=Int32().lower_bound(0).lower_bound(5)).column("x")
    assert column.constraints == (NotNull(), LowerBound(5))


RULES: list[Any] = [
    lambda: Float().lower_bound("a"),
    lambda: Int32().accepted_values([]),
    lambda: Int32().accepted_values(["a"]),
    lambda: String().accepted_values("oslo"),
    lambda: String().validate_regex("(?<=a)b"),
    lambda: String().min_length(-1),
    lambda: Int32().default_value("x"),
    lambda: Int32().reference_to(Int32()),
    lambda: Int32().lower_bound(0, on_violation="explode"),  # type: ignore[arg-type]  # the mistake is what is tested
    lambda: EventTimestamp(time_zone="Europe/Olso"),
    lambda: Float().bins([1, 0]),
    lambda: Float().bins([0, 1], ["a"]),
    lambda: List(Int32()).contains_any([]),
]


@pytest.mark.parametrize("number", range(len(RULES)))
def test_a_rule_that_cannot_be_is_an_error_at_once(number: int) -> None:
    with pytest.raises(ContractError):
        RULES[number]()


def test_a_name_used_twice_names_both_lines() -> None:
    class Twice:
        age = Int32()
        age = Float()  # type: ignore[assignment]  # the mistake is what is tested

    with pytest.raises(
        DuplicateNameError, match=r"twice declares 'age' twice, at line \d+ and again .*test_feature\.py:\d+"
    ):
        compile_class(Twice, "twice")


def test_one_feature_under_two_names_is_an_error() -> None:
    age = Int32()
    with pytest.raises(DuplicateNameError, match="one and the same"):
        schema_of(age=age, years=age)


WRONG_CLASSES: dict[str, tuple[dict[str, Any], str]] = {
    "no column": ({"x": 3}, "no columns"),
    "a class for a feature": ({"x": Int32, "y": Int32()}, r"Call it: x = Int32\(\)"),
    "features not unpacked": ({"x": String().one_hot_encode(["a", "b"]), "y": Int32()}, "Unpack them"),
    "an unfinished aggregation": ({"x": Int32().aggregate(), "y": Int32()}, "unfinished aggregation"),
    "a method that is not called": (
        {"id": Int32().as_entity(), "q": (q := Float()), "y": q.aggregate().sum},
        r"is the method sum, not what it gives\. Call it",
    ),
    "a feature's method that is not called": (
        {"x": Int32(), "y": String().is_optional},
        "Call it: is_optional",
    ),
    "a name that is only annotated": (
        {"x": Int32(), "__annotations__": {"y": "Float"}},
        r"Assign it: y = Float\(\)",
    ),
    "bounds that are swapped": ({"x": Int32().bounded_between(100, 0)}, "Are the two swapped"),
    "lengths that are swapped": ({"x": String().min_length(3).max_length(2)}, "Are the two swapped"),
    "a column that nothing aggregates": (
        {"id": Int32().as_entity(), "p": (p := Float()), "m": p.aggregate().mean(), "twice": p * 2},
        "'twice' would be gone",
    ),
    "an unfinished choice": ({"x": Bool().then(1), "y": Int32()}, "otherwise"),
    "a foreign feature": ({"y": Int32() + 1}, "not a column of this contract"),
    "two event timestamps": ({"x": EventTimestamp(), "y": EventTimestamp()}, "2 event timestamps"),
    "an unknown column by name": (
        {"age": Float(), "y": Float().transform_polars(pl.col("aeg") * 2, as_dtype=Float())},
        "Did you mean 'age'",
    ),
    "an aggregation without entity": ({"x": (x := Float()), "y": x.aggregate().mean()}, "as_entity"),
    "a window without time": (
        {"id": Int32().as_entity(), "v": (v := Float()), "y": v.aggregate().over(days=1).mean()},
        "EventTimestamp",
    ),
    "an aggregation of an aggregation": (
        {
            "id": Int32().as_entity(),
            "w": (w := Float()),
            "m": (m := w.aggregate().mean()),
            "y": m.aggregate().max(),
        },
        "itself an aggregation",
    ),
    "a column that is gone": (
        {"id": Int32().as_entity(), "k": (k := Float()), "n": (n := k.aggregate().mean()), "y": n - k},
        "gone once rows are aggregated",
    ),
}


@pytest.mark.parametrize("what", WRONG_CLASSES)
def test_a_wrong_class_is_an_error_with_its_line(what: str) -> None:
    attributes, message = WRONG_CLASSES[what]
    with pytest.raises(ContractError, match=message) as caught:
        schema_of(**attributes)
    assert "test_feature.py:" in str(caught.value)


def test_an_unknown_method_is_told_with_those_that_have_it() -> None:
    with pytest.raises(AttributeError, match=r"has no 'bounded_betwen'\. Did you mean 'bounded_between'"):
        Int32().bounded_betwen(0, 1)
    with pytest.raises(AttributeError, match=r"A Float column has no 'min_length'\. .*String.* have it"):
        Float().min_length(3)


def test_a_rule_over_several_columns() -> None:
    departure, arrival = Float(), Float()
    schema = schema_of(departure=departure, arrival=arrival, later=rule(arrival > departure, "arrives later"))
    (found,) = schema.rules
    assert (found.columns, found.words()) == (("arrival", "departure"), "arrives later")
    frame = pl.DataFrame({"departure": [1.0, 2.0, None], "arrival": [2.0, 1.0, 1.0]})
    assert frame.select(found.violation()).to_series().to_list() == [False, True, False]
    assert Rule.from_json(found.to_json()) == found


def test_inherited_columns_come_first() -> None:
    class Base:
        id = Int32().as_entity()

    class Child(Base):
        age = Float()

    assert compile_class(Child, "child").schema.names == ("id", "age")


# --- the version of a schema ------------------------------------------------------------------------------


def test_the_version_is_blind_to_what_is_not_stored() -> None:
    age = Float()
    plain = schema_of(id=Int32().as_entity(), age=age)
    assert len(plain.version) == 32
    assert plain.version == schema_of(id=Int32().as_entity(), age=age, is_adult=age > 17).version
    assert plain.version == schema_of(age=age, id=Int32().as_entity()).version
    assert plain.version == schema_of(id=Int32().as_entity(), age=age.lower_bound(0).description("x")).version
    assert plain.version == schema_of(id=Int32().as_entity(), age=age, new=Int32().is_optional()).version
    assert plain.version == schema_of(id=Int32().as_entity(), age=age, new=Int32().default_value(0)).version


def test_the_version_sees_what_is_stored() -> None:
    versions = {
        schema_of(id=Int32().as_entity(), age=Float()).version,
        schema_of(id=Int64().as_entity(), age=Float()).version,
        schema_of(id=Int32(), age=Float()).version,
        schema_of(id=Int32().as_entity(), ages=Float()).version,
        schema_of(id=Int32().as_entity(), age=Float(), x=Int32()).version,
        schema_of(id=Int32().as_entity(), age=Float(), at=EventTimestamp()).version,
    }
    assert len(versions) == 6


def test_the_version_is_the_same_in_every_process() -> None:
    code = (
        "from aligned_dagster.features.types import *\n"
        "from aligned_dagster.features.compiling import compile_class\n"
        "class A:\n    id = Int32().as_entity()\n    at = EventTimestamp()\n    x = List(Float())\n"
        "print(compile_class(A, 'a').schema.version)"
    )
    seen = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("0", "1", "2")
    }
    assert len(seen) == 1


# --- forms ------------------------------------------------------------------------------------------------

names = st.text(min_size=1, max_size=8)
simple = st.sampled_from(["int32", "string", "bool", "float64", "date", "uuid"]).map(DataType)
dtypes = st.recursive(
    simple
    | st.just(DataType("timestamp", time_zone="UTC"))
    | st.just(DataType("decimal", precision=12, scale=3)),
    lambda inner: st.one_of(
        inner.map(lambda d: DataType("list", inner=d)),
        simple.map(lambda d: DataType("embedding", inner=d, size=4)),
        st.dictionaries(names, inner, min_size=1, max_size=3).map(
            lambda fields: DataType("struct", fields=tuple(fields.items()))
        ),
    ),
    max_leaves=6,
)


@given(dtypes)
def test_the_text_of_a_dtype_reads_back(dtype: DataType) -> None:
    assert DataType.from_text(dtype.text) == dtype


@given(dtypes, dtypes)
def test_no_two_dtypes_share_a_text(one: DataType, other: DataType) -> None:
    assert (one.text == other.text) == (one == other)


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text()
    | st.binary()
    | st.decimals(allow_nan=False, allow_infinity=False)
    | st.dates()
    | st.datetimes(timezones=st.none() | st.just(dt.UTC))
    | st.timedeltas(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)


@given(values)
def test_a_value_survives_json(value: Any) -> None:
    import json

    frozen = freeze(value)
    assert value_from_json(json.loads(json.dumps(value_to_json(frozen)))) == frozen
    hash(frozen)


def test_constraints_survive_json() -> None:
    constraints: list[Constraint] = [
        *schema_of(x=Float().lower_bound(0, False, on_violation="warn").upper_bound(9))
        .column("x")
        .constraints,
        *schema_of(x=String().regex("^a").min_length(1).max_length(3).is_unique()).column("x").constraints,
        *schema_of(x=Int32().accepted_values([1, 2])).column("x").constraints,
    ]
    for constraint in constraints:
        assert constraint_from_json(constraint.to_json()) == constraint


@pytest.mark.parametrize(
    ("constraint", "value", "broken"),
    [
        (LowerBound(0), float("nan"), True),
        (UpperBound(0), float("nan"), True),
        (LowerBound(0), None, False),
        (LowerBound(0), 0.0, False),
        (LowerBound(0, inclusive=False), 0.0, True),
        (UpperBound(0, inclusive=False), 0.0, True),
        (UpperBound(0), -1.0, False),
    ],
)
def test_bounds(constraint: Constraint, value: float | None, broken: bool) -> None:
    frame = pl.DataFrame({"x": [value]}, schema={"x": pl.Float64})
    assert frame.select(constraint.violation("x", DataType("float64"))).item() is broken


def test_a_derivation_error_is_a_contract_error() -> None:
    assert issubclass(DerivationError, ContractError)
