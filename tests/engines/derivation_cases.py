# ruff: noqa: E501  # the cases of a method stand in one line, however many
"""A case or more for every public method of the types, and rows with hostile values to try them on."""

from __future__ import annotations

import datetime as dt
import math
import random
from decimal import Decimal as Exact
from itertools import cycle, islice
from typing import Any

import polars as pl

from aligned_dagster.features.truth import coalesce, concat_str, max_of, min_of, when
from aligned_dagster.features.types import (
    UUID,
    Bool,
    Date,
    Decimal,
    Duration,
    Embedding,
    EventTimestamp,
    Float,
    Float32,
    Int8,
    Int16,
    Int32,
    Int64,
    Json,
    List,
    String,
    Struct,
    Time,
    Timestamp,
    UInt8,
    UInt16,
    UInt32,
    UInt64,
)

ROWS = 61
INF, NAN = math.inf, math.nan


def moment(*parts: int) -> dt.datetime:
    return dt.datetime(*parts)  # type: ignore[arg-type]  # the parts are year to microsecond


def utc(*parts: int) -> dt.datetime:
    return moment(*parts).replace(tzinfo=dt.UTC)


id_ = Int64().as_entity()
i, j, k = Int32(), Int32(), Int64()
tiny, small, u8, u16, u32, u64 = Int8(), Int16(), UInt8(), UInt16(), UInt32(), UInt64()
f, f2, g, unit = Float(), Float(), Float32(), Float()
money, price = Decimal(10, 2), Decimal(12, 4)
flag, other = Bool(), Bool()
s, t, code, digits, number = String(), String(), UUID(), String(), String()
iso, stamped, doc = String(), String(), Json()
day, day2 = Date(), Date()
at = EventTimestamp()
oslo, naive = Timestamp(time_zone="Europe/Oslo"), Timestamp(time_zone=None)
clock, span, span2 = Time(), Duration(), Duration()
items, floats, words = List(Int32()), List(Float()), List(String())
place = Struct({"city": String(), 'zip."`code': Int32()})
vector, vector2 = Embedding(3), Embedding(3)

COLUMNS: dict[str, Any] = {
    "id": id_, "i": i, "j": j, "k": k, "tiny": tiny, "small": small, "u8": u8, "u16": u16, "u32": u32, "u64": u64,
    "f": f, "f2": f2, "g": g, "unit": unit, "money": money, "price": price, "flag": flag, "other": other, "s": s,
    "t": t, "code": code, "digits": digits, "number": number, "iso": iso, "stamped": stamped, "doc": doc, "day": day,
    "day2": day2, "at": at, "oslo": oslo, "naive": naive, "clock": clock, "span": span, "span2": span2,
    "items": items, "floats": floats, "words": words, "place": place, "vector": vector, "vector2": vector2,
}  # fmt: skip

