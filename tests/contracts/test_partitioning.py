"""Keys of partitions stand for exactly their values, windows tile the time, and a slice has exactly its rows."""

from __future__ import annotations

import datetime as dt
import itertools
import os.path
import string
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import dagster as dg
import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from aligned_dagster import FileSource, Float, InMemorySource, Int32, feature_view
from aligned_dagster.contracts.partition_keys import canonical, decode, encode
from aligned_dagster.contracts.partitioning import (
    Every,
    KeyDimension,
    WindowDimension,
    beginning,
    following,
    midnight,
    scheme_of,
)
from aligned_dagster.errors import RequestError
from aligned_dagster.features.dtypes import DataType
from aligned_dagster.features.schema import Column, Schema
from aligned_dagster.request.partition import PartitionSlice, Window, number_of_window, union
from aligned_dagster.sources.partition_path import NULL

HOSTILE = [
    "../../evil", "a/b", ".", "..", "...", "....", "a...b", "", " ", "  x ", "a=b", "country=no", "long" * 300, "æøå😀",
    "e\u0301", "|", "[", "]", ",", "a,b|c", "a...b|[c]", NULL, f"{NULL}x", "%", "%-", "%5F", "%2E", "a%2Fb",
    "\\", "\n", "\t\r\0", "\x7f",
    "~", "null", "None", "nan", "'", '"', "*", "?", "#", "&", "+", "C:", "-", "@",
]  # fmt: skip
TEXTS = st.sampled_from(HOSTILE) | st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
TEXTS |= st.text(f"./%-_=|[], {string.ascii_letters[:3]}", max_size=8)
TIMES = st.datetimes(dt.datetime(1800, 1, 1), dt.datetime(2200, 1, 1))


