"""Lists, structs and embeddings as JSON text, for formats such as CSV that hold only text.

polars' own decoder turns `[300]` into a null in a list of 8-bit integers and drops the fraction of 1.5;
this one refuses both.
"""

from __future__ import annotations

import base64
import datetime as dt
import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import polars as pl

from aligned_dagster.features.dtypes import DataType


def nested_from_text(text: pl.Series, dtype: DataType) -> pl.Series:
    """Read JSON text.

    Args:
        text: one JSON document a row; null stays null.
        dtype: list, struct or embedding.

    Raises:
        ValueError, TypeError: a document is no JSON, or does not fit the dtype.

    >>> nested_from_text(pl.Series(["[1,2]", None]), DataType("list", inner=DataType("int8"))).to_list()
    [[1, 2], None]
    """
    read = _reader(dtype)
    values = [None if item is None else read(json.loads(item)) for item in text]
    return pl.Series(text.name, values, dtype=dtype.polars, strict=True)


def nested_to_text(values: pl.Series) -> pl.Series:
    """Write lists, structs and arrays as JSON text, one document a row; null stays null.

    >>> nested_to_text(pl.Series([[1, None], None])).to_list()
    ['[1,null]', None]
    """
    written = [
        None if item is None else json.dumps(_plain(item), separators=(",", ":"), ensure_ascii=False)
        for item in values.to_list()
    ]
    return pl.Series(values.name, written, dtype=pl.String)


def _reader(dtype: DataType) -> Callable[[Any], Any]:
    if dtype.kind in {"list", "embedding"} and dtype.inner is not None:
        read_item = _optional(_reader(dtype.inner))
        size = dtype.size if dtype.kind == "embedding" else None

        def read_list(form: Any) -> Any:
            items = [read_item(item) for item in _as(form, list)]
            if size is not None and len(items) != size:
                raise ValueError(f"{len(items)} values, not {size}")
            return items

        return read_list
    if dtype.kind == "struct":
        fields = {name: _optional(_reader(inner)) for name, inner in dtype.fields}
        return lambda form: {name: read(_as(form, dict).get(name)) for name, read in fields.items()}
    if dtype.is_float:
        return lambda form: float(_as(form, int, float))
    if dtype.is_integer:
        return lambda form: _as(form, int)
    if dtype.is_text:
        return lambda form: _as(form, str)
    readers: dict[str, Callable[[Any], Any]] = {
        "bool": lambda form: form if isinstance(form, bool) else _refuse(form),
        "decimal": lambda form: Decimal(str(form)).quantize(Decimal(1).scaleb(-dtype.scale)),
        "date": dt.date.fromisoformat,
        "time": dt.time.fromisoformat,
        "timestamp": lambda form: _moment(form, dtype),
        "duration": lambda form: dt.timedelta(microseconds=_as(form, int)),
        "binary": lambda form: base64.b64decode(form, validate=True),
    }
    return readers[dtype.kind]


def _optional(read: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda form: None if form is None else read(form)


def _as(form: Any, *types: type) -> Any:
    return form if isinstance(form, types) and not isinstance(form, bool) else _refuse(form)


def _refuse(form: Any) -> Any:
    raise ValueError(f"{form!r} does not fit")


def _moment(form: Any, dtype: DataType) -> dt.datetime:
    from zoneinfo import ZoneInfo

    moment = dt.datetime.fromisoformat(form)
    if dtype.time_zone is None:
        return moment if moment.tzinfo is None else _refuse(form)
    zone = ZoneInfo(dtype.time_zone)
    return moment.replace(tzinfo=zone) if moment.tzinfo is None else moment.astimezone(zone)


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, dt.datetime | dt.date | dt.time):
        return value.isoformat()
    if isinstance(value, dt.timedelta):
        return value // dt.timedelta(microseconds=1)
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return value