VALUES: dict[str, list[Any]] = {
    "i": [0, 1, -1, None, 7, -7, 2**31 - 1, -(2**31), 12345, -3],
    "j": [2, -2, 0, 3, None, 7, -5, 1],
    "k": [0, None, 10, -10, 2**53 + 1, 3_000_000_007, -(2**40), 5, 1],
    "tiny": [0, 127, -128, None, 5, -5, 100],
    "small": [0, 32767, -32768, None, 12],
    "u8": [0, 255, None, 7, 200],
    "u16": [0, 65535, None, 7, 300],
    "u32": [0, 2**32 - 1, None, 7],
    "u64": [0, 2**64 - 1, None, 7, 2**63],
    "f": [0.0, -0.0, 7.25, -7.25, NAN, INF, -INF, None, 1e-320, 1e300, 2.675, 0.5, -1.5, 2.5, 100.123456789],
    "f2": [1.0, 0.0, -0.0, NAN, None, -2.5, 3.0, INF, 7.25, 1e-300, -1.0],
    "g": [0.1, -0.0, NAN, None, 2.5, -3.75, 1e30, INF, 0.5],
    "unit": [0.0, 1.0, -1.0, 0.5, None, NAN, -0.25, 1.5, 1e-9],
    "money": [Exact("1.50"), Exact("-2.25"), None, Exact("0.00"), Exact("99999999.99"), Exact("2.35"), Exact("2.45")],
    "price": [Exact("0.1234"), Exact("-9.5000"), None, Exact("7.0000")],
    "flag": [True, False, None],
    "other": [True, None, False, False, True],
    "s": [
        "a-b1", "b", None, "", "  a \t", "Straße", "ΟΔΟΣ ΣΑΣ", "İstanbul", "日本語", "a\nb", "a.b", "ﬁn", "'quoted'", 'say "x"',
        "back\\slash", "$1", "%d_", "a--b", "٣٤", "é", "e\u0301", "😀a", "line\r\n", "\u00a0x\u2003", "A1b22", "-7", "+7", "a",
        "tail\n", "Mr. A", "null",
    ],
    "t": ["x", None, "", "a", "b-", "Ω", "😀"],
    "code": ["a", None, "B"],
    "digits": ["1", "-20", None, "007", "9223372036854775807"],
    "number": ["1.5", "-2", None, "1e3", "NaN", "inf"],
    "iso": ["2013-02-12", None, "1969-12-31", "2000-02-29"],
    "stamped": ["2013-02-12 12:30:15", None, "1969-12-31 23:59:59"],
    "doc": [
        '{"city": "Oslo", "n": 3, "deep": {"x": [1, 2]}, "yes": true, "none": null, "f": 1.5}', "{}", None, "not json",
        '{"city": "a\\"b"}', '[1, 2]',
    ],
    "day": [
        dt.date(2013, 2, 12), dt.date(2013, 1, 31), None, dt.date(1969, 12, 28), dt.date(2000, 2, 29), dt.date(2024, 12, 30),
        dt.date(2021, 1, 3), dt.date(1900, 1, 1),
    ],
    "day2": [dt.date(2013, 2, 12), None, dt.date(1999, 12, 31)],
    "at": [
        utc(2013, 2, 12, 12, 30, 15), utc(2013, 3, 31, 0, 59, 59, 999999), utc(2013, 3, 31, 1), utc(1969, 12, 31, 23, 59, 59, 1),
        utc(2013, 10, 27, 1, 30), utc(2024, 2, 29), utc(1900, 1, 1, 3), utc(2013, 2, 10, 23, 30),
    ],
    "oslo": [
        utc(2013, 2, 12, 12, 30, 15), utc(2013, 3, 31, 0, 59, 59, 999999), None, utc(2013, 6, 30, 22, 30), utc(2012, 12, 31, 23),
        utc(2013, 11, 30, 12),
    ],
    "naive": [moment(2013, 2, 12, 12, 30, 15, 5), None, moment(1969, 12, 31, 23, 59, 59, 999999), moment(2000, 2, 29)],
    "clock": [dt.time(0), dt.time(23, 59, 59, 999999), None, dt.time(12, 30)],
    "span": [
        dt.timedelta(0), dt.timedelta(days=1, microseconds=1), None, dt.timedelta(seconds=-1, microseconds=-1),
        dt.timedelta(hours=-30), dt.timedelta(minutes=90),
    ],
    "span2": [dt.timedelta(hours=1), None, dt.timedelta(0), dt.timedelta(seconds=-7)],
    "items": [[1, 2], [], None, [None, 5], [3, 3, -2147483648], [None]],
    "floats": [[1.5, NAN], [], None, [NAN], [None, -0.5, INF], [0.1, 0.2, 0.3]],
    "words": [["a", "b"], [], None, [None, "c"], ["", "x"], [None]],
    "place": [{"city": "Oslo", 'zip."`code': 1}, {"city": None, 'zip."`code': 2}, None, {"city": "", 'zip."`code': None}],
    "vector": [[1.0, 0.0, 2.0], None, [0.5, None, -1.0], [0.0, 1e10, 3.0]],
    "vector2": [[1.0, 2.0, 3.0], [0.0, 0.0, 0.0], None],
}  # fmt: skip