def integers(bits: int, signed: bool) -> st.SearchStrategy[int]:
    return st.integers(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else st.integers(0, 2**bits - 1)


VALUES: dict[str, st.SearchStrategy[Any]] = {
    "string": TEXTS, "uuid": TEXTS, "json": TEXTS, "bool": st.booleans(), "date": st.dates(), "time": st.times(),
    "duration": st.timedeltas(dt.timedelta(days=-10_000), dt.timedelta(days=10_000)), "binary": st.binary(max_size=20),
    "float64": st.floats() | st.integers(-5, 5), "float32": st.floats(width=32) | st.integers(-5, 5),
    "decimal(12,3)": st.decimals(-1000, 1000, places=3) | st.decimals(-1000, 1000, places=1) | st.integers(-9, 9),
    "decimal(38,0)": st.integers(-(10**37), 10**37).map(Decimal),
    "timestamp(us,)": TIMES, "timestamp(us,UTC)": TIMES.map(lambda t: t.replace(tzinfo=dt.UTC)),
    "timestamp(us,Europe/Oslo)": st.integers(0, 4000 * 24).map(
        lambda hours: dt.datetime(2020, 1, 1, 0, 30, tzinfo=dt.UTC) + dt.timedelta(hours=hours)
    ),
    **{f"int{bits}": integers(bits, True) for bits in (8, 16, 32, 64)},
    **{f"uint{bits}": integers(bits, False) for bits in (8, 16, 32, 64)},
}  # fmt: skip


def alike(one: Any, other: Any) -> bool:
    return one == other or (one != one and other != other)  # NaN is one value among others


def safe(key: str) -> bool:
    """Whether a key stays in its directory, at its depth."""
    path = os.path.normpath(os.path.join("/root", key))
    return path == f"/root/{key}" and path.isascii() and path.isprintable() and "\\" not in path


# --- keys -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(VALUES))
def test_a_value_and_its_key_are_one_to_one(name: str) -> None:
    dtype = DataType.from_text(name)
    some = st.none() | VALUES[name].map(lambda value: canonical(value, dtype))

    @settings(max_examples=60, deadline=None)
    @given(one=some, other=some)
    def check(one: Any, other: Any) -> None:
        for value in (one, other):
            back = decode(encode(value), dtype)
            assert alike(back, value) and type(back) is type(value)
            assert encode(back) == encode(value)
        assert (encode(one) == encode(other)) == alike(one, other)
        assert safe(encode(one)) and "/" not in encode(one)

    check()


def test_hostile_texts_are_told_apart_by_dagster_and_by_paths() -> None:
    keys = [encode(text) for text in [*HOSTILE, None]]
    assert [decode(key, DataType("string")) for key in keys] == [*HOSTILE, None]
    assert len({os.path.normpath(f"/root/{key}") for key in keys}) == len(keys)
    assert all(safe(key) for key in keys)

    static = dg.StaticPartitionsDefinition(keys)
    assert static.get_partition_keys() == keys
    multi = dg.MultiPartitionsDefinition({"a": static, "b": static})
    found = [
        tuple(multi.get_partition_key_from_str(str(key)).keys_by_dimension.values())
        for key in multi.get_partition_keys()
    ]
    assert found == list(itertools.product(keys, keys))
    with dg.DagsterInstance.ephemeral() as instance:
        instance.add_dynamic_partitions("texts", keys)
        assert set(instance.get_dynamic_partitions("texts")) == set(keys)


@settings(max_examples=200, deadline=None)
@given(
    rows=st.lists(st.tuples(st.none() | TEXTS, st.none() | TEXTS, st.none() | st.integers(0, 99)), max_size=6)
)
@example(rows=[("a/b", "c", 1), ("a", "b/c", 1), ("a", "b", None), ("a/b=b", "c", 1)])
def test_a_composite_key_is_one_to_one(rows: list[tuple[Any, ...]]) -> None:
    columns = (
        Column("a", DataType("string")),
        Column("b", DataType("string")),
        Column("year", DataType("int32")),
    )
    dimension = KeyDimension(columns)
    values = [dict(zip(("a", "b", "year"), row, strict=True)) for row in dict.fromkeys(rows)]
    keys = [dimension.key(row) for row in values]
    assert [dimension.read(key) for key in keys] == values
    assert len(set(keys)) == len(keys)
    assert all(safe(key) and key.count("/") == 2 for key in keys)
    assert dg.StaticPartitionsDefinition(keys).get_partition_keys() == keys
    assert dimension.name == "a_b_year"


def test_one_value_has_one_key_however_it_is_written() -> None:
    def keys(name: str, *values: Any) -> set[str]:
        dimension = KeyDimension((Column("k", DataType.from_text(name)),))
        return {dimension.key({"k": value}) for value in values}

    assert keys("float64", 1, 1.0, Decimal(1)) == {"1.0"}
    assert keys("float64", 0, 0.0, -0.0) == {"0.0"}
    assert keys("decimal(9,2)", 1, Decimal("1"), Decimal("1.00")) == {"1.00"}
    noon = dt.datetime(2024, 1, 1, 12, tzinfo=dt.UTC)
    assert len(keys("timestamp(us,UTC)", noon, noon.astimezone(ZoneInfo("Asia/Tokyo")))) == 1
    twice = [dt.datetime(2024, 10, 27, 2, 30, fold=fold, tzinfo=ZoneInfo("Europe/Oslo")) for fold in (0, 1)]
    assert len(keys("timestamp(us,Europe/Oslo)", *twice)) == 2


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("int32", "x"), ("int8", "300"), ("uint8", "-1"), ("int32", "1.5"), ("int32", "%-"), ("bool", "1"),
        ("date", "yesterday"), ("decimal(4,2)", "1000"), ("decimal(9,2)", "x"), ("time", "25:00"), ("duration", "1 day"),
        ("binary", "a"), ("float64", "x"), ("timestamp(us,UTC)", "2024-13-01"), ("string", "%FF"), ("list(int32)", "1"),
    ],
)  # fmt: skip
def test_what_is_no_key(name: str, key: str) -> None:
    with pytest.raises(RequestError, match="no key of a partition by a"):
        decode(key, DataType.from_text(name))


@pytest.mark.parametrize("key", ["a", "a=1", "b=1/a=2", "1/2", "a=1/b=2/b=3", "x=1/b=2", ""])
def test_what_is_no_composite_key(key: str) -> None:
    dimension = KeyDimension((Column("a", DataType("string")), Column("b", DataType("string"))))
    with pytest.raises(RequestError, match=r"write it as in 'a=\.\.\./b=\.\.\.'"):
        dimension.read(key)


