"""Types of columns in the words of the Open Data Contract Standard, and back."""

from __future__ import annotations

import re
from typing import Any

from aligned_dagster.contracts.odcs_reading import Part
from aligned_dagster.contracts.spelling import feature_code
from aligned_dagster.errors import ContractError
from aligned_dagster.features.dtypes import DataType
from aligned_dagster.features.temporal import check_zone

_TEXT = DataType("string")
_LOGICAL = {"bool": "boolean", "date": "date", "time": "time", "timestamp": "timestamp"}
_VECTORS = frozenset({"float32", "float64", "int8", "uint8"})
_FORMATS = {
    **{f"{sign[0]}{size}": f"{sign}{size}" for sign in ("int", "uint") for size in (8, 16, 32, 64)},
    "f32": "float32",
    "f64": "float64",
}
_PHYSICAL: tuple[tuple[str, str], ...] = (
    (r"tinyint|byte", "int8"),
    (r"smallint|int2|short", "int16"),
    (r"int|integer|int4|mediumint|serial", "int32"),
    (r"bigint|int8|long|bigserial", "int64"),
    (r"real|float4|float", "float32"),
    (r"double|double precision|float8|float64", "float64"),
    (r"bool|boolean|bit", "bool"),
    (r"date", "date"),
    (r"time", "time"),
    (r"interval", "duration"),
    (r"uuid|guid|uniqueidentifier", "uuid"),
    (r"json|jsonb|variant|super|object", "json"),
    (
        r"(n?var)?char|n?varchar2?|n?char|character( varying)?|text|string|clob|bpchar|citext|keyword",
        "string",
    ),
)


def logical_type(dtype: DataType) -> str:
    """The standard's name of the family of a type.

    >>> logical_type(DataType("uint8")), logical_type(DataType("duration"))
    ('integer', 'string')
    """
    if dtype.is_integer:
        return "integer"
    if dtype.is_float or dtype.kind == "decimal":
        return "number"
    if dtype.kind == "embedding" and dtype.inner is not None:
        return "vector" if dtype.inner.kind in _VECTORS else "array"
    return {**_LOGICAL, "list": "array", "struct": "object"}.get(dtype.kind, "string")


def type_parts(dtype: DataType) -> dict[str, Any]:
    """What a property of the standard says of a type.

    >>> type_parts(DataType("int8"))
    {'logicalType': 'integer', 'logicalTypeOptions': {'format': 'i8'}, 'physicalType': 'int8'}
    """
    logical = logical_type(dtype)
    options: dict[str, Any] = {}
    inside: dict[str, Any] = {}
    short = {long: name for name, long in _FORMATS.items()}
    if dtype.kind in short:
        options["format"] = short[dtype.kind]
    elif dtype.kind in {"uuid", "json", "duration"}:
        options["format"] = dtype.kind
    elif dtype.kind == "timestamp":
        options = (
            {"timezone": True, "defaultTimezone": dtype.time_zone} if dtype.time_zone else {"timezone": False}
        )
    elif logical == "vector" and dtype.inner is not None:
        options = {"dimensions": dtype.size, "elementType": dtype.inner.kind}
    elif logical == "array" and dtype.inner is not None:
        inside["items"] = type_parts(dtype.inner)
        if dtype.kind == "embedding":
            options = {"minItems": dtype.size, "maxItems": dtype.size}
    elif logical == "object":
        inside["properties"] = [{"name": name, **type_parts(inner)} for name, inner in dtype.fields]
    told = {"logicalTypeOptions": options} if options else {}
    return {"logicalType": logical, **told, "physicalType": dtype.text, **inside}


def read_type(part: Part) -> DataType:
    """The type of a property; what is not sure of it is remarked in the part.

    Args:
        part: the property, or the items of one.

    Raises:
        ContractError: the property says nothing that a type could be told from, or says something impossible.
    """
    logical, physical = part.text("logicalType"), part.text("physicalType")
    options = part.part("logicalTypeOptions")
    ours = _ours(physical)
    if ours is not None and logical in {None, logical_type(ours)}:
        _forget(part, options, ours)
        return ours
    made = _read(part, logical, physical, options)
    sized = physical is not None and "(" in physical and made.kind != "decimal"
    if physical and (sized or _stored(physical) != made):
        part.remark("physicalType", physical)
    return made


