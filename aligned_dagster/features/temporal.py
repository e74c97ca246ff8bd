"""Dates, times and durations."""

from __future__ import annotations

import datetime as dt
import re
from typing import TYPE_CHECKING, ClassVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from aligned_dagster.errors import ContractError, did_you_mean
from aligned_dagster.features.declared import Facts
from aligned_dagster.features.deriving import derive
from aligned_dagster.features.dtypes import DataType
from aligned_dagster.features.feature import Feature
from aligned_dagster.features.location import at, caller
from aligned_dagster.features.numeric import Ordered
from aligned_dagster.features.operator_types import (
    CalendarOperators,
    DateOperators,
    DurationOperators,
    TimeOperators,
    TimestampOperators,
)

if TYPE_CHECKING:
    from aligned_dagster.features.numeric import Integer
    from aligned_dagster.features.text import String
    from aligned_dagster.features.truth import Bool


class Calendar(CalendarOperators, Ordered):
    """What a date and a timestamp share; a timestamp tells the fields in its own zone."""

    __slots__ = ()

    def year(self) -> Integer:
        """The year."""
        return derive("dt.year", self)

    def quarter(self) -> Integer:
        """The quarter, 1 to 4."""
        return derive("dt.quarter", self)

    def month(self) -> Integer:
        """The month, 1 to 12."""
        return derive("dt.month", self)

    def week(self) -> Integer:
        """The ISO week, 1 to 53."""
        return derive("dt.week", self)

    def weekday(self) -> Integer:
        """The ISO day of the week: Monday is 1, Sunday 7."""
        return derive("dt.weekday", self)

    def day(self) -> Integer:
        """The day of the month, from 1."""
        return derive("dt.day", self)

    def day_of_year(self) -> Integer:
        """The day of the year, from 1."""
        return derive("dt.ordinal_day", self)

    def is_weekend(self) -> Bool:
        """Whether it is a Saturday or a Sunday."""
        return self.weekday() >= 6

    def strftime(self, format: str) -> String:
        """The text by a strftime pattern."""
        return derive("dt.strftime", self, format)


class Date(DateOperators, Calendar):
    """A day."""

    __slots__ = ()
    kind: ClassVar[str] = "date"

    def __init__(self) -> None:
        super().__init__(DataType("date"))

    def truncate(self, every: str) -> Date:
        """The first day of its week ("1w"), month ("1mo"), quarter ("1q") or year ("1y")."""
        return derive("dt.truncate", self, every)


class Timestamp(TimestampOperators, Calendar):
    """A point in time, to the microsecond.

    Args:
        time_zone: zone in which it is told; None for a naive one.
    """

    __slots__ = ()
    kind: ClassVar[str] = "timestamp"
    _role: ClassVar[Facts] = Facts()

    def __init__(self, time_zone: str | None = "UTC") -> None:
        super().__init__(DataType("timestamp", time_zone=check_zone(time_zone)), self._role)

    def hour(self) -> Integer:
        """The hour, 0 to 23."""
        return derive("dt.hour", self)

    def minute(self) -> Integer:
        """The minute, 0 to 59."""
        return derive("dt.minute", self)

    def second(self) -> Integer:
        """The second, 0 to 59."""
        return derive("dt.second", self)

    def date(self) -> Date:
        """The day, in its zone."""
        return derive("dt.date", self)

    def truncate(self, every: str) -> Timestamp:
        """The start of its hour ("1h"), day ("1d"), week ("1w"), month ("1mo"), ... in its zone."""
        return derive("dt.truncate", self, every)

    def offset_by(self, by: str) -> Timestamp:
        """Moved by a calendar offset such as "1d", "-2h", "3mo"."""
        return derive("dt.offset_by", self, by)

    def convert_time_zone(self, time_zone: str) -> Timestamp:
        """The same moment, told in another zone.

        Raises:
            ContractError: there is no such zone.
            DerivationError: the column is naive; give it a time_zone first.
        """
        return derive("dt.convert_time_zone", self, check_zone(time_zone))

    def unix_time(self, unit: str = "s") -> Integer:
        """Seconds ("s"), milliseconds ("ms") or microseconds ("us") since 1970-01-01 UTC."""
        return derive("dt.epoch", self, unit)


