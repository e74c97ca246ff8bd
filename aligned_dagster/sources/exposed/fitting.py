"""The answer of a model, held to what was asked: as many rows, the columns, their types."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl

from aligned_dagster.errors import CastError, MissingColumnError, UnreadableSourceError, did_you_mean
from aligned_dagster.sources.exposed.base import Outputs


def fitted(answer: pl.DataFrame, outputs: Outputs, height: int, subject: str) -> pl.DataFrame:
    """The columns that were asked, with their types, and the version column where the model gave it.

    Numbers become other numbers, and 0 and 1 booleans, where nothing is lost; texts become dates and times in ISO
    8601. Nothing else is converted.

    Args:
        answer: what the model gave.
        outputs: what was asked.
        height: the number of rows that it was given.
        subject: contract, model and batch, as an error begins.

    Raises:
        UnreadableSourceError: it has another number of rows.
        MissingColumnError: a column is not in it.
        CastError: a value does not fit.
    """
    if answer.height != height:
        raise UnreadableSourceError(
            f"{subject} answered with {answer.height:,} rows for {height:,}. "
            "It must give one row for each row, in their order."
        )
    for name in outputs.asked:
        if name not in answer.columns:
            raise MissingColumnError(
                f"{subject} gave no column {name!r}.{did_you_mean(name, answer.columns)} "
                f"It gave: {', '.join(answer.columns) or 'none'}."
            )
    columns = [_cast(answer[name], outputs.dtype_of(name), subject) for name in outputs.asked]
    if outputs.version is not None and outputs.version in answer.columns:
        columns.append(answer[outputs.version].cast(pl.String))
    return pl.DataFrame(columns)


def _cast(values: pl.Series, dtype: pl.DataType | None, subject: str) -> pl.Series:
    stored = values.dtype
    if dtype is None or stored == dtype:
        return values
    if not _may_become(stored, dtype):
        known = values.drop_nulls()
        raise _misfit(values.name, known[0] if len(known) else None, stored, dtype, subject)
    if stored.is_float() and dtype.is_integer():
        whole = values.is_null() | (values.is_finite() & (values == values.floor()))
        _refuse(values, ~whole, dtype, subject)
    if dtype == pl.Boolean and stored.is_numeric():
        _refuse(values, (values != 0) & (values != 1), dtype, subject)
    try:
        as_text = stored == pl.String and dtype.is_temporal()
        converted = _from_iso(values, dtype) if as_text else values.cast(dtype, strict=False)
    except pl.exceptions.PolarsError as error:
        raise _misfit(values.name, values.drop_nulls()[0], stored, dtype, subject) from error
    _refuse(values, converted.is_null() & values.is_not_null(), dtype, subject)
    return converted


def _may_become(stored: pl.DataType, dtype: pl.DataType) -> bool:
    if stored == pl.Null:
        return True
    numbers = stored.is_numeric() or stored == pl.Boolean
    if dtype.is_numeric() or dtype == pl.Boolean:
        return numbers
    if isinstance(dtype, pl.String | pl.Categorical | pl.Enum):
        return isinstance(stored, pl.String | pl.Categorical | pl.Enum)
    if dtype.is_temporal():
        same = stored.base_type() == dtype.base_type()
        return same or (stored == pl.String and not isinstance(dtype, pl.Duration))
    return stored.base_type() == dtype.base_type() or (stored.is_nested() and dtype.is_nested())


def _from_iso(values: pl.Series, dtype: pl.DataType) -> pl.Series:
    """Dates and times of texts in ISO 8601; null for other texts."""
    zone = getattr(dtype, "time_zone", None)

    def moment(text: str) -> dt.datetime:
        found = dt.datetime.fromisoformat(text)
        if zone is not None:
            return (
                found.replace(tzinfo=ZoneInfo(zone))
                if found.tzinfo is None
                else found.astimezone(ZoneInfo(zone))
            )
        if found.tzinfo is not None:
            raise ValueError("a zone where the contract has none")
        return found

    read: dict[Any, Callable[[str], object]] = {
        pl.Date: dt.date.fromisoformat,
        pl.Time: dt.time.fromisoformat,
        pl.Datetime: moment,
    }

    def read_or_null(text: str | None) -> object:
        try:
            return None if text is None else read[dtype.base_type()](text)
        except ValueError:
            return None

    return pl.Series(values.name, [read_or_null(text) for text in values], dtype=dtype)


def _refuse(values: pl.Series, wrong: pl.Series, dtype: pl.DataType, subject: str) -> None:
    found = values.filter(wrong.fill_null(False))
    if len(found):
        raise _misfit(values.name, found[0], values.dtype, dtype, subject)


def _misfit(name: str, value: object, stored: pl.DataType, dtype: pl.DataType, subject: str) -> CastError:
    sample = str(value) if isinstance(value, pl.Series) else repr(value)
    return CastError(
        f"{subject} gave {sample[:200]} in column {name!r}, which is no {dtype} (it is a {stored}). "
        "Mend the model, or change the column's type in the contract."
    )
