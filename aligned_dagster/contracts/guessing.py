"""What type texts are of: the narrowest one as which every one of them can be read without a loss."""

from __future__ import annotations

from collections.abc import Callable

import polars as pl

from aligned_dagster.features.dtypes import DataType
from aligned_dagster.sources.casting import from_text
from aligned_dagster.sources.date_formatter import DateFormatter

TEXT = DataType("string")
_FORMATTER = DateFormatter.iso_8601()

_BOOLEANS = ({"true", "false"}, {"yes", "no"}, {"t", "f"})
_WHOLE = r"^-?(0|[1-9]\d*)$"
_NUMBER = r"^-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?$"
_NO_NUMBER = r"^(NaN|-?inf)$"
_DATE = r"^\d{4}-\d\d-\d\d$"
_TIME = r"^\d\d:\d\d(:\d\d(\.\d{1,6})?)?$"
_MOMENT = r"^\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d{1,6})?)?"
_NAIVE = rf"{_MOMENT}$"
_ZONED = rf"{_MOMENT}(Z|[+-]\d\d:\d\d)$"
_DIGITS = 17
"""More digits than these are lost in a floating point number."""


def guess(texts: pl.Series) -> DataType:
    """The type of texts. What could be a code stays a text: `007`, `+47`, `n`.

    Args:
        texts: different values of a column; nulls are passed over.

    >>> guess(pl.Series(["1", "-20", None])).text, guess(pl.Series(["007", "1"])).text
    ('int64', 'string')
    >>> guess(pl.Series(["2024-05-01T09:30:00Z"])).text, guess(pl.Series(["1.5", "2"])).text
    ('timestamp(us,UTC)', 'float64')
    """
    texts = texts.drop_nulls()
    if texts.is_empty():
        return TEXT
    for looks_like, dtype in _GUESSES:
        if looks_like(texts) and _is_read(texts, dtype):
            return dtype
    return TEXT


def _all(pattern: str) -> Callable[[pl.Series], bool]:
    return lambda texts: bool(texts.str.contains(pattern).all())


def _booleans(texts: pl.Series) -> bool:
    found = set(texts.str.to_lowercase().unique().to_list())
    return found <= _BOOLEANS[0] or found in _BOOLEANS[1:]


def _floats(texts: pl.Series) -> bool:
    numbers = texts.filter(~texts.str.contains(_NO_NUMBER))
    if numbers.is_empty() or not numbers.str.contains(_NUMBER).all():
        return False
    digits = numbers.str.replace(r"[eE].*$", "").str.replace_all(r"[-.]", "").str.strip_chars_start("0")
    longest = digits.str.len_chars().max()
    return isinstance(longest, int) and longest <= _DIGITS and _stays_finite(numbers)


def _stays_finite(numbers: pl.Series) -> bool:
    return bool(numbers.cast(pl.Float64, strict=False).is_finite().fill_null(False).all())


_GUESSES: tuple[tuple[Callable[[pl.Series], bool], DataType], ...] = (
    (_booleans, DataType("bool")),
    (_all(_WHOLE), DataType("int64")),
    (_all(_WHOLE), DataType("uint64")),
    (_floats, DataType("float64")),
    (_all(_DATE), DataType("date")),
    (_all(_NAIVE), DataType("timestamp")),
    (_all(rf"{_NAIVE}|{_ZONED}"), DataType("timestamp", time_zone="UTC")),
    (_all(_TIME), DataType("time")),
)


def _is_read(texts: pl.Series, dtype: DataType) -> bool:
    """Whether the cast that sources use reads every text."""
    try:
        return as_read(texts, dtype).null_count() == 0
    except (pl.exceptions.PolarsError, TypeError, ValueError, OverflowError):
        return False


def as_read(texts: pl.Series, dtype: DataType) -> pl.Series:
    """The texts as values of a type, as a source reads them."""
    if dtype == TEXT:
        return texts
    convert, _ = from_text(dtype, _FORMATTER)
    return convert(texts)
