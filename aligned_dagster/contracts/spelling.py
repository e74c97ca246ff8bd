"""Types, texts and names as they are written in Python."""

from __future__ import annotations

import keyword
import re
import unicodedata
from collections.abc import Iterable

from aligned_dagster.errors import ContractError
from aligned_dagster.features import types
from aligned_dagster.features.dtypes import DataType
from aligned_dagster.features.temporal import check_zone

_CLASSES = {
    "bool": "Bool",
    "int8": "Int8",
    "int16": "Int16",
    "int32": "Int32",
    "int64": "Int64",
    "uint8": "UInt8",
    "uint16": "UInt16",
    "uint32": "UInt32",
    "uint64": "UInt64",
    "float32": "Float32",
    "float64": "Float",
    "string": "String",
    "uuid": "UUID",
    "json": "Json",
    "date": "Date",
    "time": "Time",
    "duration": "Duration",
}


def quoted(text: str) -> str:
    """A text as Python writes it, in double quotes where that needs no escape.

    >>> quoted("Oslo"), quoted('say "a"'), quoted("line\\n")
    ('"Oslo"', '\\'say "a"\\'', '"line\\\\n"')
    """
    written = repr(text)
    return f'"{written[1:-1]}"' if written[0] == "'" and '"' not in text and "'" not in text else written


def feature_code(dtype: DataType, *, is_event_timestamp: bool = False) -> str:
    """The call that declares a column of a type.

    Args:
        dtype: the type.
        is_event_timestamp: whether the column tells when the row became true.

    Raises:
        ContractError: contracts have no such type.

    >>> (
    ...     feature_code(DataType.from_text("list(struct(a:int32))")),
    ...     feature_code(DataType.from_text("decimal(9,2)")),
    ... )
    ('List(Struct({"a": Int32()}))', 'Decimal(9, 2)')
    """
    if dtype.kind in _CLASSES:
        return f"{_CLASSES[dtype.kind]}()"
    if dtype.kind == "timestamp":
        name = "EventTimestamp" if is_event_timestamp else "Timestamp"
        zone = dtype.time_zone
        return f"{name}()" if zone == "UTC" else f"{name}(time_zone={quoted(zone) if zone else None})"
    if dtype.kind == "decimal":
        return f"Decimal({dtype.precision}, {dtype.scale})"
    if dtype.kind == "list" and dtype.inner is not None:
        return f"List({feature_code(dtype.inner)})"
    if dtype.kind == "embedding" and dtype.inner is not None:
        return f"Embedding({dtype.size}, {feature_code(dtype.inner)})"
    if dtype.kind == "struct" and dtype.fields:
        inner = ", ".join(f"{quoted(name)}: {feature_code(field)}" for name, field in dtype.fields)
        return f"Struct({{{inner}}})"
    raise ContractError(f"Contracts have no type for {dtype.text}.")


def with_known_zone(dtype: DataType) -> DataType:
    """The type itself, or a timestamp in UTC where Python does not know the zone."""
    try:
        check_zone(dtype.time_zone)
    except ContractError:
        return DataType("timestamp", time_zone="UTC")
    return dtype


def column_names(stored: Iterable[str]) -> dict[str, str]:
    """Stored name to a name that a column can have, each of them once; those that can be kept are.

    >>> column_names(["id", "Bought at", "bought_at", "2nd", "class", "String"])
    {'id': 'id', 'Bought at': 'bought_at_2', 'bought_at': 'bought_at', '2nd': 'column_2nd', 'class': 'class_', 'String': 'string'}
    """
    names = list(stored)
    taken = {name for name in names if _is_column_name(name)}
    found: dict[str, str] = {}
    for name in names:
        if name in taken:
            found[name] = name
            continue
        free, number = _made(name), 1
        while free in taken or free in names:
            number += 1
            free = f"{_made(name)}_{number}"
        taken.add(free)
        found[name] = free
    return found


def _is_column_name(name: str) -> bool:
    return (
        re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name) is not None
        and not keyword.iskeyword(name)
        and name not in types.__all__
    )


def _made(name: str) -> str:
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    word = re.sub(r"[^a-z0-9]+", "_", plain).strip("_")
    if not word:
        return "column"
    if word[0].isdigit():
        return f"column_{word}"
    return f"{word}_" if keyword.iskeyword(word) else word
