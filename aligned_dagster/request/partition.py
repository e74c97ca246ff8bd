"""The part of a contract's rows that a run is about: a window of time, some values of its partition keys, or both."""

from __future__ import annotations

import functools
import operator
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import product
from zoneinfo import ZoneInfo

import polars as pl

from aligned_dagster.errors import RequestError
from aligned_dagster.features.dtypes import DataType
from aligned_dagster.features.literals import Value
from aligned_dagster.features.schema import Schema

Key = tuple[tuple[str, Value], ...]
"""Column and value of every partition key."""


@dataclass(frozen=True, order=True)
class Window:
    """A span of time: the start belongs to it, the end does not. Both are kept in UTC.

    Args:
        start: the first moment, with a time zone.
        end: the first moment after it, with a time zone.

    Raises:
        RequestError: a time has no zone, or the end is not after the start.
    """

    start: datetime
    end: datetime

    def __post_init__(self) -> None:
        if self.start.tzinfo is None or self.end.tzinfo is None:
            raise RequestError(f"A window needs times with a zone; got {self.start} to {self.end}.")
        # Two times of one zone are compared by the wall clock, which shows an hour twice when it is set back.
        start, end = self.start.astimezone(UTC), self.end.astimezone(UTC)
        if start >= end:
            raise RequestError(f"A window ends after it starts; got {self.start} to {self.end}.")
        object.__setattr__(self, "start", start)
        object.__setattr__(self, "end", end)

    @property
    def last(self) -> datetime:
        """The last microsecond that belongs to it."""
        return self.end - timedelta(microseconds=1)


@dataclass(frozen=True)
class PartitionSlice:
    """The rows of some partitions.

    Args:
        windows: spans of the event timestamp, sorted and apart; none where time does not matter.
        keys: values of partition keys, any of which a row may have; none where all rows do.
        cells: the windows one by one, also those that touch: what is aggregated is so within each of them.

    >>> from aligned_dagster.features.schema import Column
    >>> schema = Schema((Column("country", DataType("string")),))
    >>> part = PartitionSlice(keys=((("country", "no"),), (("country", None),)))
    >>> frame = pl.DataFrame({"country": ["no", "uk", None]})
    >>> frame.filter(part.predicate(schema)).to_series().to_list()
    ['no', None]
    """

    windows: tuple[Window, ...] = ()
    keys: tuple[Key, ...] = ()
    cells: tuple[Window, ...] = field(default=(), compare=False)

    @property
    def span(self) -> Window | None:
        """The window from the first moment to the last; None where time does not matter."""
        if not self.windows:
            return None
        return Window(self.windows[0].start, max(window.end for window in self.windows))

    def columns(self, schema: Schema) -> tuple[str, ...]:
        """The columns that tell whether a row belongs to it.

        Raises:
            RequestError: there are windows and the contract has no event timestamp.
        """
        names = [name for key in self.keys for name, _ in key]
        return tuple(dict.fromkeys([*([_time(schema)] if self.windows else []), *names]))

    def predicate(self, schema: Schema) -> pl.Expr:
        """A boolean expression, true for the rows that belong to it and never null.

        Raises:
            RequestError: there are windows and the contract has no event timestamp.
        """
        conditions: list[pl.Expr] = []
        if self.windows:
            name = _time(schema)
            dtype = schema.column(name).dtype
            within = [
                (pl.col(name) >= _moment(window.start, dtype)) & (pl.col(name) < _moment(window.end, dtype))
                for window in self.windows
            ]
            conditions.append(_any(within).fill_null(False))
        if self.keys:
            conditions.append(self._has_key(schema))
        return functools.reduce(operator.and_, conditions, pl.lit(True)) if conditions else pl.lit(True)

    def _has_key(self, schema: Schema) -> pl.Expr:
        names = {tuple(name for name, _ in key) for key in self.keys}
        if len(names) == 1 and len(next(iter(names))) == 1:
            (name,) = next(iter(names))
            values = [key[0][1] for key in self.keys]
            return _in(name, values, schema)
        return _any([_all([_in(name, [value], schema) for name, value in key]) for key in self.keys])


def union(slices: Iterable[PartitionSlice]) -> PartitionSlice:
    """One slice with the rows of several that differ in their windows or in their keys but not in both.

    Windows that touch become one.

    Raises:
        RequestError: they differ in both, so that one slice would have more rows than they.
    """
    parts = list(dict.fromkeys(slices))
    if not parts:
        return PartitionSlice()
    windows = sorted({window for part in parts for window in part.windows})
    keys = tuple(dict.fromkeys(key for part in parts for key in part.keys))
    have = {pair for part in parts for pair in product(part.windows or (None,), part.keys or (None,))}
    if have != set(product(windows or (None,), keys or (None,))):
        raise RequestError(
            "These partitions are no rectangle of windows and keys, so one run cannot cover exactly them. "
            "Run them one by one."
        )
    return PartitionSlice(_merged(windows), keys, cells=tuple(windows))


def number_of_window(starts: Sequence[datetime], schema: Schema) -> pl.Expr:
    """The place of a row's window among windows of which each ends where the next one starts, or before.

    Args:
        starts: their first moments, sorted.
        schema: of the contract; its event timestamp tells the window.

    Raises:
        RequestError: the contract has no event timestamp.
    """
    name = _time(schema)
    moments = pl.Series([round(start.timestamp() * 1_000_000) for start in starts], dtype=pl.Int64)
    time = pl.col(name).cast(pl.Datetime("us", schema.column(name).dtype.time_zone)).dt.epoch("us")
    return pl.lit(moments).search_sorted(time, side="right").cast(pl.Int64) - 1


def _merged(windows: list[Window]) -> tuple[Window, ...]:
    merged: list[Window] = []
    for window in windows:
        if merged and window.start <= merged[-1].end:
            merged[-1] = Window(merged[-1].start, max(merged[-1].end, window.end))
        else:
            merged.append(window)
    return tuple(merged)


def _time(schema: Schema) -> str:
    if schema.event_timestamp is None:
        raise RequestError("A window of time needs a contract with an EventTimestamp.")
    return schema.event_timestamp


def _moment(moment: datetime, dtype: DataType) -> pl.Expr:
    zone = dtype.time_zone
    local = moment.astimezone(ZoneInfo(zone or "UTC"))
    return pl.lit(local if zone else local.replace(tzinfo=None), dtype=dtype.polars)


def _in(name: str, values: list[Value], schema: Schema) -> pl.Expr:
    known = [value for value in values if value is not None]
    column = pl.col(name)
    dtype = schema.column(name).dtype.polars
    found = [column.is_in(pl.Series(known, dtype=dtype).implode()).fill_null(False)] if known else []
    if len(known) == 1:  # an equality prunes more than a list of one
        found = [(column == pl.lit(known[0], dtype=dtype)).fill_null(False)]
    return _any([*found, *([column.is_null()] if len(known) < len(values) else [])])


def _any(conditions: list[pl.Expr]) -> pl.Expr:
    return functools.reduce(operator.or_, conditions)


def _all(conditions: list[pl.Expr]) -> pl.Expr:
    return functools.reduce(operator.and_, conditions)
