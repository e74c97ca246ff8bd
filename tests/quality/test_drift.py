from __future__ import annotations

import datetime as dt
import math
import warnings
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from aligned_dagster.quality.drift import (
    CATEGORIES,
    column_drift,
    drift,
    index_by_chance,
    kolmogorov_smirnov,
    population_stability_index,
)

numbers = st.lists(st.floats(-1e6, 1e6) | st.integers(-3, 3), min_size=1, max_size=60)
counts = st.lists(st.tuples(st.integers(0, 500), st.integers(0, 500)), min_size=1, max_size=12)


@settings(deadline=None)
@given(numbers, numbers)
def test_the_distance_of_kolmogorov_and_smirnov_is_scipys(one: list[float], other: list[float]) -> None:
    found = kolmogorov_smirnov(pl.Series(one, dtype=pl.Float64), pl.Series(other, dtype=pl.Float64))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of the p-value, which is not compared
        expected = stats.ks_2samp(one, other, method="asymp").statistic
    assert found == pytest.approx(expected)


@settings(deadline=None)
@given(counts)
def test_the_index_is_the_divergence_in_both_directions(pairs: list[tuple[int, int]]) -> None:
    expected, actual = [one for one, _ in pairs], [other for _, other in pairs]
    before, now = np.array(expected) + 0.5, np.array(actual) + 0.5
    both_ways = stats.entropy(before, now) + stats.entropy(now, before)  # Kullback and Leibler's
    found = population_stability_index(expected, actual)
    assert found == pytest.approx(both_ways, abs=1e-12)
    assert found == pytest.approx(population_stability_index(actual, expected)) and found >= 0


@pytest.mark.parametrize(
    ("bins", "one", "other"), [(2, 10, 10), (5, 200, 40), (10, 1000, 1000), (22, 5000, 90)]
)
def test_chance_is_the_quantile_of_chi_square(bins: int, one: int, other: int) -> None:
    exact = stats.chi2.ppf(0.99, bins - 1) * (1 / one + 1 / other)
    assert index_by_chance(bins, one, other) == pytest.approx(exact, rel=0.03)


def test_samples_of_one_population_rarely_exceed_chance() -> None:
    draw = np.random.default_rng(7)
    told = [
        column_drift(pl.Series("x", draw.normal(size=3000)), pl.Series("x", draw.normal(size=60))).exceeds(
            0.2
        )
        for _ in range(400)
    ]
    assert sum(told) < 16  # 1 in 100 are expected; without the bound of chance it is 1 in 3


def test_a_number_is_compared_by_tenths_of_what_was_trained_on() -> None:
    trained = pl.Series("wind", [float(value) for value in range(100)] + [None] * 25)
    used = pl.Series("wind", [95.0] * 75 + [math.nan] * 25)
    found = column_drift(trained, used)
    assert found.trained == pytest.approx((*[0.08] * 10, 0.2))
    assert found.used == (*[0.0] * 9, 0.75, 0.25)
    shares = [(8.0, 0.0)] * 9 + [(8.0, 75.0), (20.0, 25.0)]
    counted = [(before * 1.25, now) for before, now in shares]  # 125 rows were trained on
    naive = 0.0
    for before, now in counted:
        p, q = (before + 0.5) / (125 + 5.5), (now + 0.5) / (100 + 5.5)
        naive += (q - p) * math.log(q / p)
    assert found.psi == pytest.approx(naive) and found.exceeds(0.2)
    assert (found.trained_mean, found.used_mean) == (49.5, 95.0)
    assert found.ks == pytest.approx(0.95)


def test_few_values_are_bins_of_their_own() -> None:
    found = column_drift(pl.Series("n", [0, 0, 0, 1]), pl.Series("n", [0, 1, 1, 1]))
    assert found.kind == "numeric"
    assert [share for share in found.trained if share] == [0.75, 0.25]
    assert [share for share in found.used if share] == [0.25, 0.75]


def test_categories_are_compared_by_value_and_rare_ones_together() -> None:
    trained = pl.Series("port", ["OSL"] * 60 + ["BGO"] * 40)
    used = pl.Series("port", ["OSL"] * 20 + ["BGO"] * 40 + ["TRD"] * 30 + [None] * 10)
    found = column_drift(trained, used)
    assert (found.kind, found.ks) == ("category", None)
    assert found.trained == (0.6, 0.4, 0.0, 0.0) and found.used == (0.2, 0.4, 0.3, 0.1)
    many = pl.Series("port", [f"{number:03}" for number in range(100)])
    among_many = column_drift(many, many)
    assert len(among_many.trained) == CATEGORIES + 2
    assert among_many.trained[-2] == (100 - CATEGORIES) / 100 and among_many.psi == 0.0


def test_bools_dates_and_times_are_compared() -> None:
    days = [dt.date(2026, 1, 1) + dt.timedelta(days=number) for number in range(100)]
    later = [day + dt.timedelta(days=400) for day in days]
    frames = (
        pl.DataFrame({"day": days, "yes": [True, False] * 50}),
        pl.DataFrame({"day": later, "yes": [True] * 100}),
    )
    found = {one.column: one for one in drift(*frames, ["day", "yes"])}
    assert found["day"].kind == "numeric" and found["day"].ks == 1.0
    assert found["yes"].kind == "category" and found["yes"].exceeds(0.2)


@pytest.mark.parametrize(
    ("trained", "used"),
    [([[1], [2]], [[1], [2]]), ([1, 2], ["a", "b"]), ([], [1.0]), ([1.0], []), ([{"a": 1}], [{"a": 1}])],
)
def test_what_cannot_be_compared_is_told(trained: list[Any], used: list[Any]) -> None:
    found = column_drift(pl.Series("x", trained), pl.Series("x", used))
    assert (found.kind, found.psi) == ("not compared", None) and not found.exceeds(0.0)


def test_only_nulls_on_both_sides_are_no_drift() -> None:
    nothing = pl.Series("x", [None, None], dtype=pl.Float64)
    found = column_drift(nothing, nothing)
    assert (found.psi, found.ks, found.trained_mean) == (0.0, None, None)


def test_those_that_moved_most_come_first() -> None:
    trained = pl.DataFrame({"same": range(50), "moved": range(50), "list": [[1]] * 50})
    used = pl.DataFrame({"same": range(50), "moved": range(1000, 1050), "list": [[1]] * 50})
    assert [one.column for one in drift(trained, used, trained.columns)] == ["moved", "same", "list"]
