"""Times on an engine as whole numbers: microseconds since 1970 in UTC, by polars' reading of naive times."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from functools import lru_cache
from typing import Literal

import polars as pl

from aligned_dagster.errors import RequestError
from aligned_dagster.features.dtypes import DataType
from aligned_dagster.features.engines.dialect import Dialect
from aligned_dagster.features.engines.names import Engine

_KNOWN = (dt.datetime(1900, 1, 1), dt.datetime(2101, 1, 1))
"""The first and the last time for which changes of clocks are known; before and after them the offsets are kept."""


def moment_on(
    name: str,
    dtype: pl.DataType,
    engine: Engine,
    *,
    zone: str,
    ambiguous: Literal["earliest", "latest"] = "earliest",
) -> str:
    """SQL of a timestamp or date as whole microseconds, counted from 1970 in UTC; see `join_keys.moment`.

    A time that a change of clocks leaves out, which polars refuses, is read as if the clocks had not changed yet.

    Args:
        name: the column.
        dtype: the dtype in which the engine carries it.
        engine: whose SQL.
        zone: the time zone of naive timestamps and of dates, which mean their midnight.
        ambiguous: which moment is meant by a naive time that a change of clocks repeats.

    Raises:
        RequestError: the column is no timestamp.

    >>> moment_on("at", pl.Datetime("us", "UTC"), "duckdb", zone="Europe/Oslo")
    'epoch_us("at")'
    """
    if not isinstance(dtype, pl.Datetime | pl.Date):
        raise RequestError(f"{name!r} should be a timestamp and is {dtype}. Cast it to one in its contract.")
    dialect = Dialect(engine)
    micros = dialect.micros(dialect.name(name), DataType.from_polars(dtype))
    if zone == "UTC" or (isinstance(dtype, pl.Datetime) and dtype.time_zone is not None):
        return micros
    borders, offsets = local_offsets(zone, ambiguous)
    return f"({micros} - {steps(micros, borders, offsets)})"


def steps(number: str, borders: Sequence[int], values: Sequence[int | None]) -> str:
    """SQL of the value that belongs to the span between two borders in which a number lies.

    Args:
        number: SQL of a whole number.
        borders: sorted; each belongs to the span after it.
        values: of the spans, one more than there are borders; None is null.

    >>> steps("x", [0, 10], [7, 8, 9])
    'CASE WHEN x < 10 THEN CASE WHEN x < 0 THEN 7 ELSE 8 END ELSE 9 END'
    """
    if not borders:
        return "NULL" if values[0] is None else str(values[0])
    middle = len(borders) // 2
    below = steps(number, borders[:middle], values[: middle + 1])
    above = steps(number, borders[middle + 1 :], values[middle + 1 :])
    return f"CASE WHEN {number} < {borders[middle]} THEN {below} ELSE {above} END"


@lru_cache(maxsize=32)
def local_offsets(
    zone: str, ambiguous: Literal["earliest", "latest"]
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """How far the clocks of a zone are ahead of UTC: the local times at which that changes, and the offsets between them.

    They are those of polars, which has a database of zones of its own: that of the machine may know another past.

    Args:
        zone: its name.
        ambiguous: which moment is meant by a time that a change of clocks repeats.

    Returns:
        Both in microseconds; there is one offset more than times.

    >>> borders, offsets = local_offsets("Asia/Kolkata", "earliest")
    >>> offsets[-1] // 60_000_000
    330
    """
    local = pl.col("at").dt.replace_time_zone(zone, ambiguous=ambiguous, non_existent="null")
    ahead = (pl.col("at").dt.epoch("us") - local.dt.epoch("us")).forward_fill().over("start")
    spans = pl.DataFrame({"start": [_KNOWN[0]], "end": [_KNOWN[1]]})
    first = spans.select("start", at="start").select(ahead).item()
    for step in ("1d", "1m", "1s"):  # each looks only where the step before it found a change
        times = spans.select("start", at=pl.datetime_ranges("start", "end", step)).explode("at")
        before = pl.col("at", "ahead").shift().over("start").name.suffix("_before")
        changed = (
            times.with_columns(ahead=ahead)
            .with_columns(before)
            .filter(pl.col("at_before").is_not_null(), pl.col("ahead").ne_missing(pl.col("ahead_before")))
        )
        spans = changed.select("ahead", start="at_before", end="at")
    return tuple(spans["end"].dt.epoch("us")), (first, *spans["ahead"])
