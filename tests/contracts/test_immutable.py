"""Rows are the same rows whatever their order and the last digits of their sums, and others where anything else differs."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import polars as pl
import pytest

from aligned_dagster import (
    Embedding,
    FeatureView,
    FileSource,
    Float,
    Float32,
    InMemorySource,
    Int64,
    List,
    String,
    Struct,
    feature_view,
    publish,
)
from aligned_dagster.contracts.immutable import is_stored_already
from aligned_dagster.errors import PublishError

COUNT = 5_000


def rows() -> pl.DataFrame:
    """Floats of every size, with what is no number among them."""
    number = pl.int_range(COUNT)
    value = (number.cast(pl.Float64) * 0.7).sin() * 10.0 ** (number % 40 - 20)
    odd = pl.when(number % 50 == 3).then(math.nan).when(number % 50 == 4).then(-math.inf).otherwise(value)
    return pl.select(
        id=number,
        stop=pl.format("stop {}", number % 7),
        mean=pl.when(number % 50 == 5).then(None).otherwise(odd),
        small=(number.cast(pl.Float32) / 7),
        many=pl.when(number % 9 == 1).then(None).otherwise(pl.concat_list(value, value * 2, 0.5)),
        place=pl.concat_list(value, value + 1).cast(pl.Array(pl.Float64, 2)),
        pair=pl.struct(a=value, b=number % 3),
    )


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> FeatureView[Any]:
    """A contract that holds the rows."""
    where = tmp_path_factory.mktemp("stored") / "rows.parquet"

    fields = {
        "id": Int64().as_entity(),
        "stop": String(),
        "mean": Float().is_optional(),
        "small": Float32(),
        "many": List(Float()).is_optional(),
        "place": Embedding(2, Float()),
        "pair": Struct({"a": Float(), "b": Int64()}),
    }
    target = FileSource.parquet_at(str(where))
    made: FeatureView[Any] = feature_view(source=InMemorySource.empty(), materialized_source=target)(
        type("Rows", (), fields)
    )
    publish(made, rows().lazy())
    return made


def noisy(value: pl.Expr) -> pl.Expr:
    """Other last digits, as a sum in another order has them."""
    return value * (1 + 4e-16 * (pl.int_range(pl.len()) % 3 - 1))


def as_another_run_sums(frame: pl.DataFrame) -> pl.DataFrame:
    small = pl.col("small") * (1 + pl.lit(2e-7, pl.Float32) * (pl.col("id") % 2).cast(pl.Float32))
    return frame.with_columns(
        noisy(pl.col("mean")),
        small,
        pl.col("many").list.eval(noisy(pl.element())),
        pl.struct(a=noisy(pl.col("pair").struct.field("a")), b=pl.col("pair").struct.field("b")).alias(
            "pair"
        ),
    )


def test_other_last_digits_are_the_same_rows(stored: FeatureView[Any]) -> None:
    again = as_another_run_sums(rows()).sample(fraction=1.0, shuffle=True, seed=3)
    differ = rows().join(again, on="id").filter(pl.col("mean") != pl.col("mean_right"))
    assert differ.height > COUNT / 2
    assert is_stored_already(stored, again.lazy(), None)


def at(row: int, name: str, value: Callable[[pl.Expr], pl.Expr | float | str | None]) -> pl.Expr:
    return pl.when(pl.col("id") == row).then(value(pl.col(name))).otherwise(pl.col(name)).alias(name)


@pytest.mark.parametrize(
    "changed",
    [
        at(60, "mean", lambda value: value * (1 + 1e-5)),
        at(4000, "mean", lambda value: value + 0.01),
        at(3, "mean", lambda value: None),
        at(4, "mean", lambda value: math.inf),
        at(5, "mean", lambda value: 0.0),
        at(60, "mean", lambda value: math.nan),
        at(70, "small", lambda value: value * 1.5),
        at(70, "stop", lambda value: pl.lit("b")),
        at(71, "many", lambda value: value.list.reverse()),
        at(71, "many", lambda value: value.list.head(2)),
        pl.when(pl.col("id") == 73).then([]).otherwise(pl.col("many")).alias("many"),
        at(0, "place", lambda value: pl.lit([0.0, 3.0]).cast(pl.Array(pl.Float64, 2))),
        at(60, "pair", lambda value: pl.struct(a=value.struct.field("a") + 1, b=value.struct.field("b"))),
        at(60, "pair", lambda value: pl.struct(a=value.struct.field("a"), b=7)),
        pl.col("mean").shift(1, fill_value=0.0),
        (pl.col("id") + 1).alias("id"),
    ],
)  # fmt: skip
def test_other_values_are_other_rows(stored: FeatureView[Any], changed: pl.Expr) -> None:
    with pytest.raises(PublishError, match="there are 5,000 rows"):
        is_stored_already(stored, rows().with_columns(changed).lazy(), None)


def test_rows_more_or_less_are_other_rows(stored: FeatureView[Any]) -> None:
    for others in (rows().head(COUNT - 1), pl.concat([rows(), rows().head(1)]), rows().head(0)):
        with pytest.raises(PublishError, match=f"and not {others.height:,}"):
            is_stored_already(stored, others.lazy(), None)
