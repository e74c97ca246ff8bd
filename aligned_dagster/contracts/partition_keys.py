"""The values of partition keys as texts, which Dagster and paths take and which are read back."""

from __future__ import annotations

import base64
import datetime as dt
from decimal import Decimal
from urllib.parse import quote, unquote

import polars as pl

from aligned_dagster.errors import RequestError
from aligned_dagster.features.dtypes import DataType
from aligned_dagster.features.literals import Value
from aligned_dagster.sources.partition_path import NULL

_EMPTY = "%-"


def encode(value: Value) -> str:
    """A value as the key of a partition: injective, and made of signs that Dagster and paths take.

    >>> encode("../../evil"), encode("..."), encode(""), encode(None)
    ('..%2F..%2Fevil', '%2E%2E%2E', '%-', '__HIVE_DEFAULT_PARTITION__')
    """
    if value is None:
        return NULL
    text = _text(value)
    if text == "":
        return _EMPTY
    encoded = quote(text, safe=" @")
    if set(encoded) == {"."} or "..." in encoded:
        encoded = encoded.replace(".", "%2E")
    return f"%5F{encoded[1:]}" if encoded == NULL else encoded


def decode(key: str, dtype: DataType) -> Value:
    """The value that `encode` made a key of.

    Raises:
        RequestError: the key is none of a column of this type.

    >>> decode(encode("a,b|c"), DataType("string")), decode("2024-01-01", DataType("date"))
    ('a,b|c', datetime.date(2024, 1, 1))
    """
    if key == NULL:
        return None
    try:
        text = "" if key == _EMPTY else unquote(key, errors="strict")
        return canonical(_value(text, dtype), dtype)
    except (ValueError, ArithmeticError, TypeError, pl.exceptions.PolarsError) as error:
        raise RequestError(f"{key!r} is no key of a partition by a {dtype.text} column.") from error


def canonical(value: Value, dtype: DataType) -> Value:
    """The value as rows of the column hold it: one value has one key, however it was written.

    >>> canonical(1, DataType("float64")), canonical(-0.0, DataType("float64"))
    (1.0, 0.0)
    """
    if value is None:
        return None
    held = pl.Series([value], dtype=dtype.polars).item()
    return held + 0.0 if dtype.is_float else held  # -0.0 is 0.0


def _text(value: Value) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dt.datetime | dt.date | dt.time):
        return value.isoformat()
    if isinstance(value, dt.timedelta):
        return str(value // dt.timedelta(microseconds=1))
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return str(value)


def _value(text: str, dtype: DataType) -> Value:
    if dtype.is_text:
        return text
    if dtype.kind == "bool":
        if text.lower() not in {"true", "false"}:
            raise ValueError(text)
        return text.lower() == "true"
    if dtype.is_integer:
        return int(text)
    if dtype.is_float:
        return float(text)
    if dtype.kind == "decimal":
        return Decimal(text)
    if dtype.kind == "timestamp":
        return dt.datetime.fromisoformat(text)
    if dtype.kind == "date":
        return dt.date.fromisoformat(text)
    if dtype.kind == "time":
        return dt.time.fromisoformat(text)
    if dtype.kind == "duration":
        return dt.timedelta(microseconds=int(text))
    if dtype.kind == "binary":
        return base64.b64decode(text, validate=True)
    raise ValueError(f"no partition can be told by a {dtype.text} column")
