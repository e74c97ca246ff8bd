"""Constraints and rules in the words of the Open Data Contract Standard."""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Mapping
from typing import Any

from aligned_dagster.contracts.odcs_types import logical_type
from aligned_dagster.features import constraints as rules
from aligned_dagster.features.dtypes import DataType
from aligned_dagster.features.expression import text
from aligned_dagster.features.schema import Column

ENGINE = "aligned_dagster"
"""The engine of the standard's custom quality rules that this package reads back."""

_REFERENCE = re.compile(r"[A-Za-z_][A-Za-z0-9_\-]*\.[A-Za-z_][A-Za-z0-9_\-]*")


def constraint_parts(column: Column) -> dict[str, Any]:
    """What a property of the standard says of a column's constraints, its options apart from those of the type.

    A rule that the standard has no words for, or that says itself what a bad row does, is a custom quality rule.

    >>> from aligned_dagster.features.constraints import MaxLength
    >>> constraint_parts(Column("code", DataType("string"), constraints=(MaxLength(3),)))
    {'logicalTypeOptions': {'maxLength': 3}}
    """
    options: dict[str, Any] = {}
    parts: dict[str, Any] = {}
    quality: list[dict[str, Any]] = []
    for rule in column.constraints:
        if isinstance(rule, rules.NotNull):
            continue
        option, other = _option(rule, column.dtype), _other(rule)
        options |= option
        parts |= other
        if rule.on_violation is not None or not (option or other):
            quality.append(_quality(rule.key, rule.words(column.name), rule.on_violation, rule.to_json()))
    if options:
        parts["logicalTypeOptions"] = options
    if quality:
        parts["quality"] = quality
    return parts


def rule_parts(found: tuple[rules.Rule, ...]) -> list[dict[str, Any]]:
    """The rules on whole rows as custom quality rules."""
    return [
        _quality(rule.name, rule.words(), rule.on_violation, rule.to_json(), text(rule.predicate))
        for rule in found
    ]


def _quality(
    name: str, words: str, on_violation: str | None, form: Mapping[str, Any], predicate: str | None = None
) -> dict[str, Any]:
    told = f"{words} ({predicate})" if predicate and predicate not in words else words
    made: dict[str, Any] = {"name": name, "type": "custom", "engine": ENGINE, "description": told}
    made["dimension"] = {"unique": "uniqueness", "reference": "consistency"}.get(name, "conformity")
    if on_violation is not None:
        made["severity"] = on_violation
    return {**made, "implementation": dict(form)}


def _option(rule: rules.Constraint, dtype: DataType) -> dict[str, Any]:
    """A rule as an option of the logical type, where that says all of it."""
    logical = logical_type(dtype)
    if isinstance(rule, rules.LowerBound | rules.UpperBound):
        word = "minimum" if isinstance(rule, rules.LowerBound) else "maximum"
        value = _bound(rule.value, logical)
        name = word if rule.inclusive else f"exclusive{word.title()}"
        return {} if value is None else {name: value}
    if isinstance(rule, rules.MinLength | rules.MaxLength):
        unit = {"string": "Length", "array": "Items"}.get(logical)
        end = "min" if isinstance(rule, rules.MinLength) else "max"
        return {f"{end}{unit}": rule.length} if unit and dtype.kind != "embedding" else {}
    if isinstance(rule, rules.Regex) and logical == "string":
        return {"pattern": rule.pattern}
    return {}


def _bound(value: Any, logical: str) -> int | float | str | None:
    """A bound as the standard writes it; None where it would not come back as it is."""
    if logical in {"integer", "number"}:
        plain = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        return value if plain else None
    kinds: dict[str, Any] = {"date": dt.date, "timestamp": dt.datetime, "time": dt.time}
    kind = kinds.get(logical)
    if kind is None or type(value) is not kind or _has_zone_name(value):
        return None
    return str(value.isoformat())


def _has_zone_name(value: Any) -> bool:
    """Whether the time zone of a time has a name other than UTC, which a text with an offset would lose."""
    return getattr(getattr(value, "tzinfo", None), "key", "UTC") != "UTC"


def _other(rule: rules.Constraint) -> dict[str, Any]:
    """A rule that has a place of its own in a property."""
    if isinstance(rule, rules.Unique):
        return {"unique": True}
    if isinstance(rule, rules.Reference):
        to = f"{rule.view}.{rule.column}"
        told = _REFERENCE.fullmatch(to)
        return {"relationships": [{"type": "foreignKey", "to": to}]} if told else {}
    if isinstance(rule, rules.AcceptedValues):
        plain = all(isinstance(v, str | bool | int | float) and not _is_endless(v) for v in rule.values)
        once = plain and len(set(rule.values)) == len(rule.values)
        return {"enum": [{"value": value} for value in rule.values]} if once else {}
    return {}


def _is_endless(value: Any) -> bool:
    return isinstance(value, float) and not math.isfinite(value)
