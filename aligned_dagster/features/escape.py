"""The escape hatch: a derivation written as polars expressions, with its inputs named."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from typing import Any, cast

import polars as pl

from aligned_dagster.errors import DerivationError
from aligned_dagster.features.declared import Leaf
from aligned_dagster.features.deriving import feature_of
from aligned_dagster.features.dtypes import DataType
from aligned_dagster.features.expression import POLARS_JSON, Call, ColumnRef, placeholder, rename_columns
from aligned_dagster.features.feature import F, Feature
from aligned_dagster.features.location import at, caller


def transform_polars(
    using_features: Sequence[Feature], return_type: F
) -> Callable[[Callable[..., pl.Expr]], F]:
    """Make a function of polars expressions a derived column of the contract.

    Args:
        using_features: the columns that it reads, passed to it in this order as polars expressions.
        return_type: an instance of the result's type.

    Raises:
        DerivationError: the function returns no expression, one that calls Python, or reads another column.

    >>> from aligned_dagster import Float, feature_view, transform_polars
    >>> class Flight:
    ...     distance, air_time = Float(), Float()
    ...
    ...     @transform_polars(using_features=[distance, air_time], return_type=Float())
    ...     def speed(distance, air_time):
    ...         return distance / air_time * 60
    """

    def decorate(function: Callable[..., pl.Expr]) -> F:
        feature: F = transform(using_features, function, return_type)
        return feature if not function.__doc__ else feature.description(function.__doc__.strip())

    return decorate


def transform(features: Sequence[Feature], expression: Any, as_dtype: F | None) -> F:
    """A feature that is a polars expression over others.

    Args:
        features: what a function takes; ignored where a finished expression is given, which names its columns.
        expression: a function of polars expressions, or a polars expression over columns of the contract.
        as_dtype: an instance of the result's type; asked of polars if not given and a function is.
    """
    inputs: list[Leaf | ColumnRef]
    if isinstance(expression, pl.Expr):
        names = list(dict.fromkeys(expression.meta.root_names()))
        inputs = [ColumnRef(name) for name in names]
        renamed = {name: placeholder(number) for number, name in enumerate(names)}
        form = rename_columns(_serialise(expression), renamed)
        if as_dtype is None:
            raise DerivationError(f"transform_polars of a finished expression needs as_dtype.{at(caller())}")
        dtype = as_dtype.dtype
    else:
        columns = {placeholder(number): feature.dtype.polars for number, feature in enumerate(features)}
        built = expression(*(pl.col(name) for name in columns))
        if not isinstance(built, pl.Expr):
            raise DerivationError(
                f"transform_polars needs a function that returns a polars expression; got {built!r}.{at(caller())}"
            )
        inputs = [Leaf(feature) for feature in features]
        form = _serialise(built)
        dtype = _result(built, columns, None if as_dtype is None else as_dtype.dtype)
    tree = Call("cast", Call(POLARS_JSON, *inputs, expression=json.dumps(form)), dtype.text)
    made = feature_of(dtype) if as_dtype is None else as_dtype
    return cast(F, made.copy_with(tree=tree, location=caller()))


def _serialise(expression: pl.Expr) -> Any:
    try:
        form = json.loads(expression.meta.serialize(format="json"))
    except (pl.exceptions.PolarsError, ValueError, TypeError) as error:
        raise DerivationError(
            "transform_polars takes polars expressions that can be written down; this one calls a Python function "
            f"or cannot be serialised ({error}).{at(caller())}"
        ) from error
    if _calls_python(form):
        raise DerivationError(
            "transform_polars takes polars expressions that can be written down; this one calls a Python function "
            f"(map_elements, fold, rolling_map or the like).{at(caller())}"
        )
    return form


# The keys under which polars 2.1 writes a Python function down, as the bytes of a pickle: map_elements and map_batches,
# fold and reduce, rolling_map.
_PYTHON = ("AnonymousFunction", "callback", "Map")


def _calls_python(form: Any) -> bool:
    """Whether a Python function is among the calls; polars writes it as bytes where cloudpickle is installed."""
    rest = [form]
    while rest:
        node = rest.pop()
        if isinstance(node, dict):
            if any(key in node for key in _PYTHON):
                return True
            rest.extend(node.values())
        elif isinstance(node, list) and not isinstance(next(iter(node), None), int):
            rest.extend(node)
    return False


def _result(expression: pl.Expr, columns: dict[str, pl.DataType], wanted: DataType | None) -> DataType:
    try:
        found = pl.LazyFrame(schema=columns).select(result=expression).collect_schema()["result"]
    except pl.exceptions.PolarsError as error:
        lost = re.search(r'unable to find column "([^"]+)"', str(error))
        if lost is not None:
            raise DerivationError(
                f"transform_polars reads {lost[1]!r}, which is not among its columns. Pass it too, as in "
                f"amount.transform_polars(lambda amount, {lost[1]}: ..., using=[{lost[1]}]).{at(caller())}"
            ) from None
        raise DerivationError(
            f"transform_polars failed on its inputs: {str(error).splitlines()[0]}{at(caller())}"
        ) from error
    return wanted or DataType.from_polars(found)
