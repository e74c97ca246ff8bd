from __future__ import annotations

import asyncio
from dataclasses import FrozenInstanceError
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from aligned_dagster.errors import AuditError, CastError, RequestError, UnknownFeatureError
from aligned_dagster.features.constraints import LowerBound, NotNull, Reference, Rule, Unique, UpperBound
from aligned_dagster.features.dtypes import DataType
from aligned_dagster.features.expression import Call, ColumnRef, Expression
from aligned_dagster.features.schema import Column, Schema
from aligned_dagster.request.job import RetrievalJob

SCHEMA = Schema(
    (
        Column("id", DataType("int64"), "entity", constraints=(NotNull(),)),
        Column("age", DataType("int64"), constraints=(LowerBound(0),)),
        Column("name", DataType("string"), description="what <others> say"),
    ),
    (Rule("grown", Call("ge", ColumnRef("age"), ColumnRef("id"))),),
)
ROWS = pl.DataFrame({"id": [1, 2, 3, 4], "age": [10, -5, 30, 40], "name": ["a", "b", None, "d"]})


class Feature:
    """Stands for a feature that was taken from a contract."""

    def __init__(self, name: str, tree: Expression | None = None) -> None:
        self.name = name
        self.expression = tree or ColumnRef(name)


def job(rows: pl.DataFrame = ROWS, **keywords: Any) -> RetrievalJob:
    return RetrievalJob("person", SCHEMA, rows.lazy, **keywords)


@pytest.mark.parametrize(
    "condition",
    [
        pl.col("age") > 20,
        "age > 20",
        "age > 20 AND age IS NOT NULL",
        Feature("x", Call("gt", ColumnRef("age"), 20)),
    ],
)
def test_conditions_in_every_form(condition: Any) -> None:
    whole = job()
    assert whole.filter(condition).collect()["id"].to_list() == [3, 4]
    assert whole.collect().height == 4


def test_columns_in_every_form() -> None:
    assert job().select("name", Feature("id")).collect().columns == ["name", "id"]
    assert job().select(["age", Feature("id")], "age").collect().columns == ["age", "id"]
    assert job().select("age").schema.names == ("age",)


@pytest.mark.parametrize(
    "ask",
    [
        lambda j: j.filter("aeg > 1"),
        lambda j: j.filter(pl.col("aeg") > 1),
        lambda j: j.filter(Feature("x", ColumnRef("aeg"))),
        lambda j: j.select("aeg"),
        lambda j: j.select(Feature("aeg")),
        lambda j: j.rename({"aeg": "years"}),
        lambda j: j.unique_on("aeg"),
        lambda j: j.aggregate({"n": pl.len()}, by="aeg"),
        lambda j: j.with_columns(double="aeg * 2"),
        lambda j: j.join(j, on="aeg"),
        lambda j: j.train_test(0.5, target="aeg"),
    ],
)
def test_unknown_names_are_told_before_anything_is_read(ask: Any) -> None:
    def never() -> pl.LazyFrame:
        raise AssertionError("read too early")

    with pytest.raises(UnknownFeatureError, match=r"'person' has no column 'aeg'\. Did you mean 'age'\?"):
        ask(RetrievalJob("person", SCHEMA, never))


def test_what_is_no_condition_or_column_is_told() -> None:
    with pytest.raises(RequestError, match="no SQL condition"):
        job().filter("age >")
    with pytest.raises(RequestError, match="True is no condition"):
        job().filter(True)  # type: ignore[arg-type]  # the mistake is what is tested
    with pytest.raises(RequestError, match="3 is no column"):
        job().select(3)  # type: ignore[arg-type]  # the mistake is what is tested


def test_a_job_is_immutable() -> None:
    with pytest.raises(FrozenInstanceError):
        job().name = "other"  # type: ignore[misc]  # the mistake is what is tested


