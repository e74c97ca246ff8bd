"""The picture of which partitions there are: a calendar of days, bars along time or by key, or a grid of both."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from aligned_dagster.orchestration.svg import IN_PLACE, bar, columns, picture, small_picture, text

if TYPE_CHECKING:
    import dagster as dg

    from aligned_dagster.orchestration.coverage import Coverage

_EDGE = 12
_WIDE = 720
_CELL = 13
_MOST_BARS = 240
_MOST_KEYS = 40
_MOST_CELLS = 60
_YEARS = 5
_LEVELS = 4
_LITTLE = (460, 44)
"""The size of what is drawn in place."""


def coverage_picture(coverage: Coverage) -> dg.MarkdownMetadataValue:
    """Which partitions there are and how many rows each has; in place where they are few, on a click otherwise.

    Args:
        coverage: of a contract.
    """
    dimensions = coverage.partitions.by_dimension
    if len(dimensions) == 2:
        return _grid(coverage)
    little = _little(coverage)
    if len(little.value or "") < IN_PLACE:
        return little
    window = coverage.partitions.scheme.window
    if window is None:
        return _by_key(coverage)
    return _calendar(coverage) if window.every == "daily" else _along_time(coverage)


def _little(coverage: Coverage) -> dg.MarkdownMetadataValue:
    """A bar a partition, without words; what is missing stands out below the line."""
    wide, high = _LITTLE
    # In a hue that is read on light and dark, as there is no room for a ground.
    here = [_weight(coverage, key) for key in coverage.keys]
    gone = [0.0 if key in coverage.there else 1.0 for key in coverage.keys]
    parts = [f"<path fill='#6f7fe0' d='{columns(here, 0, high - 6, wide, high - 8, gap=2)}'/>"]
    if any(gone):
        parts.append(f"<path fill='#d9822b' d='{columns(gone, 0, high, wide, 4, gap=2)}'/>")
    return small_picture(parts, wide, high, _words(coverage))


def _along_time(coverage: Coverage) -> dg.MarkdownMetadataValue:
    """Bars from the first window to the last; of very many each bar is several windows."""
    group = -(-len(coverage.keys) // _MOST_BARS)
    spans = [coverage.keys[at : at + group] for at in range(0, len(coverage.keys), group)]
    here = [sum(_weight(coverage, key) for key in span) for span in spans]
    gone = [float(any(key not in coverage.there for key in span)) for span in spans]
    ground, wide = 124, _WIDE - 2 * _EDGE
    parts = [text(_EDGE, 22, _words(coverage), "m", longest=110)]
    parts.append(f"<path class='b' d='{columns(here, _EDGE, ground, wide, 80)}'/>")
    parts.append(f"<path class='w' d='{columns(gone, _EDGE, ground + 6, wide, 4, gap=0)}'/>")
    parts.append(text(_EDGE, ground + 22, coverage.keys[0], "m s"))
    parts.append(text(_WIDE - _EDGE, ground + 22, coverage.keys[-1], "m s", end=True))
    parts += _legend(
        coverage,
        ground + 42,
        each=f"{group} partitions" if group > 1 else "a partition",
        how="as high as it has rows",
    )
    return picture(parts, _WIDE, ground + 54, _words(coverage))


def _calendar(coverage: Coverage) -> dg.MarkdownMetadataValue:
    """A square a day, a column a week, a block a year; the stronger the more rows. Of many years the last ones."""
    days = {key: dt.date.fromisoformat(key[:10]) for key in coverage.keys}
    years = sorted({day.year for day in days.values()})[-_YEARS:]
    level = _levels(coverage)
    parts = [text(_EDGE, 22, _words(coverage), "m", longest=110)]
    paths: dict[str, list[str]] = {}
    top = 52
    for number, year in enumerate(years):
        y = top + number * (7 * _CELL + 24)
        parts.append(text(_EDGE, y - 4, str(year), "m s"))
        before = dt.date(year, 1, 1).weekday()
        for key, day in days.items():
            if day.year == year:
                week, weekday = divmod((day - dt.date(year, 1, 1)).days + before, 7)
                place = f"M{_EDGE + week * _CELL},{y + weekday * _CELL}h11v11h-11z"
                paths.setdefault(level[key], []).append(place)
    parts += [f"<path {kind} d='{''.join(places)}'/>" for kind, places in sorted(paths.items())]
    height = top + len(years) * (7 * _CELL + 24)
    parts += _legend(coverage, height + 2, each="a day", how="the stronger the more rows")
    return picture(parts, _WIDE, height + 14, _words(coverage))


def _by_key(coverage: Coverage) -> dg.MarkdownMetadataValue:
    """A bar a key, with its number of rows."""
    shown = coverage.keys[:_MOST_KEYS]
    most = max((_weight(coverage, key) for key in coverage.keys), default=0) or 1.0
    parts = [text(_EDGE, 22, _words(coverage), "m", longest=110)]
    left, wide = 190, _WIDE - 190 - 100
    for number, key in enumerate(shown):
        y = 48 + number * 20
        parts.append(text(_EDGE, y, key, "s", longest=28))
        if key not in coverage.there:
            parts += [bar(left, y - 10, 4, 12, "w"), text(left + 10, y, "missing", "m s")]
            continue
        parts.append(bar(left, y - 10, max(1.0, _weight(coverage, key) / most * wide), 12, "b"))
        rows = coverage.rows.get(key)
        told = "rows not counted" if rows is None else f"{rows:,}"
        parts.append(text(_WIDE - _EDGE, y, told, "m s", end=True))
    height = 48 + len(shown) * 20
    if len(shown) < len(coverage.keys):
        parts.append(text(_EDGE, height, f"and {len(coverage.keys) - len(shown):,} more", "m s"))
        height += 20
    return picture(parts, _WIDE, height - 4, _words(coverage))


def _grid(coverage: Coverage) -> dg.MarkdownMetadataValue:
    """A line a key of the first dimension, a square a key of the second; the last squares of a long line."""
    split = {key: coverage.partitions.split(key) for key in coverage.keys}
    window = coverage.partitions.scheme.window
    names = list(coverage.partitions.by_dimension)
    across = window.name if window is not None else names[-1]
    down = next(name for name in names if name != across)
    lines = list(dict.fromkeys(one[down] for one in split.values()))[:_MOST_KEYS]
    ordered = dict.fromkeys(one[across] for one in split.values())
    squares = (sorted(ordered) if window is not None else list(ordered))[-_MOST_CELLS:]
    level = _levels(coverage)
    left, wide = 170, min(_CELL + 5, (_WIDE - 170 - _EDGE) / max(len(squares), 1))
    parts = [text(_EDGE, 22, _words(coverage), "m", longest=110)]
    rows = {name: 34 + number * 18 for number, name in enumerate(lines)}
    places = {name: left + number * wide for number, name in enumerate(squares)}
    parts += [text(_EDGE, y + 12, name, "s", longest=24) for name, y in rows.items()]
    paths: dict[str, list[str]] = {}
    for key, one in split.items():
        if one[down] in rows and one[across] in places:
            cell = f"M{places[one[across]]:.1f},{rows[one[down]]}h{wide - 2:.1f}v16h-{wide - 2:.1f}z"
            paths.setdefault(level[key], []).append(cell)
    parts += [f"<path {kind} d='{''.join(cells)}'/>" for kind, cells in sorted(paths.items())]
    bottom = 34 + len(lines) * 18
    parts.append(text(left, bottom + 14, squares[0], "m s"))
    if len(squares) > 8:
        parts.append(text(left + len(squares) * wide, bottom + 14, squares[-1], "m s", end=True))
    parts += _legend(coverage, bottom + 36, each="a partition", how="the stronger the more rows")
    return picture(parts, _WIDE, bottom + 48, _words(coverage))


def _weight(coverage: Coverage, key: str) -> float:
    """How high a partition is drawn: its rows; where those of some are not known all that are there are alike."""
    if key not in coverage.there:
        return 0.0
    return float(coverage.rows[key]) if coverage.is_counted else 1.0


def _levels(coverage: Coverage) -> Mapping[str, str]:
    """The attributes of each partition's square: a stronger colour for more rows, another colour where it is missing."""
    most = max((_weight(coverage, key) for key in coverage.keys), default=0) or 1.0
    found = {}
    for key in coverage.keys:
        if key not in coverage.there:
            found[key] = "class='w'"
            continue
        level = -(-int(_weight(coverage, key) * _LEVELS) // int(most)) if most >= 1 else 0
        found[key] = "class='e'" if level == 0 else f"class='b' opacity='{level / _LEVELS:g}'"
    return found


def _legend(coverage: Coverage, y: float, *, each: str, how: str) -> Sequence[str]:
    words = f"{each}, {how}" if coverage.is_counted else f"{each}; rows are not counted"
    return [
        bar(_EDGE, y - 9, 10, 10, "b"),
        text(_EDGE + 16, y, words, "m s"),
        bar(_EDGE + 250, y - 9, 10, 10, "w"),
        text(_EDGE + 266, y, "missing", "m s"),
    ]


def _words(coverage: Coverage) -> str:
    return f"Partitions: {coverage.words()}"
