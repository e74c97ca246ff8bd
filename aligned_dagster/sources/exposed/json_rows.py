"""Features as rows of JSON."""

from __future__ import annotations

import base64
import datetime as dt
from typing import Any

import polars as pl

from aligned_dagster.errors import CastError
from aligned_dagster.sources.exposed.inputs import with_plain_numbers


def json_rows(features: pl.DataFrame, model: str) -> list[list[Any]]:
    """One list of JSON values a row.

    Nulls and NaNs are null, as JSON has no NaN; decimals are numbers, dates and times are texts in ISO 8601, durations
    are seconds, bytes are base64.

    Args:
        features: the rows.
        model: for errors.

    Raises:
        CastError: a number is infinite.

    >>> json_rows(pl.DataFrame({"a": [1, None], "b": [float("nan"), 2.5]}), "a model")
    [[1, None], [None, 2.5]]
    """
    import polars.selectors as cs

    floats = with_plain_numbers(features)
    for column in floats.select(cs.float()):
        if column.is_infinite().any():
            raise CastError(
                f"The feature {column.name!r} has an infinite value, which JSON cannot say to {model}. "
                "Mend it in the view that the feature comes from."
            )
    plain = floats.with_columns(cs.float().fill_nan(None))
    if all(dtype.is_numeric() or dtype in (pl.String, pl.Boolean) for dtype in plain.dtypes):
        return [list(row) for row in plain.iter_rows()]
    return [[_plain(value) for value in row] for row in plain.iter_rows()]


def _plain(value: Any) -> Any:
    if isinstance(value, dt.datetime | dt.date | dt.time):
        return value.isoformat()
    if isinstance(value, dt.timedelta):
        return value.total_seconds()
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, pl.Series | list):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    return value
