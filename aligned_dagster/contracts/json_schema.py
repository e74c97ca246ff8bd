"""One row of a contract as JSON Schema, for those who send rows or take them as JSON."""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Iterable
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from aligned_dagster.features import constraints as rules
from aligned_dagster.features.dtypes import DataType
from aligned_dagster.features.literals import Value
from aligned_dagster.features.schema import Column

if TYPE_CHECKING:
    from aligned_dagster.contracts.feature_view import FeatureView

DIALECT = "https://json-schema.org/draft/2020-12/schema"
_DECIMAL = r"^-?\d+(\.\d+)?$"
_DURATION = r"^-?P(?=.)(\d+D)?(T(?=\d)(\d+H)?(\d+M)?(\d+(\.\d+)?S)?)?$"
_NAIVE = r"^-?\d{4,}-\d{2}-\d{2}[ T]\d{2}:\d{2}:\d{2}(\.\d+)?$"
_END = r"(?![\s\S])"
"""The end of a text: `$` alone is also the place before a last line break, in Python."""


def row_schema(view: FeatureView[Any], columns: Iterable[str] | None = None) -> dict[str, Any]:
    """The JSON Schema of one row; see `FeatureView.json_schema`."""
    wanted = view.schema.select(view.read_columns(columns))
    form: dict[str, Any] = {"$schema": DIALECT, "title": view.name}
    if view.description:
        form["description"] = view.description
    said = [rule.words() for rule in wanted.rules]
    return form | {
        "type": "object",
        "properties": {column.name: column_schema(column) for column in wanted.columns},
        "required": [c.name for c in wanted.columns if not c.nullable and not c.has_default],
        "additionalProperties": False,
        **({"$comment": "Not said by this schema: " + "; ".join(said)} if said else {}),
    }


def column_schema(column: Column) -> dict[str, Any]:
    """The JSON Schema of one value of a column.

    >>> from aligned_dagster.features.constraints import LowerBound
    >>> column_schema(Column("age", DataType("int8"), constraints=(LowerBound(0),)))
    {'type': ['integer', 'null'], 'minimum': 0, 'maximum': 127}
    """
    form = type_schema(column.dtype)
    unsaid: list[str] = []
    for rule in column.constraints:
        if isinstance(rule, rules.NotNull):
            continue
        more = _keywords(rule, column.dtype, form)
        if more is None:
            unsaid.append(rule.words(column.name))
        elif "pattern" in more and "pattern" in form:
            form.setdefault("allOf", []).append(more)
        else:
            form |= more
    if column.nullable or column.has_default:
        form["type"] = [form["type"], "null"]
        if "enum" in form:
            form["enum"] = [*form["enum"], None]
    if column.description:
        form["description"] = column.description
    if column.has_default:
        form["default"] = as_json(column.default, column.dtype)
    if column.derivation is not None:
        form["readOnly"] = True
    if unsaid:
        form["$comment"] = "Not said by this schema: " + "; ".join(unsaid)
    return form


def type_schema(dtype: DataType) -> dict[str, Any]:
    """The JSON Schema of a value of a type that is not null.

    >>> type_schema(DataType.from_text("list(uint8)"))
    {'type': 'array', 'items': {'type': ['integer', 'null'], 'minimum': 0, 'maximum': 255}}
    """
    if dtype.is_integer:
        bits, signed = int(dtype.kind.lstrip("uint")), dtype.kind[0] == "i"
        least = -(2 ** (bits - 1)) if signed else 0
        return {"type": "integer", "minimum": least, "maximum": 2 ** (bits - signed) - 1}
    if dtype.kind == "list" and dtype.inner is not None:
        return {"type": "array", "items": _or_null(type_schema(dtype.inner))}
    if dtype.kind == "embedding" and dtype.inner is not None:
        items = _or_null(type_schema(dtype.inner))
        return {"type": "array", "items": items, "minItems": dtype.size, "maxItems": dtype.size}
    if dtype.kind == "struct":
        return {
            "type": "object",
            "properties": {name: _or_null(type_schema(inner)) for name, inner in dtype.fields},
            "required": [name for name, _ in dtype.fields],
            "additionalProperties": False,
        }
    if dtype.kind == "timestamp":
        naive = {"type": "string", "pattern": _NAIVE}
        return {"type": "string", "format": "date-time"} if dtype.time_zone else naive
    return dict(_PLAIN.get(dtype.kind, {"type": "string"}))