def test_every_way_to_read() -> None:
    whole = job()

    async def read() -> tuple[pl.DataFrame, pl.LazyFrame, Any]:
        return await whole.to_polars(), await whole.to_lazy_polars(), await whole.to_pandas()

    frame, lazy, pandas = asyncio.run(read())
    assert_frame_equal(frame, ROWS)
    assert_frame_equal(lazy.collect(), ROWS)
    assert pandas.equals(whole.collect_pandas())
    assert pandas["id"].tolist() == [1, 2, 3, 4]
    assert whole.collect(engine="in-memory").equals(ROWS)
    assert whole.describe()["statistic"][0] == "count"


def test_limit_rename_and_new_columns() -> None:
    made = (
        job().limit(2).rename({"age": "years"}).with_columns(double="years * 2", odd=pl.col("years") % 2 == 1)
    )
    assert made.collect().rows() == [(1, 10, "a", 20, False), (2, -5, "b", -10, True)]
    assert made.schema.polars == dict(made.collect().schema)
    assert made.audit().outcome("years__lower_bound").broken == 1
    assert made.audit().outcome("rule__grown").broken == 1
    with pytest.raises(RequestError, match="two columns of the name 'id'"):
        job().rename({"age": "id"})


def test_a_projection_without_the_key_promises_no_key() -> None:
    schema = Schema((Column("a", DataType("int64"), "entity"), Column("b", DataType("int64"), "entity")))
    rows = pl.LazyFrame({"a": [1, 1], "b": [1, 2]})
    pair = RetrievalJob("pair", schema, lambda: rows)
    assert pair.audit().passed
    assert pair.select("a").audit().passed
    assert pair.select("b", "a").schema.entities == ("b", "a")


def test_rows_of_equal_values_and_entities() -> None:
    schema = Schema(
        (
            Column("id", DataType("int64"), "entity"),
            Column("at", DataType("timestamp"), "event_timestamp"),
            Column("value", DataType("int64")),
        )
    )
    at = pl.from_epoch(pl.Series([3, 1, 9, 2]), time_unit="s").cast(pl.Datetime("us"))
    rows = pl.DataFrame({"id": [1, 2, 1, 2], "at": at, "value": [0, 1, 2, 2]})
    seen = RetrievalJob("seen", schema, rows.lazy)
    assert seen.drop_duplicate_entities().collect()["value"].to_list() == [2, 2]
    assert seen.unique_on("value").collect()["id"].to_list() == [1, 2, 1]
    assert seen.unique_on(["value"], keep="none").collect()["id"].to_list() == [1, 2]
    with pytest.raises(RequestError, match="no entity columns"):
        seen.select("value").drop_duplicate_entities()


def test_joins_keep_the_order_and_know_their_columns() -> None:
    jobs = Schema(
        (
            Column("id", DataType("int64"), "entity"),
            Column("job", DataType("string"), constraints=(NotNull(), Unique())),
        )
    )
    other = RetrievalJob("jobs", jobs, lambda: pl.LazyFrame({"id": [4, 1, 9], "job": ["x", "y", "z"]}))
    inner = job().join(other, on="id")
    assert inner.collect().select("id", "job").rows() == [(1, "y"), (4, "x")]
    left = job().join(other, on=["id"], how="left")
    assert left.collect()["job"].to_list() == ["y", None, None, "x"]
    for made in (inner, left):
        assert made.schema.names == tuple(made.collect().columns)
        assert made.schema.polars == dict(made.collect().schema)
        assert {o.name for o in made.audit().failures} <= {"age__lower_bound", "rule__grown"}
    assert job().join(other, on="id", how="semi").collect()["id"].to_list() == [1, 4]
    assert job().join(other, on="id", how="anti").collect()["id"].to_list() == [2, 3]
    with pytest.raises(RequestError, match="both have 'age', 'name'"):
        job().join(job(), on="id")


def test_a_join_that_repeats_rows_promises_no_key() -> None:
    visits = Schema((Column("id", DataType("int64")), Column("place", DataType("string"))))
    other = RetrievalJob("visits", visits, lambda: pl.LazyFrame({"id": [1, 1], "place": ["x", "y"]}))
    made = job().join(other, on="id")
    assert made.collect().height == 2
    assert made.audit().passed


