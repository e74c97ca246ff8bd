from __future__ import annotations

import datetime as dt
from collections import Counter

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aligned_dagster.quality.audit import statistics
from aligned_dagster.quality.profile import (
    BINS,
    COMMON,
    LEAST_COMMON,
    MOST_COLUMNS,
    profile,
    sampled_columns,
    short,
)
from aligned_dagster.quality.report import ColumnStatistics


def of(frame, rows=None, figures=None, first=False):
    """The profile of a frame as a run takes it; the figures are the frame's own if not given."""
    sample = frame.select(sampled_columns(frame.schema))
    own = [ColumnStatistics(name, frame[name].null_count(), *_bounds(frame[name])) for name in frame.columns]
    return profile(sample, figures or own, frame.height if rows is None else rows, first=first)


def _bounds(values):
    known = values.drop_nulls()
    if not values.dtype.is_numeric() or known.is_empty():
        return ()
    known = known.cast(pl.Float64).drop_nans()
    return (known.min(), known.max())


def column(values, dtype=None):
    return of(pl.DataFrame({"it": pl.Series(values, dtype=dtype)})).columns[0]


@given(st.lists(st.none() | st.integers(-60, 60), max_size=80))
def test_whole_numbers_are_counted_as_python_counts_them(values):
    found = column(values, pl.Int32)
    known = [value for value in values if value is not None]

    assert found.nulls == pytest.approx((len(values) - len(known)) / len(values) if values else 0)
    if not known:
        assert (found.low, found.high, found.bins, found.common) == ("", "", (), ())
        return
    low, high = min(known), max(known)
    assert (found.low, found.high, found.distinct) == (str(low), str(high), len(set(known)))
    width = -(-(high - low + 1) // BINS)
    places = Counter((value - low) // width for value in known)
    assert len(found.bins) == (high - low) // width + 1 <= BINS
    assert found.bins == pytest.approx([places[at] / len(known) for at in range(len(found.bins))])
    counted = Counter(known)
    ordered = sorted(counted.items(), key=lambda one: (-one[1], one[0]))[:COMMON]
    all_differ = ordered[0][1] == 1 and len(counted) > COMMON
    told = not all_differ and ordered[0][1] / len(known) >= LEAST_COMMON
    assert found.common == (tuple((str(v), n / len(known)) for v, n in ordered) if told else ())


@given(st.lists(st.none() | st.text("ab\n", max_size=3), min_size=1, max_size=30))
def test_texts_have_frequent_values_and_no_distribution(values):
    found = column(values, pl.String)
    known = Counter(value for value in values if value is not None)

    assert (found.bins, found.low, found.high) == ((), "", "")
    assert found.distinct == len(known)
    if found.common:
        assert found.common[0][1] == pytest.approx(max(known.values()) / known.total())
    else:
        assert not known or (max(known.values()) == 1 and len(known) > COMMON)


def test_a_range_of_whole_numbers_is_level_whatever_its_length():
    assert set(column(list(range(40))).bins) == {2 / 40}  # not 2, 2, 3, 2, ... as with bins of 1.95
    assert column(list(range(1, 8))).bins == pytest.approx([1 / 7] * 7)


def test_bounds_and_nulls_are_those_of_all_rows():
    figures = [ColumnStatistics("it", 5_000, min=-1_000.0, max=1_000.0)]
    found = of(pl.DataFrame({"it": [1.0, 2.0]}), rows=10_000, figures=figures)

    [one] = found.columns
    assert (one.nulls, one.low, one.high) == (0.5, "-1000", "1000")
    assert one.bins[BINS // 2] == 1 and sum(one.bins) == 1
    assert found.words().endswith("of all 10,000 rows; distributions of 2 from everywhere.")


def test_numbers_that_are_none_are_no_bounds():
    found = column([1.0, 3.0, float("nan"), float("inf"), float("-inf"), None])
    assert (found.low, found.high) == ("1", "3")
    assert (found.bins[0], found.bins[-1], sum(found.bins)) == (0.5, 0.5, 1)
    assert column([float("nan")] * 3).bins == ()


@pytest.mark.parametrize(
    ("values", "low", "high"),
    [
        ([dt.date(2024, 1, 1), dt.date(2024, 1, 2)], "2024-01-01", "2024-01-02"),
        ([dt.datetime(2024, 1, 1), dt.datetime(2024, 1, 1, 6, 30)], "2024-01-01", "2024-01-01 06:30"),
        ([dt.datetime(2024, 1, 1, 0, 0, 9), dt.datetime(2025, 1, 1)], "2024-01-01 00:00:09", "2025-01-01"),
        ([dt.time(6), dt.time(18)], "06:00:00", "18:00:00"),
        ([dt.timedelta(hours=1), dt.timedelta(days=2)], "1:00:00", "2 days, 0:00:00"),
    ],
)
def test_times_have_a_distribution(values, low, high):
    found = column(values)
    assert (found.low, found.high) == (low, high)
    assert found.bins[0] == found.bins[-1] == 0.5


@pytest.mark.parametrize(
    ("values", "dtype", "common"),
    [
        ([True, True, False], pl.Boolean, ("true", 2 / 3)),
        (["a", "b", "b"], pl.Enum(["a", "b"]), ("b", 2 / 3)),
        (["a", "b", "b"], pl.Categorical, ("b", 2 / 3)),
        (["1.50", "1.50", "2.00"], pl.Decimal(5, 2), ("1.5", 2 / 3)),
    ],
)
def test_other_types_have_frequent_values(values, dtype, common):
    series = pl.Series(values)
    cast = series.str.to_decimal(scale=2) if dtype == pl.Decimal(5, 2) else series.cast(dtype)
    [one] = of(pl.DataFrame({"it": cast})).columns
    assert one.common[0] == (common[0], pytest.approx(common[1]))


def test_of_values_that_cannot_be_compared_only_nulls_are_told():
    frame = pl.DataFrame({"list": [[1], None], "struct": [{"a": 1}] * 2, "bytes": [b"a", b"b"]})
    found = of(frame).columns
    assert [(one.nulls, one.bins, one.common, one.distinct) for one in found] == [
        (0.5, (), (), None),
        (0.0, (), (), None),
        (0.0, (), (), None),
    ]


def test_many_columns_are_left_out_and_counted():
    frame = pl.DataFrame({f"c{number}": [number] for number in range(MOST_COLUMNS + 7)})
    found = of(frame)
    assert (len(found.columns), found.left_out) == (MOST_COLUMNS, 7)


def test_the_figures_of_an_audit_fit(schema_of_ages):
    frame = pl.DataFrame({"age": [1, None, 9]})
    figures = statistics(frame.lazy(), schema_of_ages)
    [one] = of(frame, figures=figures).columns
    assert (one.nulls, one.low, one.high) == (pytest.approx(1 / 3), "1", "9")


@pytest.fixture
def schema_of_ages():
    from aligned_dagster.features.dtypes import DataType
    from aligned_dagster.features.schema import Column, Schema

    return Schema((Column("age", DataType("int64")),))


def test_what_a_sample_is_taken_from_is_said():
    frame = pl.DataFrame({"it": [1]})
    assert of(frame).words() == "Of all 1 rows."
    assert "of the first 1." in of(frame, rows=9, first=True).words()


def test_short_values():
    assert [short(value) for value in (12_345, 1e20, True, 123_456.7, -0.5, dt.date(2024, 1, 1))] == [
        "12,345",
        "1e+20",
        "true",
        "123,457",
        "-0.5",
        "2024-01-01",
    ]