def rows(count: int = ROWS, seed: int | None = None) -> pl.DataFrame:
    """Values of unlike cycles side by side, so that most of them meet; by a seed, values at random.

    Args:
        count: the number of rows.
        seed: of the random values; the cycles if not given.
    """
    taken = {name: list(islice(cycle(values), count)) for name, values in VALUES.items()}
    if seed is not None:
        chance = random.Random(seed)
        taken = {
            name: [_anything(name, values, chance) for _ in range(count)] for name, values in VALUES.items()
        }
    schema = {name: column.dtype.polars for name, column in COLUMNS.items()}
    columns = [pl.Series("id", range(count), dtype=pl.Int64)]
    for name, dtype in schema.items():
        if name != "id":
            columns.append(pl.Series(name, taken[name], dtype=_read_as(dtype), strict=False).cast(dtype))
    return pl.DataFrame(columns)


_LETTERS = "aAbB1- .\n\t'\"$\\\\%_ßéΣσς日😀\u00a0\u0301"


def _anything(name: str, values: list[Any], chance: random.Random) -> Any:
    """One of the hostile values, or often any other of the type."""
    if chance.random() < 0.4 or name not in {
        "i",
        "j",
        "k",
        "f",
        "f2",
        "g",
        "s",
        "t",
        "at",
        "day",
        "span",
        "u64",
        "items",
    }:
        return chance.choice(values)
    if name == "j":
        return chance.randint(-10, 10)
    if name == "i":
        return chance.choice([chance.randint(-10, 10), chance.randint(-(2**31), 2**31 - 1)])
    if name in {"k", "u64"}:
        return chance.randint(0, 2**40)
    if name in {"f", "f2", "g"}:
        return chance.choice(
            [chance.uniform(-10, 10), float(chance.randint(-50, 50)) / 4, chance.lognormvariate(0, 50)]
        )
    if name in {"s", "t"}:
        return "".join(chance.choice(_LETTERS) for _ in range(chance.randint(0, 8)))
    if name == "at":
        return utc(1970, 1, 1) + dt.timedelta(microseconds=chance.randint(-(10**15), 3 * 10**15))
    if name == "day":
        return dt.date(1970, 1, 1) + dt.timedelta(days=chance.randint(-30_000, 40_000))
    if name == "span":
        return dt.timedelta(microseconds=chance.randint(-(10**12), 10**12))
    return [chance.choice([None, 1, 5, chance.randint(-100, 100)]) for _ in range(chance.randint(0, 4))]


def _read_as(dtype: pl.DataType) -> pl.DataType:
    if isinstance(dtype, pl.Datetime) and dtype.time_zone:
        return pl.Datetime("us", "UTC")
    return dtype


NOON = utc(2013, 2, 12, 12, 30, 15)
HOUR = dt.timedelta(hours=1)


