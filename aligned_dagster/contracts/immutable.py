"""Rows that do not change any more: a partition is written once, and after that only found to be the same."""

from __future__ import annotations

import functools
from collections.abc import Mapping
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

Found = dict[tuple[Any, ...], tuple[int, ...]]
"""Partition to the number of its rows and digests of them."""


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
    changed = [key for key, digest in stored.items() if new.get(key) != digest]
    if changed:
        shown = "; ".join(
            _difference(view, key, stored[key][0], new.get(key, (0,))[0]) for key in changed[:_SHOWN]
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
    """Digests are sums of hashes, so that no order matters and nothing but sums is held in memory."""
    scheme = scheme_of(view)
    keys = [] if scheme is None else [c.name for dimension in scheme.keys for c in dimension.columns]
    by = [pl.col(name) for name in keys]
    window = None if scheme is None else scheme.window
    if window is not None:
        by.append(_start(view, window).alias(_WINDOW))
    whole = pl.struct(view.schema.names)
    hashed = rows.select(*by, *(whole.hash(seed).cast(pl.Int128).alias(f"__hash {seed}") for seed in _SEEDS))
    sums = [pl.len().alias(_ROWS), *(pl.col(f"__hash {seed}").sum() for seed in _SEEDS)]
    names = [*keys, *([_WINDOW] if window is not None else [])]
    with explained(view.name, view.storage.uri):
        found = (hashed.group_by(names).agg(sums) if names else hashed.select(sums)).collect(
            engine="streaming"
        )
    told = [_ROWS, *(f"__hash {seed}" for seed in _SEEDS)]
    return {
        tuple(row[name] for name in names): tuple(row[name] for name in told)
        for row in found.iter_rows(named=True)
        if row[_ROWS]
    }


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