def test_accepted_values_become_the_keys_that_rows_have(tmp_path: Any) -> None:
    @feature_view(
        source=InMemorySource.from_values({"id": [1], "share": [1.0]}),
        materialized_source=FileSource.partitioned_parquet_at(tmp_path / "rows", ["share"]),
    )
    class Shares:
        id = Int32().as_entity()
        share = Float().accepted_values([1, 0.5, -0.0, 0]).is_optional()

    scheme = scheme_of(Shares)
    assert scheme is not None
    (dimension,) = scheme.keys
    assert dimension.values == ("1.0", "0.5", "0.0", NULL)
    assert [dimension.read(key)["share"] for key in dimension.values] == [1.0, 0.5, 0.0, None]


# --- windows --------------------------------------------------------------------------------------------------

OSLO = "Europe/Oslo"
EVERY: list[Every] = ["hourly", "daily", "weekly", "monthly"]
FORMATS = {"hourly": "%Y-%m-%d-%H:%M", "daily": "%Y-%m-%d", "weekly": "%Y-%m-%d", "monthly": "%Y-%m-%d"}


def of_dagster(dimension: WindowDimension, end: dt.datetime) -> Any:
    span: dict[str, Any] = {
        "start_date": dimension.start, "end_date": end, "timezone": dimension.zone, "fmt": FORMATS[dimension.every]
    }  # fmt: skip
    if dimension.every == "hourly":
        return dg.HourlyPartitionsDefinition(**span)
    if dimension.every == "daily":
        return dg.DailyPartitionsDefinition(**span)
    if dimension.every == "weekly":
        return dg.WeeklyPartitionsDefinition(**span, day_offset=1)
    return dg.MonthlyPartitionsDefinition(**span)


def dimension_of(every: Every, day: dt.date, zone: str) -> WindowDimension:
    return WindowDimension("at", every, beginning(midnight(day, zone), every), zone)


@pytest.mark.parametrize("every", EVERY)
@pytest.mark.parametrize("zone", [OSLO, "UTC", "America/Havana", "America/Sao_Paulo", "Asia/Kolkata"])
def test_windows_are_those_of_dagster(every: Every, zone: str) -> None:
    # 2018: Oslo, Havana and São Paulo change the clock; the latter two at midnight.
    for day in (dt.date(2018, 3, 9), dt.date(2018, 3, 23), dt.date(2018, 10, 26), dt.date(2018, 11, 2)):
        dimension = dimension_of(every, day, zone)
        end = midnight(day + dt.timedelta(days={"hourly": 5, "daily": 40}.get(every, 200)), zone)
        definition = of_dagster(dimension, end)
        keys = definition.get_partition_keys()
        assert len(keys) > 4 and len(set(keys)) == len(keys)
        before: Window | None = None
        for key in keys:
            window, wanted = dimension.window(key), definition.time_window_for_partition_key(key)
            assert window == Window(wanted.start, wanted.end)
            assert dimension.key(window.start) == key
            assert before is None or before.end == window.start
            before = window


def test_days_on_which_the_clock_is_changed() -> None:
    days = dimension_of("daily", dt.date(2024, 1, 1), OSLO)
    lengths = {key: days.window(key) for key in ("2024-03-31", "2024-10-27", "2024-10-28")}
    hours = [(window.end - window.start) / dt.timedelta(hours=1) for window in lengths.values()]
    assert hours == [23, 25, 24]
    assert lengths["2024-10-27"].last == dt.datetime(2024, 10, 27, 22, 59, 59, 999_999, tzinfo=dt.UTC)

    hourly = dimension_of("hourly", dt.date(2024, 1, 1), OSLO)
    starts = [hourly.window(f"2024-10-27-02:00{offset}").start for offset in ("", "+0100")]
    assert starts == [dt.datetime(2024, 10, 27, hour, tzinfo=dt.UTC) for hour in (0, 1)]
    assert [hourly.key(start) for start in starts] == ["2024-10-27-02:00", "2024-10-27-02:00+0100"]


