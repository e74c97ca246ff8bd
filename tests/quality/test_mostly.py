from __future__ import annotations

from fractions import Fraction

import pandera.errors
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aligned_dagster import InMemorySource, Int32, feature_view, publish, rule
from aligned_dagster.errors import AuditError, ContractError
from aligned_dagster.features.constraints import Rule
from aligned_dagster.features.dtypes import DataType
from aligned_dagster.features.expression import ColumnRef
from aligned_dagster.features.schema import Column, Schema
from aligned_dagster.quality.audit import audit, split
from aligned_dagster.quality.pandera_schema import pandera_schema


def schema(mostly: float) -> Schema:
    return Schema(
        (Column("ok", DataType("bool")),), (Rule("fine", ColumnRef("ok"), "it is fine", mostly=mostly),)
    )


@given(
    values=st.lists(st.sampled_from([True, False, None]), max_size=25),
    percent=st.integers(1, 100),
)
def test_audit_split_and_pandera_hold_the_same_share(values: list[bool | None], percent: int) -> None:
    promised = schema(percent / 100)
    frame = pl.DataFrame({"ok": values}, schema={"ok": pl.Boolean})
    bad = values.count(False)
    kept = not values or Fraction(len(values) - bad, len(values)) >= Fraction(percent, 100)

    report = audit(frame.lazy(), promised, contract="c")
    outcome = report.outcome("rule__fine")
    assert (outcome.broken, outcome.passed) == (bad, kept)
    assert outcome.mostly == percent / 100
    parts = split(frame.lazy(), promised, on_violation="quarantine")
    assert parts.bad.collect().height == (0 if kept else bad)
    assert parts.good.collect().height == len(values) - (0 if kept else bad)
    try:
        pandera_schema(promised, "c").validate(frame, lazy=True)
        agrees = True
    except pandera.errors.SchemaErrors:
        agrees = False
    assert agrees == kept


@pytest.mark.parametrize("percent", range(1, 101))
def test_a_share_means_its_decimal(percent: int) -> None:
    one = Rule("fine", ColumnRef("ok"), mostly=percent / 100)
    assert one.is_kept(100 - percent, 100)
    assert not one.is_kept(101 - percent, 100)


def test_words_and_json_say_the_share() -> None:
    known = schema(0.925).rules[0]
    assert known.words() == "it is fine, in at least 92.5 % of the rows"
    assert Rule.from_json(known.to_json()) == known
    whole = schema(1.0).rules[0]
    assert "mostly" not in whole.to_json()
    assert Rule.from_json(whole.to_json()) == whole
    frame = pl.LazyFrame({"ok": [True] * 9 + [False]})
    outcome = audit(frame, schema(0.9), contract="c").outcome("rule__fine")
    assert (
        outcome.describe() == "it is fine, in at least 90 % of the rows: 1 of 10 rows break it, 90.0% keep it"
    )
    assert outcome.status == "passed"
    assert outcome.to_json()["mostly"] == 0.9
    assert outcome.sample.rows() == [(False,)]


@pytest.mark.parametrize("share", [0, -0.1, 1.1])
def test_no_share(share: float) -> None:
    with pytest.raises(ContractError, match="mostly"):
        schema(share)
    with pytest.raises(ContractError, match="mostly"):
        rule(Int32() > 0, mostly=share)


def test_a_contract_says_it_and_publishing_holds_it() -> None:
    @feature_view(source=InMemorySource.empty(), materialized_source=InMemorySource.empty())
    class Person:
        id = Int32().as_entity()
        age = Int32().is_optional()
        known = rule(age.is_not_null(), mostly=0.5)

    enough = pl.LazyFrame({"id": [1, 2], "age": [None, 4]}, schema={"id": pl.Int32, "age": pl.Int32})
    assert publish(Person, enough).rows == 2
    with pytest.raises(AuditError, match="50 % of the rows: 2 of 3 rows break it"):
        publish(Person, pl.LazyFrame({"id": [1, 2, 3], "age": [None, 4, None]}, schema=Person.schema.polars))
    assert Person.query().all().collect().height == 2