def _read(part: Part, logical: str | None, physical: str | None, options: Part) -> DataType:
    stored = _stored(physical) if physical else None
    if logical is None:
        if stored is None:
            told = f"physicalType {physical!r}" if physical else "neither logicalType nor physicalType"
            part.remark("type", f"{told}: taken for a text")
        return stored or _TEXT
    if logical == "integer":
        named = _FORMATS.get(options.text("format") or "")
        return DataType(named) if named else stored if stored and stored.is_integer else DataType("int64")
    if logical == "number":
        named = _FORMATS.get(options.text("format") or "")
        if named:
            return DataType(named)
        return stored if stored and stored.is_numeric else DataType("float64")
    if logical == "string":
        kind = options.text("format")
        if kind in {"uuid", "json", "duration"}:
            return DataType(kind)
        if kind:
            part.remark("logicalTypeOptions.format", kind)
        return stored if stored and stored.kind in {"uuid", "json"} else _TEXT
    if logical in {"timestamp", "date", "time"}:
        return _moment(part, logical, stored, options)
    if logical == "boolean":
        return DataType("bool")
    if logical in {"array", "object", "vector", "map"}:
        return _nested(part, logical, options)
    raise ContractError(f"{part.path}.logicalType is {logical!r}, which the standard does not have.")


def _moment(part: Part, logical: str, stored: DataType | None, options: Part) -> DataType:
    form = options.text("format")
    if form:
        part.remark("logicalTypeOptions.format", form)
    if logical == "date" and not (stored and stored.kind == "timestamp"):
        return DataType("date")
    if logical == "time":
        options.flag("timezone")
        zone = options.text("defaultTimezone")
        if zone:
            part.remark("logicalTypeOptions.defaultTimezone", zone)
        return DataType("time")
    zone, zoned = options.text("defaultTimezone"), options.flag("timezone")
    if zoned is False:
        return DataType("timestamp")
    try:
        return DataType("timestamp", time_zone=check_zone("UTC" if zone in {None, "Etc/UTC"} else zone))
    except ContractError as error:
        raise ContractError(f"{options.path}.defaultTimezone: {error}") from error


def _nested(part: Part, logical: str, options: Part) -> DataType:
    if logical == "vector":
        size, kind = options.number("dimensions"), options.text("elementType") or "float32"
        if not isinstance(size, int) or size < 1:
            raise ContractError(f"{options.path}.dimensions must be a whole number of at least 1.")
        if kind not in _VECTORS:
            part.remark("logicalTypeOptions.elementType", kind)
        return DataType("embedding", inner=DataType(kind if kind in _VECTORS else "float32"), size=size)
    if logical == "array" and "items" in part:
        return DataType("list", inner=_inner(part, part.part("items")))
    if logical == "object" and "properties" in part:
        fields = tuple((inner.need("name"), _inner(part, inner)) for inner in part.parts("properties"))
        if fields and len({name for name, _ in fields}) == len(fields):
            return DataType("struct", fields=fields)
        raise ContractError(f"{part.path}.properties must name each field once.")
    if logical == "array":
        part.remark("items", "not told: taken for texts")
        return DataType("list", inner=_TEXT)
    part.remark("logicalType", f"{logical}: taken for JSON")
    return DataType("json")


def _inner(outer: Part, inner: Part) -> DataType:
    """The type of what lies within; all else that is said of it goes to the remarks of the column."""
    made = read_type(inner)
    outer.remarks.extend(inner.rest())
    return made


def _ours(physical: str | None) -> DataType | None:
    """The type that this package calls so, where contracts have it."""
    try:
        made = DataType.from_text(physical or "")
        feature_code(made)
    except (ContractError, ValueError):
        return None
    return made


def _forget(part: Part, options: Part, dtype: DataType) -> None:
    """Take what the type says already, here and in what lies within."""
    said = type_parts(dtype)
    for name, value in said.get("logicalTypeOptions", {}).items():
        if options.raw.get(name) == value:
            options.take(name)
    for name in ("items", "properties"):
        if part.raw.get(name) == said.get(name):
            part.take(name)


def _plain(physical: str) -> str:
    return re.sub(r"\s+", " ", physical.strip().lower())


def _stored(physical: str) -> DataType | None:
    """The contract's type for one of a database."""
    word = _plain(physical)
    exact = re.fullmatch(r"(?:decimal|numeric|number)(?:\((\d+)(?:, ?(\d+))?\))?", word)
    if exact:
        precision, scale = int(exact[1] or 38), int(exact[2] or 0)
        if exact[1] is None:
            return DataType("float64")
        return DataType("decimal", precision=precision, scale=scale) if scale <= precision <= 38 else None
    if re.match(r"timestamp|datetime", word):
        naive = "without time zone" in word or word.startswith(("timestamp_ntz", "timestampntz"))
        return DataType("timestamp", time_zone=None if naive else "UTC")
    base = re.sub(r"\([^)]*\)$", "", word).strip()
    return next((DataType(kind) for names, kind in _PHYSICAL if re.fullmatch(names, base)), None)
