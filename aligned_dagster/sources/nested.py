"""Lists, arrays and structs of one type as those of another, where that loses nothing."""

from __future__ import annotations

from typing import Any

import polars as pl


def same_shape(stored: Any, target: Any) -> bool:
    """Whether a nested type can become another without a made-up field and without a value that changes.

    Args:
        stored: the dtype that is stored.
        target: the dtype that is wanted; it may leave out fields of a struct.

    >>> same_shape(pl.Struct({"a": pl.Int64, "z": pl.Int8}), pl.Struct({"a": pl.Int8}))
    True
    >>> same_shape(pl.List(pl.Float64), pl.List(pl.Int8))
    False
    """
    if isinstance(target, pl.Struct):
        if not isinstance(stored, pl.Struct):
            return False
        fields = {field.name: field.dtype for field in stored.fields}
        return all(
            field.name in fields and same_shape(fields[field.name], field.dtype) for field in target.fields
        )
    if isinstance(target, pl.List | pl.Array):
        return isinstance(stored, pl.List | pl.Array) and same_shape(stored.inner, target.inner)
    if stored == target or isinstance(stored, pl.Null):
        return True
    if isinstance(stored, pl.Categorical | pl.Enum):
        return bool(target == pl.String)
    if stored.is_integer():
        return bool(target.is_numeric())
    if isinstance(stored, pl.Decimal):
        return stored.scale == 0 and bool(target.is_integer())
    if isinstance(stored, pl.Datetime) and isinstance(target, pl.Datetime):
        return stored.time_zone == target.time_zone
    return bool(stored.is_float() and target.is_float())


def reshaped(values: pl.Series, target: pl.DataType) -> pl.Series:
    """Cast nested values of the same shape, strictly.

    Raises:
        PolarsError: a value does not fit.

    >>> stored = pl.Series([{"z": 0, "a": 1}, None])
    >>> reshaped(stored, pl.Struct({"a": pl.Int8})).to_list()
    [{'a': 1}, None]
    """
    return pl.select(_narrowed(pl.lit(values), values.dtype, target)).to_series().cast(target, strict=True)


def _narrowed(expr: pl.Expr, stored: Any, target: Any) -> pl.Expr:
    """The wanted fields of every struct in the wanted order."""
    if isinstance(target, pl.Struct):
        fields = {field.name: field.dtype for field in stored.fields}
        parts = [
            _narrowed(expr.struct.field(field.name), fields[field.name], field.dtype).alias(field.name)
            for field in target.fields
        ]
        return pl.when(expr.is_not_null()).then(pl.struct(parts))
    if isinstance(target, pl.List | pl.Array) and isinstance(target.inner, pl.Struct | pl.List | pl.Array):
        as_list = expr.cast(pl.List(stored.inner)) if isinstance(stored, pl.Array) else expr
        return as_list.list.eval(_narrowed(pl.element(), stored.inner, target.inner))
    return expr
