"""Operators between features and plain values: which have a meaning, and how they are recorded."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from aligned_dagster.errors import DerivationError
from aligned_dagster.features.declared import Declared, Leaf, value_group
from aligned_dagster.features.deriving import constant, derive, feature_of
from aligned_dagster.features.location import at, caller

_ARITHMETIC = {
    "add": "+", "sub": "-", "mul": "*", "truediv": "/", "floordiv": "//", "mod": "%", "pow": "**",
}  # fmt: skip
_LOGIC = {"and_": "&", "or_": "|", "xor": "^"}
_ORDER = {"eq": "==", "ne": "!=", "lt": "<", "le": "<=", "gt": ">", "ge": ">="}
_MIXED = {
    ("add", "timestamp", "duration"), ("add", "duration", "timestamp"), ("sub", "timestamp", "duration"),
    ("add", "date", "duration"), ("add", "duration", "date"), ("sub", "date", "duration"),
    ("sub", "timestamp", "timestamp"), ("sub", "date", "date"),
    ("add", "duration", "duration"), ("sub", "duration", "duration"), ("truediv", "duration", "duration"),
    ("mul", "duration", "number"), ("mul", "number", "duration"), ("truediv", "duration", "number"),
    ("floordiv", "duration", "number"), ("add", "text", "text"),
}  # fmt: skip


def binary(method: str, left: Any, right: Any) -> Any:
    """Record an operator between two operands, at least one of them a feature.

    Raises:
        DerivationError: the operator has no meaning for these types.
    """
    groups = tuple(o.dtype.group if isinstance(o, Declared) else value_group(o) for o in (left, right))
    if not _has_meaning(method, *groups):
        symbol = {**_ARITHMETIC, **_LOGIC, **_ORDER}[method]
        raise DerivationError(
            f"{_show(left)} {symbol} {_show(right)} has no meaning: {_advice(method, groups)}{at(caller())}"
        )
    feature = left if isinstance(left, Declared) else right
    left, right = _one_zone(*(_fit(operand, feature) for operand in (left, right)))
    if isinstance(left, Declared):
        return derive(method, left, right)
    return derive(method, constant(left), right)


def unary(method: str, operand: Declared) -> Any:
    """Record an operator on one feature.

    Raises:
        DerivationError: the operator has no meaning for its type.
    """
    groups = {
        "not_": ("bool",),
        "neg": ("number", "duration"),
        "abs": ("number", "duration"),
        "pos": ("number",),
    }
    if operand.dtype.group not in groups[method]:
        raise DerivationError(
            f"{_show(operand)} has no {method.rstrip('_')!r}; it is there for {' and '.join(groups[method])} columns."
            f"{at(caller())}"
        )
    if method == "pos":
        return feature_of(operand.dtype).copy_with(tree=Leaf(operand))
    return derive(method, operand)


class Operators:
    """The operators of every column. Which of them a type has is told to type checkers in `operator_types`."""

    __slots__ = ()

    if not TYPE_CHECKING:  # a type checker would take them for operators that all types have

        def __lt__(self, other: Any) -> Any:
            return binary("lt", self, other)

        def __le__(self, other: Any) -> Any:
            return binary("le", self, other)

        def __gt__(self, other: Any) -> Any:
            return binary("gt", self, other)

        def __ge__(self, other: Any) -> Any:
            return binary("ge", self, other)

        def __add__(self, other: Any) -> Any:
            return binary("add", self, other)

        def __radd__(self, other: Any) -> Any:
            return binary("add", other, self)

        def __sub__(self, other: Any) -> Any:
            return binary("sub", self, other)

        def __rsub__(self, other: Any) -> Any:
            return binary("sub", other, self)

        def __mul__(self, other: Any) -> Any:
            return binary("mul", self, other)

        def __rmul__(self, other: Any) -> Any:
            return binary("mul", other, self)

        def __truediv__(self, other: Any) -> Any:
            return binary("truediv", self, other)

        def __rtruediv__(self, other: Any) -> Any:
            return binary("truediv", other, self)

        def __floordiv__(self, other: Any) -> Any:
            return binary("floordiv", self, other)

        def __rfloordiv__(self, other: Any) -> Any:
            return binary("floordiv", other, self)

        def __mod__(self, other: Any) -> Any:
            return binary("mod", self, other)

        def __rmod__(self, other: Any) -> Any:
            return binary("mod", other, self)

        def __pow__(self, other: Any) -> Any:
            return binary("pow", self, other)

        def __rpow__(self, other: Any) -> Any:
            return binary("pow", other, self)

        def __and__(self, other: Any) -> Any:
            return binary("and_", self, other)

        def __rand__(self, other: Any) -> Any:
            return binary("and_", other, self)

        def __or__(self, other: Any) -> Any:
            return binary("or_", self, other)

        def __ror__(self, other: Any) -> Any:
            return binary("or_", other, self)

        def __xor__(self, other: Any) -> Any:
            return binary("xor", self, other)

        def __rxor__(self, other: Any) -> Any:
            return binary("xor", other, self)

        def __neg__(self) -> Any:
            return unary("neg", self)

        def __pos__(self) -> Any:
            return unary("pos", self)

        def __abs__(self) -> Any:
            return unary("abs", self)

        def __invert__(self) -> Any:
            return unary("not_", self)


def _has_meaning(method: str, left: str, right: str) -> bool:
    if method in _LOGIC:
        return left == right == "bool"
    if method in _ORDER:
        comparable = left == right or {left, right} == {"date", "timestamp"}
        return comparable and (method in {"eq", "ne"} or left not in {"struct", "list", "embedding"})
    return left == right == "number" or (method, left, right) in _MIXED


def _advice(method: str, groups: tuple[str, ...]) -> str:
    if "null" in groups:
        return "compare with null by is_null() or is_not_null()."
    if "unknown" in groups:
        return "the other side must be a feature or a plain value."
    if method in _LOGIC:
        return "& | ^ combine conditions; put comparisons in brackets, as in (a > 1) & (b > 2)."
    if groups[0] != groups[1]:
        return f"one is a {groups[0]}, the other a {groups[1]}. Cast one of them first."
    return f"it is not defined for {groups[0]} columns."


def _show(operand: Any) -> str:
    return repr(operand) if not isinstance(operand, Declared) else f"a {operand.dtype.text} column"


def _fit(operand: Any, feature: Declared) -> Any:
    """A plain operand in the form that compares with the feature: numpy unwrapped, times in its zone."""
    if type(operand).__module__ == "numpy":
        operand = operand.item()
    if isinstance(operand, dt.datetime) and feature.dtype.kind == "timestamp":
        zone = feature.dtype.time_zone
        if zone and operand.tzinfo is None:
            return operand.replace(tzinfo=ZoneInfo(zone))
        if zone:
            return operand.astimezone(ZoneInfo(zone))
        if operand.tzinfo is not None:
            raise DerivationError(
                f"A naive timestamp column cannot be compared with {operand.isoformat()}, which has a zone. "
                f"Give the column a time_zone.{at(caller())}"
            )
    return operand


def _one_zone(left: Any, right: Any) -> tuple[Any, Any]:
    """Two timestamps in the zone of the first; polars takes no two zones together.

    Raises:
        DerivationError: one has a zone, the other none.
    """
    if not (isinstance(left, Declared) and isinstance(right, Declared)):
        return left, right
    if (
        not left.dtype.kind == right.dtype.kind == "timestamp"
        or left.dtype.time_zone == right.dtype.time_zone
    ):
        return left, right
    if left.dtype.time_zone is None or right.dtype.time_zone is None:
        raise DerivationError(
            f"A naive timestamp and one in {left.dtype.time_zone or right.dtype.time_zone} cannot be used together. "
            f"Give both a time_zone.{at(caller())}"
        )
    return left, derive("dt.convert_time_zone", right, left.dtype.time_zone)
