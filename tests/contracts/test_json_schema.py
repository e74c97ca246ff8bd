from __future__ import annotations

import json
import math
from typing import Any

import jsonschema
import polars as pl
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

import aligned_dagster as ad
from aligned_dagster.errors import UnknownFeatureError
from aligned_dagster.features import constraints as rules

from .contract_strategy import columns

FORMATS = jsonschema.Draft202012Validator.FORMAT_CHECKER


def validator(view: ad.FeatureView[Any]) -> jsonschema.Draft202012Validator:
    schema = view.json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    json.dumps(schema)
    return jsonschema.Draft202012Validator(schema, format_checker=FORMATS)


def as_json(rows: pl.DataFrame) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(rows.write_json())
    return found


@ad.feature_view(source=ad.RandomDataSource(seed=1))
class Sale:
    """A sale."""

    sale_id = ad.UInt8().as_entity()
    shop = ad.String().accepted_values(["oslo", "rome"]).description("where")
    at = ad.EventTimestamp()
    code = ad.String().is_optional().validate_regex(r"^[A-Z]{2}\d.$").max_length(9)
    start = ad.String().validate_starts_with("a.b").validate_ends_with("c$")
    amount = ad.Decimal(9, 2).lower_bound(0)
    share = ad.Float().bounded_between(0, 1)
    items = ad.List(ad.Int8()).min_length(1)
    place = ad.Struct({"town": ad.String()}).is_optional()
    level = ad.Int32().default_value(3)
    unique = ad.String().is_unique()
    odd = ad.String().validate_regex(r"(?i)\w")
    weekday = at.weekday()
    is_dear = ad.rule(share > 0.5, "it is dear")


GOOD: dict[str, Any] = {
    "sale_id": 1, "shop": "oslo", "at": "2024-01-01T02:03:04+00:00", "code": "AB1x", "start": "a.b c$",
    "amount": "1.50", "share": 0.5, "items": [1, None], "place": {"town": None}, "level": None, "unique": "u",
    "odd": "o", "weekday": 1,
}  # fmt: skip


def test_the_words_of_a_schema() -> None:
    schema = Sale.json_schema()
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert (schema["title"], schema["description"]) == ("sale", "A sale.")
    assert schema["required"] == [name for name in GOOD if name not in {"code", "place", "level", "weekday"}]
    told = schema["properties"]
    assert told["shop"] == {"type": "string", "enum": ["oslo", "rome"], "description": "where"}
    assert told["sale_id"] == {"type": "integer", "minimum": 0, "maximum": 255}
    assert (told["level"]["type"], told["level"]["default"]) == (["integer", "null"], 3)
    assert told["weekday"]["readOnly"] is True
    assert "unique must be unique" in told["unique"]["$comment"]
    assert "(?i)" in told["odd"]["$comment"]
    assert "it is dear" in schema["$comment"]
    assert list(Sale.json_schema(["shop", "at"])["properties"]) == ["shop", "at"]
    with pytest.raises(UnknownFeatureError, match="Did you mean 'shop'"):
        Sale.json_schema(["shpo"])


@pytest.mark.parametrize(
    "change",
    [
        {}, {"code": None}, {"place": None}, {"at": "2024-01-01T02:03:04.000005+01:00"}, {"share": 0},
    ],
)  # fmt: skip
def test_rows_that_keep_it(change: dict[str, Any]) -> None:
    assert list(validator(Sale).iter_errors({**GOOD, **change})) == []


@pytest.mark.parametrize(
    "change",
    [
        {"sale_id": 256}, {"sale_id": None}, {"sale_id": 1.5}, {"shop": "rom"}, {"at": "yesterday"}, {"at": 1},
        {"code": "AB1\n"}, {"code": "AB1xx"}, {"code": "AB1x\n"}, {"start": "axb c$"}, {"start": "a.b c$\n"},
        {"amount": 1.5}, {"amount": "x"}, {"share": 1.1}, {"items": []}, {"items": [200]}, {"place": {}},
        {"place": {"town": "a", "more": 1}}, {"more": 1}, {"weekday": "x"},
    ],
)  # fmt: skip
def test_rows_that_break_it(change: dict[str, Any]) -> None:
    assert list(validator(Sale).iter_errors({**GOOD, **change})) != []


def test_a_missing_column_breaks_it() -> None:
    row = {name: value for name, value in GOOD.items() if name != "shop"}
    assert list(validator(Sale).iter_errors(row)) != []


@st.composite
def contract_and_values(draw: Any) -> tuple[ad.FeatureView[Any], pl.Series]:
    """A contract of one column, and values of its type, whether they keep it or not."""
    column = draw(columns())
    assume(not column.dtype.is_temporal)
    made = type("Made", (), {"id": ad.Int64().as_entity(), "value": column})
    view = ad.feature_view(source=ad.InMemorySource.empty())(made)
    kind = column.dtype
    words = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
    rule = {one.kind: one for one in view.schema.column("value").constraints}
    known: list[Any] = list(rule["accepted_values"].values) if "accepted_values" in rule else []
    values: Any
    if kind.is_integer:
        values = st.integers(0, 127)
    elif kind.is_float:
        values = st.floats(-(2.0**20), 2.0**20, width=32)
    elif kind.kind == "string":
        values = words | st.sampled_from(["AB", "1.5", "ab", "AB\n", "12.3", "٣.٣"])
    elif kind.kind == "bool":
        values = st.booleans()
    else:
        found = (
            pl.Series(known, dtype=kind.polars, strict=False)
            if known
            else pl.Series([None], dtype=kind.polars)
        )
        return view, found
    drawn = draw(st.lists(st.none() | values | st.sampled_from(known or [None]), min_size=1, max_size=6))
    return view, pl.Series(drawn, dtype=kind.polars, strict=False)


@given(made=contract_and_values())
@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
def test_the_schema_and_the_audit_agree(made: tuple[ad.FeatureView[Any], pl.Series]) -> None:
    view, values = made
    rows = pl.DataFrame({"id": range(len(values)), "value": values})
    column = view.schema.column("value")
    check = validator(view)
    unsaid = check.schema["properties"]["value"].get("$comment", "")
    local = [rule for rule in column.constraints if rule.row_local]
    broken_at = rows.with_columns([rule.violation("value", column.dtype).alias(rule.key) for rule in local])
    for row, said, broken in zip(rows.to_dicts(), as_json(rows), broken_at.to_dicts(), strict=True):
        if isinstance(row["value"], float) and not math.isfinite(row["value"]):
            continue
        told = [
            rule.key
            for rule in local
            if broken[rule.key]
            and rule.words("value") not in unsaid
            and not (isinstance(rule, rules.NotNull) and column.has_default)
        ]
        errors = [error.message for error in check.iter_errors(said)]
        assert bool(errors) == bool(told), (said, told, errors)


@given(rows=Sale.strategy(columns=["sale_id", "shop", "at", "code", "amount", "items", "level", "weekday"]))
@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
def test_rows_of_the_contracts_own_strategy_validate(rows: pl.DataFrame) -> None:
    schema = Sale.json_schema(rows.columns)
    for row in as_json(rows):
        jsonschema.validate(row, schema, format_checker=FORMATS)


def test_floats_are_told_by_their_bounds() -> None:
    assert Sale.json_schema()["properties"]["share"] == {"type": "number", "minimum": 0, "maximum": 1}