class EventTimestamp(Timestamp):
    """When the row became true; point-in-time joins and windows go by it.

    Args:
        ttl: how old a feature may be when it is joined to a fact; None for no limit.
        time_zone: zone in which it is told; None for a naive one.
    """

    __slots__ = ("ttl",)
    kind: ClassVar[str] = ""
    _role: ClassVar[Facts] = Facts(role="event_timestamp")
    ttl: dt.timedelta | None

    def __init__(self, ttl: dt.timedelta | None = None, time_zone: str | None = "UTC") -> None:
        given: object = ttl
        if given is not None and not isinstance(given, dt.timedelta):
            raise _no_span(given)
        super().__init__(time_zone)
        object.__setattr__(self, "ttl", ttl)

    def copy_with(self, **changes: object) -> EventTimestamp:
        """A copy in which the named slots differ."""
        copy = super().copy_with(**changes)
        object.__setattr__(copy, "ttl", self.ttl)
        return copy


def _no_span(ttl: object) -> ContractError:
    zone = f" For a zone write EventTimestamp(time_zone={ttl!r})." if isinstance(ttl, str) else ""
    return ContractError(
        f"ttl is {ttl!r}, and should be a time span, as in timedelta(days=7).{zone}{at(caller())}"
    )


class ValidFrom(EventTimestamp):
    """When the row became true, by its other name."""

    __slots__ = ()


class CreatedTimestamp(Timestamp):
    """When the row was written; of two rows with one event timestamp the later written counts."""

    __slots__ = ()
    kind: ClassVar[str] = ""
    _role: ClassVar[Facts] = Facts(role="created_timestamp")


class Time(TimeOperators, Ordered):
    """A time of day."""

    __slots__ = ()
    kind: ClassVar[str] = "time"

    def __init__(self) -> None:
        super().__init__(DataType("time"))

    def hour(self) -> Integer:
        """The hour, 0 to 23."""
        return derive("dt.hour", self)

    def minute(self) -> Integer:
        """The minute, 0 to 59."""
        return derive("dt.minute", self)


class Duration(DurationOperators, Ordered):
    """A span of time, to the microsecond: what the difference of two timestamps is."""

    __slots__ = ()
    kind: ClassVar[str] = "duration"

    def __init__(self) -> None:
        super().__init__(DataType("duration"))

    def total_seconds(self) -> Integer:
        """The whole seconds of it."""
        return derive("dt.total_seconds", self)

    def total_minutes(self) -> Integer:
        """The whole minutes of it."""
        return derive("dt.total_minutes", self)

    def total_hours(self) -> Integer:
        """The whole hours of it."""
        return derive("dt.total_hours", self)

    def total_days(self) -> Integer:
        """The whole days of it."""
        return derive("dt.total_days", self)


def check_zone(time_zone: str | None) -> str | None:
    """The zone itself, when there is such a one.

    Raises:
        ContractError: there is none.
    """
    if time_zone is not None:
        try:
            ZoneInfo(time_zone)
        except (ZoneInfoNotFoundError, ValueError, TypeError, OSError):
            fixed = re.fullmatch(r"(?:UTC|GMT)([+-])0?(\d{1,2})(?::?00)?", str(time_zone))
            hint = did_you_mean(str(time_zone), available_timezones())
            if fixed is not None:  # the sign of these names is that of POSIX
                hint = f" Did you mean 'Etc/GMT{'-' if fixed[1] == '+' else '+'}{fixed[2]}', whose sign is the other one?"
            raise ContractError(
                f"There is no time zone {time_zone!r}.{hint} Write it as in 'Europe/Oslo' or 'UTC'.{at(caller())}"
            ) from None
    return time_zone


def as_timestamp(naive: Feature, time_zone: str) -> Timestamp:
    """A naive timestamp read in a zone."""
    return derive("dt.replace_time_zone", naive, check_zone(time_zone))
