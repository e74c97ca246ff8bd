"""Plain values that a contract may hold, and their stable JSON form."""

from __future__ import annotations

import base64
import datetime as dt
import math
from decimal import Decimal
from typing import Any

from aligned_dagster.errors import ContractError

Value = Any
"""None, bool, int, float, str, bytes, Decimal, date, datetime, time, timedelta, or a tuple or dict of them."""


def freeze(value: Value) -> Value:
    """Make a value immutable and hashable: lists become tuples, sets sorted tuples.

    Raises:
        ContractError: contracts cannot hold such a value.

    >>> freeze([1, [2, 3]])
    (1, (2, 3))
    """
    if isinstance(value, FrozenDict):
        return value
    if isinstance(value, list | tuple):
        return tuple(freeze(item) for item in value)
    if isinstance(value, set | frozenset):
        return tuple(sorted((freeze(item) for item in value), key=repr))
    if isinstance(value, dict):
        return FrozenDict((freeze(k), freeze(v)) for k, v in value.items())
    if value is None or isinstance(
        value, bool | int | float | str | bytes | Decimal | dt.date | dt.time | dt.timedelta
    ):
        return value
    raise ContractError(f"A contract cannot hold the value {value!r} of type {type(value).__name__}.")


class FrozenDict(tuple[tuple[Value, Value], ...]):
    """The pairs of a dict, in order, hashable."""

    __slots__ = ()

    def __new__(cls, pairs: Any) -> FrozenDict:
        """Take any iterable of pairs."""
        return super().__new__(cls, tuple(pairs))

    def thaw(self) -> dict[Value, Value]:
        """The plain dict."""
        return dict(self)


def thaw(value: Value) -> Value:
    """Plain lists and dicts again, for calling a library with them."""
    if isinstance(value, FrozenDict):
        return {thaw(k): thaw(v) for k, v in value}
    if isinstance(value, tuple):
        return [thaw(item) for item in value]
    return value


def value_to_json(value: Value) -> Any:
    """A JSON form that `value_from_json` reads back to an equal value of the same type.

    >>> value_to_json(dt.date(2013, 1, 1))
    {'$date': '2013-01-01'}
    """
    if isinstance(value, FrozenDict):
        return {"$dict": [[value_to_json(k), value_to_json(v)] for k, v in value]}
    if isinstance(value, tuple):
        return [value_to_json(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return {"$float": repr(value)}
    if isinstance(value, bytes):
        return {"$bytes": base64.b64encode(value).decode()}
    if isinstance(value, Decimal):
        return {"$decimal": str(value)}
    if isinstance(value, dt.datetime):
        zone = getattr(value.tzinfo, "key", None)
        return {"$datetime": value.isoformat(), "zone": zone} if zone else {"$datetime": value.isoformat()}
    if isinstance(value, dt.date):
        return {"$date": value.isoformat()}
    if isinstance(value, dt.time):
        return {"$time": value.isoformat()}
    if isinstance(value, dt.timedelta):
        return {"$microseconds": value // dt.timedelta(microseconds=1)}
    return value


def value_from_json(form: Any) -> Value:
    """Read what `value_to_json` wrote.

    >>> value_from_json({"$decimal": "1.50"})
    Decimal('1.50')
    """
    if isinstance(form, list):
        return tuple(value_from_json(item) for item in form)
    if not isinstance(form, dict):
        return form
    tag = next(iter(form))
    content = form[tag]
    if tag == "$datetime":
        from zoneinfo import ZoneInfo

        moment = dt.datetime.fromisoformat(content)
        return moment.astimezone(ZoneInfo(form["zone"])) if form.get("zone") else moment
    readers: dict[str, Any] = {
        "$dict": lambda c: FrozenDict((value_from_json(k), value_from_json(v)) for k, v in c),
        "$float": float,
        "$bytes": base64.b64decode,
        "$decimal": Decimal,
        "$date": dt.date.fromisoformat,
        "$time": dt.time.fromisoformat,
        "$microseconds": lambda c: dt.timedelta(microseconds=c),
    }
    if tag not in readers:
        raise ContractError(f"{form!r} is no value of a contract. Known: {', '.join(readers)}.")
    return readers[tag](content)
