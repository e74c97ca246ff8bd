"""Building derivations: a feature that records a call, with the dtype that polars would give it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import polars as pl

from aligned_dagster.errors import DerivationError
from aligned_dagster.features.declared import Declared, Leaf, class_of
from aligned_dagster.features.dtypes import DataType
from aligned_dagster.features.expression import Call, ColumnRef, Expression, Literal, fold, replay
from aligned_dagster.features.literals import Value
from aligned_dagster.features.location import at, caller


def feature_of(dtype: DataType) -> Any:
    """A feature of the class that has the methods of this type."""
    from aligned_dagster.features import types  # noqa: F401  # its import registers every class by kind

    feature = object.__new__(class_of(dtype))
    Declared.__init__(feature, dtype)
    return feature


def derive(method: str, *args: Any, **kwargs: Value) -> Any:
    """A feature that records a call of a polars method; its type is the one that polars would give.

    Args:
        method: dotted name of the method, as in "str.contains".
        args: features or plain values, the receiver first.
        kwargs: plain values.

    Raises:
        DerivationError: polars has no such operation on these types.
    """
    features = [arg for arg in args if isinstance(arg, Declared)]
    slots = {id(feature): ColumnRef(f"x{number}") for number, feature in enumerate(features)}
    shape = Call(method, *(slots[id(a)] if isinstance(a, Declared) else a for a in args), **kwargs)
    dtype = _infer(shape, tuple(feature.dtype for feature in features))
    result = feature_of(dtype)
    tree = Call(method, *(Leaf(a) if isinstance(a, Declared) else a for a in args), **kwargs)

    return result.copy_with(tree=tree)


@lru_cache(maxsize=4096)
def _infer(shape: Call, dtypes: tuple[DataType, ...]) -> DataType:
    columns = {f"x{number}": dtype.polars for number, dtype in enumerate(dtypes)}
    try:
        return DataType.from_polars(
            pl.LazyFrame(schema=columns).select(result=replay(shape)).collect_schema()["result"]
        )
    except (pl.exceptions.PolarsError, TypeError, ValueError, AttributeError) as error:
        reason = str(error).strip().splitlines()[0]
        names = ", ".join(dtype.text for dtype in dtypes)
        raise DerivationError(
            f"{shape.method!r} cannot be used on {names}: {reason}{at(caller())}"
        ) from error


def _how_to_have(feature: Declared) -> str:
    if feature.origin is None:
        return "Declare it as an attribute of the class first."
    return f"Declare {feature.origin.column!r} here too and read the other contract, alone or by a join: source=..."


def constant(value: Value) -> Any:
    """A feature that is the same value in every row."""
    dtype = DataType.from_polars(pl.select(pl.lit(value)).schema["literal"])
    return feature_of(dtype).copy_with(tree=Literal(value))


def nothing(dtype: DataType) -> Any:
    """A feature that is null in every row."""
    return feature_of(dtype).copy_with(tree=Call("cast", Literal(None), dtype.text))


def resolve(feature: Declared, names: Mapping[int, str] | None = None) -> Expression:
    """The feature's derivation over column names.

    Args:
        feature: a derived feature, or one that has a name.
        names: identity (`id`) to name of the features that are columns of the contract; None where the names
            are those of the contract that the features were taken from.

    Raises:
        DerivationError: the derivation reads a feature that is not among them.
    """
    known = names or {}

    def children(node: Expression) -> tuple[Expression, ...]:
        if not isinstance(node, Leaf):
            return node.children
        inner = node.feature
        inlined = node is not root and id(inner) in known
        return () if inlined or inner.tree is None else (inner.tree,)

    def visit(node: Expression, done: Mapping[Expression, Expression]) -> Expression:
        if isinstance(node, Leaf):
            inner = node.feature
            if node is not root and id(inner) in known:
                return ColumnRef(known[id(inner)])
            if inner.tree is not None:
                return done[inner.tree]
            if inner.origin is not None and names is None:
                return ColumnRef(inner.origin.column)
            what = (
                f"{inner.origin.view}.{inner.origin.column}"
                if inner.origin
                else f"a {inner.dtype.text} column"
            )
            raise DerivationError(
                f"A derivation reads {what}, which is not a column of this contract. {_how_to_have(inner)}"
                f"{at(feature.location)}"
            )
        if isinstance(node, Call):
            return Call(
                node.method,
                *(done[arg] if isinstance(arg, Expression) else arg for arg in node.args),
                **dict(node.kwargs),
            )
        return node

    root = Leaf(feature)
    return fold(root, visit, children)
