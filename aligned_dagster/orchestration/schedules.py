"""Schedules: one schedule and one named job for each cron expression, time zone and kind of partitions."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from graphlib import TopologicalSorter
from typing import TYPE_CHECKING, Any

import dagster as dg
from dagster._utils.schedules import reverse_cron_string_iterator

from aligned_dagster.orchestration.automation import check_cron
from aligned_dagster.orchestration.cron_names import cron_name
from aligned_dagster.orchestration.partition_ranges import range_to_refresh
from aligned_dagster.orchestration.partitions import Partitions

if TYPE_CHECKING:
    from aligned_dagster.contracts.feature_view import FeatureView
    from aligned_dagster.orchestration.registry import ContractRegistry


@dataclass
class _Together:
    """Contracts that one run materialises: whole ones, and those with one kind of partitions."""

    cron: str
    zone: str
    whole: list[FeatureView[Any]] = field(default_factory=list)
    divided: list[FeatureView[Any]] = field(default_factory=list)


def schedules(
    views: Iterable[FeatureView[Any]], registry: ContractRegistry, *, running: bool = False
) -> list[dg.ScheduleDefinition]:
    """The schedules of all contracts that name one, each with a job of its name.

    The cron expression is read in the contract's time zone. A run takes one kind of partitions: those contracts, and the
    ones without partitions, go together in the order of the lineage. Where one expression is named by contracts with
    several kinds, each kind has a job of its own. Of windows of time, a run materialises those that ended since the last
    tick and those whose rows may still arrive; of other partitions, all.

    Args:
        views: the contracts.
        registry: their assets and partitions.
        running: whether the schedules are on from the start.

    Raises:
        ContractError: a cron expression has no five fields that Dagster understands.
    """
    groups = _grouped([view for view in views if view.schedule is not None], registry)
    if not groups:
        return []
    places = _places(registry)
    names = _names(groups, registry)
    job_of = {
        view.name: name
        for name, group in zip(names, groups, strict=True)
        for view in (*group.whole, *group.divided)
    }
    return [
        _schedule(name, group, registry, places, job_of, running=running)
        for name, group in zip(names, groups, strict=True)
    ]


def _grouped(views: Iterable[FeatureView[Any]], registry: ContractRegistry) -> list[_Together]:
    whole: dict[tuple[str, str], list[FeatureView[Any]]] = {}
    divided: dict[tuple[str, str], dict[dg.PartitionsDefinition[Any], list[FeatureView[Any]]]] = {}
    for view in views:
        at = (check_cron(view.schedule or "", view), view.time_zone)
        if view.name in registry.partitions:
            definition = registry.partitions[view.name].definition
            divided.setdefault(at, {}).setdefault(definition, []).append(view)
        else:
            whole.setdefault(at, []).append(view)
    groups: list[_Together] = []
    for at in sorted({*whole, *divided}):
        kinds = list(divided.get(at, {}).values())
        if len(kinds) == 1:
            groups.append(_Together(*at, whole.get(at, []), kinds[0]))
            continue
        if at in whole:
            groups.append(_Together(*at, whole[at]))
        groups += [_Together(*at, [], kind) for kind in kinds]
    return groups


def _names(groups: Sequence[_Together], registry: ContractRegistry) -> list[str]:
    """A name for each group: what the expression says, and what sets it apart where that is needed."""
    made = [f"contracts_{cron_name(group.cron, group.zone)}" for group in groups]
    longer = [
        f"{name}_{_kind(registry.partitions[group.divided[0].name])}"
        if made.count(name) > 1 and group.divided
        else name
        for name, group in zip(made, groups, strict=True)
    ]
    return [
        f"{name}_{registry.key_of((group.whole or group.divided)[0].name).to_python_identifier()}"
        if longer.count(name) > 1
        else name
        for name, group in zip(longer, groups, strict=True)
    ]


def _kind(partitions: Partitions) -> str:
    """The kind of partitions in a word: the windows, the columns."""
    scheme = partitions.scheme
    words: list[str] = [] if scheme.window is None else [scheme.window.every]
    words += [] if scheme.version is None else ["by_version"]
    words += [f"by_{dimension.name}" for dimension in scheme.keys]
    return re.sub(r"[^A-Za-z0-9]+", "_", "_".join(words)).strip("_")


def _schedule(
    name: str,
    group: _Together,
    registry: ContractRegistry,
    places: Mapping[str, int],
    job_of: Mapping[str, str],
    *,
    running: bool,
) -> dg.ScheduleDefinition:
    views = sorted((*group.whole, *group.divided), key=lambda view: places[view.name])
    description = f"Materialises {', '.join(view.name for view in views)}, in this order."
    zone = "" if group.zone == "UTC" else f" ({group.zone})"
    told = f"{description} At {group.cron!r}{zone}.{_elsewhere(name, group, views, registry, job_of)}"
    job = dg.define_asset_job(
        name,
        selection=dg.AssetSelection.assets(*(registry.key_of(view.name) for view in views)),
        description=description,
    )
    status = dg.DefaultScheduleStatus.RUNNING if running else dg.DefaultScheduleStatus.STOPPED
    options: dict[str, Any] = {
        "name": name,
        "job": job,
        "cron_schedule": group.cron,
        "execution_timezone": group.zone,
        "description": told,
        "default_status": status,
    }
    if not group.divided:
        return dg.ScheduleDefinition(**options)
    return dg.ScheduleDefinition(**options, execution_fn=_evaluation(group, registry))


def _evaluation(group: _Together, registry: ContractRegistry) -> Any:
    """What a tick asks for. Of contracts with the same windows the longest `lookback` counts for all."""
    partitions = max((registry.partitions[view.name] for view in group.divided), key=_lookback)
    whole = [registry.key_of(view.name) for view in group.whole]

    def evaluate(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        now = context.scheduled_execution_time
        ticks = reverse_cron_string_iterator(now.timestamp(), group.cron, group.zone)
        since = next(tick for tick in ticks if tick.timestamp() < now.timestamp())
        found = range_to_refresh(partitions, context.instance, since=since, now=now)
        if found is not None:
            return dg.RunRequest(tags=found.tags)
        if whole:
            return dg.RunRequest(asset_selection=whole)
        return dg.SkipReason("No window of time has ended and no partition is known.")

    return evaluate


def _lookback(partitions: Partitions) -> timedelta:
    window = partitions.scheme.window
    return (window.lookback if window is not None else None) or timedelta()


def _elsewhere(
    name: str,
    group: _Together,
    views: Sequence[FeatureView[Any]],
    registry: ContractRegistry,
    job_of: Mapping[str, str],
) -> str:
    """Which contracts read others that another job materialises, for which this one does not wait."""
    found = [
        f"{view.name} reads {other}, which the job {job_of[other]} materialises"
        for view in views
        for other in sorted(_stored_upstream(view, registry))
        if job_of.get(other, name) != name
    ]
    if not found:
        return ""
    return (
        f" This job waits for no other one: {'; '.join(found)}. Where the order matters, give the contracts downstream "
        f"automation='on_cron({group.cron})' in place of the schedule."
    )


def _stored_upstream(view: FeatureView[Any], registry: ContractRegistry) -> set[str]:
    """The contracts with stored rows that a contract reads, through virtual ones too."""
    seen: set[str] = set()
    waiting = list(view.depends_on())
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen.add(name)
            waiting += registry.views[name].depends_on() if registry.views[name].is_virtual else ()
    return {name for name in seen if not registry.views[name].is_virtual}


def _places(registry: ContractRegistry) -> dict[str, int]:
    """Contract name to its place in an order in which each comes after those that it reads or refers to."""
    upstream = {
        name: sorted(((view.depends_on() | view.references()) - {name}) & registry.views.keys())
        for name, view in registry.views.items()
    }
    return {name: place for place, name in enumerate(TopologicalSorter(upstream).static_order())}
