"""Which partitions of an upstream contract those of another one are made of."""

from __future__ import annotations

import math
from datetime import timedelta
from itertools import product
from typing import TYPE_CHECKING, Any

import dagster as dg
from dagster._core.definitions.partitions.mapping.multi.multi_to_single import (
    get_infer_single_to_multi_dimension_deps_result,
)

from aligned_dagster.contracts.joining import JoinSource
from aligned_dagster.contracts.partitioning import Every, KeyDimension, WindowDimension
from aligned_dagster.contracts.view_source import ContractSource
from aligned_dagster.orchestration.partitions import Partitions
from aligned_dagster.orchestration.previews import accepted_previews

if TYPE_CHECKING:
    from aligned_dagster.contracts.feature_view import FeatureView
    from aligned_dagster.contracts.partitioning import Dimension
    from aligned_dagster.features.schema import Column

_SHORTEST: dict[Every, timedelta] = {
    "hourly": timedelta(hours=1),
    "daily": timedelta(days=1),
    "weekly": timedelta(days=7),
    "monthly": timedelta(days=28),
}


def partition_mapping(
    view: FeatureView[Any], partitions: Partitions | None, upstream: FeatureView[Any], other: Partitions
) -> dg.PartitionMapping | None:
    """Which partitions of an upstream contract a partition of this one depends on.

    Where both are divided by the same column, taken over unchanged or joined on, the same values and the windows
    that overlap; of schema versions the current one; all of them otherwise. Only mappings that are built into
    Dagster are used: others do not reach its daemon.

    Args:
        view: the contract that reads or refers to the other.
        partitions: its partitions, if it has any.
        upstream: the contract that is read.
        other: its partitions.
    """
    if partitions is None:
        return _current_version(other)
    shared = _shared(view, partitions, upstream, other)
    made = {
        theirs.name: (ours.name, mapping)
        for ours, theirs in shared
        if (mapping := _of_dimension(view, ours, theirs, partitions, other)) is not None
    }
    everything = dg.AllPartitionMapping()
    if not made:
        return _current_version(other) or everything
    grids = [isinstance(side.definition, dg.MultiPartitionsDefinition) for side in (partitions, other)]
    if not any(grids):
        return next(iter(made.values()))[1]
    with accepted_previews():
        if all(grids):
            return dg.MultiPartitionMapping(
                {
                    theirs: dg.DimensionPartitionMapping(ours, mapping)
                    for theirs, (ours, mapping) in made.items()
                }
            )
        [(theirs, (ours, _))] = list(made.items())[:1]
        name = ours if grids[0] else theirs
        found = get_infer_single_to_multi_dimension_deps_result(other.definition, partitions.definition)
        dependency = found.dimension_dependency
        if dependency is None or name not in (
            dependency.upstream_dimension_name,
            dependency.downstream_dimension_name,
        ):
            return everything
        return dg.MultiToSingleDimensionPartitionMapping(name)


def shared_keys(
    view: FeatureView[Any], dimension: KeyDimension, upstream: FeatureView[Any], other: Partitions
) -> KeyDimension | None:
    """The dimension of an upstream contract whose keys are those of a contract's; None where there is none."""
    return next((found for found in other.scheme.keys if _same(view, dimension, upstream, found)), None)


def _current_version(other: Partitions) -> dg.PartitionMapping | None:
    """The partitions of the current schema version, where they can be listed; None where there are no versions."""
    version = other.scheme.version
    if version is None:
        return None
    sets = {**other.by_dimension, version.name: dg.StaticPartitionsDefinition([version.current])}
    if not all(isinstance(found, dg.StaticPartitionsDefinition) for found in sets.values()):
        return None
    keys = [
        other.key(dict(zip(sets, values, strict=True)))
        for values in product(*(found.get_partition_keys() for found in sets.values()))
    ]
    return dg.SpecificPartitionsPartitionMapping(keys)


def _shared(
    view: FeatureView[Any], partitions: Partitions, upstream: FeatureView[Any], other: Partitions
) -> list[tuple[Dimension, Dimension]]:
    """Dimensions of both sides whose columns hold the same values in rows that belong together."""
    return [
        (ours, theirs)
        for ours in partitions.scheme.dimensions
        for theirs in other.scheme.dimensions
        if _same(view, ours, upstream, theirs)
    ]


def _same(view: FeatureView[Any], ours: Dimension, upstream: FeatureView[Any], theirs: Dimension) -> bool:
    if isinstance(ours, WindowDimension) and isinstance(theirs, WindowDimension):
        return ours.zone == theirs.zone and _comes_from(view, ours.name, upstream, theirs.name)
    if isinstance(ours, KeyDimension) and isinstance(theirs, KeyDimension):
        if len(ours.columns) != len(theirs.columns):
            return False
        pairs = list(zip(ours.columns, theirs.columns, strict=True))
        if len(pairs) > 1 and any(one.name != another.name for one, another in pairs):
            return False  # the names are part of such keys
        return all(
            _alike(one, another) and _comes_from(view, one.name, upstream, another.name)
            for one, another in pairs
        )
    return False


def _alike(one: Column, other: Column) -> bool:
    return one.dtype == other.dtype or (one.dtype.is_integer and other.dtype.is_integer)


def _comes_from(view: FeatureView[Any], column: str, upstream: FeatureView[Any], name: str) -> bool:
    """Whether a column holds, unchanged, what the column of the upstream contract holds."""
    stored = {column.name for column in view.compiled.inputs.stored}
    if column not in stored or not isinstance(view.source, ContractSource):
        return False
    return (upstream.name, name) in _origins(view.source, column)


def _origins(source: ContractSource, column: str) -> set[tuple[str, str]]:
    """Where the values of a column stand upstream; both sides of a join, if it is a key of it."""
    found = set(source.origins(column)) if column in source.columns() else set()
    if isinstance(source, JoinSource) and source.how != "full":
        for left, right in zip(source.left_on, source.right_on, strict=True):
            if left == column:
                found |= _origins(source.right, right)
        if column in source.left.columns():
            found |= _origins(source.left, column)
    return found


def _of_dimension(
    view: FeatureView[Any], ours: Dimension, theirs: Dimension, partitions: Partitions, other: Partitions
) -> dg.PartitionMapping | None:
    """How keys of one dimension follow from those of the other; None where Dagster cannot say it."""
    if isinstance(ours, WindowDimension):
        history = max(
            (grouping.window for _, grouping in view.compiled.groupings if grouping.window),
            default=timedelta(),
        )
        with accepted_previews():
            return dg.TimeWindowPartitionMapping(
                start_offset=-math.ceil(history / _SHORTEST[ours.every]),
                allow_nonexistent_upstream_partitions=True,
            )
    mine, yours = partitions.by_dimension[ours.name], other.by_dimension[theirs.name]
    fixed = [isinstance(side, dg.StaticPartitionsDefinition) for side in (mine, yours)]
    if all(fixed):
        if mine == yours:
            return dg.IdentityPartitionMapping()
        common = set(mine.get_partition_keys()) & set(yours.get_partition_keys())
        return dg.StaticPartitionMapping({key: key for key in sorted(common)}) if common else None
    return None if any(fixed) else dg.IdentityPartitionMapping()