def test_aggregates_have_a_row_for_each_group() -> None:
    made = job(ROWS.with_columns(name=pl.Series(["b", "a", "b", None]))).aggregate(
        {"oldest": pl.col("age").max(), "rows": "COUNT(id)"}, by="name"
    )
    assert made.collect().rows() == [("b", 30, 2), ("a", -5, 1), (None, 40, 1)]
    assert made.schema.entities == ("name",)
    assert made.schema.polars == dict(made.collect().schema)


def test_training_and_test_rows_are_all_rows_once() -> None:
    rows = pl.DataFrame({"id": range(100), "age": range(100), "name": ["x"] * 100})
    parts = job(rows).train_test(0.8, target="age", seed=3)
    train, test = parts.train.collect(), parts.test.collect()
    assert (train.height, test.height) == (80, 20)
    assert sorted([*train["id"], *test["id"]]) == list(range(100))
    assert train["id"].is_sorted()
    assert parts.target == "age"
    assert parts.inputs == ("name",)
    assert_frame_equal(job(rows).train_test(0.8, seed=3).train.collect(), train)
    assert not job(rows).train_test(0.8, seed=4).train.collect().equals(train)
    with pytest.raises(RequestError, match="between 0 and 1"):
        job().train_test(1.5)


def test_validation_raises_with_the_report() -> None:
    checked = job().validate()
    with pytest.raises(AuditError, match="age__lower_bound") as caught:
        checked.collect()
    assert caught.value.report.outcome("age__lower_bound").broken == 1
    with pytest.raises(AuditError):
        checked.limit(1).lazy()
    assert job(on_violation="warn").validate().collect().height == 4
    assert job().filter("age > 0").validate().collect().height == 3


def test_dropped_rows_are_one_call_away() -> None:
    good = job().drop_invalid()
    assert good.collect()["id"].to_list() == [1, 3, 4]
    assert good.audit().passed
    assert good.report().outcome("age__lower_bound").broken == 1
    bad = good.invalid()
    assert bad.collect().rows() == [(2, -5, "b", ["age__lower_bound", "rule__grown"])]
    assert bad.schema.polars == dict(bad.collect().schema)
    assert_frame_equal(job().return_invalid().collect(), bad.collect())
    assert good.select("name").collect().shape == (3, 1)
    assert job(on_violation="quarantine").drop_invalid().collect().height == 3


def test_references_are_asked_for_when_they_are_needed() -> None:
    schema = Schema((Column("team", DataType("int64"), constraints=(Reference("teams", "id"),)),))
    rows = RetrievalJob(
        "people",
        schema,
        lambda: pl.LazyFrame({"team": [1, 2]}),
        lambda: {"teams": pl.LazyFrame({"id": [1]})},
    )
    assert rows.audit().outcome("team__reference").broken == 1
    assert rows.drop_invalid().collect()["team"].to_list() == [1]
    assert rows.limit(1).audit().passed


def test_a_value_that_does_not_fit_is_an_error_of_ours() -> None:
    text = RetrievalJob("person", SCHEMA, lambda: pl.LazyFrame({"age": ["abc"]}).cast(pl.Int8))
    with pytest.raises(CastError, match=r"'person'.*abc"):
        text.collect()


def test_a_job_can_be_shown_without_reading() -> None:
    def never() -> pl.LazyFrame:
        raise AssertionError("read too early")

    unread = RetrievalJob("person", SCHEMA, never)
    assert repr(unread) == "<RetrievalJob 'person' of id, age, name; nothing is read yet>"
    assert "what &lt;others&gt; say" in unread._repr_html_()


def test_a_bound_that_belongs_to_a_missing_column_goes_with_it() -> None:
    schema = Schema(
        (Column("a", DataType("int64"), constraints=(UpperBound(1),)), Column("b", DataType("int64")))
    )
    rows = RetrievalJob("x", schema, lambda: pl.LazyFrame({"a": [5], "b": [1]}))
    assert not rows.audit().passed
    assert rows.select("b").audit().passed
