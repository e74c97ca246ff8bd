"""Rows that do not change any more: a partition is written once, and after that only found to be the same.

Rows are the same where they differ in nothing but the last digits of floats: a sum of floats depends on the order of its
rows, which differs from run to run.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import polars as pl

from aligned_dagster.contracts.partitioning import WindowDimension, scheme_of
from aligned_dagster.contracts.window_keys import partition_condition
from aligned_dagster.errors import PublishError, SourceNotFoundError
from aligned_dagster.features.dtypes import DataType
from aligned_dagster.features.expression import Call, ColumnRef, Expression, replay
from aligned_dagster.request.explain import explained
from aligned_dagster.request.partition import PartitionSlice

if TYPE_CHECKING:
    from aligned_dagster.contracts.feature_view import FeatureView

_EVERY = {"hourly": "1h", "daily": "1d", "weekly": "1w", "monthly": "1mo"}
_WINDOW, _ROWS = "__window", "__rows"
_SEEDS = (0, 1)
_SHOWN = 3

_NEAR = {"float64": 1e-11, "float32": 1e-5}
"""The share by which sums over all rows may differ."""


@dataclass(frozen=True)
class Digest:
    """What tells the rows of a partition from others, in whatever order they are.

    Args:
        rows: their number.
        hashes: of all but floats, which are to be the same.
        sums: of floats, weighted by hashes, which are to be close.
        sizes: what is close is a share of these.
        near: the shares.
    """

    rows: int = 0
    hashes: tuple[int, ...] = ()
    sums: tuple[float, ...] = ()
    sizes: tuple[float, ...] = ()
    near: tuple[float, ...] = ()

    def is_as(self, other: Digest) -> bool:
        """Whether the rows are the same but for the last digits of floats."""
        if (self.rows, self.hashes) != (other.rows, other.hashes):
            return False
        pairs = zip(self.sums, other.sums, self.sizes, other.sizes, self.near, strict=True)
        return all(abs(one - two) <= near * max(size, its) for one, two, size, its, near in pairs)


Found = dict[tuple[Any, ...], Digest]
"""Partition to what its rows are told by."""


def is_stored_already(view: FeatureView[Any], rows: pl.LazyFrame, part: PartitionSlice | None) -> bool:
    """Whether a contract of immutable rows holds exactly these already, in whatever order.

    Args:
        view: the contract.
        rows: what would be published.
        part: the partitions that they would replace; everything if None.

    Raises:
        PublishError: it holds others in one of these partitions.
    """
    stored = _stored(view, part)
    if not stored:
        return False
    new = _by_partition(view, rows)
    changed = [key for key, digest in stored.items() if not digest.is_as(new.get(key, Digest()))]
    if changed:
        shown = "; ".join(
            _difference(view, key, stored[key].rows, new.get(key, Digest()).rows) for key in changed[:_SHOWN]
        )
        more = f"; and {len(changed) - _SHOWN} more" if len(changed) > _SHOWN else ""
        raise PublishError(
            f"{view.name} is a training set, whose rows do not change once they are published, and the new ones are "
            f"others: {shown}{more}. Nothing was published. Give the set another name for other rows; or, if nobody "
            f"has trained on the old ones, remove them from {view.storage.uri} first."
        )
    return new.keys() == stored.keys()


def window_start(time: str, dtype: DataType, every: str, zone: str) -> Expression:
    """The first moment of the window of time that a row is in, on the clock of a zone.

    Args:
        time: the event timestamp.
        dtype: its type.
        every: the length of the windows.
        zone: in whose days, weeks and months they are.
    """
    moment: Expression = ColumnRef(time)
    if dtype.kind == "timestamp":
        if dtype.time_zone is None:
            moment = Call("dt.replace_time_zone", moment, "UTC") if zone != "UTC" else moment
        if dtype.time_zone != zone and not (dtype.time_zone is None and zone == "UTC"):
            moment = Call("dt.convert_time_zone", moment, zone)
    return Call("dt.truncate", moment, _EVERY[every])


def _stored(view: FeatureView[Any], part: PartitionSlice | None) -> Found:
    try:
        rows = view.read()
        return _by_partition(view, rows if part is None else rows.filter(partition_condition(view, part)))
    except SourceNotFoundError:
        return {}


def _by_partition(view: FeatureView[Any], rows: pl.LazyFrame) -> Found:
    """Digests are sums, so that no order matters and nothing but sums is held in memory."""
    scheme = scheme_of(view)
    keys = [] if scheme is None else [c.name for dimension in scheme.keys for c in dimension.columns]
    by = [pl.col(name) for name in keys]
    window = None if scheme is None else scheme.window
    if window is not None:
        by.append(_start(view, window).alias(_WINDOW))
    names = [*keys, *([_WINDOW] if window is not None else [])]
    told = [_told(pl.col(column.name), column.dtype) for column in view.schema.columns]
    exact = pl.struct(
        part.alias(str(n)) for n, part in enumerate(part for parts, _ in told for part in parts)
    )
    floats = [one for _, ones in told for one in ones]
    hashed = rows.select(
        *by,
        *(exact.hash(seed).alias(f"__hash {seed}") for seed in _SEEDS),
        *(one.number.alias(f"__float {n}") for n, one in enumerate(floats)),
        *(one.size.alias(f"__size {n}") for n, one in enumerate(floats)),
    )
    weight = pl.col(f"__hash {_SEEDS[0]}").cast(pl.Float64) / 2.0**64 + 0.5
    sums = [
        pl.len().alias(_ROWS),
        *(pl.col(f"__hash {seed}").cast(pl.Int128).sum() for seed in _SEEDS),
        *((pl.col(f"__float {n}") * weight).sum() for n in range(len(floats))),
        *(pl.col(f"__size {n}").sum() for n in range(len(floats))),
    ]
    with explained(view.name, view.storage.uri):
        found = (hashed.group_by(names).agg(sums) if names else hashed.select(sums)).collect(
            engine="streaming"
        )
    return {
        tuple(row[name] for name in names): Digest(
            row[_ROWS],
            tuple(row[f"__hash {seed}"] for seed in _SEEDS),
            tuple(row[f"__float {n}"] for n in range(len(floats))),
            tuple(row[f"__size {n}"] for n in range(len(floats))),
            tuple(one.near for one in floats),
        )
        for row in found.iter_rows(named=True)
        if row[_ROWS]
    }


@dataclass(frozen=True)
class _Float:
    """A column of floats, or the floats of a list, as a finite number; of what is not finite the exact part tells.

    Args:
        number: great values by their logarithm, so that they do not cover the small ones.
        size: what its last digits are a share of.
        near: the share that sums may differ by.
    """

    number: pl.Expr
    size: pl.Expr
    near: float


def _told(value: pl.Expr, dtype: DataType) -> tuple[list[pl.Expr], list[_Float]]:
    """The parts of a value that are to be the same, and those that are to be close."""
    if dtype.is_float:
        number = _number(value)
        return [_outside(value)], [_Float(number, number.abs(), _NEAR[dtype.kind])]
    if dtype.kind in {"list", "embedding"} and dtype.inner is not None and dtype.inner.is_float:
        items, item = value.cast(pl.List(dtype.inner.polars)), pl.element()
        numbers = items.list.eval(_number(item) * (pl.int_range(pl.len()) + 1))
        size = numbers.list.eval(item.abs()).list.sum().fill_null(0.0)
        return [items.list.eval(_outside(item))], [
            _Float(numbers.list.sum().fill_null(0.0), size, _NEAR[dtype.inner.kind])
        ]
    if dtype.kind == "struct":
        fields = [_told(value.struct.field(name), inner) for name, inner in dtype.fields]
        return (
            [value.is_null(), *(part for parts, _ in fields for part in parts)],
            [one for _, ones in fields for one in ones],
        )
    return [value], []


def _number(value: pl.Expr) -> pl.Expr:
    return pl.when(value.is_finite()).then(value.cast(pl.Float64)).otherwise(0.0).arcsinh()


def _outside(value: pl.Expr) -> pl.Expr:
    """Infinities, NaN and null, which are to be the same; zero for all others."""
    return pl.when(value.is_finite()).then(0.0).otherwise(value.cast(pl.Float64))


def _start(view: FeatureView[Any], window: WindowDimension) -> pl.Expr:
    dtype = view.schema.column(window.name).dtype
    start: pl.Expr = replay(window_start(window.name, dtype, window.every, window.zone))
    if dtype.kind == "timestamp" and (dtype.time_zone or window.zone != "UTC"):
        return start.dt.convert_time_zone("UTC")
    return start.cast(pl.Datetime("us")).dt.replace_time_zone("UTC")


def _difference(view: FeatureView[Any], key: tuple[Any, ...], stored: int, new: int) -> str:
    what = f"there are {stored:,} rows" if stored == new else f"there are {stored:,} rows and not {new:,}"
    named = _partition_name(view, key)
    return f"in the partition {named} {what}" if named else what


def _partition_name(view: FeatureView[Any], key: tuple[Any, ...]) -> str:
    scheme = scheme_of(view)
    if scheme is None or not key:
        return ""
    names = [column.name for dimension in scheme.keys for column in dimension.columns]
    values: Mapping[str, Any] = dict(zip(names, key, strict=False))
    texts = [repr(dimension.key(values)) for dimension in scheme.keys]
    if scheme.window is not None:
        texts.insert(0, repr(scheme.window.key(key[-1])))
    return functools.reduce(lambda one, other: f"{one}, {other}", texts)
