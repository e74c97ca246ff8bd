"""The picture of how old features were when they were used, in a materialisation of a training set or of predictions."""

from __future__ import annotations

import datetime as dt
import math
from typing import TYPE_CHECKING

from aligned_dagster.orchestration.profile_pictures import percent
from aligned_dagster.orchestration.svg import bar, picture, text

if TYPE_CHECKING:
    from collections.abc import Callable

    import dagster as dg

    from aligned_dagster.request.features_report import FeaturesReport, ViewFound

_EDGE, _LEFT, _WIDE, _LINE = 12, 170, 720, 46
_TICKS = {
    "0": dt.timedelta(0),
    "1 s": dt.timedelta(seconds=1),
    "1 min": dt.timedelta(minutes=1),
    "10 min": dt.timedelta(minutes=10),
    "1 h": dt.timedelta(hours=1),
    "6 h": dt.timedelta(hours=6),
    "1 d": dt.timedelta(days=1),
    "7 d": dt.timedelta(days=7),
    "30 d": dt.timedelta(days=30),
    "1 y": dt.timedelta(days=365),
    "10 y": dt.timedelta(days=3_650),
}


def ages_picture(report: FeaturesReport) -> dg.MarkdownMetadataValue | None:
    """A line a view: from the youngest to the oldest feature, half of them within the bar; None where none has a time.

    The scale is logarithmic: what is a minute old and what is a year old are seen side by side.

    Args:
        report: of the join.
    """
    views = [found for found in report.views if found.ages]
    if not views:
        return None
    oldest = max(max(age for _, age in found.ages) for found in views)
    least = min(min(age for _, age in found.ages) for found in views)
    end = max(_place(oldest), _place(dt.timedelta(minutes=1)))
    begin = min(0.0, _place(least))
    wide = _WIDE - _LEFT - 2 * _EDGE

    def x(age: dt.timedelta) -> float:
        return _LEFT + (_place(age) - begin) / (end - begin) * wide

    bottom = 36 + len(views) * _LINE
    parts = [text(_EDGE, 22, "Time between a feature's event and the fact that got it", "m", longest=80)]
    shown = -math.inf
    for name, age in _TICKS.items():
        if _place(age) <= end and x(age) - shown >= 42:
            shown = x(age)
            parts.append(f"<path class='l' d='M{shown:.1f},32V{bottom}'/>")
            parts.append(text(shown - 6, bottom + 15, name, "m s"))
    for number, found in enumerate(views):
        parts += _box(found, 36 + number * _LINE, x)
    legend = "line: youngest to oldest; bar: the middle half; mark: the median"
    parts.append(text(_EDGE, bottom + 36, legend, "m s", longest=100))
    words = "; ".join(f"{found.view}: median age {_short(dict(found.ages)[0.5])}" for found in views)
    return picture(parts, _WIDE, bottom + 48, f"ages of features: {words}")


def _box(found: ViewFound, y: float, x: Callable[[dt.timedelta], float]) -> list[str]:
    ages = dict(found.ages)
    low, first, median, third, high = (x(ages[at]) for at in (0.0, 0.25, 0.5, 0.75, 1.0))
    middle = y + 20
    return [
        text(_EDGE, y + 16, found.view, "h", longest=20),
        text(_EDGE, y + 32, f"{percent(found.match_rate)} found", "m s"),
        f"<path class='l' d='M{low:.1f},{middle}H{high:.1f}' stroke-width='3'/>",
        bar(first, middle - 9, max(third - first, 2), 18, "b"),
        bar(median - 1.5, middle - 12, 3, 24, "w"),
        text(min(median + 6, _WIDE - 90), y + 6, _short(ages[0.5]), "m s"),
        *([text(high, y + 6, _short(ages[1.0]), "m s", end=True)] if high - median > 150 else []),
    ]


def _place(age: dt.timedelta) -> float:
    """Where an age stands on the scale; ages of features from the future stand left of 0."""
    seconds = age.total_seconds()
    return math.copysign(math.log1p(abs(seconds)), seconds)


def _short(age: dt.timedelta) -> str:
    """An age in two units.

    >>> _short(dt.timedelta(minutes=41, seconds=3)), _short(dt.timedelta(days=3, hours=2, minutes=5))
    ('41 min 3 s', '3 d 2 h')
    """
    seconds = int(age.total_seconds())
    sign, seconds = ("-" if seconds < 0 else ""), abs(seconds)
    parts = []
    for name, size in (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1)):
        number, seconds = divmod(seconds, size)
        if number:
            parts.append(f"{number} {name}")
    return sign + (" ".join(parts[:2]) or "0 s")