CASES: dict[str, list[Any]] = {
    # every type
    "Feature.is_null": [f.is_null(), s.is_null(), items.is_null(), place.is_null()],
    "Feature.is_not_null": [f.is_not_null(), vector.is_not_null()],
    "Feature.fill_null": [
        i.fill_null(0), f.fill_null(f2), s.fill_null("?'\\"), day.fill_null(dt.date(2000, 1, 1)), tiny.fill_null(1),
        at.fill_null(NOON), span.fill_null(HOUR), clock.fill_null(dt.time(1)), u64.fill_null(1), money.fill_null(Exact("0.10")),
    ],
    "Feature.fill_na": [s.fill_na("?")],
    "Feature.is_in": [
        i.is_in([1, 2, 7]), i.is_in([1, None]), s.is_in(["a", "b", "日本語", "'quoted'"]), f.is_in([0.0, NAN, 7.25]),
        g.is_in([0.1]), day.is_in([dt.date(2013, 2, 12)]), i.is_in([]), at.is_in([NOON]), u64.is_in([2**64 - 1]),
        money.is_in([Exact("1.50")]), flag.is_in([True]), clock.is_in([dt.time(12, 30)]), span.is_in([HOUR, dt.timedelta(0)]),
    ],
    "Feature.cast": [
        i.cast(Float()), i.cast(String()), tiny.cast(Int64()), unit.fill_null(0).is_nan().cast(Int32()), flag.cast(Int8()),
        flag.cast(String()), i.cast(Bool()), day.cast(String()), naive.cast(String()), digits.cast(Int64()),
        number.cast(Float()), u8.cast(Int16()), money.cast(Float()), money.cast(String()), i.cast(Decimal(12, 1)),
        money.cast(Int64()), oslo.cast(Date()), naive.cast(Date()), day.cast(Timestamp(None)), at.cast(Timestamp("Europe/Oslo")),
        g.cast(Float()), items.cast(List(Float())), j.cast(Float32()), s.cast(UUID()), u64.cast(String()), k.cast(Float()),
        when(f.is_finite() & (f < 1e9)).then(f).otherwise(0.0).cast(Int64()), f.cast(Float32()),
    ],
    # order
    "Ordered.is_between": [
        f.is_between(0, 1), i.is_between(-1, 7), day.is_between(dt.date(2000, 1, 1), day2), s.is_between("a", "b"),
        i.is_between(0.5, f2), g.is_between(0.1, 2.5), clock.is_between(dt.time(1), dt.time(13)),
    ],
    "Ordered.clip": [
        f.clip(0, 1), i.clip(-1, 7), f.clip(0.5), money.clip(Exact("0"), Exact("2")), g.clip(0.1, 1),
        at.clip(utc(2000, 1, 1), NOON), day.clip(dt.date(2000, 1, 1)), tiny.clip(-3, 3),
    ],
    "Feature.__eq__": [
        i == 2, i == j, f == f2, s == "a", f == NAN, g == 0.1, g == f, i == 0.5, u64 == k, flag == other, day == dt.date(2013, 2, 12),
        naive == moment(2000, 2, 29), oslo == at, money == price, money == Exact("1.50"), code == "a", tiny == 300, clock == dt.time(0),
        span == span2, s == t, naive == day, items == items,
    ],
    "Feature.__ne__": [i != 2, f != f2, s != "a", flag != other, i != j],
    "Feature.__lt__": [f < f2, i < j, s < t, i < 2.5, day < day2, at < oslo, money < price, flag < other, f < 0, 2 < i],  # noqa: SIM300  # the literal on the left is tested
    "Feature.__le__": [f <= f2, s <= "b", f <= NAN, u8 <= tiny],
    "Feature.__gt__": [f > f2, naive > dt.date(2013, 1, 1), span > HOUR, g > 0.1, f > 0],
    "Feature.__ge__": [f >= f2, oslo >= NOON, u64 >= 2**63, i >= k],
    "Feature.equals": [s.equals("a")],
    "Feature.not_equals": [s.not_equals("a")],
    # numbers
    "Number.__add__": [
        i + 1, i + j, tiny + 1, tiny + tiny, u8 + u8, u16 + 1, u32 + u32, small + 1, f + f2, f + i, g + 0.1, g + g, money + price,
        money + 1, money + Exact("0.05"), tiny + small, u8 + tiny, g + f, u64 + 1, j + 2.5, money + i,
    ],
    "Number.__radd__": [1 + i, 0.5 + j],
    "Number.__sub__": [i - 1, i - j, u8 - 1, u8 - u8, f - f2, money - price, u64 - 1, tiny - 100],
    "Number.__rsub__": [10 - j, 1 - f],
    "Number.__mul__": [i * 2, i * j, f * f2, tiny * 2, money * 2, money * Exact("2"), u64 * 2, f * i, g * 3, f * 0, u8 * u8],
    "Number.__rmul__": [2 * f, 3 * j],
    "Number.__truediv__": [i / 2, i / j, f / f2, f / 0, g / 3, g / g, i / f2, k / j, f / 3, tiny / j, u64 / 2, i / 0],
    "Number.__rtruediv__": [1 / f, 1 / j],
    "Number.__floordiv__": [i // 2, i // j, k // j, f // f2, f // 2, f // 4.9, f // 0, tiny // j, i // -3, i // 0, u8 // 3, k // -7, u64 // 3, u16 // u8],
    "Number.__rfloordiv__": [7 // j, -7 // j],
    "Number.__mod__": [j % 2, i % j, f2 % 3, f % f2, g % g, k % -3, tiny % 7, i % 0, u8 % 7, f % 2.5, f % 4.9, f % 0, unit % unit, k % j, u64 % 10],
    "Number.__rmod__": [7 % j, -7 % j],
    "Number.__pow__": [f2**2, j**2, unit**0.5, f2**f, tiny**2, j**0, g**2, i**3, k**1, j**0.5, f**-1],
    "Number.__rpow__": [2**f2, 2.5**unit],
    "Number.__neg__": [-i, -f, -money, -span, -tiny, -g],
    "Number.__abs__": [abs(i), abs(f), abs(tiny)],
    "Feature.__pos__": [+i, +f],
    "Number.abs": [j.abs(), f.abs(), money.abs(), u8.abs(), g.abs()],
    "Number.sign": [i.sign(), f.sign(), g.sign(), money.sign(), u8.sign()],
    "Number.round": [
        f.round(1), f.round(), g.round(1), i.round(1), money.round(1), money.round(), unit.round(2), f2.round(3), f.round(2),
        g.round(), money.round(5),
    ],
    "Number.ceil": [f.ceil(), g.ceil(), i.ceil(), money.ceil(), unit.ceil()],
    "Number.floor": [f.floor(), g.floor(), i.floor(), money.floor(), unit.floor()],
    "Number.sqrt": [f.sqrt(), i.sqrt(), g.sqrt()],
    "Number.cbrt": [f.cbrt(), i.cbrt()],
    "Number.exp": [unit.exp(), f.exp(), j.exp()],
    "Number.log": [f.log(), f.log(2), i.log(), g.log(), f2.log(10)],
    "Number.log10": [f.log10(), i.log10()],
    "Number.log1p": [unit.log1p(), f.log1p(), i.log1p()],
    "Number.sin": [unit.sin(), f2.sin(), i.sin()],
    "Number.cos": [unit.cos(), f2.cos()],
    "Number.tan": [unit.tan(), f2.tan()],
    "Number.arcsin": [unit.arcsin(), f.arcsin()],
    "Number.arccos": [unit.arccos()],
    "Number.arctan": [f.arctan(), i.arctan()],
    "Number.degrees": [unit.degrees(), f.degrees()],
    "Number.radians": [f.radians(), i.radians()],
    "Number.is_nan": [f.is_nan(), g.is_nan(), i.is_nan()],
    "Number.is_not_nan": [f.is_not_nan(), i.is_not_nan()],
    "Number.is_finite": [f.is_finite(), g.is_finite(), i.is_finite()],
    "Number.is_infinite": [f.is_infinite(), i.is_infinite()],
    "Number.bins": [f.bins([0, 1]), i.bins([-1, 0.5, 7]), f.bins([0.5], ["low", "high"])],
    "Number.one_hot_encode": [*i.one_hot_encode([1, 7])],
    # text
    "String.to_lowercase": [s.to_lowercase()],
    "String.to_uppercase": [s.to_uppercase()],
    "String.strip": [s.strip(), s.strip("a '"), s.strip("]a-"), s.strip("")],
    "String.contains": [
        s.contains("^a"), s.contains("a$"), s.contains(r"\d"), s.contains(r"^\w+$"), s.contains(r"a.b"), s.contains("[a-c]{2}"),
        s.contains(r"\s"), s.contains(".", literal=True), s.contains("(?i)STR"), s.contains(r"[^\d]"), s.contains("a|b"),
        s.contains(r"\S\W"), s.contains(r"[\w']"), s.contains(r"\p{Lu}"), s.contains("x*"), s.contains("'", literal=True), s.contains(r"\\"),
        s.contains(""), s.contains(r"\n"), s.contains("日"), s.contains(r"[.$]"), s.contains("", literal=True), s.contains(r"\."),
        s.contains("(?s)a.b"), s.contains(r"[\]a]"), s.contains("(?P<one>a)"), s.contains("b\n"),
    ],
    "String.starts_with": [s.starts_with("a"), s.starts_with(""), s.starts_with("'"), s.starts_with("%")],
    "String.ends_with": [s.ends_with("b"), s.ends_with("\n"), s.ends_with("語")],
    "String.replace": [s.replace({"a": "b", "": "empty", "日本語": "x'"}), t.replace({})],
    "String.replace_all": [
        s.replace_all("a", "b"), s.replace_all("-+", "$0$0"), s.replace_all(".", "x", literal=True), s.replace_all(r"(\w)(\d)", "$2${1}"),
        s.replace_all("a", "$", literal=True), s.replace_all("a", "\\"), s.replace_all("[^a-z]", ""), s.replace_all("b", "$$"),
    ],
    "String.split": [s.split("-"), s.split("."), s.split("ab"), s.split("'")],
    "String.slice": [s.slice(0, 1), s.slice(1), s.slice(-2), s.slice(-3, 2), s.slice(2, 0), s.slice(10, 5), s.slice(-10, 8)],
    "String.extract": [
        s.extract("(a)"), s.extract(r"([a-z]+)-([a-z])", 2), s.extract(r"\d+", 0), s.extract("(x*)a"), s.extract(r"^(\w+)"),
    ],
    "String.find": [s.find("a"), s.find("b"), s.find(r"\d", literal=False), s.find("語"), s.find("^a", literal=False), s.find("a|b", literal=False)],
    "String.count_matches": [s.count_matches("a"), s.count_matches(r"\w"), s.count_matches(".", literal=True), s.count_matches("a|b")],
    "String.len_chars": [s.len_chars()],
    "String.zfill": [s.zfill(4), digits.zfill(5), s.zfill(0)],
    "String.append": [s.append("!"), s.append(t), s.append(i)],
    "String.prepend": [s.prepend("<'"), s.prepend(t)],
    "String.__add__": [s + "x", s + t],
    "String.as_float": [number.as_float()],
    "String.as_int": [digits.as_int()],
    "String.to_date": [iso.to_date(), iso.to_date("%Y-%m-%d")],
    "String.to_timestamp": [stamped.to_timestamp("%Y-%m-%d %H:%M:%S"), stamped.to_timestamp("%Y-%m-%d %H:%M:%S", "Europe/Oslo")],
    "String.one_hot_encode": [*s.one_hot_encode(["a", "'quoted'"])],
    "String.ordinal_categories": [s.ordinal_categories(["a", "b", "日本語"])],
    "Json.json_path_value_at": [
        doc.json_path_value_at("$.city", String()), doc.json_path_value_at("$.n", Int32()), doc.json_path_value_at("$.deep.x[1]", Int64()),
        doc.json_path_value_at("$.f", Float()), doc.json_path_value_at("$.none", String()), doc.json_path_value_at("$.yes", String()),
        doc.json_path_value_at("$.deep.y", String()),
    ],
    # dates and times
    **{
        f"Calendar.{name}": [getattr(column, name)() for column in (day, at, oslo, naive)]
        for name in ("year", "quarter", "month", "week", "weekday", "day", "day_of_year", "is_weekend")
    },
    "Calendar.strftime": [
        day.strftime("%d.%m.%Y"), at.strftime("%Y-%m-%d %H:%M:%S"), oslo.strftime("%H o'clock, %d %B %y"), naive.strftime("%j %a %A %b %I %p"),
        oslo.strftime("%F %T %%"), naive.strftime("%H:%M:%S%.3f"), naive.strftime("%6f"),
    ],
    "Date.truncate": [day.truncate("1mo"), day.truncate("1w"), day.truncate("1q"), day.truncate("1y"), day.truncate("1d"), day.truncate("5mo"), day.truncate("2w")],
    **{f"Timestamp.{name}": [getattr(column, name)() for column in (at, oslo, naive)] for name in ("hour", "minute", "second", "date")},
    "Timestamp.truncate": [
        column.truncate(every) for column in (at, oslo, naive) for every in ("1h", "15m", "1d", "1w", "1mo", "1q", "1y", "6h", "10s", "5mo", "3d")
    ],
    "Timestamp.offset_by": [
        column.offset_by(by) for column in (at, oslo, naive) for by in ("1d", "-2h", "3mo", "1y", "-1w", "1mo2d3h", "90s", "-1mo")
    ],
    "Timestamp.convert_time_zone": [at.convert_time_zone("Europe/Oslo").hour(), oslo.convert_time_zone("America/New_York").date(), at.convert_time_zone("Asia/Kolkata")],
    "Timestamp.unix_time": [at.unix_time(), oslo.unix_time("ms"), naive.unix_time("us"), at.unix_time("ms"), naive.unix_time()],
    "Time.hour": [clock.hour()],
    "Time.minute": [clock.minute()],
    "Calendar.__add__": [
        oslo - at, at + HOUR, at - HOUR, at + span, day + dt.timedelta(days=2), day - day2, day + span, naive - span, span + span2, span - span2,
        span * 2, 3 * span, span * j, span / 2, span / span2, span * 2 + HOUR, naive - moment(2000, 1, 1), day - dt.date(2000, 1, 1),
        span / j,
    ],
    "Duration.total_seconds": [span.total_seconds(), (oslo - at).total_seconds()],
    "Duration.total_minutes": [span.total_minutes()],
    "Duration.total_hours": [span.total_hours()],
    "Duration.total_days": [span.total_days()],
    # nested
    "List.contains": [items.contains(1), items.contains(5), words.contains("c"), floats.contains(NAN), items.contains(j), items.contains(None)],
    "List.contains_any": [items.contains_any([1, 9])],
    "List.at_index": [items.at_index(1), items.at_index(-2), words.at_index(5)],
    "List.first": [items.first(), words.first()],
    "List.last": [items.last()],
    "List.length": [items.length(), words.length()],
    "List.sum": [items.sum(), floats.sum()],
    "List.mean": [items.mean(), floats.mean()],
    "List.max": [items.max(), floats.max(), words.max()],
    "List.min": [items.min(), floats.min(), words.min()],
    "List.join": [words.join(" "), words.join("")],
    "Struct.field": [place.field("city"), place.field('zip."`code', Float())],
    "Embedding.at_index": [vector.at_index(0), vector.at_index(-1)],
    "Embedding.dot_product": [vector.dot_product(vector2)],
    # truth and choices
    "Bool.__and__": [flag & other, flag & True],
    "Bool.__rand__": [True & flag],
    "Bool.__ror__": [False | flag],
    "Bool.__rxor__": [True ^ flag],
    "Bool.__or__": [flag | other, flag | False],
    "Bool.__xor__": [flag ^ other],
    "Bool.__invert__": [~flag],
    "Bool.logical_and": [flag.logical_and(other)],
    "Bool.logical_or": [flag.logical_or(other)],
    "Bool.then": [flag.then(i).otherwise(0), flag.then("yes").otherwise(None), flag.then(f).otherwise(i)],
    "when": [when(f > 0).then("up").otherwise("down"), when(i > j).then(i).otherwise(2.5), when(flag).then(day).otherwise(day2), when(flag).then(tiny).otherwise(1000)],
    "coalesce": [coalesce(f, 0.0), coalesce(i, j, 0), coalesce(s, t, "?"), coalesce(day, day2), coalesce(tiny, 1)],
    "concat_str": [concat_str(s, i, separator="-"), concat_str(s, t, flag), concat_str(day, money, separator="'"), concat_str(s, 1.5)],
    "max_of": [max_of(i, j, 3), max_of(f, f2), max_of(day, day2), max_of(s, t), max_of(f, 0.5), max_of(money, price)],
    "min_of": [min_of(i, j), min_of(f, f2), min_of(f, i), min_of(s, t, "m"), min_of(day, day2)],
    # aggregations over the rows that share values
    **{
        f"Aggregation.{name}": [getattr(column.aggregate().over(t), name)() for column in columns]
        for name, columns in {
            "count": (i, f, s), "len": (i, s), "sum": (i, f2, u8, tiny, flag, span, money, g), "mean": (i, f2, flag, g), "std": (i, f2, unit),
            "variance": (i, unit, f2), "median": (i, unit, f2, g, money), "min": (i, f, s, day, money, g), "max": (i, f, s, at, flag, clock),
            "n_unique": (i, f, s, day, flag), "count_distinct": (i,),
        }.items()
    },
    "Aggregation.percentile": [i.aggregate().over(t).percentile(0.3), unit.aggregate().over(t).percentile(0.9)],
    "Aggregation.over": [i.aggregate().over(s, flag).count(), f.aggregate().over(f2).len(), f2 - f2.aggregate().over(t).mean()],
    "Aggregation.where": [
        getattr(column.aggregate().where(i > 0).over(t), name)() for column in (i, unit) for name in ("count", "sum", "mean", "min", "max", "n_unique", "len", "median", "std")
    ],
}  # fmt: skip

finite = when(f.is_finite() & (f < 1e6) & (f > -1e6)).then(f).otherwise(0.0)
CASES["Feature.cast"] += [
    money.cast(Decimal(12, 1)), finite.cast(Decimal(12, 2)), price.cast(Decimal(10, 2)), j.cast(Decimal(12, 3)),
    iso.to_date().cast(Timestamp(None)), u8.cast(Float32()),
]  # fmt: skip

GAPS: dict[str, list[Any]] = {
    "Feature.hash_value": [s.hash_value(), f.hash_value()],
    "Feature.transform_polars": [f.transform_polars(lambda x: x.clip(0, 1))],
    "Aggregation.first": [i.aggregate().over(t).first()],
    "Aggregation.last": [i.aggregate().over(t).last()],
    "Aggregation.to_list": [i.aggregate().over(t).to_list()],
    "Aggregation.std": [i.aggregate().over(t).std(2)],
    "Aggregation.mean": [span.aggregate().over(t).mean()],
    "Feature.cast": [f.cast(String()), at.cast(String()), items.cast(String()), digits.cast(Decimal(10, 2))],
    "Number.__truediv__": [money / price],
    "Number.__pow__": [i**j, 2**j],
    "String.concat": [concat_str(s, f)],
    "String.contains": [
        s.contains(r"[a-c&&[^b]]"),
        s.contains("(?m)a$"),
        s.contains(r"\p{Greek}"),
        s.contains(r"(?x) a"),
    ],
    "String.count_matches": [s.count_matches("x*"), s.count_matches("$")],
    "String.replace_all": [s.replace_all("x*", "y"), s.replace_all("a", "$1")],
    "String.extract": [s.extract("(x)?a"), s.extract("(x)|a"), s.extract("((?:y(x))?)a", 2)],
    "String.split": [s.split("")],
    "Calendar.strftime": [at.strftime("%s"), at.strftime("%f")],
    "Duration.__mul__": [span * f2],
}
"""What neither Spark nor DuckDB answers as polars does."""

DUCKDB_GAPS: dict[str, list[Any]] = {
    "String.contains": [s.contains(r"\bb1"), s.contains(r"[\D]"), s.contains("\0", literal=True)],
}
"""What DuckDB alone does not answer as polars does."""
