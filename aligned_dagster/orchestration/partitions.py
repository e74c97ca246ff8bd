"""The partitions of contracts as those of Dagster, and back: what rows the keys of a run stand for."""

from __future__ import annotations

import datetime as dt
import functools
import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import dagster as dg
import polars as pl
from dagster._core.definitions.partitions.context import partition_loading_context

from aligned_dagster.contracts.partitioning import (
    PartitionScheme,
    VersionDimension,
    WindowDimension,
    scheme_of,
)
from aligned_dagster.errors import RequestError
from aligned_dagster.orchestration.previews import accepted_previews
from aligned_dagster.request.partition import PartitionSlice, Window, union
from aligned_dagster.sources.schema_versioned import SchemaVersionedSource

if TYPE_CHECKING:
    from aligned_dagster.contracts.feature_view import FeatureView
    from aligned_dagster.contracts.lock import ContractsLock
    from aligned_dagster.contracts.partitioning import Dimension
    from aligned_dagster.features.schema import Schema
    from aligned_dagster.orchestration.translator import ContractTranslator


def partitions_definition(scheme: PartitionScheme, key: dg.AssetKey) -> dg.PartitionsDefinition[Any]:
    """What Dagster is told of the partitions of a contract.

    Windows of time become hourly, daily, weekly or monthly partitions, accepted values and schema versions a
    fixed set, other keys a set that grows, two dimensions a grid.

    Args:
        scheme: what the contract says.
        key: its asset, which names the sets that grow: `<asset>__<columns>`.
    """
    made = {dimension.name: _definition(dimension, key) for dimension in scheme.dimensions}
    if len(made) == 1:
        return next(iter(made.values()))
    with accepted_previews():
        return dg.MultiPartitionsDefinition(made)


@dataclass(frozen=True)
class Partitions:
    """The partitions of one contract, on both sides.

    Args:
        scheme: what the contract says.
        definition: what Dagster is told.
    """

    scheme: PartitionScheme
    definition: dg.PartitionsDefinition[Any]

    @staticmethod
    def of(view: FeatureView[Any], translator: ContractTranslator, lock: ContractsLock) -> Partitions | None:
        """The partitions of a contract; None where it has none or the translator wants none.

        Args:
            view: the contract.
            translator: decides what Dagster is told.
            lock: knows the schema versions.
        """
        versioned = isinstance(view.materialized_source, SchemaVersionedSource)
        scheme = scheme_of(view, lock.known_versions(view) if versioned else ())
        definition = translator.get_partitions_def(view, scheme) if scheme is not None else None
        return None if scheme is None or definition is None else Partitions(scheme, definition)

    @property
    def by_dimension(self) -> dict[str, dg.PartitionsDefinition[Any]]:
        """Dimension's name to its definition."""
        if isinstance(self.definition, dg.MultiPartitionsDefinition):
            return {dimension.name: dimension.partitions_def for dimension in self.definition.partitions_defs}
        return {self.scheme.dimensions[0].name: self.definition}

    @property
    def dynamic(self) -> dict[str, str]:
        """Dimensions whose keys are registered with the instance, to the names of their sets."""
        return {
            name: found.name
            for name, found in self.by_dimension.items()
            if isinstance(found, dg.DynamicPartitionsDefinition) and found.name is not None
        }

    def keys(self, instance: dg.DagsterInstance) -> list[str]:
        """All keys that there are now, in Dagster's order."""
        with partition_loading_context(dynamic_partitions_store=instance):
            return list(self.definition.get_partition_keys())

    def split(self, key: str) -> dict[str, str]:
        """The key of each dimension in a partition's key."""
        if isinstance(self.definition, dg.MultiPartitionsDefinition):
            return dict(self.definition.get_partition_key_from_str(key).keys_by_dimension)
        return {self.scheme.dimensions[0].name: key}

    def key(self, partition: Mapping[str, str]) -> str:
        """The partition's key made of the keys of its dimensions."""
        if isinstance(self.definition, dg.MultiPartitionsDefinition):
            return dg.MultiPartitionKey(dict(partition))
        return partition[self.scheme.dimensions[0].name]

    def part(self, key: str) -> PartitionSlice:
        """The rows of one partition.

        The bounds of a window are Dagster's own, which knows the days on which the clock is changed.

        Raises:
            RequestError: it is no key of this contract.
        """
        partition = self.split(key)
        window = self.scheme.window
        windows = None if window is None else [self.window(partition[window.name])]
        return self.scheme.part(partition, windows)

    def parts(self, keys: Sequence[str]) -> PartitionSlice:
        """The rows of several partitions.

        Raises:
            RequestError: they are no rectangle of windows and keys.
        """
        return union(self.part(key) for key in keys)

    def predicate(self, keys: Sequence[str], schema: Schema) -> pl.Expr:
        """A condition that holds for the rows of some partitions, of any that there are.

        Raises:
            RequestError: one is no key of this contract.
        """
        try:
            return self.parts(keys).predicate(schema)
        except RequestError:  # no rectangle: column by column of the grid
            columns: dict[tuple[Window, ...], list[PartitionSlice]] = {}
            for part in map(self.part, keys):
                columns.setdefault(part.windows, []).append(part)
            return functools.reduce(
                operator.or_, (union(found).predicate(schema) for found in columns.values())
            )

    def by_version(self, keys: Sequence[str]) -> dict[str, list[str]]:
        """Schema version to the same partitions of the current version, of which alone the rows can be told."""
        version = self.scheme.version
        assert version is not None
        found: dict[str, list[str]] = {}
        for key in keys:
            partition = self.split(key)
            found.setdefault(partition[version.name], []).append(
                self.key({**partition, version.name: version.current})
            )
        return found

    def window(self, key: str) -> Window:
        """The window of a key of the time dimension."""
        dimension = self.scheme.window
        assert dimension is not None
        definition = self.by_dimension[dimension.name]
        assert isinstance(definition, dg.TimeWindowPartitionsDefinition)
        found = definition.time_window_for_partition_key(key)
        # In UTC: two times of one zone are compared by the wall clock, which shows an hour twice when it is set back.
        return Window(found.start.astimezone(dt.UTC), found.end.astimezone(dt.UTC))


def _definition(dimension: Dimension, key: dg.AssetKey) -> dg.PartitionsDefinition[Any]:
    if isinstance(dimension, WindowDimension):
        return _windows(dimension)
    if isinstance(dimension, VersionDimension):
        return dg.StaticPartitionsDefinition(list(dimension.known))
    if dimension.values is not None:
        return dg.StaticPartitionsDefinition(list(dimension.values))
    return dg.DynamicPartitionsDefinition(name=f"{key.to_user_string()}__{dimension.name}")


def _windows(dimension: WindowDimension) -> dg.TimeWindowPartitionsDefinition:
    span: dict[str, Any] = {
        "start_date": dimension.start,
        "end_date": dimension.end,
        "timezone": dimension.zone,
    }
    if dimension.every == "hourly":
        return dg.HourlyPartitionsDefinition(**span, fmt=dimension.format)
    if dimension.every == "daily":
        return dg.DailyPartitionsDefinition(**span, fmt=dimension.format)
    if dimension.every == "weekly":
        return dg.WeeklyPartitionsDefinition(**span, fmt=dimension.format, day_offset=1)  # from Monday
    return dg.MonthlyPartitionsDefinition(**span, fmt=dimension.format)
