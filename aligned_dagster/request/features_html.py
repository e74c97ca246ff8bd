"""What a report on found features shows of itself in a notebook."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from aligned_dagster.features.durations import in_words
from aligned_dagster.features.html import Html, Look, Part, bar, bold, line, marked, muted, page, table

if TYPE_CHECKING:
    from aligned_dagster.request.features_report import FeaturesReport, ViewFound

_WIDE, _HIGH = 120, 12
_COLOUR = "#5f7fdc"


def features_page(report: FeaturesReport) -> str:
    """Of each view how many facts it has features for, and how old these are.

    Args:
        report: on the features of facts.
    """
    future = marked("no row from the future", "good")
    if report.leaked:
        future = marked(f"{report.leaked:,} rows FROM THE FUTURE", "bad")
    counts = muted(f"{report.rows_in:,} facts, {report.rows_out:,} rows")
    oldest = max((age for found in report.views for _, age in found.ages), default=dt.timedelta())
    head = ["view", "matched", "from the future", "median age", "oldest", "ages"]
    rows = [_view(found, oldest) for found in report.views]
    key = line(
        muted("Ages: the line is from the youngest to the oldest, the box has the middle half of them.")
    )
    aged = any(found.ages for found in report.views)
    return page(
        line(bold("features"), counts, future),
        table(head, rows, ["from the future"]),
        key if aged else Html(""),
    )


def _view(found: ViewFound, oldest: dt.timedelta) -> list[Part]:
    ages = dict(found.ages)
    look: Look = "plain" if found.match_rate == 1 else "look" if found.match_rate >= 0.5 else "bad"
    matched = bar(found.match_rate, f"{found.match_rate * 100:.1f} % ({found.matched:,})", look)
    told = [in_words(ages[at]) if at in ages else "" for at in (0.5, 1.0)]
    leaked: Part = "no times" if found.leaked is None else f"{found.leaked:,}"
    leaked = marked(leaked, "bad") if found.leaked else leaked
    return [bold(found.view), matched, leaked, *told, _spread(ages, oldest)]


def _spread(ages: dict[float, dt.timedelta], oldest: dt.timedelta) -> Html:
    """The ages as a line with a box and a mark at the median, all views to the same measure."""
    needed = (0.0, 0.25, 0.5, 0.75, 1.0)
    if oldest <= dt.timedelta() or any(at not in ages for at in needed):
        return Html("")
    least, low, middle, high, most = (
        min(max(ages[at] / oldest, 0.0), 1.0) * (_WIDE - 3) + 1 for at in needed
    )
    return Html(
        f'<svg width="{_WIDE}" height="{_HIGH}" role="img"><path d="M{least:.1f},6H{most:.1f}" stroke="{_COLOUR}"/>'
        f'<rect x="{low:.1f}" y="2" width="{max(high - low, 1):.1f}" height="8" fill="{_COLOUR}" fill-opacity=".5"/>'
        f'<path d="M{middle:.1f},0v12" stroke="currentColor" stroke-width="1.5"/></svg>'
    )
