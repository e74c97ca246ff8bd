"""How old the data are, as a check of every contract that says how old they may be: it never blocks.

Each is an op of its own, which runs after the materialisation and can be run again, alone: from the page of the check,
or by a job or schedule over `AssetSelection.checks(...)`. Where automation is on, it is made whenever the asset is
materialised, and now and then without that, as data get old by themselves. The freshness policy of the asset goes by its
last run; this goes by the rows, so that a run which publishes old rows is told apart from one that publishes new ones.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import dagster as dg

from aligned_dagster.contracts.freshness import measure_freshness
from aligned_dagster.errors import AlignedError, ContractError
from aligned_dagster.features.durations import in_words
from aligned_dagster.features.location import at
from aligned_dagster.orchestration.automation import check_condition
from aligned_dagster.orchestration.checks import checks_of
from aligned_dagster.orchestration.registry import ContractRegistry
from aligned_dagster.orchestration.summary import UNACCEPTABLE
from aligned_dagster.orchestration.translator import ContractTranslator

if TYPE_CHECKING:
    from aligned_dagster.contracts.feature_view import FeatureView

FRESHNESS = "freshness"
Clock = Callable[[], dt.datetime]


def present() -> dt.datetime:
    """The present moment."""
    return dt.datetime.now(dt.UTC)


def freshness_checks(
    views: Iterable[FeatureView[Any]],
    registry: ContractRegistry,
    translator: ContractTranslator,
    now: Clock = present,
) -> list[dg.AssetChecksDefinition]:
    """`freshness` of every contract that states an acceptable or an unacceptable freshness.

    Args:
        views: the contracts that are defined here.
        registry: finds their assets.
        translator: names the checks of their constraints.
        now: the moment to measure from.

    Raises:
        ContractError: a rule of such a contract has the name of the check.
    """
    checks = []
    for view in views:
        if view.acceptable_freshness is None and view.unacceptable_freshness is None:
            continue
        if FRESHNESS in {translator.get_check_name(view, check) for check in checks_of(view)}:
            raise ContractError(
                f"A rule of {view.name} is called {FRESHNESS!r}, as is the check of its acceptable_freshness. "
                f"Give the rule another name.{at(view.location)}"
            )
        checks.append(_check(view, registry, now))
    return checks


def freshness_result(view: FeatureView[Any], now: dt.datetime) -> dg.AssetCheckResult:
    """How old the newest stored row of a contract is, as the outcome of its check.

    It warns after the acceptable freshness and where the age is not known, and is an error after the unacceptable one.

    Args:
        view: the contract.
        now: the moment to measure from.
    """
    warning, error = dg.AssetCheckSeverity.WARN, dg.AssetCheckSeverity.ERROR
    metadata: dict[str, Any] = {
        name: limit.total_seconds()
        for name, limit in (
            ("acceptable_seconds", view.acceptable_freshness),
            (UNACCEPTABLE, view.unacceptable_freshness),
        )
        if limit is not None
    }
    try:
        found = measure_freshness(view, now)
    except AlignedError as problem:
        return dg.AssetCheckResult(
            passed=False, severity=warning, description=f"The age is not known: {problem}", metadata=metadata
        )
    metadata["measured"] = found.measured
    if found.newest is not None and found.age is not None:
        metadata["newest"] = dg.MetadataValue.timestamp(found.newest)
        metadata["age_seconds"] = found.age.total_seconds()
    return dg.AssetCheckResult(
        passed=found.status == "fresh",
        severity=error if found.status == "stale" else warning,
        description=f"{found.words} {_limits(view)}",
        metadata=metadata,
    )


def _limits(view: FeatureView[Any]) -> str:
    limits = (("Acceptable", view.acceptable_freshness), ("unacceptable", view.unacceptable_freshness))
    told = [
        f"{word} is an age of {'up to' if word == 'Acceptable' else 'more than'} {in_words(limit)}"
        for word, limit in limits
        if limit is not None
    ]
    return f"{', '.join(told).capitalize()}."


def how_often(view: FeatureView[Any]) -> str:
    """The cron expression of the moments at which the age of a contract's data is looked at, whatever runs.

    Ten minutes apart where the shorter of its limits is less than six hours, an hour where it is less than two days, and
    six hours otherwise.

    Args:
        view: the contract, which states a limit.
    """
    limits = (view.acceptable_freshness, view.unacceptable_freshness)
    shortest = min(limit for limit in limits if limit is not None)
    if shortest < dt.timedelta(hours=6):
        return "*/10 * * * *"
    return "0 * * * *" if shortest < dt.timedelta(days=2) else "0 */6 * * *"


def _check(view: FeatureView[Any], registry: ContractRegistry, now: Clock) -> dg.AssetChecksDefinition:
    """An asset check in an op of its own, without partitions: it is about all rows that are stored."""

    def compute() -> dg.AssetCheckResult:
        return freshness_result(view, now())

    # Dagster wants types, not their names.
    compute.__annotations__ |= {"return": dg.AssetCheckResult}
    decorate: Any = dg.asset_check(
        asset=registry.key_of(view.name),
        name=FRESHNESS,
        description=f"The newest row that is stored, whenever it was written. {_limits(view)}",
        automation_condition=check_condition(divided=view.name in registry.partitions, cron=how_often(view)),
    )
    check: dg.AssetChecksDefinition = decorate(compute)
    return check
