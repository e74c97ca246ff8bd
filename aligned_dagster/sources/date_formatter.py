"""How dates and times are written where a source has no type for them: as text, or as a number."""

from __future__ import annotations

import re
from typing import Any, Literal

import polars as pl
from pydantic import ConfigDict, model_validator

from aligned_dagster.errors import ConfigurationError
from aligned_dagster.features.dtypes import DataType
from aligned_dagster.sources.settings import Settings

UnixUnit = Literal["s", "ms", "us"]
_MICROSECONDS: dict[str, int] = {"s": 1_000_000, "ms": 1_000, "us": 1}
_GLANCE = 20
_ISO_COMMON = (
    "%Y-%m-%dT%H:%M:%S%.f%#z",
    "%Y-%m-%dT%H:%M:%S%.f",
    "%Y-%m-%d %H:%M:%S%.f%#z",
    "%Y-%m-%d %H:%M:%S%.f",
)
_ISO_ZONED = ("%Y-%m-%d %H:%M:%S%.f%#z", "%Y-%m-%d %H:%M%#z")
_ISO_NAIVE = ("%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%d %H:%M", "%Y-%m-%d")


class DateFormatter(Settings):
    """The way dates and timestamps are stored as text or numbers. Make one with the four constructors.

    Args:
        kind: "iso_8601", "unix", "pattern" or "noop".
        time_unit: of a unix timestamp.
        time_zone: the zone of stored values that name none; None is the zone of the contract's column.
        pattern: of strftime.

    >>> decoded = DateFormatter.iso_8601().decode(pl.Series(["2013-01-01T05:00:00Z"]), DataType("timestamp"))
    >>> decoded[0]
    datetime.datetime(2013, 1, 1, 5, 0)
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["iso_8601", "unix", "pattern", "noop"] = "iso_8601"
    time_unit: UnixUnit = "s"
    time_zone: str | None = None
    pattern: str = ""

    @model_validator(mode="after")
    def _check(self) -> DateFormatter:
        if self.kind == "pattern" and "%" not in self.pattern:
            raise ValueError(f"{self.pattern!r} is no strftime pattern; one looks like '%d.%m.%Y %H:%M'.")
        return self

    @staticmethod
    def iso_8601() -> DateFormatter:
        """Text such as 2013-01-01, 2013-01-01 05:00, 2013-01-01T05:00:00.25Z or 2013-01-01T05:00:00+02:00."""
        return DateFormatter()

    @staticmethod
    def unix_timestamp(time_unit: UnixUnit = "s", time_zone: str | None = "UTC") -> DateFormatter:
        """A count of seconds, milliseconds or microseconds since 1970-01-01 in the zone.

        Args:
            time_unit: "s", "ms" or "us".
            time_zone: the zone whose midnight the count starts from; almost always UTC.
        """
        if time_unit not in _MICROSECONDS:
            raise ConfigurationError(f"time_unit is {time_unit!r}; it must be 's', 'ms' or 'us'.")
        return DateFormatter(kind="unix", time_unit=time_unit, time_zone=time_zone)

    @staticmethod
    def string_format(pattern: str, time_zone: str | None = "UTC") -> DateFormatter:
        """Text in a strftime pattern, such as "%d.%m.%Y %H:%M".

        Args:
            pattern: as chrono knows it, see https://docs.rs/chrono/latest/chrono/format/strftime.
            time_zone: the zone of the values, unless the pattern itself holds an offset.
        """
        return DateFormatter(kind="pattern", pattern=pattern, time_zone=time_zone)

    @staticmethod
    def noop() -> DateFormatter:
        """Stored values are dates and timestamps already; text among them is read as ISO 8601."""
        return DateFormatter(kind="noop")

    @property
    def takes_numbers(self) -> bool:
        """Whether stored numbers can be read as dates."""
        return self.kind == "unix"

    @property
    def words(self) -> str:
        """What a stored value must look like."""
        if self.kind == "unix":
            return f"a unix timestamp in {self.time_unit}"
        return f"text in the pattern {self.pattern!r}" if self.kind == "pattern" else "an ISO 8601 text"

    def decode(self, values: pl.Series, dtype: DataType, zone: str = "UTC") -> pl.Series:
        """Read stored text or numbers.

        Args:
            values: the stored values.
            dtype: date or timestamp.
            zone: the contract's zone, for a timestamp column that has none.

        Returns:
            Values of the dtype; null wherever a value cannot be read, for the caller to find and report.
        """
        if self.kind == "unix":
            moments = self._from_unix(values)
        elif self.kind == "pattern":
            moments = self._from_pattern(values)
        else:
            moments = _from_iso(values, self.time_zone or dtype.time_zone or zone)
        return fit_timestamps(moments, dtype, self.time_zone, zone)

    def encode(self, values: pl.Series, zone: str = "UTC") -> pl.Series:
        """Write dates or timestamps as text or numbers; null wherever that would lose something.

        Args:
            values: dates or timestamps.
            zone: the contract's zone, for timestamps that have none.
        """
        if self.kind in {"iso_8601", "noop"}:
            if values.dtype == pl.Date:
                return values.dt.to_string("%Y-%m-%d")
            moments = values.cast(pl.Datetime("us", _zone_of(values)))
            if _zone_of(values) is None:
                return moments.dt.to_string("%Y-%m-%dT%H:%M:%S%.6f")
            return moments.dt.convert_time_zone("UTC").dt.to_string("%Y-%m-%dT%H:%M:%S%.6fZ")
        dtype = DataType.from_polars(values.dtype)
        moments = values.cast(pl.Datetime("us", _zone_of(values)))
        if _zone_of(values) is not None:
            moments = moments.dt.convert_time_zone(self.time_zone or zone)
        if self.kind == "unix":
            count = moments.dt.replace_time_zone(None).cast(pl.Int64)
            written = count // _MICROSECONDS[self.time_unit]
        else:
            written = moments.dt.to_string(self.pattern)
        back = self.decode(written, dtype, zone)
        return pl.select(pl.when(back.eq_missing(values)).then(written)).to_series()

    def _from_unix(self, values: pl.Series) -> pl.Series:
        factor = _MICROSECONDS[self.time_unit]
        if values.dtype == pl.String:
            whole = values.cast(pl.Int64, strict=False)
            fractions = whole.null_count() > values.null_count()
            values = values.cast(pl.Float64, strict=False) if fractions else whole
        if values.dtype.is_float():
            return (values * factor).round().cast(pl.Int64, strict=False).cast(pl.Datetime("us"))
        return (values.cast(pl.Int64, strict=False) * factor).cast(pl.Datetime("us"))

    def _from_pattern(self, values: pl.Series) -> pl.Series:
        text = values.cast(pl.String)
        if re.search(r"%:{0,3}#?z|%\+", self.pattern):
            return text.str.to_datetime(self.pattern, time_unit="us", time_zone="UTC", strict=False)
        moments = text.str.to_datetime(self.pattern, time_unit="us", strict=False)
        if moments.null_count() > text.null_count():
            dates = text.str.to_date(self.pattern, strict=False).cast(pl.Datetime("us"))
            moments = pl.select(pl.coalesce(moments, dates)).to_series()
        return moments


def _from_iso(values: pl.Series, home: str) -> pl.Series:
    """Naive timestamps where no text has a zone, else ones in UTC; null where a text cannot be read.

    Where texts with a zone and without one stand in the same column, those without are read in `home`.
    """
    text = values.cast(pl.String)
    for pattern in _ISO_COMMON:
        zone = "UTC" if pattern.endswith("z") else None
        for part in (text.head(_GLANCE), text):
            moments = part.str.to_datetime(pattern, time_unit="us", time_zone=zone, strict=False)
            if moments.null_count() > part.null_count():
                break
        else:
            return moments
    text = text.str.strip_chars().str.to_uppercase().str.replace("T", " ", literal=True)
    zoned = text.str.contains(r":\d\d(\.\d+)?\s?(Z|[+-]\d\d(:?\d\d)?)$")
    if not zoned.any():
        return _first_that_fits(text, _ISO_NAIVE, None)
    moments = _first_that_fits(text.str.replace(r"\s+(Z|[+-]\d\d:?\d*)$", "${1}"), _ISO_ZONED, "UTC")
    if zoned.all(ignore_nulls=True):
        return moments
    naive = _first_that_fits(text, _ISO_NAIVE, None)
    naive = naive.dt.replace_time_zone(home, ambiguous="null", non_existent="null")
    in_utc = naive.dt.convert_time_zone("UTC")
    return pl.select(pl.when(zoned).then(moments).otherwise(in_utc)).to_series()


def _first_that_fits(text: pl.Series, patterns: tuple[str, ...], zone: str | None) -> pl.Series:
    found: pl.Series | None = None
    for pattern in patterns:
        if pattern == "%Y-%m-%d":
            attempt = text.str.to_date(pattern, strict=False).cast(pl.Datetime("us"))
        else:
            attempt = text.str.to_datetime(pattern, time_unit="us", time_zone=zone, strict=False)
        found = attempt if found is None else pl.select(pl.coalesce(found, attempt)).to_series()
        if found.null_count() == text.null_count():
            break
    assert found is not None
    return found


def fit_timestamps(moments: pl.Series, dtype: DataType, stored_zone: str | None, zone: str) -> pl.Series:
    """Bring dates or timestamps to a date or timestamp dtype; null where something would be lost.

    Args:
        moments: dates or timestamps, with or without a zone.
        dtype: date or timestamp.
        stored_zone: the zone of values that have none; None is the zone of the dtype.
        zone: the contract's zone, for a dtype that has none.
    """
    if dtype.kind == "date":
        if moments.dtype == pl.Date:
            return moments
        midnight = moments.dt.truncate("1d") == moments
        return pl.select(pl.when(midnight).then(moments.dt.date())).to_series()
    stored = _zone_of(moments)
    moments = moments.cast(pl.Datetime("us", stored))
    if stored is None and (dtype.time_zone or stored_zone):
        home = stored_zone or dtype.time_zone
        if dtype.time_zone is None and home == zone:
            return moments
        moments = moments.dt.replace_time_zone(home, ambiguous="null", non_existent="null")
        stored = home
    if dtype.time_zone is not None:
        return moments.dt.convert_time_zone(dtype.time_zone) if stored != dtype.time_zone else moments
    if stored is None:
        return moments
    return moments.dt.convert_time_zone(zone).dt.replace_time_zone(None)


def _zone_of(values: pl.Series) -> str | None:
    dtype: Any = values.dtype
    return dtype.time_zone if isinstance(dtype, pl.Datetime) else None
