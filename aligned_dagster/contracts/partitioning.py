"""How the rows of a contract are divided: by windows of time, by values of keys, or both."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args
from zoneinfo import ZoneInfo

from aligned_dagster.contracts.partition_keys import canonical, decode, encode
from aligned_dagster.errors import ContractError, RequestError, did_you_mean
from aligned_dagster.features.constraints import AcceptedValues
from aligned_dagster.features.expression import inputs
from aligned_dagster.features.literals import Value
from aligned_dagster.features.location import at, caller
from aligned_dagster.features.schema import Column, Schema
from aligned_dagster.request.partition import PartitionSlice, Window, union
from aligned_dagster.sources.partition_path import NULL

if TYPE_CHECKING:
    from aligned_dagster.contracts.feature_view import FeatureView

Every = Literal["hourly", "daily", "weekly", "monthly"]
MOST_STATIC = 10_000
"""The most accepted values that make a fixed set of partitions."""

_FORMATS: dict[str, str] = {"hourly": "%Y-%m-%d-%H:%M"}


@dataclass(frozen=True)
class WindowDimension:
    """Windows of the event timestamp.

    Args:
        name: the event timestamp.
        every: their length.
        start: the first moment of the first one.
        zone: in whose days, weeks (from Monday) and months they are.
        lookback: how long after the end of a window rows of it may still arrive.
        end: the first moment after the last one; None where they go on.
    """

    name: str
    every: Every
    start: dt.datetime
    zone: str
    lookback: dt.timedelta | None = None
    end: dt.datetime | None = None

    @property
    def format(self) -> str:
        """How a key is written, as strftime pattern."""
        return _FORMATS.get(self.every, "%Y-%m-%d")

    def window(self, key: str) -> Window:
        """The window of a key.

        Raises:
            RequestError: it is no key of such a window.

        >>> days = WindowDimension("at", "daily", midnight(dt.date(2024, 1, 1), "UTC"), "UTC")
        >>> days.window("2024-02-29").end.isoformat()
        '2024-03-01T00:00:00+00:00'
        """
        zone = ZoneInfo(self.zone)
        for pattern in (self.format, f"{self.format}%z"):
            try:
                moment = dt.datetime.strptime(key, pattern)
            except ValueError:
                continue
            moment = moment if moment.tzinfo else moment.replace(tzinfo=zone)
            # by way of UTC, which has no hour that the clock skips
            start = beginning(moment.astimezone(dt.UTC).astimezone(zone), self.every)
            if self.key(start) == key:
                return Window(start, following(start, self.every))
        example = self.key(self.start)
        raise RequestError(f"{key!r} is no {self.every} window; write it as in {example!r}.")

    def key(self, start: dt.datetime) -> str:
        """The key of the window with this first moment.

        Of the two hours that the clock shows alike when it is set back, the later one bears its offset.
        """
        local = start.astimezone(ZoneInfo(self.zone))
        earlier = local.replace(fold=0)
        again = self.every == "hourly" and local.utcoffset() != earlier.utcoffset()
        return local.strftime(f"{self.format}%z" if again else self.format)


@dataclass(frozen=True)
class KeyDimension:
    """Values of one or several columns.

    Args:
        columns: the partition keys, outermost first.
        values: all keys that can be, as texts; None where they are not known before the rows are.
    """

    columns: tuple[Column, ...]
    values: tuple[str, ...] | None = None

    @property
    def name(self) -> str:
        """The columns' names, joined."""
        return "_".join(column.name for column in self.columns)

    def key(self, values: Mapping[str, Value]) -> str:
        """The text that stands for values of the columns. No two differ in values and share a text.

        >>> from aligned_dagster.features.dtypes import DataType
        >>> dimension = KeyDimension(
        ...     (Column("country", DataType("string")), Column("year", DataType("int32")))
        ... )
        >>> dimension.key({"country": "a/b", "year": 2024})
        'country=a%2Fb/year=2024'
        """
        texts = [encode(canonical(values[column.name], column.dtype)) for column in self.columns]
        if len(texts) == 1:
            return texts[0]
        return "/".join(f"{c.name}={text}" for c, text in zip(self.columns, texts, strict=True))

    def read(self, key: str) -> dict[str, Value]:
        """The values that a text stands for.

        Raises:
            RequestError: it is no key of these columns.
        """
        if len(self.columns) == 1:
            return {self.columns[0].name: decode(key, self.columns[0].dtype)}
        parts = key.split("/")
        names = [f"{column.name}=" for column in self.columns]
        if len(parts) != len(names) or not all(map(str.startswith, parts, names)):
            example = "/".join(f"{name}..." for name in names)
            raise RequestError(f"{key!r} is no partition; write it as in {example!r}.")
        return {
            column.name: decode(part.removeprefix(name), column.dtype)
            for column, part, name in zip(self.columns, parts, names, strict=True)
        }


