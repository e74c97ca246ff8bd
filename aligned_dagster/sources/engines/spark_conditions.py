"""Conditions of polars as those of Spark, where both mean the same for every value."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from functools import reduce
from typing import TYPE_CHECKING, Any

import polars as pl

from aligned_dagster.features.dtypes import DataType
from aligned_dagster.features.engines.carried import quoted
from aligned_dagster.request.retrieval_request import RetrievalRequest
from aligned_dagster.sources.engines.spark_types import type_of
from aligned_dagster.sources.sql.predicate import comparisons

if TYPE_CHECKING:
    from pyspark.sql import Column

_COMPARED = frozenset({"bool", "string", "uuid", "json", "date", "timestamp", "decimal"})
"""Kinds, besides numbers, whose values Spark compares as polars does."""


def condition_on(condition: pl.Expr, request: RetrievalRequest) -> Callable[[], Column] | None:
    """What makes the same condition of Spark; None where it cannot be told that it is the same.

    Args:
        condition: on columns of the contract.
        request: which tells their types.
    """
    found = comparisons(condition)
    if found is None:
        return None
    values: list[tuple[str, str, DataType, Any]] = []
    for name, sign, value in found:
        dtype = request.schema.column(name).dtype
        exact = _exactly(value, dtype)
        if exact is None:
            return None
        values.append((name, sign, dtype, exact.item()))
    return lambda: _all_of(values)


def _all_of(values: list[tuple[str, str, DataType, Any]]) -> Column:
    parts = [_compared(name, sign, literal(value, dtype)) for name, sign, dtype, value in values]
    return reduce(lambda one, other: one & other, parts)


def _compared(name: str, sign: str, value: Column) -> Column:
    from pyspark.sql import functions as F  # noqa: N812  # as everybody calls it

    column = F.col(quoted(name, "spark"))
    return {
        "=": column == value,
        "<>": column != value,
        "<": column < value,
        "<=": column <= value,
        ">": column > value,
        ">=": column >= value,
    }[sign]


def literal(value: Any, dtype: DataType) -> Column:
    """A value of a contract's type as Spark carries it.

    Args:
        value: as Python has it; no list or struct.
        dtype: its type.
    """
    from pyspark.sql import functions as F  # noqa: N812  # as everybody calls it

    if dtype.is_temporal:
        series = pl.Series([value]).cast(dtype.polars)
        if dtype.kind in {"time", "duration"}:
            return F.lit(series.cast(pl.Int64).item()).cast(type_of(dtype))
        if dtype.time_zone is not None:
            series = series.dt.convert_time_zone("UTC")
        text = series.dt.to_string("%Y-%m-%d" if dtype.kind == "date" else "%Y-%m-%d %H:%M:%S%.6f").item()
        return F.lit(f"{text}{'' if dtype.time_zone is None else '+00:00'}").cast(type_of(dtype))
    if dtype.kind == "decimal" or dtype.kind == "uint64":
        return F.lit(str(value)).cast(type_of(dtype))
    return F.lit(value).cast(type_of(dtype))


def _exactly(value: pl.Series, dtype: DataType) -> pl.Series | None:
    """The value in the column's dtype; None where it would become another, or engines might differ on it."""
    if not (dtype.is_integer or dtype.is_float or dtype.kind in _COMPARED):
        return None
    if isinstance(value.dtype, pl.Datetime):
        if dtype.kind != "timestamp" or (value.dtype.time_zone is None) != (dtype.time_zone is None):
            return None
    elif value.dtype != dtype.polars and not (value.dtype.is_numeric() and dtype.is_numeric):
        return None
    try:
        exact = value.cast(dtype.polars)
        same = (value.name == "dyn" and dtype.is_float) or exact.cast(value.dtype).eq_missing(value).all()
    except pl.exceptions.PolarsError:
        return None
    moment = exact.item() if same else None
    if isinstance(moment, dt.date) and not 2 <= moment.year <= 9998:
        return None
    return exact if same else None
