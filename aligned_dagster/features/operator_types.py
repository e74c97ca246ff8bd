"""Which operators each type of column has, and what they give: for type checkers and editors alone.

The types stand in operator_types.pyi. At run time the operators are those of `Operators`, which tell a mistake in words.
"""

from __future__ import annotations


class NumberOperators:
    """Numbers with numbers, and with spans of time."""

    __slots__ = ()


class IntegerOperators(NumberOperators):
    """Whole numbers; between two types of them the result is of the wider one."""

    __slots__ = ()


class FloatingOperators(NumberOperators):
    """Floating point numbers of either size."""

    __slots__ = ()


class Float64Operators(FloatingOperators):
    """Floating point numbers of 64 bits, which no number widens."""

    __slots__ = ()


class DecimalOperators(NumberOperators):
    """Decimal numbers, which stay such with whole ones."""

    __slots__ = ()


class TextOperators:
    """Texts put together and compared."""

    __slots__ = ()


class BoolOperators:
    """Conditions combined."""

    __slots__ = ()


class CalendarOperators:
    """Dates and timestamps compared with each other."""

    __slots__ = ()


class DateOperators(CalendarOperators):
    """Days and spans."""

    __slots__ = ()


class TimestampOperators(CalendarOperators):
    """Moments and spans."""

    __slots__ = ()


class TimeOperators:
    """Times of day compared."""

    __slots__ = ()


class DurationOperators:
    """Spans added up, stretched and compared."""

    __slots__ = ()
