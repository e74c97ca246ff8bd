"""Ranges of partitions that one run materialises: all of them, or those that rows may still fall into."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import dagster as dg
from dagster._core.definitions.partitions.context import partition_loading_context

from aligned_dagster.orchestration.partitions import Partitions

RANGE_START = "dagster/asset_partition_range_start"
RANGE_END = "dagster/asset_partition_range_end"


@dataclass(frozen=True)
class PartitionRange:
    """The partitions from one to another; in a grid, those of the rectangle between two corners.

    Args:
        start: the key of the first.
        end: the key of the last.
    """

    start: str
    end: str

    @property
    def tags(self) -> dict[str, str]:
        """What makes a run one over these partitions."""
        return {RANGE_START: str(self.start), RANGE_END: str(self.end)}


def every_partition(partitions: Partitions, instance: dg.DagsterInstance) -> PartitionRange | None:
    """All partitions that a contract can produce now; None where there are none yet.

    Of schema versions that is the current one, of windows of time every one that is over, of keys that are
    registered with the instance those that are.
    """
    return _range(partitions, instance, {})


def range_to_refresh(
    partitions: Partitions, instance: dg.DagsterInstance, *, since: dt.datetime, now: dt.datetime
) -> PartitionRange | None:
    """The partitions that a scheduled run materialises: see `partitions_to_refresh`; all keys of each window."""
    window = partitions.scheme.window
    if window is None:
        return every_partition(partitions, instance)
    keys = partitions_to_refresh(partitions, since=since, now=now)
    return _range(partitions, instance, {window.name: keys})


def partitions_to_refresh(partitions: Partitions, *, since: dt.datetime, now: dt.datetime) -> list[str]:
    """The windows that ended in a span of time, and those whose rows may still arrive: `lookback` after their end.

    Args:
        partitions: of a contract with windows of time.
        since: when it was last looked after them, with a zone.
        now: with a zone.
    """
    dimension = partitions.scheme.window
    if dimension is None:
        return []
    definition = partitions.by_dimension[dimension.name]
    assert isinstance(definition, dg.TimeWindowPartitionsDefinition)
    # Seconds since 1970: a difference of times forgets which of two hours it is when the clock is set back.
    oldest = since.timestamp() - (dimension.lookback or dt.timedelta()).total_seconds()
    found: list[str] = []
    with partition_loading_context(effective_dt=now):
        window = definition.get_last_partition_window()
        while window is not None and window.end.timestamp() > oldest:
            found.append(definition.get_partition_key_for_timestamp(window.start.timestamp()))
            window = definition.get_prev_partition_window(window.start)
    return found[::-1]


def _range(
    partitions: Partitions, instance: dg.DagsterInstance, chosen: Mapping[str, Sequence[str]]
) -> PartitionRange | None:
    ends: dict[str, tuple[str, str]] = {}
    version = partitions.scheme.version
    for name, definition in partitions.by_dimension.items():
        if version is not None and name == version.name:
            keys: Sequence[str] = [version.current]
        elif name in chosen:
            keys = chosen[name]
        else:
            with partition_loading_context(dynamic_partitions_store=instance):
                keys = definition.get_partition_keys()
        if not keys:
            return None
        ends[name] = (keys[0], keys[-1])
    return PartitionRange(
        partitions.key({name: start for name, (start, _) in ends.items()}),
        partitions.key({name: end for name, (_, end) in ends.items()}),
    )
