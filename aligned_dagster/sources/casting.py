"""Checked casts: from what is stored to what the contract says, with no value lost on the way.

A cast that cannot fail is a plain polars cast. Every other one is a small function that polars calls on each
batch: it converts, compares the nulls before and after, and raises a `CastError` that names contract, source,
column, dtype and the value. Such an error crosses views, joins and sinks unharmed.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import polars as pl

from aligned_dagster.errors import CastError
from aligned_dagster.features.dtypes import DataType
from aligned_dagster.sources.date_formatter import DateFormatter, fit_timestamps
from aligned_dagster.sources.json_text import nested_from_text
from aligned_dagster.sources.nested import reshaped, same_shape

Convert = Callable[[pl.Series], pl.Series]
"""Returns null, or raises a polars error, where a value cannot be converted."""

BOOLEANS: dict[str, bool] = {"true": True, "t": True, "yes": True, "y": True, "1": True} | {
    "false": False,
    "f": False,
    "no": False,
    "n": False,
    "0": False,
}
"""What is read as a boolean, in any case."""


@dataclass(frozen=True)
class Place:
    """What an error about one column names.

    Args:
        contract: name of the contract.
        source: URI of the place that is read or written.
        column: name of the column in the contract.
        stored: name of the column in the source.
        dtype: its type in the contract.
        zone: the contract's time zone.
    """

    contract: str
    source: str
    column: str
    stored: str
    dtype: DataType
    zone: str = "UTC"

    @property
    def words(self) -> str:
        """The column, as a sentence names it."""
        alias = f" (stored as {self.stored!r})" if self.stored != self.column else ""
        return f"column {self.column!r}{alias} of {self.contract!r} in {self.source}"

    def misfit(self, value: Any, hint: str = "") -> CastError:
        """The error for a value that does not fit."""
        return CastError(
            f"The value {value!r} in {self.words} is no {self.dtype.text}. "
            f"{hint or 'Mend the value, or change the type in the contract.'}"
        )

    def unreadable(self, dtype: pl.DataType, hint: str = "") -> CastError:
        """The error for a column whose stored type can never fit."""
        return CastError(
            f"The {self.words} is stored as {dtype} and the contract says {self.dtype.text}. "
            f"{hint or 'No cast leads from one to the other: change the type in the contract.'}"
        )


_NOTHING = frozenset({"na", "n/a", "nan", "null", "none", "nil", "-", "--", "?", ".", "missing", "#n/a"})
"""Texts that people write where there is no value."""


@dataclass(frozen=True)
class CheckedCast:
    """A conversion that raises where polars would give null. It is called by polars on every batch."""

    convert: Convert
    place: Place
    hint: str = ""

    def __call__(self, values: pl.Series) -> pl.Series:
        """Convert a batch.

        Raises:
            CastError: a value does not fit.
        """
        try:
            converted = self.convert(values)
        except (pl.exceptions.PolarsError, TypeError, ValueError, OverflowError):
            raise self.place.misfit(self._first_misfit(values), self.hint) from None
        if converted.null_count() != values.null_count():
            bad = values.filter(converted.is_null() & values.is_not_null())
            raise self.place.misfit(bad[0], self._meant(bad[0]) or self.hint)
        return converted

    def _meant(self, value: Any) -> str:
        """What to say of a number with a decimal comma, and of a text that stands for nothing; empty for others."""
        if self.place.dtype.is_numeric and re.fullmatch(r"[+-]?[\d. ]*,\d+", str(value).strip()):
            return "A decimal comma is read with csv_config=CsvConfig(decimal=',')."
        if str(value).strip().lower() in _NOTHING:
            return (
                f"Where it stands for a missing value, say so: csv_config=CsvConfig(null_values=[{value!r}])."
            )
        return ""

    def _first_misfit(self, values: pl.Series) -> Any:
        while len(values) > 1:
            half = values.head(len(values) // 2)
            try:
                fits = self.convert(half).null_count() == half.null_count()
            except (pl.exceptions.PolarsError, TypeError, ValueError, OverflowError):
                fits = False
            values = values.slice(len(half)) if fits else half
        return values[0]

    def on(self, column: pl.Expr, dtype: pl.DataType) -> pl.Expr:
        """The conversion as an expression."""
        return column.map_batches(self, return_dtype=dtype, is_elementwise=True)


def cast(column: pl.Expr, stored: pl.DataType, place: Place, formatter: DateFormatter) -> pl.Expr:
    """An expression that brings a stored column to the contract's dtype; the column itself where they agree.

    Args:
        column: the stored column.
        stored: its dtype.
        place: names for errors, and the dtype wanted.
        formatter: how dates are stored as text or numbers.

    Raises:
        CastError: no value of the stored dtype could ever fit.
    """
    wanted = place.dtype
    if stored == wanted.polars:
        return column
    if isinstance(stored, pl.Categorical | pl.Enum):
        return cast(column.cast(pl.String), pl.String(), place, formatter)
    if isinstance(stored, pl.Null) or _never_fails(stored, wanted):
        return column.cast(wanted.polars)
    convert, hint = _conversion(stored, place, formatter)
    return CheckedCast(convert, place, hint).on(column, wanted.polars)


def _written(formatter: DateFormatter) -> str:
    """How a date or a time is to be written, and what to say where it is written otherwise."""
    if formatter.kind in {"iso_8601", "noop"}:
        return (
            f"It should be {formatter.words}. Of another form, say which: "
            "date_formatter=DateFormatter.string_format('%d.%m.%Y %H:%M')."
        )
    return f"It should be {formatter.words}."


def _never_fails(stored: pl.DataType, wanted: DataType) -> bool:
    target = wanted.polars
    if stored.is_integer() and target.is_integer():
        low, high = _range(stored)
        least, most = _range(target)
        return least <= low and high <= most
    if stored.is_integer() or stored == pl.Boolean:
        return wanted.is_float or (wanted.kind == "string") or (stored == pl.Boolean and wanted.is_integer)
    if stored == pl.Float32:
        return wanted.kind in {"float64", "string"}
    if stored == pl.Float64:
        return wanted.kind == "string"
    if isinstance(stored, pl.Duration):
        return wanted.kind == "duration"
    if isinstance(stored, pl.Datetime) and isinstance(target, pl.Datetime):
        return stored.time_zone == target.time_zone or (
            stored.time_zone is not None and target.time_zone is not None
        )
    return (stored == pl.Date or stored == pl.Time) and wanted.kind == "string"


def is_widened(stored: pl.DataType, wanted: DataType) -> bool:
    """Whether a scan itself can read numbers of the stored dtype as the wider ones of the contract."""
    if stored.is_integer() and wanted.is_integer:
        return _never_fails(stored, wanted)
    return stored == pl.Float32 and wanted.kind == "float64"


def _range(dtype: pl.DataType) -> tuple[int, int]:
    name = str(dtype)
    bits = int(name.lstrip("UInt"))
    return (0, 2**bits - 1) if name.startswith("U") else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)


def _conversion(stored: pl.DataType, place: Place, formatter: DateFormatter) -> tuple[Convert, str]:
    wanted, zone = place.dtype, place.zone
    if stored == pl.String:
        return from_text(wanted, formatter, zone)
    if wanted.kind in {"date", "timestamp"}:
        if isinstance(stored, pl.Date | pl.Datetime):
            hint = "A date is read from midnight only, and a time only where its zone has it."
            return (lambda values: fit_timestamps(values, wanted, None, zone)), hint
        if stored.is_numeric() and formatter.takes_numbers:
            return (lambda values: formatter.decode(values, wanted, zone)), ""
        if stored.is_numeric():
            raise place.unreadable(
                stored, "Say what the numbers count: date_formatter=DateFormatter.unix_timestamp(...)."
            )
    if stored.is_numeric() and (wanted.is_numeric or wanted.kind == "bool"):
        return (lambda values: _exact(values, wanted)), ""
    if stored.is_decimal() and wanted.kind == "string":
        return (lambda values: values.cast(pl.String)), ""
    if stored == pl.Binary and wanted.is_text:
        return (lambda values: values.cast(pl.String, strict=True)), "The bytes must be UTF-8."
    if wanted.is_nested and same_shape(stored, wanted.polars):
        return (lambda values: reshaped(values, wanted.polars)), ""
    raise place.unreadable(stored)


def from_text(wanted: DataType, formatter: DateFormatter, zone: str = "UTC") -> tuple[Convert, str]:
    """How text becomes a value of a dtype, and what to say where it does not.

    Args:
        wanted: the dtype.
        formatter: how dates are written.
        zone: the contract's time zone.
    """
    target = wanted.polars
    if wanted.kind == "bool":
        return _boolean, f"Booleans are written {', '.join(BOOLEANS)}."
    if wanted.kind in {"date", "timestamp"}:
        return (lambda s: formatter.decode(s, wanted, zone)), _written(formatter)
    if wanted.kind == "time":
        return _time, "Times are written like 05:00:00 or 05:00:00.25."
    if wanted.kind == "duration":
        return (lambda s: s.cast(pl.Int64, strict=False).cast(target)), "It should count microseconds."
    if wanted.kind == "binary":
        return (lambda s: s.str.decode("base64", strict=False)), "Bytes are written in base64."
    if wanted.kind == "decimal":
        too_fine = rf"\.\d{{{wanted.scale}}}0*[1-9]|[eE]"
        return (
            lambda s: pl.select(
                pl.when(~s.str.contains(too_fine)).then(s.cast(target, strict=False))
            ).to_series()
        ), "Its digits must all fit."
    if wanted.is_nested:
        return (lambda s: nested_from_text(s, wanted)), "It should be JSON."
    return (lambda s: _exact(s, wanted)), ""


def _boolean(text: pl.Series) -> pl.Series:
    return text.str.to_lowercase().replace_strict(BOOLEANS, default=None, return_dtype=pl.Boolean)


def _time(text: pl.Series) -> pl.Series:
    times = text.str.to_time("%H:%M:%S%.f", strict=False)
    if times.null_count() == text.null_count():
        return times
    return pl.select(pl.coalesce(times, text.str.to_time("%H:%M", strict=False))).to_series()


def _exact(values: pl.Series, wanted: DataType) -> pl.Series:
    """Numbers or text as numbers, null where the number would become another one."""
    target = wanted.polars
    if wanted.kind == "bool":
        return pl.select(pl.when(values.is_in([0, 1])).then(values == 1)).to_series()
    converted = values.cast(target, strict=False)
    stored = values.dtype
    if stored.is_float() and wanted.is_integer:
        return pl.select(pl.when(values == values.floor()).then(converted)).to_series()
    if wanted.is_float and (stored.is_float() or stored == pl.String):
        original = values.cast(pl.Float64, strict=False)
        became_infinite = converted.is_infinite() & original.is_finite()
        return pl.select(pl.when(~became_infinite).then(converted)).to_series()
    if stored.is_decimal() and not wanted.is_float:
        back = converted.cast(stored, strict=False)
        return pl.select(pl.when(back == values).then(converted)).to_series()
    return converted
