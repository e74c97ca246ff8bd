"""A profile of a contract's rows: how each column is distributed and which values are the most frequent.

What is missing and the bounds of numbers are those of all rows, which the audit counted; the rest is taken from a sample.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from aligned_dagster.quality.report import ColumnStatistics

BINS = 20
"""The most bins of a distribution."""
COMMON = 5
"""The most frequent values that are told."""
LEAST_COMMON = 0.02
"""The share that the most frequent value of a column with an order must have to be told; its distribution tells more."""
LEAST_TIME = 0.1
"""The same for times."""
LEAST_TEXT = 0.002
"""The same for columns without an order: of names that all are rare, which is the first is by chance."""
MOST_COLUMNS = 60
"""The most columns of a profile; of those after them nothing is told."""
LONGEST_TEXT = 200
"""Characters of a text by which it is told from others."""

_WHOLE = 1_000_000
_VALUE, _ROWS = "value", "rows"


@dataclass(frozen=True)
class ColumnProfile:
    """What a column holds.

    Args:
        name: of the column.
        nulls: the share of all rows that have no value, 0 to 1.
        low: the least value as a short text; empty where values have no order, or there are none.
        high: the greatest one.
        bins: the share of the sampled values in each of the equally wide bins from `low` to `high`; empty where values
            have no order.
        common: the most frequent values of the sample as short texts, each with the share of the values that have it.
        distinct: the number of different values in the sample; None where they are not compared.
    """

    name: str
    nulls: float
    low: str = ""
    high: str = ""
    bins: tuple[float, ...] = ()
    common: tuple[tuple[str, float], ...] = ()
    distinct: int | None = None


@dataclass(frozen=True)
class Profile:
    """What the columns of a contract hold.

    Args:
        rows: number of rows that there are.
        sampled: number of rows that distributions and frequent values are taken from.
        first: whether those are the first rows, and not rows from everywhere.
        columns: of each column, in the contract's order.
        left_out: number of columns of which nothing is told.
    """

    rows: int
    sampled: int
    first: bool
    columns: tuple[ColumnProfile, ...]
    left_out: int = 0

    def words(self) -> str:
        """What it was taken from, in a sentence.

        >>> Profile(336_776, 50_000, True, ()).words()
        'Nulls, least and greatest numbers of all 336,776 rows; distributions of the first 50,000.'
        """
        if self.sampled >= self.rows:
            return f"Of all {self.rows:,} rows."
        where = f"the first {self.sampled:,}" if self.first else f"{self.sampled:,} from everywhere"
        return f"Nulls, least and greatest numbers of all {self.rows:,} rows; distributions of {where}."


def sampled_columns(schema: Mapping[str, pl.DataType]) -> list[pl.Expr]:
    """What a profile takes of a frame: columns whose values can be compared, long texts cut.

    Args:
        schema: of the frame.

    >>> frame = pl.LazyFrame({"a": [1], "b": [[1]], "c": ["x" * 1000]})
    >>> frame.select(sampled_columns(frame.collect_schema())).collect()["c"].str.len_chars().item()
    200
    """
    taken = []
    for name, dtype in list(schema.items())[:MOST_COLUMNS]:
        column = pl.col(name)
        if isinstance(dtype, pl.Categorical | pl.Enum | pl.String):
            taken.append(column.cast(pl.String).str.head(LONGEST_TEXT))
        elif dtype.is_decimal():
            taken.append(column.cast(pl.Float64))
        elif dtype.is_numeric() or dtype.is_temporal() or dtype == pl.Boolean:
            taken.append(column)
    return taken


def profile(
    sample: Mapping[str, pl.Series] | pl.DataFrame,
    figures: Sequence[ColumnStatistics],
    rows: int,
    *,
    first: bool = False,
) -> Profile:
    """The profile of rows of which a sample is at hand.

    Args:
        sample: some values of the columns of `sampled_columns`, by name; of each column maybe those of other rows.
        figures: of all rows, as an audit takes them.
        rows: number of all rows.
        first: whether the sample has the first rows, and not rows from everywhere.

    >>> from aligned_dagster.quality.report import ColumnStatistics
    >>> sample = pl.DataFrame({"age": [1, 2, 2, None], "name": ["Bo", "Al", "Bo", "Bo"]})
    >>> figures = [ColumnStatistics("age", 1, min=1, max=2), ColumnStatistics("name", 0)]
    >>> age, name = profile(sample, figures, 4).columns
    >>> age.nulls, age.low, age.high, name.common
    (0.25, '1', '2', (('Bo', 0.75), ('Al', 0.25)))
    """
    told = figures[:MOST_COLUMNS]
    values = sample.to_dict() if isinstance(sample, pl.DataFrame) else sample
    dtypes = {name: series.dtype for name, series in values.items()}
    ordered = [one for one in told if one.name in dtypes and _has_order(dtypes[one.name])]
    bounds = {one.name: _bounds(values[one.name], one) for one in ordered}
    known = [one.name for one in told if one.name in dtypes]
    queries = [
        values[name].alias(_VALUE).to_frame().lazy().drop_nulls().group_by(_VALUE).len(_ROWS)
        for name in known
    ]
    by_name = dict(zip(known, pl.collect_all(queries), strict=True))
    columns = []
    for one in told:
        nulls = one.nulls / rows if rows else 0.0
        if one.name not in by_name:
            columns.append(ColumnProfile(one.name, nulls))
            continue
        counts = by_name[one.name]
        low, high = bounds.get(one.name, (None, None))
        columns.append(
            ColumnProfile(
                one.name,
                nulls,
                low="" if low is None else short(low),
                high="" if high is None else short(high),
                bins=() if low is None else _bins(counts, low, high),
                common=_common(counts, _least(dtypes[one.name])),
                distinct=counts.height,
            )
        )
    taken = max((len(series) for series in values.values()), default=0)
    return Profile(rows, taken, first, tuple(columns), max(0, len(figures) - MOST_COLUMNS))


def short(value: Any) -> str:
    """A value as a person reads it at a glance; times without what is zero of them.

    >>> short(0.123456), short(1234567.0), short(dt.datetime(2024, 2, 29)), short(" a\\nb")
    ('0.1235', '1,234,567', '2024-02-29', 'a b')
    """
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int):
        return f"{value:,}" if abs(value) >= 10_000 else str(value)
    if isinstance(value, float):
        if value.is_integer() and abs(value) < 1e15:
            return short(int(value))
        return f"{value:,.0f}" if 1e5 <= abs(value) < 1e15 else f"{value:.4g}"
    if isinstance(value, dt.datetime):
        text = value.replace(tzinfo=None).isoformat(" ", "seconds")
        return text.removesuffix(" 00:00:00").removesuffix(":00") if value.second == 0 else text
    return " ".join(str(value).split())


def _least(dtype: pl.DataType) -> float:
    if dtype.is_temporal():
        return LEAST_TIME
    return LEAST_COMMON if dtype.is_numeric() else LEAST_TEXT


def _has_order(dtype: pl.DataType) -> bool:
    return dtype.is_numeric() or dtype.is_temporal()


def _bounds(values: pl.Series, figures: ColumnStatistics) -> tuple[Any, Any]:
    """The least and the greatest value, finite ones of numbers; both None where there is none."""
    if not values.dtype.is_numeric():
        return values.min(), values.max()
    told = figures.min, figures.max
    if all(one is not None and math.isfinite(one) for one in told):
        return told
    finite = values.cast(pl.Float64).to_frame().filter(pl.first().is_finite()).to_series()
    return finite.min(), finite.max()


def _bins(values: pl.DataFrame, low: Any, high: Any) -> tuple[float, ...]:
    """The share of the values in each bin; of few whole numbers each has its own.

    Args:
        values: each different value with its number of rows.
        low: where the first bin begins.
        high: where the last one ends.
    """
    dtype = values[_VALUE].dtype
    if not dtype.is_numeric():
        low, high = (int(pl.Series([end], dtype=dtype).to_physical().item()) for end in (low, high))
    span = float(high) - float(low)
    number, width = BINS, span / BINS
    if (
        not dtype.is_float() and span < _WHOLE
    ):  # bins of whole widths: else some have a whole number more than others
        width = float(-(-int(span + 1) // BINS))
        number = -(-int(span + 1) // int(width))
    if not width or not math.isfinite(width):
        return (1.0,)
    place = ((pl.col(_VALUE).to_physical().cast(pl.Float64) - float(low)) / width).floor()
    finite = place.is_finite()
    counts = (
        values.lazy().filter(finite).group_by(place.clip(0, number - 1).cast(pl.Int64)).agg(pl.sum(_ROWS))
    )
    rows = dict(counts.collect().iter_rows())
    total = sum(rows.values())
    return tuple(rows.get(at, 0) / total for at in range(number)) if total else ()


def _common(values: pl.DataFrame, least: float) -> tuple[tuple[str, float], ...]:
    """The most frequent values; none where all differ, or where the first one has less than this share."""
    total = int(values[_ROWS].sum())
    if not total or (values[_ROWS].max() == 1 and values.height > COMMON):
        return ()
    top = values.top_k(COMMON, by=[_ROWS, _VALUE], reverse=[False, True])
    ordered = top.sort(_ROWS, _VALUE, descending=[True, False])
    found = tuple((short(value), rows / total) for value, rows in ordered.iter_rows())
    return found if found[0][1] >= least else ()
