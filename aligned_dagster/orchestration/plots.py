"""Plots of characters: the asset pages draw Markdown, without images that are not on a web server."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

WIDE, HIGH, BAR = 49, 17, 30
_BARS = "▁▂▃▄▅▆▇█"


def calibration_plot(bins: pl.DataFrame, *, of_probabilities: bool) -> str:
    """What was predicted, to the right, and what became true, upwards, as a code block of Markdown.

    Args:
        bins: one row a bin with the means `predicted` and `actual` and the number of `rows`.
        of_probabilities: whether both go from 0 to 1.

    >>> bins = pl.DataFrame({"predicted": [0.0, 0.9], "actual": [0.1, 0.5], "rows": [7, 9]})
    >>> print(calibration_plot(bins, of_probabilities=True).splitlines()[10])
     0.50 ┤                       ···                 ●
    """
    low, high = _scale(bins, of_probabilities)
    span = (high - low) or 1.0
    grid = [[" "] * WIDE for _ in range(HIGH)]
    for column in range(WIDE):
        grid[round(column / (WIDE - 1) * (HIGH - 1))][column] = "·"
    for predicted, actual in zip(bins["predicted"].to_list(), bins["actual"].to_list(), strict=True):
        across = round((predicted - low) / span * (WIDE - 1))
        upwards = round((actual - low) / span * (HIGH - 1))
        grid[upwards][across] = "●"
    ticks = {0: low, (HIGH - 1) // 2: low + span / 2, HIGH - 1: high}
    labels = {row: _number(value, span) for row, value in ticks.items()}
    wide = max(map(len, labels.values())) + 1
    lines = ["actual".rjust(wide + 5)]
    for row in reversed(range(HIGH)):
        mark = "┤" if row in labels else "│"
        lines.append(f"{labels.get(row, '').rjust(wide)} {mark}{''.join(grid[row])}".rstrip())
    lines.append(f"{' ' * wide} └{'─' * WIDE}")
    left, middle, right = (_number(low + span * share, span) for share in (0, 0.5, 1))
    scale = f"{left}{middle.center(WIDE - len(left) - len(right))}{right}"
    lines.append(f"{' ' * (wide + 2)}{scale}")
    lines.append(f"{' ' * (wide + 2)}{'predicted'.center(WIDE)}")
    lines += ["", "● mean of a bin    · where both are equal"]
    return "```text\n" + "\n".join(lines) + "\n```"


def calibration_bars(bins: pl.DataFrame, *, of_probabilities: bool) -> pl.DataFrame:
    """The bins with a bar for each: what became true, and a line where it was predicted; for a table, drawn in place.

    Args:
        bins: one row a bin with the means `predicted` and `actual`.
        of_probabilities: whether both go from 0 to 1.

    >>> bins = pl.DataFrame({"predicted": [0.5, 0.9], "actual": [0.25, 1.0]})
    >>> print(calibration_bars(bins, of_probabilities=True)["█ actual │ predicted"][0])
    ████████░░░░░░│░░░░░░░░░░░░░░░
    """
    low, high = _scale(bins, of_probabilities)
    span = (high - low) or 1.0
    drawn = []
    for predicted, actual in zip(bins["predicted"].to_list(), bins["actual"].to_list(), strict=True):
        full = round((actual - low) / span * BAR)
        bar = ["█"] * full + ["░"] * (BAR - full)
        bar[round((predicted - low) / span * (BAR - 1))] = "│"
        drawn.append("".join(bar))
    return bins.with_columns(pl.Series("█ actual │ predicted", drawn, dtype=pl.String))


def bars(shares: Sequence[float], top: float) -> str:
    """Shares as bars; a space where there is nothing.

    Args:
        shares: 0 to 1.
        top: the share that is drawn as high as can be.

    >>> bars((0.1, 0.2, 0.0, 0.8), top=0.8)
    '▂▃ █'
    """
    steps = len(_BARS) - 1
    return "".join(_BARS[round(share / top * steps)] if share else " " for share in shares)


def _scale(bins: pl.DataFrame, of_probabilities: bool) -> tuple[float, float]:
    if of_probabilities:
        return 0.0, 1.0
    values = [value for name in ("predicted", "actual") for value in bins[name].to_list()]
    return min(values), max(values)


def _number(value: float, span: float) -> str:
    """A number with as many digits as the scale needs."""
    if span >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if span >= 10 else f"{value:.2f}"