@settings(max_examples=150, deadline=None)
@given(
    moment=st.datetimes(dt.datetime(2000, 1, 1), dt.datetime(2037, 1, 1)).map(
        lambda t: t.replace(tzinfo=dt.UTC)
    ),
    every=st.sampled_from(EVERY),
    zone=st.sampled_from([OSLO, "UTC", "America/New_York", "Asia/Kathmandu"]),
)
@example(moment=dt.datetime(2024, 10, 27, 1, 30, tzinfo=dt.UTC), every="hourly", zone=OSLO)
@example(moment=dt.datetime(2024, 10, 27, 0, 30, tzinfo=dt.UTC), every="hourly", zone=OSLO)
@example(moment=dt.datetime(2024, 3, 31, 1, 0, tzinfo=dt.UTC), every="hourly", zone=OSLO)
def test_every_moment_lies_in_one_window_and_the_next_one_follows(
    moment: dt.datetime, every: Every, zone: str
) -> None:
    dimension = dimension_of(every, dt.date(2000, 1, 1), zone)
    start = beginning(moment.astimezone(ZoneInfo(zone)), every)
    window = dimension.window(dimension.key(start))
    assert window.start <= moment <= window.last < window.end
    after = dimension.window(dimension.key(window.end))
    assert after.start == window.end
    assert following(start, every).astimezone(dt.UTC) == window.end


@pytest.mark.parametrize(
    ("every", "key"),
    [
        ("daily", "2024-02-30"), ("daily", "2024-1-1"), ("daily", "2024-01-01-00:00"), ("daily", "yesterday"), ("daily", ""),
        ("weekly", "2024-01-03"), ("monthly", "2024-01-15"), ("hourly", "2024-01-01"), ("hourly", "2024-01-01-10:30"),
        ("hourly", "2024-03-31-02:00"), ("hourly", "2024-10-27-02:00+0200"), ("hourly", "2024-01-01-02:00+0100"),
    ],
)  # fmt: skip
def test_what_is_no_window(every: Every, key: str) -> None:
    example_key = "2024-01-01-00:00" if every == "hourly" else "2024-01-01"
    with pytest.raises(RequestError, match=f"no {every} window; write it as in '{example_key}'"):
        dimension_of(every, dt.date(2024, 1, 1), OSLO).window(key)


def test_a_window_is_a_span_of_time_in_one_order() -> None:
    oslo = ZoneInfo(OSLO)
    once, again = (dt.datetime(2024, 10, 27, 2, fold=fold, tzinfo=oslo) for fold in (0, 1))
    assert Window(once, again).end - Window(once, again).start == dt.timedelta(hours=1)
    after = Window(again, dt.datetime(2024, 10, 27, 3, tzinfo=oslo))
    assert sorted([after, Window(once, again)]) == [Window(once, again), after]
    with pytest.raises(RequestError, match="ends after it starts"):
        Window(again, once)
    with pytest.raises(RequestError, match="with a zone"):
        Window(dt.datetime(2024, 1, 1), dt.datetime(2024, 1, 2))


# --- slices ---------------------------------------------------------------------------------------------------

ORIGIN = dt.datetime(2024, 10, 26, 20, tzinfo=dt.UTC)
HOURS = st.integers(0, 12)


def hours(first: int, last: int) -> Window:
    return Window(ORIGIN + dt.timedelta(hours=first), ORIGIN + dt.timedelta(hours=last))


def schema(time: str) -> Schema:
    return Schema(
        (
            Column("at", DataType.from_text(time), "event_timestamp"),
            Column("country", DataType("string")),
            Column("year", DataType("int16")),
        )
    )


COUNTRIES = st.sampled_from(["no", "uk", "", NULL, "a/b", None])
YEARS = st.sampled_from([2023, 2024, None])
ROWS = st.lists(st.tuples(st.none() | st.integers(-30, 800), COUNTRIES, YEARS), max_size=25)
WINDOWS = st.lists(st.tuples(HOURS, HOURS).filter(lambda ends: ends[0] < ends[1]), max_size=3)


@st.composite
def keys(draw: Any) -> tuple[Any, ...]:
    """Keys of one column, of two, or none."""
    if draw(st.booleans()):
        return tuple((("country", value),) for value in draw(st.lists(COUNTRIES, max_size=3, unique=True)))
    pairs = draw(st.lists(st.tuples(COUNTRIES, YEARS), max_size=3, unique=True))
    return tuple((("country", country), ("year", year)) for country, year in pairs)


