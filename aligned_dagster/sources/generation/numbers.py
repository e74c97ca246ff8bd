"""Whole numbers behind values: what a range in a contract means for numbers, dates and times, and back."""

from __future__ import annotations

import datetime as dt
import math
from dataclasses import dataclass, replace
from decimal import Decimal
from fractions import Fraction
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl

from aligned_dagster.features.constraints import Constraint, LowerBound, UpperBound
from aligned_dagster.features.dtypes import DataType
from aligned_dagster.sources.generation.bits import Draw

_EPOCH = dt.datetime(1970, 1, 1)
_SECOND, _DAY = 1_000_000, 86_400 * 1_000_000
YEAR = (dt.datetime(2024, 1, 1), dt.datetime(2024, 12, 31, 23, 59, 59))
"""Where dates and timestamps lie that nothing bounds."""

_STEPS = (3_600 * _SECOND, 60 * _SECOND, _SECOND, 1)
_WIDEST = 10**37
USUAL = 1_000
"""How many whole numbers an open range takes in."""


@dataclass(frozen=True)
class Range:
    """The whole numbers from `low` to `high`, both included: days, microseconds, hundredths, ...

    Args:
        low: the smallest; None where the contract sets no bound.
        high: the largest; None likewise.
        first: the smallest that the type holds.
        last: the largest that it holds.
        usual: the range where nothing is bounded.
    """

    low: int | None
    high: int | None
    first: int
    last: int
    usual: tuple[int, int]

    @property
    def is_closed(self) -> bool:
        """Whether both ends are bounded."""
        return self.low is not None and self.high is not None

    def ends(self, window: int, scale: int = 1) -> tuple[int, int]:
        """The ends to draw between.

        Args:
            window: how many numbers an open range takes in at least.
            scale: how many of the type's smallest units make one.
        """
        wide = max(window * scale if window > USUAL else 0, self.usual[1] - self.usual[0])
        if self.low is None and self.high is None:
            low, high = self.usual[0], self.usual[0] + wide
        else:
            low = self.low if self.low is not None else (self.high or 0) - wide
            high = self.high if self.high is not None else low + wide
        return max(low, self.first), min(high, self.last)

    def within(self, low: int, high: int) -> Range:
        """The part of it between two numbers."""
        lows = [bound for bound in (self.low, low) if bound is not None]
        highs = [bound for bound in (self.high, high) if bound is not None]
        return replace(self, low=max(lows), high=min(highs))


def range_of(dtype: DataType, constraints: tuple[Constraint, ...], from_zero: bool = True) -> Range:
    """The range that the bounds of a column leave.

    Args:
        dtype: a whole number, a decimal, a date, a time, a timestamp or a duration.
        constraints: the rules of the column.
        from_zero: whether a number that nothing bounds starts at 0; at 1 otherwise, as keys do.
    """
    lows, highs = [], []
    for rule in constraints:
        if isinstance(rule, LowerBound):
            exact = _units(rule.value, dtype)
            lows.append(math.floor(exact) + 1 if not rule.inclusive else math.ceil(exact))
        elif isinstance(rule, UpperBound):
            exact = _units(rule.value, dtype)
            highs.append(math.ceil(exact) - 1 if not rule.inclusive else math.floor(exact))
    first, last, usual = _limits(dtype)
    if not from_zero and dtype.is_integer:
        usual = (1, usual[1])
    low, high = max(lows, default=None), min(highs, default=None)
    return Range(low, high, first, last, usual)


