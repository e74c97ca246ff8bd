"""Which columns identify a row, and which tells its time: guessed from names, types and values."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations

import polars as pl

from aligned_dagster.features.dtypes import DataType

_KEYS = frozenset({"string", "uuid", "date"})
_TIMES = (
    "event_timestamp",
    "event_time",
    "timestamp",
    "datetime",
    "time",
    "at",
    "ts",
    "time_hour",
    "valid_from",
)
_ENDINGS = ("_at", "_time", "_timestamp", "_ts", "_datetime")
_WRITTEN = ("updated", "modified", "inserted", "loaded", "ingested", "written", "deleted")
_PAIRED = 12


@dataclass(frozen=True)
class Figures:
    """What the values of a column are like.

    Args:
        rows: how many there are.
        nulls: how many of them are null.
        distinct: different values, null not counted; None where it is not counted.
        least: the smallest number; None where there is none or it is not finite.
        most: the greatest number, likewise.
        nans: how many are NaN.
    """

    rows: int
    nulls: int
    distinct: int | None = None
    least: float | int | None = None
    most: float | int | None = None
    nans: int = 0

    @property
    def is_key(self) -> bool:
        """Whether each row has a value of its own."""
        return self.rows > 0 and self.nulls == 0 and self.distinct == self.rows

    @property
    def is_never_negative(self) -> bool:
        """Whether 0 may be suggested as a bound: several numbers, not all of them 0, none of them below or NaN."""
        return (
            self.nans == 0
            and self.rows - self.nulls > 1
            and self.least is not None
            and self.most is not None
            and self.least >= 0
            and self.most > 0
        )


@dataclass(frozen=True)
class Roles:
    """The columns that identify a row, and the one that tells its time."""

    entities: tuple[str, ...] = ()
    event_timestamp: str | None = None


def figures_of(rows: pl.LazyFrame, dtypes: Mapping[str, DataType]) -> dict[str, Figures]:
    """Name to figures, in one pass over the rows.

    Args:
        rows: with the columns.
        dtypes: of the columns.
    """
    asked: dict[str, pl.Expr] = {"rows": pl.len()}
    for place, (name, dtype) in enumerate(dtypes.items()):
        column = pl.col(name)
        asked[f"nulls {place}"] = column.null_count()
        if _may_be_key(dtype):
            asked[f"distinct {place}"] = column.drop_nulls().n_unique()
        if dtype.is_numeric:
            asked |= {f"least {place}": column.min(), f"most {place}": column.max()}
        if dtype.is_float:
            asked[f"nans {place}"] = column.is_nan().sum()
    found = rows.select(**asked).collect(engine="streaming").row(0, named=True)
    return {
        name: Figures(
            found["rows"],
            found[f"nulls {place}"],
            found.get(f"distinct {place}"),
            _finite(found.get(f"least {place}")),
            _finite(found.get(f"most {place}")),
            found.get(f"nans {place}", 0),
        )
        for place, name in enumerate(dtypes)
    }


def roles_of(rows: pl.LazyFrame, dtypes: Mapping[str, DataType], figures: Mapping[str, Figures]) -> Roles:
    """Guess the entity and the event timestamp.

    The entity is one column, or else one beside the event timestamp, or else two columns: those that no two rows
    share, names such as `id` and `..._id` first.

    Args:
        rows: with the columns.
        dtypes: of the columns.
        figures: of the columns.
    """
    times = [
        name
        for name, dtype in dtypes.items()
        if dtype.kind == "timestamp" and figures[name].rows and not figures[name].nulls
    ]
    time = _event_timestamp(times)
    keys = sorted(
        (name for name, dtype in dtypes.items() if _may_be_key(dtype) and figures[name].nulls == 0),
        key=lambda name: _rank(name, list(dtypes)),
    )
    if not any(one.rows for one in figures.values()):
        return Roles()
    single = next((name for name in keys if figures[name].is_key), None)
    if single is not None:
        return Roles((single,), time)
    tried = [(name, time) for name in keys[:_PAIRED]] if time else []
    with_time = _first_unique(rows, [pair for pair in tried if pair[1]])
    if with_time is not None:
        return Roles(with_time[:1], time)
    pair = _first_unique(rows, list(combinations(keys[:_PAIRED], 2)))
    return Roles(pair or (), time)


def _first_unique(rows: pl.LazyFrame, pairs: list[tuple[str, str]]) -> tuple[str, str] | None:
    """The first pair of columns that no two rows share."""
    if not pairs:
        return None
    counted = {str(place): pl.struct(pair).n_unique() for place, pair in enumerate(pairs)}
    found = rows.select(pl.len().alias("rows"), **counted).collect().row(0, named=True)
    return next((pair for place, pair in enumerate(pairs) if found[str(place)] == found["rows"]), None)


def _may_be_key(dtype: DataType) -> bool:
    return dtype.is_integer or dtype.kind in _KEYS


def _rank(name: str, order: list[str]) -> tuple[int, int]:
    word = name.lower()
    if word in {"id", "uuid", "key"}:
        return 0, order.index(name)
    if word.endswith(("_id", "id", "_key", "_uuid", "_code", "_number", "_no")) or word in {"code", "number"}:
        return 1, order.index(name)
    return 2, order.index(name)


def _event_timestamp(names: list[str]) -> str | None:
    told = [name for name in names if not name.lower().startswith(_WRITTEN)]
    for word in _TIMES:
        for name in told:
            if name.lower() == word:
                return name
    ending = [name for name in told if name.lower().endswith(_ENDINGS)]
    happened = [name for name in ending if not name.lower().startswith("created")]
    return next(iter([*happened, *ending]), told[0] if len(told) == 1 else None)


def _finite(value: float | int | None) -> float | int | None:
    return value if value is not None and math.isfinite(value) else None
