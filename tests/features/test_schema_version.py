"""The version of a schema tells apart what files must hold, and nothing else."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from aligned_dagster.features.dtypes import DataType
from aligned_dagster.features.expression import Call, ColumnRef
from aligned_dagster.features.schema import Column, Schema

NAMES = st.text('ab",:[]{}\\|é', min_size=1, max_size=3)
DTYPES = st.sampled_from(["int32", "int64", "string", "timestamp(us,UTC)", "list(int32)"]).map(
    DataType.from_text
)
ROLES: Any = st.sampled_from(["entity", "feature"])
COLUMNS = st.lists(
    st.builds(Column, NAMES, DTYPES, ROLES), min_size=1, max_size=4, unique_by=lambda column: column.name
)


def told(columns: list[Column]) -> frozenset[Any]:
    return frozenset((column.name, column.dtype.text, column.role) for column in columns)


@given(one=COLUMNS, other=COLUMNS)
def test_two_schemas_share_a_version_only_if_they_are_alike(one: list[Column], other: list[Column]) -> None:
    same = Schema(tuple(one)).version == Schema(tuple(other)).version
    assert same == (told(one) == told(other))


@given(columns=COLUMNS, order=st.randoms(use_true_random=False))
def test_what_may_be_missing_and_the_order_do_not_matter(columns: list[Column], order: Any) -> None:
    version = Schema(tuple(columns)).version
    more = [
        Column("derived", DataType("bool"), derivation=Call("is_null", ColumnRef(columns[0].name))),
        Column("optional", DataType("int32"), optional=True),
        Column("defaulted", DataType("int32"), has_default=True, default=1),
    ]
    mixed = [replace(column, description="words", tags=("tag",)) for column in columns] + more
    order.shuffle(mixed)
    assert Schema(tuple(mixed)).version == version
    assert len(version) == 32
    assert set(version) <= set("0123456789abcdef")