@dataclass(frozen=True)
class VersionDimension:
    """Schema versions, each with rows of its own.

    Args:
        current: the one that the contract has now, and the only one that it can produce.
        known: all of them, the oldest first.
        name: of the dimension.
    """

    current: str
    known: tuple[str, ...]
    name: str = "schema_version"

    def check(self, version: str) -> None:
        """Raise unless the contract can produce that version.

        Raises:
            RequestError: it is an older one, which can only be read, or none of this contract.
        """
        if version != self.current:
            what = "an older schema version" if version in self.known else "none of its schema versions"
            raise RequestError(
                f"{version!r} is {what}: its rows can be read by that name and not be produced any more. "
                f"Materialise the current one, {self.current!r}."
            )


Dimension = VersionDimension | WindowDimension | KeyDimension


@dataclass(frozen=True)
class PartitionScheme:
    """The dimensions of a contract's partitions, one or two: the schema version first, then windows, then keys.

    Args:
        dimensions: what a partition is told by.
    """

    dimensions: tuple[Dimension, ...]

    @property
    def version(self) -> VersionDimension | None:
        """The schema versions, where they are told apart."""
        return next((d for d in self.dimensions if isinstance(d, VersionDimension)), None)

    @property
    def window(self) -> WindowDimension | None:
        """The windows of time, where there are any."""
        return next((d for d in self.dimensions if isinstance(d, WindowDimension)), None)

    @property
    def keys(self) -> tuple[KeyDimension, ...]:
        """The dimensions that are values of columns."""
        return tuple(d for d in self.dimensions if isinstance(d, KeyDimension))

    def part(self, partition: Mapping[str, str], windows: Iterable[Window] | None = None) -> PartitionSlice:
        """The rows of one partition.

        Args:
            partition: dimension's name to key.
            windows: the windows themselves, where they are known better than by the key.

        Raises:
            RequestError: a key is none of its dimension, or an older schema version, which cannot be produced.
        """
        if self.version is not None:
            self.version.check(partition[self.version.name])
        values: dict[str, Value] = {}
        for dimension in self.keys:
            values |= dimension.read(partition[dimension.name])
        spans = tuple(windows or ())
        if not spans and self.window is not None:
            spans = (self.window.window(partition[self.window.name]),)
        return PartitionSlice(spans, (tuple(values.items()),) if values else ())

    def parts(self, partitions: Iterable[Mapping[str, str]]) -> PartitionSlice:
        """The rows of several partitions.

        Raises:
            RequestError: they are no rectangle of windows and keys.
        """
        return union(self.part(partition) for partition in partitions)


def scheme_of(view: FeatureView[Any], known_versions: Sequence[str] = ()) -> PartitionScheme | None:
    """How the stored rows of a contract are divided; None where they are not, and for a virtual view.

    There are two dimensions at most, and keys that find no room share one. Where schema versions and windows take
    both, keys are no dimension: a run produces all keys of its window.

    Args:
        view: the contract.
        known_versions: its schema versions as `contracts.lock` knows them, the oldest first; where there are any
            and its storage keeps them apart, they are a dimension.
    """
    target = view.materialized_source
    if target is None:
        return None
    schema = view.schema
    names: Sequence[str] = getattr(target, "partition_keys", ())
    window: WindowDimension | None = None
    if view.materialize_from is not None and view.every is not None:
        time = view.need_event_timestamp()
        start = beginning(midnight(view.materialize_from, view.time_zone), view.every)
        until = view.materialize_until
        end = None if until is None else midnight(until, view.time_zone)
        if end is not None and beginning(end, view.every) != end:
            end = following(beginning(end, view.every), view.every)
        window = WindowDimension(time, view.every, start, view.time_zone, view.lookback, end)
        names = [name for name in names if not _told_by(name, time, view)]
    columns = [schema.column(name) for name in names]
    version = _versions(view, known_versions)
    room = 2 - bool(window) - bool(version)
    if room == 0:
        keys = []
    elif len(columns) > room:
        keys = [KeyDimension(tuple(columns))]
    else:
        keys = [KeyDimension((column,), _all_values(column)) for column in columns]
    dimensions: tuple[Dimension, ...] = tuple(d for d in (version, window, *keys) if d is not None)
    return PartitionScheme(dimensions) if dimensions else None