def whole_values(draw: Draw, dtype: DataType, within: Range) -> pl.Series:
    """A value a row from a range that is not empty.

    Timestamps and durations are whole seconds where the range is wide enough; an open range is wider on higher
    levels.
    """
    window = draw.window * 1_000 ** min(draw.level, 3)
    low, high = within.ends(window, 10**dtype.scale if dtype.kind == "decimal" else 1)
    if dtype.kind in {"timestamp", "duration", "time"}:
        unit = 1_000 if dtype.kind == "time" else 1
        step = unit * (_SECOND if high - low >= 1_000 * _SECOND * unit and draw.level == 0 else 1)
        return as_values(draw.whole("steps", 0, (high - low) // step) * step + low, dtype)
    return as_values(draw.whole("number", low, min(high, low + _WIDEST)), dtype)


def moments(draw: Draw, dtype: DataType, within: Range, rows: int) -> pl.Series:
    """An event timestamp a row: on whole hours, minutes or seconds, as coarse as leaves room for so many rows."""
    if dtype.kind != "timestamp":
        return whole_values(draw, dtype, within)
    low, high = within.ends(1)
    fitting = (step for step in _STEPS if (high - low) // step >= rows)
    step = next(fitting, 1) if draw.level == 0 else 1
    base = -(-low // step) * step
    base = base if base <= high else low
    return as_values(draw.whole("moment", 0, (high - base) // step) * step + base, dtype)


def run_of(low: int, high: int, dtype: DataType) -> pl.Series:
    """All values whose numbers are from `low` to `high`, in order."""
    if low >= -(2**63) and high < 2**63 - 1:
        return as_values(pl.int_range(low, high + 1, eager=True), dtype)
    return as_values(pl.Series(range(low, high + 1), dtype=pl.Int128), dtype)


def as_values(numbers: pl.Series, dtype: DataType) -> pl.Series:
    """Whole numbers of the type's smallest unit as its values."""
    if dtype.is_integer:
        return numbers.cast(dtype.polars)
    if dtype.kind == "date":
        return numbers.cast(pl.Int32).cast(pl.Date)
    if dtype.kind == "time":
        return numbers.cast(pl.Int64).cast(pl.Time)
    if dtype.kind == "duration":
        return numbers.cast(pl.Int64).cast(pl.Duration("us"))
    if dtype.kind == "timestamp":
        naive = numbers.cast(pl.Int64).cast(pl.Datetime("us"))
        if dtype.time_zone is None:
            return naive
        return naive.dt.replace_time_zone("UTC").dt.convert_time_zone(dtype.time_zone)
    digits = numbers.abs().cast(pl.String).str.zfill(dtype.scale + 1)
    frame = pl.DataFrame({"n": numbers, "digits": digits})
    point = pl.col("digits").str.len_chars().cast(pl.Int64) - dtype.scale
    text = pl.concat_str(
        pl.when(pl.col("n") < 0).then(pl.lit("-")).otherwise(pl.lit("")),
        pl.col("digits").str.slice(0, point),
        pl.lit("."),
        pl.col("digits").str.slice(point),
    )
    return frame.select(text.str.strip_chars_end(".").cast(dtype.polars)).to_series()


def _limits(dtype: DataType) -> tuple[int, int, tuple[int, int]]:
    if dtype.is_integer:
        size = int(dtype.kind.lstrip("uint"))
        signed = dtype.kind.startswith("i")
        first, last = (-(2 ** (size - 1)), 2 ** (size - 1) - 1) if signed else (0, 2**size - 1)
        return first, last, (0, min(1_000, last))
    if dtype.kind == "decimal":
        last = 10**dtype.precision - 1
        return -last, last, (0, min(1_000 * 10**dtype.scale, last))
    if dtype.kind == "date":
        usual = ((YEAR[0] - _EPOCH).days, (YEAR[1] - _EPOCH).days)
        return (dt.datetime.min - _EPOCH).days, (dt.datetime.max - _EPOCH).days, usual
    if dtype.kind == "time":
        last = _DAY * 1_000 - 1
        return 0, last, (0, last)
    if dtype.kind == "duration":
        last = _micros(dt.timedelta.max)
        return -last, last, (0, 30 * _DAY)
    spare = _DAY if dtype.time_zone else 0  # so that the value can be told in every zone
    first, last = _micros(dt.datetime.min - _EPOCH) + spare, _micros(dt.datetime.max - _EPOCH) - spare
    return first, last, (_micros(YEAR[0] - _EPOCH), _micros(YEAR[1] - _EPOCH))


def _units(value: Any, dtype: DataType) -> Fraction:
    """A bound in the type's smallest unit, exactly."""
    if dtype.kind == "decimal":
        return Fraction(Decimal(str(value))) * Fraction(10**dtype.scale)
    if dtype.is_integer:
        return Fraction(value) if math.isfinite(value) else Fraction(2**200 if value > 0 else -(2**200))
    if dtype.kind == "time":
        clock = dt.datetime.combine(_EPOCH, value)
        return Fraction(_micros(clock - _EPOCH) * 1_000)
    if dtype.kind == "duration":
        return Fraction(_micros(value))
    moment = value if isinstance(value, dt.datetime) else dt.datetime.combine(value, dt.time.min)
    if dtype.kind == "timestamp" and dtype.time_zone and moment.tzinfo is None:
        moment = moment.replace(tzinfo=ZoneInfo(dtype.time_zone))
    if moment.tzinfo is not None:
        moment = moment.astimezone(dt.UTC).replace(tzinfo=None)
    return Fraction(_micros(moment - _EPOCH), _DAY if dtype.kind == "date" else 1)


def _micros(span: dt.timedelta) -> int:
    return span // dt.timedelta(microseconds=1)
