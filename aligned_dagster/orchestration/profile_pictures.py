"""A profile of a contract's rows on its asset page: a table with small plots, and a picture of all distributions."""

from __future__ import annotations

import dagster as dg
import polars as pl

from aligned_dagster.orchestration.plots import bars
from aligned_dagster.orchestration.svg import bar, columns, picture, text
from aligned_dagster.orchestration.tables import table_value
from aligned_dagster.quality.profile import ColumnProfile, Profile

MOST_DRAWN = 40
"""The most columns in the picture."""
ACROSS = 3
_WIDE, _HIGH, _EDGE = 262, 106, 12
_LINES = 4


def profile_table(profile: Profile) -> dg.TableMetadataValue:
    """One row a column: the share of nulls, the distribution, and its ends or the most frequent values.

    Args:
        profile: of the rows.

    >>> age = ColumnProfile("age", 0.25, "1", "9", (0.5, 0.0, 0.5), (("1", 0.5), ("9", 0.5)), 2)
    >>> list(profile_table(Profile(4, 4, False, (age,))).records[0].data.values())
    ['age', '25%', '█\xa0█', '1 to 9, most often 1 (50%)']
    """
    rows = [
        {
            "column": one.name,
            "nulls": percent(one.nulls),
            "distribution": _sparkline(one),
            "values": _values(one),
        }
        for one in profile.columns
    ]
    if profile.left_out:
        more = f"and {profile.left_out:,} more columns"
        rows.append({name: more if name == "column" else "" for name in rows[0]})
    return table_value(pl.DataFrame(rows))


def profile_picture(profile: Profile) -> dg.MarkdownMetadataValue:
    """The distribution of every column: bars from the least to the greatest value, or the most frequent ones.

    Args:
        profile: of the rows.
    """
    drawn = profile.columns[:MOST_DRAWN]
    parts = [text(_EDGE, 22, profile.words(), "m", longest=120)]
    for number, one in enumerate(drawn):
        down, across = divmod(number, ACROSS)
        parts += _column(one, across * _WIDE + _EDGE, 34 + down * _HIGH)
    height = 34 + -(-len(drawn) // ACROSS) * _HIGH
    words = f"distributions of {len(drawn)} columns"
    return picture(parts, min(len(drawn), ACROSS) * _WIDE + _EDGE, height, words)


def percent(share: float) -> str:
    """A share that is not taken for none or all where it is nearly so.

    >>> [percent(share) for share in (0, 0.0001, 0.024, 0.5, 0.9999, 1)]
    ['0%', '<0.1%', '2.4%', '50%', '>99.9%', '100%']
    """
    if 0 < share < 0.001:
        return "<0.1%"
    if 0.999 < share < 1:
        return ">99.9%"
    return f"{share * 100:.1f}".removesuffix(".0") + "%"


def _sparkline(one: ColumnProfile) -> str:
    """The distribution in characters, none of which ends a line."""
    return bars(one.bins, max(one.bins)).replace(" ", "\xa0") if one.bins else ""


def _values(one: ColumnProfile) -> str:
    frequent = [f"{_cut(value)} ({percent(share)})" for value, share in one.common[:3]]
    if not one.low and not one.high:
        return ", ".join(frequent) or _different(one)
    span = one.low if one.low == one.high else f"{one.low} to {one.high}"
    return f"{span}, most often {frequent[0]}" if frequent and one.low != one.high else span


def _different(one: ColumnProfile) -> str:
    return "" if not one.distinct or one.bins else f"{one.distinct:,} different values"


def _cut(value: str, longest: int = 20) -> str:
    return value if len(value) <= longest else f"{value[: longest - 1]}…"


def _column(one: ColumnProfile, x: float, y: float) -> list[str]:
    """The part of the picture that is about one column."""
    wide = _WIDE - 2 * _EDGE
    parts = [text(x, y + 16, one.name, "h", longest=24)]
    if one.nulls:
        parts.append(text(x + wide, y + 16, f"{percent(one.nulls)} null", "m s", end=True))
    if one.bins:
        ground = y + 76
        parts.append(f"<path class='l' d='M{x},{ground + 0.5}h{wide}'/>")
        parts.append(f"<path class='b' d='{columns(one.bins, x, ground, wide, 50)}'/>")
        parts.append(text(x, ground + 14, one.low, "m s", longest=20))
        if one.high != one.low:
            parts.append(text(x + wide, ground + 14, one.high, "m s", end=True, longest=20))
        return parts
    if not one.common:
        return [*parts, text(x, y + 36, _different(one) or _why_nothing(one), "m s", longest=44)]
    for number, (value, share) in enumerate(one.common[:_LINES]):
        line = y + 36 + number * 17
        parts.append(text(x, line, value, "s", longest=15))
        parts.append(bar(x + 96, line - 9, wide - 146, 10, "e"))
        parts.append(bar(x + 96, line - 9, max(1, share * (wide - 146)), 10, "b"))
        parts.append(text(x + wide, line, percent(share), "m s", end=True))
    return parts


def _why_nothing(one: ColumnProfile) -> str:
    if one.nulls == 1:
        return "only nulls"
    return "values of this type are not compared" if one.distinct is None else "no values"
