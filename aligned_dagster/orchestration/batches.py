"""Which assets can run together: a run has one kind of partitions at most."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any

import dagster as dg
from dagster._core.definitions.assets.graph.base_asset_graph import BaseAssetGraph
from dagster._core.definitions.partitions.context import partition_loading_context

from aligned_dagster.orchestration.partition_ranges import PartitionRange, every_partition
from aligned_dagster.orchestration.partitions import Partitions

Kind = tuple[dg.PartitionsDefinition[Any] | None, int | None]
"""The partitions of an asset, and how many of them one run takes; None for all of them."""


@dataclass(frozen=True)
class Batch:
    """Assets that one run materialises, or several with the same partitions.

    Args:
        keys: the assets, in the order of the lineage.
        partitions_def: their partitions; None where they have none.
        partitions_per_run: how many one run takes; None for all.
    """

    keys: tuple[dg.AssetKey, ...]
    partitions_def: dg.PartitionsDefinition[Any] | None
    partitions_per_run: int | None

    def ranges(
        self, partitions: Partitions | None, instance: dg.DagsterInstance
    ) -> Sequence[PartitionRange | None]:
        """What each run takes: one None where there are no partitions, nothing where there is none yet.

        Args:
            partitions: of the contracts in it; None for assets that are no contracts.
            instance: where keys are registered.
        """
        if self.partitions_def is None:
            return [None]
        if partitions is not None and self.partitions_per_run is None:
            found = every_partition(partitions, instance)
            return [] if found is None else [found]
        with partition_loading_context(dynamic_partitions_store=instance):
            keys = list(self.partitions_def.get_partition_keys())
        if partitions is not None and (version := partitions.scheme.version) is not None:
            keys = [key for key in keys if partitions.split(key)[version.name] == version.current]
        grid = isinstance(self.partitions_def, dg.MultiPartitionsDefinition)
        size = len(keys) if self.partitions_per_run is None else 1 if grid else self.partitions_per_run
        chunks = [keys[first : first + size] for first in range(0, len(keys), max(size, 1))]
        return [PartitionRange(chunk[0], chunk[-1]) for chunk in chunks]


def in_batches(graph: BaseAssetGraph[Any], keys: Set[dg.AssetKey]) -> list[Batch]:
    """The assets in batches, each after those that it depends on.

    Args:
        graph: of all assets.
        keys: those to be materialised.
    """
    stages: dict[tuple[int, Kind], list[dg.AssetKey]] = {}
    needs: dict[dg.AssetKey, dict[Kind, int]] = {}
    for level in graph.toposorted_asset_keys_by_level:
        for key in sorted(level):
            node = graph.get(key)
            before = _latest(needs[parent] for parent in node.parent_keys if parent in needs)
            if key not in keys:
                needs[key] = before
                continue
            kind = _kind(node)
            stage = max((at if other == kind else at + 1 for other, at in before.items()), default=0)
            needs[key] = {kind: stage}
            stages.setdefault((stage, kind), []).append(key)
    ordered = sorted(stages.items(), key=lambda item: (item[0][0], item[1]))
    return [Batch(tuple(found), *kind) for (_, kind), found in ordered]


def _kind(node: Any) -> Kind:
    definition = node.partitions_def
    if definition is None:
        return None, None
    policy = node.backfill_policy
    return definition, 1 if policy is None else policy.max_partitions_per_run


def _latest(found: Any) -> dict[Kind, int]:
    merged: dict[Kind, int] = {}
    needs: Mapping[Kind, int]
    for needs in found:
        for kind, stage in needs.items():
            merged[kind] = max(stage, merged.get(kind, 0))
    return merged