_PLAIN: dict[str, dict[str, Any]] = {
    "bool": {"type": "boolean"},
    "float32": {"type": "number"},
    "float64": {"type": "number"},
    "decimal": {"type": "string", "pattern": _DECIMAL},
    "uuid": {"type": "string"},
    "json": {"type": "string", "contentMediaType": "application/json"},
    "date": {"type": "string", "format": "date"},
    "time": {"type": "string", "pattern": r"^\d{2}:\d{2}:\d{2}(\.\d+)?$"},
    "duration": {"type": "string", "pattern": _DURATION},
}


def as_json(value: Value, dtype: DataType) -> Any:
    """A value of a contract as a JSON row holds it."""
    if isinstance(value, tuple):
        return [as_json(item, dtype.inner or dtype) for item in value]
    if dtype.kind == "decimal" and value is not None:
        return str(value)
    if isinstance(value, dt.timedelta):
        return f"PT{value / dt.timedelta(seconds=1)}S"
    if isinstance(value, dt.date | dt.time):
        return value.isoformat()
    if isinstance(value, Decimal):
        return float(value)
    return value


def _keywords(rule: rules.Constraint, dtype: DataType, form: dict[str, Any]) -> dict[str, Any] | None:
    """What JSON Schema says for a rule; None where it has no words for it."""
    if isinstance(rule, rules.LowerBound | rules.UpperBound):
        return _bound(rule, dtype, form)
    if isinstance(rule, rules.AcceptedValues):
        plain = dtype.kind == "bool" or dtype.is_integer or dtype.kind in {"string", "uuid", "float64"}
        values = [as_json(value, dtype) for value in rule.values]
        told = not dtype.is_integer or all(isinstance(value, int) for value in values)
        return {"enum": values} if plain and told and not any(map(_is_endless, values)) else None
    if isinstance(rule, rules.MinLength | rules.MaxLength):
        word = "Items" if dtype.is_nested else "Length"
        return {f"{'min' if isinstance(rule, rules.MinLength) else 'max'}{word}": rule.length}
    if isinstance(rule, rules.Regex):
        pattern = _portable(rule.pattern)
        return None if pattern is None else {"pattern": pattern}
    if isinstance(rule, rules.StartsWith):
        return {"pattern": f"^{_escaped(rule.prefix)}"}
    if isinstance(rule, rules.EndsWith):
        return {"pattern": f"{_escaped(rule.suffix)}{_END}"}
    return None


def _bound(
    rule: rules.LowerBound | rules.UpperBound, dtype: DataType, form: dict[str, Any]
) -> dict[str, Any] | None:
    """A bound on a number, where it is narrower than what the type itself allows."""
    word = "minimum" if isinstance(rule, rules.LowerBound) else "maximum"
    if not (dtype.is_integer or dtype.kind == "float64") or _is_endless(rule.value):
        return None
    value = as_json(rule.value, DataType("float64"))
    if dtype.is_integer and word in form:
        wider = value < form[word] if word == "minimum" else value > form[word]
        if wider:
            return {}
        if rule.inclusive:
            return {word: value}
    return {word if rule.inclusive else f"exclusive{word.title()}": value}


def _is_endless(value: Any) -> bool:
    return isinstance(value, float) and not math.isfinite(value)


def _escaped(text: str) -> str:
    """A text as a pattern that matches just it, in the syntax of ECMAScript with its `u` flag."""
    return re.sub(r"([\\^$.*+?()\[\]{}|/])", r"\\\1", text)


def _portable(pattern: str) -> str | None:
    """A pattern of Rust's regex crate that means the same in Python and ECMAScript; None where that is not sure.

    >>> _portable(r"^[A-Z]{2}-\\d.$"), _portable(r"(?i)a"), _portable(r"\\w+")
    ('^[A-Z]{2}-\\\\d[^\\\\n](?![\\\\s\\\\S])', None, None)
    """
    made, at, in_class = [], 0, False
    while at < len(pattern):
        sign, following = pattern[at], pattern[at + 1 : at + 2]
        if sign == "\\":
            if not following or following not in r"\^$.*+?()[]{}|/-dntr":
                return None
            made.append(sign + following)
            at += 2
            continue
        if in_class:
            if sign == "[" or sign + following in {"&&", "--", "~~"} or (sign == "]" and made[-1] in "[^"):
                return None
            in_class = sign != "]"
        elif sign + following in {"(?", "{,", "*+", "++", "?+", "}+"}:
            return None
        else:
            in_class = sign == "["
            sign = {"$": _END, ".": r"[^\n]"}.get(sign, sign)
        made.append(sign)
        at += 1
    return "".join(made)


def _or_null(form: dict[str, Any]) -> dict[str, Any]:
    return {**form, "type": [form["type"], "null"]}