def frame(rows: list[tuple[Any, ...]], time: str) -> pl.DataFrame:
    """Rows whose times are minutes after the origin."""
    zone = DataType.from_text(time).time_zone
    full = []
    for minutes, country, year in rows:
        at = None if minutes is None else ORIGIN + dt.timedelta(minutes=minutes)
        full.append((at if at is None or zone else at.replace(tzinfo=None), country, year))
    return pl.DataFrame(full, schema=schema(time).polars, orient="row")


def belongs(part: PartitionSlice, row: tuple[Any, ...]) -> bool:
    minutes, country, year = row
    at = None if minutes is None else ORIGIN + dt.timedelta(minutes=minutes)
    within = not part.windows or (at is not None and any(w.start <= at < w.end for w in part.windows))
    values = {"country": country, "year": year}
    keyed = not part.keys or any(all(values[name] == value for name, value in key) for key in part.keys)
    return within and keyed


@settings(max_examples=200, deadline=None)
@given(
    rows=ROWS, spans=WINDOWS, found=keys(),
    time=st.sampled_from(["timestamp(us,UTC)", "timestamp(us,Europe/Oslo)", "timestamp(us,)"]),
)  # fmt: skip
def test_a_slice_has_the_rows_of_its_windows_and_keys(
    rows: list[tuple[Any, ...]], spans: list[tuple[int, int]], found: tuple[Any, ...], time: str
) -> None:
    part = PartitionSlice(tuple(sorted(hours(*ends) for ends in spans)), found)
    data = frame(rows, time)
    wanted = [belongs(part, row) for row in rows]
    keep = data.with_columns(keep=part.predicate(schema(time)))["keep"]
    assert keep.to_list() == wanted and keep.dtype == pl.Boolean
    assert data.lazy().filter(part.predicate(schema(time))).collect().equals(data.filter(wanted))
    if part.span is not None:
        assert all(part.span.start <= w.start and w.end <= part.span.end for w in part.windows)


@settings(max_examples=200, deadline=None)
@given(
    pairs=st.lists(st.tuples(st.integers(0, 4), st.sampled_from(["no", "uk", None])), min_size=1, max_size=8),
    rows=ROWS,
)
def test_a_union_has_the_rows_of_all_and_no_others(
    pairs: list[tuple[int, str | None]], rows: list[tuple[Any, ...]]
) -> None:
    parts = [PartitionSlice((hours(n, n + 1),), ((("country", c),),)) for n, c in pairs]
    rectangle = len({n for n, _ in pairs}) * len({c for _, c in pairs}) == len(set(pairs))
    if not rectangle:
        with pytest.raises(RequestError, match="no rectangle"):
            union(parts)
        return
    whole = union(parts)
    assert [belongs(whole, row) for row in rows] == [any(belongs(p, row) for p in parts) for row in rows]
    data = frame(rows, "timestamp(us,UTC)")
    assert data.filter(whole.predicate(schema("timestamp(us,UTC)"))).height == sum(
        belongs(whole, row) for row in rows
    )
    assert all(one.end < other.start for one, other in itertools.pairwise(whole.windows))
    assert whole.cells == tuple(sorted({hours(n, n + 1) for n, _ in pairs}))
    assert union([whole, *parts]).windows == whole.windows


def test_the_union_of_windows_that_touch_over_a_change_of_the_clock_is_one() -> None:
    dimension = dimension_of("hourly", dt.date(2024, 10, 27), OSLO)
    definition = of_dagster(dimension, dt.datetime(2024, 10, 28, tzinfo=ZoneInfo(OSLO)))
    windows = [dimension.window(key) for key in definition.get_partition_keys()]
    assert len(windows) == 25
    whole = union(PartitionSlice((window,)) for window in reversed(windows))
    assert whole.windows == (dimension_of("daily", dt.date(2024, 10, 27), OSLO).window("2024-10-27"),)
    assert whole.cells == tuple(windows)
    half_past = [window.start + dt.timedelta(minutes=30) for window in windows]
    data = pl.DataFrame({"at": half_past}, schema_overrides={"at": pl.Datetime("us", OSLO)})
    number = number_of_window([window.start for window in windows], schema("timestamp(us,Europe/Oslo)"))
    assert data.select(n=number)["n"].to_list() == list(range(25))
    assert union([]) == PartitionSlice()
