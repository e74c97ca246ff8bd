"""What the operators of columns give, as type checkers see it; tests/test_typing.py runs it too."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal as Exact
from typing import Any, assert_type

from aligned_dagster import (
    Bool,
    Date,
    Decimal,
    Duration,
    EventTimestamp,
    Float,
    Float32,
    Float64,
    Int8,
    Int32,
    Int64,
    List,
    String,
    Struct,
    Time,
    Timestamp,
    UInt8,
    coalesce,
    concat_str,
    max_of,
    min_of,
    when,
)
from aligned_dagster.features.numeric import Floating, Integer

small, whole, large, unsigned = Int8(), Int32(), Int64(), UInt8()
half, real, exact = Float32(), Float(), Decimal(10, 2)
text, flag = String(), Bool()
day, moment, event, time, span = Date(), Timestamp(), EventTimestamp(), Time(), Duration()
NOON, MAY, HOUR = dt.datetime(2024, 5, 1, 12, tzinfo=dt.UTC), dt.date(2024, 5, 1), dt.timedelta(hours=1)

# Whole numbers stay whole, until they are divided or meet a fraction.
assert_type(whole + whole, Int32)
assert_type(whole * 2, Integer)
assert_type(2 - whole, Integer)
assert_type(small + large, Integer)
assert_type(unsigned // small, Integer)
assert_type(whole % 2, Integer)
assert_type(whole / whole, Float64)
assert_type(1 / whole, Float64)
assert_type(whole + real, Float64)
assert_type(real + whole, Float64)
assert_type(whole + 0.5, Float64)
assert_type(0.5 * whole, Float64)
assert_type(whole + half, Floating)
assert_type(whole**2, Int32)
assert_type(whole**0.5, Float64)
assert_type(2**whole, Integer)
assert_type(-whole, Int32)
assert_type(abs(whole), Int32)
assert_type(+whole, Int32)

# Fractions.
assert_type(real * real, Float64)
assert_type(real - 1, Float64)
assert_type(1 - real, Float64)
assert_type(real // half, Float64)
assert_type(real**2, Float64)
assert_type(half + half, Floating)
assert_type(half + 1, Floating)
assert_type(-half, Float32)
assert_type(exact + exact, Decimal)
assert_type(exact + 1, Decimal)
assert_type(exact * Exact("1.5"), Decimal)
assert_type(whole + exact, Decimal)
assert_type(exact / whole, Decimal)
assert_type(exact + real, Float64)
assert_type(exact * 1.5, Float64)

# Comparisons and conditions.
assert_type(whole > 3, Bool)
assert_type(3 < whole, Bool)  # noqa: SIM300  # the order is what is shown
assert_type(whole <= real, Bool)
assert_type(real >= Exact("1.5"), Bool)
assert_type(whole == 3, Bool)
assert_type(text != "oslo", Bool)
assert_type(text < "m", Bool)
assert_type(day < moment, Bool)
assert_type(moment >= NOON, Bool)
assert_type(moment >= MAY, Bool)
assert_type(day == MAY, Bool)
assert_type(time > dt.time(12), Bool)
assert_type(span > HOUR, Bool)
assert_type((whole > 1) & (text == "oslo"), Bool)
assert_type(flag | (real > 1), Bool)
assert_type(flag ^ True, Bool)
assert_type(~flag, Bool)
assert_type(whole.is_null() & whole.is_in([1, 2]), Bool)
assert_type(whole.is_between(1, 3), Bool)

# Texts.
assert_type(text + text, String)
assert_type(text + "-", String)
assert_type("-" + text, String)

# Times and spans.
assert_type(moment - moment, Duration)
assert_type(event - event, Duration)
assert_type(NOON - moment, Duration)
assert_type(moment - NOON, Duration)
assert_type(moment + HOUR, Timestamp)
assert_type(event - span, Timestamp)
assert_type(HOUR + moment, Timestamp)
assert_type(span + moment, Timestamp)
assert_type(NOON + span, Timestamp)
assert_type(day + HOUR, Date)
assert_type(day - day, Duration)
assert_type(day - MAY, Duration)
assert_type(MAY - day, Duration)
assert_type(span + span, Duration)
assert_type(span - HOUR, Duration)
assert_type(HOUR - span, Duration)
assert_type(-span, Duration)
assert_type(abs(span), Duration)
assert_type(span * whole, Duration)
assert_type(whole * HOUR, Duration)
assert_type(HOUR * real, Duration)
assert_type(span / 2, Duration)
assert_type(span / HOUR, Float64)
assert_type(HOUR / span, Float64)

# Methods.
assert_type(whole.round(), Int32)
assert_type(real.round(2), Float64)
assert_type((real - 32).round(1), Float64)
assert_type(whole.sqrt(), Floating)
assert_type(whole.abs(), Int32)
assert_type(whole.fill_null(0), Int32)
assert_type(whole.bins([1, 2]), String)
assert_type(text.to_lowercase(), String)
assert_type(text.len_chars(), Integer)
assert_type(text.cast(Int32()), Int32)
assert_type(text.to_date(), Date)
assert_type(text.one_hot_encode(["a", "b"]), tuple[Bool, ...])
assert_type(event.hour(), Integer)
assert_type(event.date(), Date)
assert_type(event.is_weekend(), Bool)
assert_type(span.total_hours(), Integer)
assert_type(List(String()).length(), Integer)
assert_type(text.transform_polars(lambda column: column.str.reverse(), String()), String)

# Statements of a column leave its type.
assert_type(Int32().as_entity().lower_bound(1).description("a number"), Int32)
assert_type(String().is_optional().accepted_values(["a"]).is_unique(), String)
assert_type(EventTimestamp().description("when"), EventTimestamp)
assert_type(Struct({"city": String()}).is_optional(), Struct)

# Choices.
assert_type(when(flag).then("late").otherwise("on time"), String)
assert_type(when(flag).then(1).otherwise(0), Integer)
assert_type(when(flag).then(0.5).otherwise(real), Float64)
assert_type(when(flag).then(True).otherwise(None), Bool)
assert_type(when(flag).then(text).otherwise(None), String)
assert_type(when(flag).then(day).otherwise(MAY), Date)
assert_type(flag.then("a").otherwise("b"), String)
assert_type(coalesce(text, "unknown"), String)
assert_type(coalesce(flag, False), Bool)
assert_type(coalesce(whole, 0), Integer)
assert_type(max_of(real, 1), Float64)
assert_type(min_of(whole, large), Integer)
assert_type(concat_str(text, "-", text), String)

# Rows taken together.
assert_type(whole.aggregate().count(), Integer)
assert_type(whole.aggregate().sum(), Integer)
assert_type(flag.aggregate().sum(), Integer)
assert_type(real.aggregate().sum(), Float64)
assert_type(span.aggregate().sum(), Duration)
assert_type(whole.aggregate().mean(), Float64)
assert_type(half.aggregate().mean(), Floating)
assert_type(span.aggregate().mean(), Duration)
assert_type(moment.aggregate().median(), Timestamp)
assert_type(real.aggregate().std(), Floating)
assert_type(real.aggregate().percentile(0.9), Float64)
assert_type(text.aggregate().max(), String)
assert_type(whole.aggregate().over(days=7).min(), Int32)
assert_type(whole.aggregate().where(flag).last(), Int32)
assert_type(text.aggregate().n_unique(), Integer)
assert_type(whole.aggregate().sum() / whole.aggregate().count(), Float64)
assert_type(text.aggregate().to_list(), List)


def untyped(anything: Any) -> None:
    """A column of whatever type goes with any other."""
    _ = whole + anything, anything * real, text + anything, moment - anything, flag & anything
