from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aligned_dagster.errors import RequestError, UnknownFeatureError
from aligned_dagster.features.constraints import Rule
from aligned_dagster.features.dtypes import DataType
from aligned_dagster.features.expression import ColumnRef
from aligned_dagster.features.schema import Column, Schema
from aligned_dagster.request.job import RetrievalJob

SCHEMA = Schema(
    (
        Column("id", DataType("int64"), "entity"),
        Column("age", DataType("int64")),
        Column("ok", DataType("bool")),
    ),
    (Rule("mostly_ok", ColumnRef("ok"), mostly=0.5),),
)


def job(rows: int) -> RetrievalJob:
    frame = pl.LazyFrame({"id": range(rows), "age": range(rows), "ok": [True] * rows}, schema=SCHEMA.polars)
    return RetrievalJob("person", SCHEMA, lambda: frame)


@given(
    rows=st.integers(0, 50),
    train=st.floats(0.01, 0.6),
    validate=st.floats(0.01, 0.38),
    seed=st.integers(0, 3),
)
def test_every_row_is_in_one_of_three_parts(rows: int, train: float, validate: float, seed: int) -> None:
    found = job(rows).train_test_validate(train, validate, target="ok", seed=seed)
    ids = [part.collect()["id"].to_list() for part in (found.train, found.validate, found.test)]
    assert sorted(ids[0] + ids[1] + ids[2]) == list(range(rows))
    assert abs(len(ids[0]) - rows * train) <= 0.5 + 1e-9
    assert abs(len(ids[1]) - rows * validate) <= 1 + 1e-9
    again = job(rows).train_test_validate(train, validate, seed=seed)
    assert again.validate.collect()["id"].to_list() == ids[1]
    assert job(rows).train_test(train, seed=seed).train.collect()["id"].to_list() == ids[0]


def test_target_and_inputs() -> None:
    found = job(10).train_test_validate(0.5, 0.2, target="ok")
    assert (found.target, found.inputs) == ("ok", ("age",))
    with pytest.raises(UnknownFeatureError, match="aeg"):
        job(10).train_test_validate(0.5, 0.2, target="aeg")


@pytest.mark.parametrize(
    ("sizes", "words"),
    [((0, 0.2), "train_size is 0"), ((0.5, 1), "validate_size is 1"), ((0.8, 0.2), "leave no rows to test")],
)
def test_sizes_that_cannot_be(sizes: tuple[float, float], words: str) -> None:
    with pytest.raises(RequestError, match=words):
        job(10).train_test_validate(*sizes)


def test_what_holds_of_a_share_of_all_rows_need_not_hold_of_some() -> None:
    rows = pl.LazyFrame({"id": [1, 2], "age": [1, 2], "ok": [True, False]})
    whole = RetrievalJob("person", SCHEMA, lambda: rows)
    assert whole.validate().collect().height == 2
    assert whole.filter("id = 2").validate().collect().height == 1
    assert whole.limit(1).schema.rules == ()
    assert whole.train_test(0.5).test.schema.rules == ()
    assert whole.select("id", "ok").schema.rules == SCHEMA.rules
    assert whole.rename({"ok": "fine"}).schema.rules[0].mostly == 0.5
