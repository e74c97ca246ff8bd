"""Partitions that exist without Dagster having made them: found in storage, registered and shown as materialised."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import dagster as dg
import polars as pl

from aligned_dagster.contracts.partition_keys import decode, encode
from aligned_dagster.errors import AlignedError
from aligned_dagster.orchestration.partition_mapping import shared_keys
from aligned_dagster.orchestration.partitions import Partitions
from aligned_dagster.orchestration.registry import ContractRegistry
from aligned_dagster.sources.partitioned import PartitionedParquetSource
from aligned_dagster.sources.schema_versioned import SchemaVersionedSource

if TYPE_CHECKING:
    from aligned_dagster.contracts.feature_view import FeatureView
    from aligned_dagster.contracts.partitioning import KeyDimension, WindowDimension
    from aligned_dagster.features.literals import Value
    from aligned_dagster.sources.source import DataSource

SENSOR = "contracts_discover_partitions"


@dataclass(frozen=True)
class Found:
    """What a look at the storage of all contracts found.

    Args:
        register: name of a dynamic set to the keys that it lacks, sorted.
        stored: contract to the partitions that are stored.
        problems: contract to why its storage could not be listed.
    """

    register: Mapping[str, list[str]]
    stored: Mapping[str, list[str]]
    problems: Mapping[str, str]


def discovery_sensors(registry: ContractRegistry) -> list[dg.SensorDefinition]:
    """One sensor over all contracts with partitions; none where there are none.

    It lists directories and opens no file. What it finds it registers (keys that are not known beforehand) and
    reports as materialised (partitions that somebody else wrote). It starts no run, and so it is on by default.
    """
    if not any(name in registry.partitions for name in registry.views if name not in registry.read_only):
        return []

    @dg.sensor(
        name=SENSOR,
        minimum_interval_seconds=60,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Registers the partitions of contracts that exist in storage, and shows them as materialised.",
    )
    def look(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        found = discover(registry, context.instance)
        for name, problem in found.problems.items():
            context.log.warning(f"The partitions of {name!r} cannot be listed: {problem}")
        events = materialisations(registry, context.instance, found)
        if not events and not found.register:
            return dg.SkipReason("Every stored partition is known.")
        return dg.SensorResult(
            dynamic_partitions_requests=[
                dg.AddDynamicPartitionsRequest(name, keys) for name, keys in found.register.items()
            ],
            asset_events=events,
        )

    return [look]


def discover(
    registry: ContractRegistry, instance: dg.DagsterInstance, names: Collection[str] | None = None
) -> Found:
    """List what is stored of contracts with partitions, and which keys are not registered yet.

    Keys of a dynamic set are those in the contract's own storage, in a partitioned source that it reads, and in
    the storage of a contract upstream that is divided by the same column.

    Args:
        registry: the contracts.
        instance: knows the registered keys.
        names: the contracts to look at; all of them if not given.
    """
    stored: dict[str, list[dict[str, str]]] = {}
    problems: dict[str, str] = {}
    wanted = set(registry.partitions if names is None else names)
    listed = wanted.union(*(registry.views[name].depends_on() for name in wanted))
    for name, partitions in registry.partitions.items():
        if name not in listed:
            continue
        try:
            stored[name] = list(stored_partitions(registry.views[name], partitions))
        except (AlignedError, OSError) as error:
            problems[name] = str(error)
    register: dict[str, list[str]] = {}
    for name in registry.partitions:
        if name not in wanted:
            continue
        view, partitions = registry.views[name], registry.partitions[name]
        for dimension in partitions.scheme.keys:
            group = partitions.dynamic.get(dimension.name)
            if group is None or name in registry.read_only:
                continue
            keys = {partition[dimension.name] for partition in stored.get(name, ())}
            keys |= _keys_upstream(view, dimension, partitions, registry, stored)
            missing = keys - set(instance.get_dynamic_partitions(group))
            if missing:
                register[group] = sorted(missing)
    texts = {
        name: sorted({str(registry.partitions[name].key(one)) for one in found})
        for name, found in stored.items()
    }
    return Found(register, texts, problems)


def materialisations(
    registry: ContractRegistry, instance: dg.DagsterInstance, found: Found
) -> list[dg.AssetMaterialization]:
    """One event for every stored partition that Dagster does not know as materialised."""
    events: list[dg.AssetMaterialization] = []
    for name, keys in found.stored.items():
        asset = registry.key_of(name)
        known = set(instance.get_materialized_partitions(asset)) if keys else set()
        metadata: dict[str, Any] = {"dagster/uri": registry.views[name].storage.uri, "discovered": True}
        events += [
            dg.AssetMaterialization(
                asset,
                partition=key,
                metadata=metadata,
                description="Found in storage; it was not written by a run of this instance.",
            )
            for key in keys
            if key not in known
        ]
    return events


def register_found(registry: ContractRegistry, instance: dg.DagsterInstance, view: FeatureView[Any]) -> None:
    """Register the keys of one contract that exist in storage, without reporting anything."""
    if registry.partitions[view.name].dynamic:
        for name, keys in discover(registry, instance, [view.name]).register.items():
            instance.add_dynamic_partitions(name, keys)


def register_computed(
    view: FeatureView[Any],
    registry: ContractRegistry,
    instance: dg.DagsterInstance,
) -> None:
    """Register the keys that a contract's rows would have if they were computed now.

    The columns of the keys are read for it; predicates and projections reach the sources.

    Raises:
        SourceError: a source cannot be read.
    """
    partitions = registry.partitions[view.name]
    for dimension in partitions.scheme.keys:
        group = partitions.dynamic.get(dimension.name)
        if group is None:
            continue
        names = [column.name for column in dimension.columns]
        frames = {name: registry.rows(registry.views[name]) for name in view.depends_on()}
        rows: pl.DataFrame = view.compute(frames, names).unique().collect(engine="streaming")
        keys = {dimension.key(row) for row in rows.iter_rows(named=True)}
        missing = sorted(keys - set(instance.get_dynamic_partitions(group)))
        if missing:
            instance.add_dynamic_partitions(group, missing)


def stored_partitions(view: FeatureView[Any], partitions: Partitions) -> Iterator[dict[str, str]]:
    """The stored partitions of a contract, each as dimension's name to key. No row is read.

    Windows of time are told by a date among the keys of the directories; those within one file are not found.

    Args:
        view: the contract.
        partitions: its partitions.
    """
    source = view.materialized_source
    version = partitions.scheme.version
    if isinstance(source, SchemaVersionedSource):
        for one in source.versions():
            if version is not None and one.version in version.known:
                for partition in _of_file(view, source.at(one.version), partitions):
                    yield {version.name: one.version, **partition}
            elif version is None and one.version == view.version:
                yield from _of_file(view, source.at(one.version), partitions)
    elif source is not None:
        yield from _of_file(view, source, partitions)


def _of_file(view: FeatureView[Any], source: DataSource, partitions: Partitions) -> Iterator[dict[str, str]]:
    scheme = partitions.scheme
    if scheme.window is None and not scheme.keys:
        yield {}
        return
    seen: set[tuple[str, ...]] = set()
    for values in directories(view, source):
        partition = {dimension.name: dimension.key(values) for dimension in scheme.keys}
        if scheme.window is not None:
            key = _window_of(values, scheme.window, partitions)
            if key is None:
                continue
            partition[scheme.window.name] = key
        place = tuple(partition.values())
        if place not in seen and _exists(partition, partitions):
            seen.add(place)
            yield partition


def directories(view: FeatureView[Any], source: DataSource) -> Iterator[dict[str, Value]]:
    """The values of the partition keys of every directory that holds a file; none for other sources.

    Args:
        view: says the types of the keys.
        source: what is listed.
    """
    if not isinstance(source, PartitionedParquetSource):
        return
    names = {source.mapping_keys.get(stored, stored): stored for stored in source.stored_keys}
    done: set[object] = set()
    for file in source.files():
        if file.parent in done:
            continue
        done.add(file.parent)
        texts = dict(zip(source.stored_keys, source.reader.values(file), strict=True))
        yield {
            name: None if texts[stored] is None else _value(view, name, str(texts[stored]))
            for name, stored in names.items()
        }


def _value(view: FeatureView[Any], name: str, text: str) -> Value:
    schema = view.schema if name in view.schema else view.compiled.inputs
    return decode(encode(text), schema.column(name).dtype)


def _window_of(values: Mapping[str, Value], window: WindowDimension, partitions: Partitions) -> str | None:
    """The window that a date among the values lies in."""
    days = [value for value in values.values() if isinstance(value, dt.date)]
    definition = partitions.by_dimension[window.name]
    if len(days) != 1 or isinstance(days[0], dt.datetime):
        return None
    assert isinstance(definition, dg.TimeWindowPartitionsDefinition)
    moment = dt.datetime.combine(days[0], dt.time(), tzinfo=ZoneInfo(window.zone))
    return definition.get_partition_key_for_timestamp(moment.timestamp())


def _exists(partition: Mapping[str, str], partitions: Partitions) -> bool:
    """Whether Dagster knows such a partition; keys of dynamic sets are registered on the way."""
    dynamic = partitions.dynamic
    return all(
        name in dynamic or definition.has_partition_key(partition[name])
        for name, definition in partitions.by_dimension.items()
        if name in partition
    )


def _keys_upstream(
    view: FeatureView[Any],
    dimension: KeyDimension,
    partitions: Partitions,
    registry: ContractRegistry,
    stored: Mapping[str, Iterable[Mapping[str, str]]],
) -> set[str]:
    found: set[str] = set()
    for name in view.depends_on():
        other = registry.partitions.get(name)
        theirs = shared_keys(view, dimension, registry.views[name], other) if other is not None else None
        if theirs is not None:
            found |= {partition[theirs.name] for partition in stored.get(name, ())}
    names = {column.name for column in dimension.columns}
    for source in view.raw_sources:
        if isinstance(source, PartitionedParquetSource) and names <= set(source.partition_keys):
            found |= {dimension.key(values) for values in directories(view, source)}
    return found
