from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from aligned_dagster.features.constraints import LowerBound, Regex, Rule, Unique, UpperBound
from aligned_dagster.features.dtypes import DataType
from aligned_dagster.features.expression import ColumnRef
from aligned_dagster.features.schema import Column, Schema
from aligned_dagster.quality.checks import escape, expected_checks

hostile = st.text(alphabet=["a", "_", "U", "x", "5", "f", "é", " ", "°", "r", "u", "l", "e"], max_size=9)


@given(st.sets(hostile | st.sampled_from(["rule", "rule__a", "a__lower_bound"])), st.sets(hostile))
def test_names_are_safe_and_no_two_checks_share_one(columns: set[str], rules: set[str]) -> None:
    constraints = (LowerBound(0), UpperBound(1), Unique(), Regex("a"), Regex("b"), Regex("c"))
    schema = Schema(
        tuple(Column(name, DataType("int64"), "entity", constraints=constraints) for name in sorted(columns)),
        tuple(Rule(name, ColumnRef("a")) for name in sorted(rules | {f"{c}__lower_bound" for c in columns})),
    )
    names = [check.name for check in expected_checks(schema)]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"[A-Za-z0-9_]+", name) for name in names)


@given(hostile, hostile)
def test_different_names_stay_different(one: str, other: str) -> None:
    assert (escape(one) == escape(other)) == (one == other)


def test_a_contract_without_entities_has_no_key() -> None:
    schema = Schema((Column("at", DataType("timestamp"), "event_timestamp"),))
    assert [check.name for check in expected_checks(schema)] == ["schema"]
