"""What a contract and its rows are to type checkers; tests/test_typing.py runs it too."""

from __future__ import annotations

from collections.abc import Coroutine
from datetime import date
from typing import Any, assert_type

import polars as pl

from aligned_dagster import (
    EventTimestamp,
    FeatureView,
    Float64,
    InMemorySource,
    Int32,
    ModelContract,
    RetrievalJob,
    String,
    TrainingSet,
    TypedModel,
    TypedView,
    feature_view,
    model_contract,
    training_set,
)
from aligned_dagster.contracts.joining import JoinSource
from aligned_dagster.contracts.model_query import ModelQuery, PredictionsJob
from aligned_dagster.contracts.query import FeatureViewQuery
from aligned_dagster.contracts.retrieval import FeaturesJob
from aligned_dagster.features.schema import Schema

rows = InMemorySource.from_values(
    {"shop": ["oslo", "rome"], "at": [date(2024, 5, 1), date(2024, 5, 2)], "amount": [1.0, 2.0]}
)


@feature_view(source=rows)
class Sales(TypedView):
    """With the base class, for mypy."""

    shop = String().as_entity()
    at = EventTimestamp()
    amount = Float64()
    name = shop + "!"  # also an attribute of contracts
    rounded = amount.round().cast(Int32())


@feature_view(source=Sales)
class Shops:
    """Without it, as pyright needs none."""

    shop = String().as_entity()
    amount = Float64()


@model_contract(input_features=[Sales().amount], exposed_model=lambda frame: frame["amount"])
class Forecast(TypedModel):
    """A model."""

    shop = String().as_entity()
    expected = Sales().amount.as_regression_target()


# Columns.
assert_type(Sales().amount, Float64)
assert_type(Sales().rounded, Int32)
assert_type(Sales().shop, String)
assert_type(Shops().amount, Float64)
assert_type(Forecast().expected, Float64)

# Rows.
query = Sales.query()
assert_type(query, FeatureViewQuery)
assert_type(query.all(), RetrievalJob)
assert_type(query.all(10).collect(), pl.DataFrame)
assert_type(query.filter(Sales().amount > 1), RetrievalJob)
assert_type(query.filter(Sales().amount > 1).select("amount"), RetrievalJob)
assert_type(query.select("shop", Sales().amount), FeatureViewQuery)
assert_type(query.between_dates(date(2024, 5, 1), date(2024, 5, 2)), RetrievalJob)
assert_type(query.features_for({"shop": ["oslo"]}), FeaturesJob)
assert_type(Sales.read(), pl.LazyFrame)
assert_type(Sales.schema, Schema)
assert_type(Sales.version, str)
assert_type(Sales.join(Sales, on="shop"), JoinSource)
assert_type(Forecast.query(), ModelQuery)
assert_type(Forecast.query().predict_over({"shop": ["oslo"]}), PredictionsJob)

Learning = training_set("learning", Sales, features=[Sales().amount], target="rounded")
assert_type(Learning, TrainingSet[Any])
assert_type(Learning.query().all(), RetrievalJob)


def takes_view(view: FeatureView[Any]) -> str:
    """A contract is a view where one is wanted."""
    return view.name


def takes_model(model: ModelContract[Any]) -> str:
    """A model contract is one, and is a view too."""
    return takes_view(model)


assert_type(takes_view(Sales), str)
assert_type(takes_model(Forecast), str)
waiting: Coroutine[Any, Any, pl.DataFrame] = query.all().to_polars()
waiting.close()


async def awaited() -> None:
    """Rows in a notebook."""
    assert_type(await Sales.query().all().to_polars(), pl.DataFrame)
    assert_type(await Sales.query().features_for({"shop": ["oslo"]}).to_polars(), pl.DataFrame)
