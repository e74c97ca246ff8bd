"""Drift: how far the values of a column have moved from those that a model was trained on."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import polars as pl

BINS = 10
"""Bins of a numeric column: tenths of the rows that were trained on."""
CATEGORIES = 20
"""Values of another column that are told apart; all rarer ones count as one."""
_BY_CHANCE = 2.326347874
"""The quantile 0.99 of the normal distribution."""

Kind = Literal["numeric", "category", "not compared"]


@dataclass(frozen=True)
class ColumnDrift:
    """How one column has moved.

    Args:
        column: its name.
        kind: whether its values were put into bins, compared as they are, or not compared.
        psi: the population stability index; None where it was not compared.
        by_chance: the index that 1 in 100 samples of so many rows exceeds although nothing has moved.
        ks: the greatest distance between the two distribution functions, 0 to 1; None for categories.
        trained: share of the rows that were trained on in each bin, or of each value; the last one is that of nulls.
        used: the same for the rows that are compared with them.
        trained_mean: of the values; None for categories.
        used_mean: the same for the rows that are compared.
    """

    column: str
    kind: Kind
    psi: float | None = None
    by_chance: float = 0.0
    ks: float | None = None
    trained: tuple[float, ...] = ()
    used: tuple[float, ...] = ()
    trained_mean: float | None = None
    used_mean: float | None = None

    def exceeds(self, threshold: float) -> bool:
        """Whether the index is above a threshold, and above what chance does with so few rows.

        Args:
            threshold: below 0.1 is taken for stable and above 0.25 for a shift, by the usual rule of thumb.
        """
        return self.psi is not None and self.psi > max(threshold, self.by_chance)


def drift(trained: pl.DataFrame, used: pl.DataFrame, columns: Iterable[str]) -> tuple[ColumnDrift, ...]:
    """How the columns have moved, each for itself, those that moved most first.

    Args:
        trained: rows that a model was trained on.
        used: rows that it is asked about.
        columns: of both frames.

    >>> trained = pl.DataFrame({"wind": [float(value) for value in range(100)], "port": ["OSL", "BGO"] * 50})
    >>> used = pl.DataFrame({"wind": [60.0 + value for value in range(100)], "port": ["OSL", "BGO"] * 50})
    >>> [(one.column, round(one.psi, 2), one.exceeds(0.2)) for one in drift(trained, used, used.columns)]
    [('wind', 2.83, True), ('port', 0.0, False)]
    """
    found = [column_drift(trained[name], used[name]) for name in columns]
    return tuple(sorted(found, key=lambda one: -math.inf if one.psi is None else one.psi, reverse=True))


def column_drift(trained: pl.Series, used: pl.Series) -> ColumnDrift:
    """How one column has moved.

    Numbers and times are put into bins that hold a tenth of the trained rows each (fewer where many rows share a value),
    other values stand for themselves. Nulls, and numbers that are none, are a bin of their own.

    Args:
        trained: values that a model was trained on.
        used: values that it is asked about.
    """
    name = used.name
    before, now = _comparable(trained), _comparable(used)
    if before is None or now is None or not len(before) or not len(now):
        return ColumnDrift(name, "not compared")
    numeric = before.dtype.is_numeric()
    if numeric != now.dtype.is_numeric():
        return ColumnDrift(name, "not compared")
    counted = _in_bins(before, now) if numeric else _by_value(before, now)
    counts = [pair for pair in counted if any(pair)]
    expected, actual = [one for one, _ in counts], [other for _, other in counts]
    return ColumnDrift(
        name,
        "numeric" if numeric else "category",
        psi=population_stability_index(expected, actual),
        by_chance=index_by_chance(len(counts), len(before), len(now)),
        ks=kolmogorov_smirnov(before, now) if numeric else None,
        trained=_shares([one for one, _ in counted]),
        used=_shares([other for _, other in counted]),
        trained_mean=_mean(before) if numeric else None,
        used_mean=_mean(now) if numeric else None,
    )


def population_stability_index(expected: Sequence[int], actual: Sequence[int]) -> float:
    """The population stability index of two counts over the same bins: the sum of (a - e) ln(a / e) over the shares.

    It is the divergence of H. Jeffreys, "An invariant form for the prior probability in estimation problems" (1946), under
    the name that N. Siddiqi, "Credit Risk Scorecards" (2006), gave it. Half a row is added to every bin, so that an empty
    one gives a great number and no infinite one.

    Args:
        expected: number of rows in each bin.
        actual: the same of the rows that are compared.

    >>> population_stability_index([50, 50], [50, 50])
    0.0
    >>> round(population_stability_index([500, 500], [700, 300]), 3)
    0.169
    """
    shares = zip(_shares(expected, 0.5), _shares(actual, 0.5), strict=True)
    return sum((now - before) * math.log(now / before) for before, now in shares)


def index_by_chance(bins: int, expected: int, actual: int) -> float:
    """The population stability index that 1 in 100 pairs of samples of one and the same population exceeds.

    Times n m / (n + m), the index is distributed as chi-square with one degree less than there are bins (B. Yurdakul,
    "Statistical Properties of Population Stability Index", 2018); its quantile by Wilson and Hilferty (1931).

    Args:
        bins: number of bins that are not empty.
        expected: number of rows, n.
        actual: number of rows that are compared with them, m.

    >>> round(index_by_chance(10, 100_000, 100), 2), round(index_by_chance(10, 100_000, 100_000), 5)
    (0.22, 0.00043)
    """
    degrees = bins - 1
    if degrees < 1:
        return 0.0
    spread = 2 / (9 * degrees)
    quantile = degrees * (1 - spread + _BY_CHANCE * math.sqrt(spread)) ** 3
    return quantile * (1 / expected + 1 / actual)


def kolmogorov_smirnov(one: pl.Series, other: pl.Series) -> float | None:
    """The greatest distance between the distribution functions of two samples; None where one has no values.

    Args:
        one: numbers; nulls are left out.
        other: numbers.

    >>> kolmogorov_smirnov(pl.Series([1, 2, 3, 4]), pl.Series([3, 4, 5, 6]))
    0.5
    """
    first, second = one.drop_nulls(), other.drop_nulls()
    if not len(first) or not len(second):
        return None
    one_side, other_side = (
        values.cast(pl.Float64)
        .alias("value")
        .to_frame()
        .group_by("value")
        .agg(pl.len().cast(pl.Int64).alias(name))
        for name, values in (("one", first), ("other", second))
    )
    counts = one_side.join(other_side, on="value", how="full", coalesce=True).fill_null(0).sort("value")
    distances = counts["one"].cum_sum() / len(first) - counts["other"].cum_sum() / len(second)
    low, high = distances.min(), distances.max()
    assert isinstance(low, float)
    assert isinstance(high, float)
    return max(-low, high)


def _comparable(values: pl.Series) -> pl.Series | None:
    """Numbers and times as numbers, other plain values as texts; None for what is nested."""
    dtype = values.dtype
    if dtype.is_nested() or dtype in (pl.Object, pl.Binary):
        return None
    if dtype.is_temporal():
        return values.cast(pl.Datetime("us")).cast(pl.Int64) if dtype == pl.Date else values.to_physical()
    if dtype.is_numeric():
        return values.cast(pl.Float64).fill_nan(None)
    return values.cast(pl.String)


def _in_bins(before: pl.Series, now: pl.Series) -> list[tuple[int, int]]:
    """Number of rows on both sides in each bin, nulls last."""
    shares = [number / BINS for number in range(1, BINS)]
    found = [before.quantile(share, "lower") for share in shares]
    edges = sorted({edge for edge in found if edge is not None})
    both = [_counts(_bin_of(values, edges)) for values in (before, now)]
    places: list[int | None] = [*range(len(edges) + 1), None]
    return [(both[0].get(place, 0), both[1].get(place, 0)) for place in places]


def _bin_of(values: pl.Series, edges: Sequence[float]) -> pl.Series:
    """The number of edges below each value; null for null."""
    frame = values.alias("value").to_frame()
    above = [(pl.col("value") > edge).cast(pl.Int32) for edge in edges]
    number = pl.sum_horizontal(above) if above else pl.lit(0)
    return frame.select(pl.when(pl.col("value").is_not_null()).then(number)).to_series()


def _by_value(before: pl.Series, now: pl.Series) -> list[tuple[int, int]]:
    """Number of rows on both sides of each value, the most frequent first, then of all others and of nulls."""
    both = _counts(before), _counts(now)
    total = {
        value: both[0].get(value, 0) + both[1].get(value, 0)
        for value in {*both[0], *both[1]}
        if value is not None
    }
    ordered = sorted(total, key=lambda value: (-both[0].get(value, 0), -total[value], str(value)))
    kept, rare = ordered[:CATEGORIES], ordered[CATEGORIES:]
    pairs = [(both[0].get(value, 0), both[1].get(value, 0)) for value in kept]
    if rare:
        pairs.append((sum(both[0].get(v, 0) for v in rare), sum(both[1].get(v, 0) for v in rare)))
    return [*pairs, (both[0].get(None, 0), both[1].get(None, 0))]


def _counts(values: pl.Series) -> dict[int | str | None, int]:
    counted = values.alias("value").value_counts()
    return dict(zip(counted["value"].to_list(), counted["count"].to_list(), strict=True))


def _shares(counts: Sequence[int], more: float = 0.0) -> tuple[float, ...]:
    total = sum(counts) + more * len(counts)
    return tuple((count + more) / total for count in counts) if total else tuple(0.0 for _ in counts)


def _mean(values: pl.Series) -> float | None:
    found = values.mean()
    return float(found) if isinstance(found, int | float) else None
