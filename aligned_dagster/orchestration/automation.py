"""When contracts are materialised by themselves: a contract's `automation`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import dagster as dg

from aligned_dagster.errors import ContractError
from aligned_dagster.orchestration.previews import accepted_previews

if TYPE_CHECKING:
    from aligned_dagster.contracts.feature_view import FeatureView

SENSOR = "contracts_automation"
_ON_CRON = re.compile(r"on_cron\((?P<cron>[^()]+)\)")


def automation_condition(view: FeatureView[Any]) -> dg.AutomationCondition[Any] | None:
    """The condition that a contract's `automation` stands for.

    "eager" follows every update upstream, through virtual views too, "on_missing" materialises once,
    "on_cron(0 6 * * *)" waits for the tick, in the contract's time zone, and then for the assets upstream that are
    materialised; a raw source need not change. None of them starts while a blocking check of an upstream asset fails. A
    condition of Dagster's own is taken as it is.

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
            ticked = dg.AutomationCondition.on_cron(cron, view.time_zone)
            return _gated(ticked.allow(dg.AssetSelection.all()))  # sources are none of these
    raise ContractError(
        f"Contract {view.name!r} has automation={text!r}. "
        f"Use 'eager', 'on_missing' or 'on_cron(0 6 * * *)'. ({view.location})"
    )


def automation_sensors(
    conditions: Mapping[dg.AssetKey, dg.AutomationCondition[Any]], *, running: bool = False
) -> list[dg.SensorDefinition]:
    """The sensor that evaluates the conditions of assets; none where no asset has one.

    Args:
        conditions: asset key to condition.
        running: whether it is on from the start.
    """
    if not conditions:
        return []
    with accepted_previews():
        sensor = dg.AutomationConditionSensorDefinition(
            SENSOR,
            target=dg.AssetSelection.assets(*sorted(conditions, key=lambda key: key.to_user_string())),
            default_status=dg.DefaultSensorStatus.RUNNING if running else dg.DefaultSensorStatus.STOPPED,
            description="Materialises the assets that have an `automation`, when their conditions hold.",
            # A condition in a class of the user's own is known to the code location alone.
            use_user_code_server=not all(condition.is_serializable for condition in conditions.values()),
        )
    return [sensor]


def check_condition(*, divided: bool, cron: str | None = None) -> dg.AutomationCondition[Any]:
    """When a check in an op of its own is made without being asked for: with, or after, what it is about.

    Args:
        divided: whether what it is about has partitions. The check has none, and cannot be part of their runs.
        cron: when it is made besides.
    """
    with accepted_previews():
        condition = dg.AutomationCondition
        updated = condition.newly_updated()
        rows = condition.any_deps_match(updated) if divided else condition.any_deps_updated()
        due: dg.AutomationCondition[Any] = rows if cron is None else rows | condition.cron_tick_passed(cron)
        return due.since_last_handled() & ~condition.any_deps_in_progress() & ~condition.in_progress()


def conditions_of(assets: Iterable[Any]) -> dict[dg.AssetKey, dg.AutomationCondition[Any]]:
    """Asset key to condition, of whatever `dagster.Definitions` takes as an asset or as a check of one.

    A check counts as its asset. Those without a condition are left out.
    """
    found: dict[dg.AssetKey, dg.AutomationCondition[Any]] = {}
    for asset in assets:
        if isinstance(asset, dg.AssetChecksDefinition):
            found |= {
                spec.asset_key: spec.automation_condition
                for spec in asset.check_specs
                if spec.automation_condition is not None and spec.asset_key not in found
            }
            continue
        specs = [asset] if isinstance(asset, dg.AssetSpec) else getattr(asset, "specs", ())
        found |= {
            spec.key: spec.automation_condition for spec in specs if spec.automation_condition is not None
        }
    return found


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
