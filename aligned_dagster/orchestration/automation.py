"""When contracts are materialised: a contract's `automation` and `schedule`."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import dagster as dg
from dagster._utils.schedules import reverse_cron_string_iterator

from aligned_dagster.errors import ContractError
from aligned_dagster.orchestration.partition_ranges import range_to_refresh
from aligned_dagster.orchestration.partitions import Partitions
from aligned_dagster.orchestration.previews import accepted_previews

if TYPE_CHECKING:
    from aligned_dagster.contracts.feature_view import FeatureView
    from aligned_dagster.orchestration.registry import ContractRegistry

_ON_CRON = re.compile(r"on_cron\((?P<cron>[^()]+)\)")


def automation_condition(view: FeatureView[Any]) -> dg.AutomationCondition[Any] | None:
    """The condition that a contract's `automation` stands for.

    "eager" follows every update upstream, through virtual views too, "on_missing" materialises once,
    "on_cron(0 6 * * *)" waits for the tick and then for the upstream assets. None of them starts while a
    blocking check of an upstream asset fails. A condition of Dagster's own is taken as it is.

    Raises:
        ContractError: it is none of these.
    """
    text = view.automation
    if text is None or isinstance(text, dg.AutomationCondition):
        return text
    with accepted_previews():
        if text == "eager":
            return _gated(dg.AutomationCondition.eager())
        if text == "on_missing":
            return _gated(dg.AutomationCondition.on_missing())
        found = _ON_CRON.fullmatch(text)
        if found is not None:
            cron = check_cron(found["cron"].strip().strip("'\""), view)
            return _gated(dg.AutomationCondition.on_cron(cron))
    raise ContractError(
        f"Contract {view.name!r} has automation={text!r}. "
        f"Use 'eager', 'on_missing' or 'on_cron(0 6 * * *)'. ({view.location})"
    )


def schedules(views: Iterable[FeatureView[Any]], registry: ContractRegistry) -> list[dg.ScheduleDefinition]:
    """One schedule per cron expression over all contracts that name it, stopped until somebody starts it.

    A job has one kind of partitions at most, so that contracts with others have a schedule of their own. It
    materialises all partitions; where they are windows of time, those that ended since the last tick and those
    whose rows may still arrive.

    Raises:
        ContractError: a cron expression has no five fields that Dagster understands.
    """
    whole: dict[str, list[FeatureView[Any]]] = {}
    divided: dict[tuple[str, Partitions], list[FeatureView[Any]]] = {}
    for view in views:
        if view.schedule is None:
            continue
        cron = check_cron(view.schedule, view)
        if view.name in registry.partitions:
            divided.setdefault((cron, registry.partitions[view.name]), []).append(view)
        else:
            whole.setdefault(cron, []).append(view)
    return [
        *(
            _schedule(f"contracts_{_slug(cron)}", cron, together, registry)
            for cron, together in sorted(whole.items())
        ),
        *(
            _of_partitions(cron, partitions, together, registry)
            for (cron, partitions), together in divided.items()
        ),
    ]


def _schedule(
    name: str,
    cron: str,
    views: Sequence[FeatureView[Any]],
    registry: ContractRegistry,
    **options: Any,
) -> dg.ScheduleDefinition:
    return dg.ScheduleDefinition(
        name=name,
        target=dg.AssetSelection.assets(*(registry.key_of(view.name) for view in views)),
        cron_schedule=cron,
        description=f"Materialises {', '.join(view.name for view in views)} at {cron!r}.",
        default_status=dg.DefaultScheduleStatus.STOPPED,
        **options,
    )


def _of_partitions(
    cron: str, partitions: Partitions, views: Sequence[FeatureView[Any]], registry: ContractRegistry
) -> dg.ScheduleDefinition:
    """The schedule of contracts with the same partitions; the cron is read in the zone of their windows."""
    zone = partitions.scheme.window.zone if partitions.scheme.window is not None else None

    def evaluate(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        now = context.scheduled_execution_time
        ticks = reverse_cron_string_iterator(now.timestamp(), cron, zone)
        since = next(tick for tick in ticks if tick.timestamp() < now.timestamp())
        found = range_to_refresh(partitions, context.instance, since=since, now=now)
        if found is None:
            return dg.SkipReason("No window of time has ended and no partition is known.")
        return dg.RunRequest(tags=found.tags)

    first = registry.key_of(views[0].name).to_python_identifier()
    name = f"contracts_{_slug(cron)}_{first}"
    return _schedule(name, cron, views, registry, execution_timezone=zone, execution_fn=evaluate)


def check_cron(text: str, view: FeatureView[Any]) -> str:
    """The expression itself, one space between its fields.

    Raises:
        ContractError: Dagster cannot read it.
    """
    from dagster._utils.schedules import is_valid_cron_string

    cron = " ".join(text.split())
    if not is_valid_cron_string(cron):
        raise ContractError(
            f"Contract {view.name!r} names the cron expression {text!r}, which cannot be read. It takes five "
            f"fields: minute, hour, day of month, month, day of week, as in '0 6 * * *'. ({view.location})"
        )
    return cron


def _gated(condition: dg.AutomationCondition[Any]) -> dg.AutomationCondition[Any]:
    gated = condition & dg.AutomationCondition.all_deps_blocking_checks_passed()
    return gated.resolve_through_virtual()


def _slug(cron: str) -> str:
    """A name of letters, digits and underscores; different expressions get different names."""
    digest = hashlib.sha256(cron.encode()).hexdigest()[:6]
    return f"{re.sub(r'[^A-Za-z0-9]+', '_', cron.replace('*', 'x')).strip('_')}_{digest}"
