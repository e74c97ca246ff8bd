"""Names for cron expressions that people can read."""

from __future__ import annotations

import hashlib
import re

_DAYS = ("sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday")


def cron_name(cron: str, zone: str = "UTC") -> str:
    """A name of letters, digits and underscores for a cron expression; different expressions have different names.

    Args:
        cron: the expression, one space between its fields.
        zone: the time zone that it is read in; named where it is not UTC.

    >>> cron_name("0 6 * * *"), cron_name("15 * * * *"), cron_name("*/10 * * * *"), cron_name("@daily")
    ('daily_at_06_00', 'hourly_at_15', 'every_10_minutes', 'daily')
    >>> cron_name("30 7 * * 1", "Europe/Oslo"), cron_name("0 0 1 * *")
    ('monday_at_07_30_europe_oslo', 'monthly_on_day_1_at_00_00')
    >>> cron_name("0 6-8 * * 1-5")
    'cron_0_6_8_x_x_1_5_54b1bd'
    """
    where = "" if zone == "UTC" else f"_{_words(zone).lower()}"
    return f"{_told(cron)}{where}"


def _told(cron: str) -> str:
    if re.fullmatch(r"@[a-z]+", cron):
        return cron[1:]
    fields = cron.split(" ")
    if len(fields) != 5:
        return _digested(cron)
    minute, hour, day, month, weekday = fields
    if [hour, day, month, weekday] == ["*"] * 4:
        every = re.fullmatch(r"\*/([1-9]\d?)", minute)
        if minute == "*":
            return "every_minute"
        if every:
            return f"every_{every[1]}_minutes"
        return f"hourly_at_{int(minute):02}" if _is_number(minute) else _digested(cron)
    if not (_is_number(minute) and _is_number(hour)) or month != "*":
        return _digested(cron)
    at = f"at_{int(hour):02}_{int(minute):02}"
    if (day, weekday) == ("*", "*"):
        return f"daily_{at}"
    if day == "*" and (name := _weekday(weekday)) is not None:
        return f"{name}_{at}"
    if weekday == "*" and _is_number(day):
        return f"monthly_on_day_{int(day)}_{at}"
    return _digested(cron)


def _is_number(field: str) -> bool:
    """Whether a field is a number in its usual spelling: "06" would share the name of "6"."""
    return re.fullmatch(r"0|[1-9]\d?", field) is not None


def _weekday(field: str) -> str | None:
    if re.fullmatch("[0-6]", field):
        return _DAYS[int(field)]
    return None


def _digested(cron: str) -> str:
    digest = hashlib.sha256(cron.encode()).hexdigest()[:6]
    return f"cron_{_words(cron.replace('*', 'x'))}_{digest}"


def _words(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9]+", "_", text).strip("_")
