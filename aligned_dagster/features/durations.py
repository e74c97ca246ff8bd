"""Lengths of time in words."""

from __future__ import annotations

import datetime as dt

_UNITS = (
    ("day", dt.timedelta(days=1)),
    ("hour", dt.timedelta(hours=1)),
    ("minute", dt.timedelta(minutes=1)),
    ("second", dt.timedelta(seconds=1)),
)
_COARSE = 10
"""From so many days, hours or minutes on, what is measured is told without the next smaller unit."""


def in_words(duration: dt.timedelta) -> str:
    """How long something lasts, without its sign: exactly where two units can say it, and rounded down otherwise.

    Args:
        duration: the length of time.

    >>> (
    ...     in_words(dt.timedelta(days=1)),
    ...     in_words(dt.timedelta(hours=36)),
    ...     in_words(dt.timedelta(days=10, hours=12)),
    ... )
    ('1 day', '1 day 12 hours', '10 days 12 hours')
    >>> (
    ...     in_words(dt.timedelta(days=934, hours=23, seconds=52.4)),
    ...     in_words(dt.timedelta(hours=2, minutes=9, seconds=1)),
    ... )
    ('934 days', '2 hours 9 minutes')
    >>> in_words(dt.timedelta(seconds=0.374)), in_words(dt.timedelta(seconds=-12.7))
    ('0.4 seconds', '12 seconds')
    """
    rest = abs(duration)
    if rest < dt.timedelta(seconds=0.95):
        return f"{rest.total_seconds():.1f} seconds"
    numbers: list[int] = []
    for _, unit in _UNITS:
        number, rest = divmod(rest, unit)
        numbers.append(number)
    if not any(numbers):
        return "1 second"
    told = [place for place, number in enumerate(numbers) if number]
    first = told[0]
    if len(told) > 2 or (rest and len(told) == 2):
        told = [first] if numbers[first] >= _COARSE else [place for place in told if place <= first + 1]
    return " ".join(
        f"{numbers[place]:,} {_UNITS[place][0]}{'' if numbers[place] == 1 else 's'}" for place in told
    )


def ago(age: dt.timedelta) -> str:
    """How long ago something was, or how far it lies in the future.

    Args:
        age: from then to now.

    >>> ago(dt.timedelta(seconds=0.374)), ago(dt.timedelta(hours=8)), ago(dt.timedelta(days=-2))
    ('just now', '8 hours ago', '2 days in the future')
    """
    if abs(age) < dt.timedelta(seconds=1):
        return "just now"
    return f"{in_words(age)} {'ago' if age > dt.timedelta() else 'in the future'}"
