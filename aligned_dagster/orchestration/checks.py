"""The constraints of a contract as asset checks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import dagster as dg

from aligned_dagster.orchestration.tables import table_value
from aligned_dagster.orchestration.translator import ContractTranslator
from aligned_dagster.quality.checks import CheckSpec, expected_checks

if TYPE_CHECKING:
    from aligned_dagster.contracts.feature_view import FeatureView
    from aligned_dagster.quality.report import AuditReport, CheckOutcome

_EFFECTS = {
    "block": "Where it is broken nothing is published and the old rows stay.",
    "quarantine": "Rows that break it are kept aside, the others are published.",
    "warn": "Rows that break it are published all the same.",
}


def checks_of(view: FeatureView[Any]) -> tuple[CheckSpec, ...]:
    """Every check of a contract over the columns that it stores."""
    return expected_checks(view.schema, view.on_violation)


def check_specs(
    view: FeatureView[Any],
    key: dg.AssetKey,
    translator: ContractTranslator,
) -> list[dg.AssetCheckSpec]:
    """One asset check a rule; those that block keep the assets downstream from running.

    A check has no partitions of its own, also where the asset has: Dagster forgets the outcome of such a one when
    the asset is materialised after it, and a check comes before what it lets through.
    """
    return [
        dg.AssetCheckSpec(
            translator.get_check_name(view, check),
            asset=key,
            description=f"{_sentence(check.words)} {_EFFECTS[check.on_violation]}",
            blocking=check.on_violation == "block",
            metadata={"rule": check.words, "on_violation": check.on_violation},
        )
        for check in checks_of(view)
    ]


def check_results(
    view: FeatureView[Any],
    key: dg.AssetKey,
    report: AuditReport,
    translator: ContractTranslator,
    quarantine: str | None,
) -> list[dg.AssetCheckResult]:
    """The outcome of every check of an audit.

    Args:
        view: the contract.
        key: its asset.
        report: what the audit found.
        translator: names the checks.
        quarantine: where the rows that were kept aside lie, if any were.
    """
    names = {check.name: translator.get_check_name(view, check) for check in checks_of(view)}
    return [_result(outcome, key, names[outcome.name], quarantine) for outcome in report.outcomes]


def partition_evaluations(
    view: FeatureView[Any],
    key: dg.AssetKey,
    report: AuditReport,
    translator: ContractTranslator,
    *,
    rows: Mapping[str, int | None],
    broken: Mapping[tuple[str, str], int],
) -> list[dg.AssetCheckEvaluation]:
    """The outcome of every check in each partition of a run.

    Beyond the translator's `max_partition_checks` only those that failed are told.

    Args:
        view: the contract.
        key: its asset.
        report: what the audit found over all of them.
        translator: names the checks.
        rows: partition to its number of rows, where it is known.
        broken: partition and check to the number of rows that break it, as far as it is known.
    """
    names = {check.name: translator.get_check_name(view, check) for check in checks_of(view)}
    told = {check for _, check in broken}
    every = len(rows) * len(report.outcomes) <= translator.settings.max_partition_checks
    return [
        _evaluation(
            outcome, key, names[outcome.name], partition, broken.get((partition, outcome.name), 0), count
        )
        for outcome in report.outcomes
        if outcome.passed or outcome.name in told
        for partition, count in rows.items()
        if every or broken.get((partition, outcome.name))
    ]


def _evaluation(
    outcome: CheckOutcome, key: dg.AssetKey, name: str, partition: str, broken: int, rows: int | None
) -> dg.AssetCheckEvaluation:
    blocks = outcome.on_violation == "block"
    metadata: dict[str, Any] = {"rule": outcome.words, "broken_rows": broken}
    if rows is not None:
        metadata["checked_rows"] = rows
    return dg.AssetCheckEvaluation(
        asset_key=key,
        check_name=name,
        passed=broken == 0,
        severity=dg.AssetCheckSeverity.ERROR if blocks else dg.AssetCheckSeverity.WARN,
        description=_sentence(outcome.words if broken == 0 else f"{outcome.words}: {broken} rows break it"),
        metadata=metadata,
        blocking=blocks,
        partition=partition,
    )


def _result(
    outcome: CheckOutcome, key: dg.AssetKey, name: str, quarantine: str | None
) -> dg.AssetCheckResult:
    metadata: dict[str, Any] = {
        "rule": outcome.words,
        "broken_rows": outcome.broken,
        "checked_rows": outcome.rows,
    }
    if not outcome.passed:
        if outcome.note:
            metadata["note"] = outcome.note
        if not outcome.sample.is_empty():
            metadata["sample"] = table_value(outcome.sample)
        if quarantine is not None and outcome.on_violation != "warn":
            metadata["quarantined_rows"] = outcome.broken
            metadata["quarantine"] = dg.MetadataValue.path(quarantine)
    blocks = outcome.on_violation == "block"
    return dg.AssetCheckResult(
        asset_key=key,
        check_name=name,
        passed=outcome.passed,
        severity=dg.AssetCheckSeverity.ERROR if blocks else dg.AssetCheckSeverity.WARN,
        description=_sentence(outcome.describe()),
        metadata=metadata,
    )


def _sentence(words: str) -> str:
    return f"{words}." if not words.endswith((".", "!", "?")) else words
