"""Which partitions of a contract there are, and how many rows each has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import dagster as dg

from aligned_dagster.contracts.partitioning import KeyDimension
from aligned_dagster.orchestration.partition_runs import Part

if TYPE_CHECKING:
    from aligned_dagster.contracts.feature_view import FeatureView
    from aligned_dagster.orchestration.partition_runs import PartitionFindings
    from aligned_dagster.orchestration.partitions import Partitions

MOST_KEYS = 2_000
"""The most partitions that are looked at one by one."""
_MOST_CONDITIONS = 100


@dataclass(frozen=True)
class Coverage:
    """Which partitions there are.

    Args:
        partitions: of the contract.
        keys: all that there can be now, in Dagster's order.
        there: those that were materialised or have rows.
        rows: number of rows of those of which it is known.
    """

    partitions: Partitions
    keys: tuple[str, ...]
    there: frozenset[str]
    rows: Mapping[str, int] = field(default_factory=dict)

    @cached_property
    def is_counted(self) -> bool:
        """Whether the rows of every partition that is there are known."""
        return self.there <= self.rows.keys()

    def words(self) -> str:
        """How many there are and how many rows they have, in a sentence."""
        there = [key for key in self.keys if key in self.there]
        missing = [key for key in self.keys if key not in self.there]
        known = [self.rows[key] for key in there if key in self.rows]
        told = f"{len(there):,} of {len(self.keys):,}"
        if known and self.is_counted:
            span = f"{min(known):,}" if min(known) == max(known) else f"{min(known):,} to {max(known):,}"
            told += f", {span} {'row' if max(known) == 1 else 'rows'}{' each' if len(known) > 1 else ''}"
        if missing:
            named = ", ".join(missing[:3])
            told += f"; missing: {named}" + (f" and {len(missing) - 3:,} more" if len(missing) > 3 else "")
        return told


def coverage_of(
    view: FeatureView[Any],
    key: dg.AssetKey,
    partitions: Partitions,
    instance: dg.DagsterInstance,
    *,
    found: Sequence[PartitionFindings],
    total: int,
    most: int,
) -> Coverage | None:
    """Which partitions a contract has after a run; None where there are too many to look at one by one.

    The rows of all partitions are counted where they are in local files and not too many. Elsewhere only those of the run
    are known.

    Args:
        view: the contract.
        key: its asset.
        partitions: of the contract.
        instance: knows what was materialised.
        found: what the run found in each of its partitions.
        total: number of rows of all partitions.
        most: the most rows that are counted by partition.

    Raises:
        SourceError: the rows cannot be read.
    """
    keys = tuple(partitions.keys(instance))
    if not keys or len(keys) > MOST_KEYS:
        return None
    rows = {one.key: one.rows for one in found if one.rows is not None}
    if total <= most and _can_be_counted(view, partitions, keys):
        rows = {**Part(partitions, keys).rows_of(view.read(), view.schema), **rows}
    materialised = instance.get_materialized_partitions(key)
    there = {*materialised, *(one.key for one in found), *(one for one, number in rows.items() if number)}
    return Coverage(
        partitions, keys, frozenset(there & set(keys)), {one: rows[one] for one in keys if one in rows}
    )


def _can_be_counted(view: FeatureView[Any], partitions: Partitions, keys: Sequence[str]) -> bool:
    """Whether one query over columns that are at hand tells the rows of every partition."""
    place = getattr(getattr(view.storage, "location", None), "kind", None)
    if place != "local" or partitions.scheme.version is not None:
        return False
    wide = any(isinstance(one, KeyDimension) and len(one.columns) > 1 for one in partitions.scheme.dimensions)
    return not wide or len(keys) <= _MOST_CONDITIONS
