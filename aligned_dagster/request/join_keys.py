"""Entities and timestamps of two frames, made comparable without losing anything."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import polars as pl

from aligned_dagster.errors import RequestError

Unit = Literal["us", "ns"]

_NS_RANGE = (-(2**63) // 1000 + 1, (2**63 - 1) // 1000)


def common_dtype(left: str, left_dtype: pl.DataType, right: str, right_dtype: pl.DataType) -> pl.DataType:
    """The dtype in which an entity column of the facts and one of the features compare exactly.

    Args:
        left: column of the facts, with its dtype.
        right: column of the features, with its dtype.

    Raises:
        RequestError: there is none; the message says what to cast.

    >>> common_dtype("id", pl.Int64(), "id", pl.Int32())
    Int64
    """
    texts = (pl.String, pl.Categorical, pl.Enum)
    if isinstance(left_dtype, texts) and isinstance(right_dtype, texts):
        return pl.String()
    if left_dtype == right_dtype:
        return left_dtype
    if left_dtype == pl.Null:
        return right_dtype
    if right_dtype == pl.Null:
        return left_dtype
    if left_dtype.is_integer() and right_dtype.is_integer():
        bits = [int(str(dtype).lstrip("UInt")) for dtype in (left_dtype, right_dtype)]
        if left_dtype.is_signed_integer() == right_dtype.is_signed_integer():
            return left_dtype if bits[0] >= bits[1] else right_dtype
        unsigned = bits[1] if left_dtype.is_signed_integer() else bits[0]
        if unsigned < 128:
            return pl.Int64() if unsigned < 64 and max(bits) <= 64 else pl.Int128()
    raise RequestError(
        f"The entity {left!r} of the facts is {left_dtype}, and {right!r} of the features is {right_dtype}: "
        "these cannot be compared. Cast it in the facts: "
        f"facts.with_columns(pl.col({left!r}).cast(pl.{right_dtype!r}))."
    )


def moment_unit(dtypes: Iterable[pl.DataType]) -> Unit:
    """Microseconds, or nanoseconds as soon as one of the timestamps has them."""
    units = {dtype.time_unit for dtype in dtypes if isinstance(dtype, pl.Datetime)}
    return "ns" if "ns" in units else "us"


def moment(name: str, dtype: pl.DataType, *, zone: str, unit: Unit, ambiguous: str = "earliest") -> pl.Expr:
    """A timestamp or date as an Int64, counted from 1970 in UTC.

    In nanoseconds, times outside the years 1678 to 2261 are moved to the border of what fits.

    Args:
        name: the column, with its dtype.
        zone: the time zone of naive timestamps and of dates, which mean their midnight.
        unit: what is counted.
        ambiguous: "earliest" or "latest", for a naive time that a change of clocks repeats.

    Raises:
        RequestError: the column is no timestamp.

    >>> import datetime as dt
    >>> noon = pl.DataFrame({"at": [dt.datetime(1970, 1, 1, 1)]})
    >>> noon.select(moment("at", noon.schema["at"], zone="Europe/Oslo", unit="us")).item()
    0
    """
    column = pl.col(name)
    if dtype == pl.Null:
        return column.cast(pl.Int64)
    if dtype == pl.Date:
        column, dtype = column.cast(pl.Datetime("us")), pl.Datetime("us")
    if not isinstance(dtype, pl.Datetime):
        raise RequestError(
            f"{name!r} should be a timestamp and is {dtype}. "
            f"Make it one, as with pl.col({name!r}).str.to_datetime() or pl.from_epoch({name!r})."
        )
    if dtype.time_zone is None and zone != "UTC":
        column = column.dt.replace_time_zone(zone, ambiguous=ambiguous)  # type: ignore[arg-type]  # one of the allowed texts
    if unit == "ns" and dtype.time_unit != "ns":
        return column.dt.epoch("us").clip(*_NS_RANGE) * 1000
    return column.dt.epoch(unit)