def _versions(view: FeatureView[Any], known: Sequence[str]) -> VersionDimension | None:
    from aligned_dagster.sources.schema_versioned import SchemaVersionedSource

    if not known or not isinstance(view.materialized_source, SchemaVersionedSource):
        return None
    return VersionDimension(view.version, tuple(dict.fromkeys([*known, view.version])))


def check_windows(
    name: str,
    schema: Schema,
    materialize_from: dt.date | None,
    every: str | None,
    lookback: dt.timedelta | None,
    materialized: bool,
    materialize_until: dt.date | None = None,
    zone: str = "UTC",
) -> None:
    """Raise unless what a contract says of its windows goes together.

    Raises:
        ContractError: it does not.
    """
    if (materialize_from, every, lookback, materialize_until) == (None, None, None, None):
        return
    if materialize_from is None or every is None:
        raise ContractError(
            f"{name} needs both materialize_from=date(...) and every='daily' (or hourly, weekly, monthly) for windows of time."
            f"{at(caller())}"
        )
    lengths = get_args(Every)
    if every not in lengths:
        hint = did_you_mean(every, lengths) or (" Did you mean 'daily'?" if every == "day" else "")
        raise ContractError(
            f"{name}: every={every!r}; it is one of {', '.join(map(repr, lengths))}.{hint}{at(caller())}"
        )
    for argument, day in (("materialize_from", materialize_from), ("materialize_until", materialize_until)):
        given: object = day
        if given is not None and not isinstance(given, dt.date):
            raise ContractError(
                f"{argument} of {name} is {given!r}, and should be a day, as in date(2024, 5, 1).{at(caller())}"
            )
    if schema.event_timestamp is None:
        raise ContractError(f"{name} has windows of time, so it needs an EventTimestamp.")
    if not materialized:
        raise ContractError(f"{name} has windows of time, so it needs a materialized_source that keeps them.")
    if materialize_until is not None and midnight(materialize_until, zone) <= midnight(
        materialize_from, zone
    ):
        raise ContractError(
            f"{name} has materialize_until={materialize_until}, which is not after materialize_from={materialize_from}."
        )


def following(start: dt.datetime, every: Every) -> dt.datetime:
    """The first moment of the next window."""
    if every == "hourly":
        utc = start.astimezone(dt.UTC) + dt.timedelta(hours=1)
        return utc.astimezone(start.tzinfo)
    if every == "monthly":
        return start.replace(year=start.year + start.month // 12, month=start.month % 12 + 1, day=1)
    return start + dt.timedelta(days=7 if every == "weekly" else 1)  # on the wall clock, over changes of it


def beginning(moment: dt.datetime, every: Every) -> dt.datetime:
    """The first moment of the window that a moment lies in.

    >>> beginning(dt.datetime(2024, 1, 31, 13, 5), "monthly"), beginning(dt.datetime(2024, 1, 31), "weekly")
    (datetime.datetime(2024, 1, 1, 0, 0), datetime.datetime(2024, 1, 29, 0, 0))
    """
    if every == "hourly":
        return moment.replace(minute=0, second=0, microsecond=0)
    day = moment.replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
    if every == "weekly":
        return day - dt.timedelta(days=day.weekday())
    return day.replace(day=1) if every == "monthly" else day


def midnight(day: dt.date, zone: str) -> dt.datetime:
    """The first moment of a day in a zone; a time is taken as it is, in the zone if it has none."""
    if isinstance(day, dt.datetime):
        return day.astimezone(ZoneInfo(zone)) if day.tzinfo else day.replace(tzinfo=ZoneInfo(zone))
    return dt.datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(zone))


def _all_values(column: Column) -> tuple[str, ...] | None:
    accepted = next((rule for rule in column.constraints if isinstance(rule, AcceptedValues)), None)
    if accepted is None or len(accepted.values) > MOST_STATIC:
        return None
    nothing = (NULL,) if column.nullable else ()
    keys = (encode(canonical(value, column.dtype)) for value in accepted.values)
    return (*dict.fromkeys(keys), *nothing)


def _told_by(name: str, time: str, view: FeatureView[Any]) -> bool:
    """Whether a column is computed from the event timestamp alone, so that a window tells its values."""
    tree = view.all_derivations.get(name)
    return name == time or (tree is not None and inputs(tree) == {time})
