"""The constraints of a contract as asset checks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import dagster as dg
import polars as pl

from aligned_dagster.orchestration.failing_rows import failing_rows
from aligned_dagster.orchestration.tables import table_value
from aligned_dagster.orchestration.translator import ContractTranslator
from aligned_dagster.quality.checks import CheckSpec, expected_checks

if TYPE_CHECKING:
    from aligned_dagster.contracts.feature_view import FeatureView
    from aligned_dagster.orchestration.partition_runs import PartitionFindings
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
    partitions: Sequence[PartitionFindings] = (),
) -> list[dg.AssetCheckResult]:
    """The outcome of every check of an audit; a broken one names the partitions where it is broken.

    There is one outcome for all partitions of a run: Dagster takes those of single partitions for newer than the
    one of the run, whichever comes first, and would let a check that failed look as the last partition does.

    Args:
        view: the contract.
        key: its asset.
        report: what the audit found.
        translator: names the checks.
        quarantine: where the rows that were kept aside lie, if any were.
        partitions: what was found in each partition of the run.
    """
    most = translator.settings.max_broken_partitions
    names = {check.name: translator.get_check_name(view, check) for check in checks_of(view)}
    return [
        _result(outcome, key, names[outcome.name], quarantine, partitions, most)
        for outcome in report.outcomes
    ]


def _result(
    outcome: CheckOutcome,
    key: dg.AssetKey,
    name: str,
    quarantine: str | None,
    partitions: Sequence[PartitionFindings],
    most: int,
) -> dg.AssetCheckResult:
    metadata: dict[str, Any] = {
        "rule": outcome.words,
        "broken_rows": outcome.broken,
        "checked_rows": outcome.rows,
    }
    if not outcome.passed:
        if outcome.note:
            metadata["note"] = outcome.note
        metadata |= _by_partition(outcome, partitions, most)
        if not outcome.sample.is_empty():
            metadata["failing_rows"] = failing_rows(outcome)
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


def _by_partition(
    outcome: CheckOutcome, partitions: Sequence[PartitionFindings], most: int
) -> dict[str, Any]:
    """How many partitions break a rule, and those with the most rows that do, as far as it is known."""
    broken = [part for part in partitions if part.broken.get(outcome.name)]
    if not broken:
        return {}
    worst = sorted(broken, key=lambda part: -part.broken[outcome.name])[:most]
    told = pl.DataFrame(
        {"partition": [part.key for part in worst], "found": [part.words(outcome.name) for part in worst]}
    )
    return {
        "broken_partitions": len(broken),
        "checked_partitions": len(partitions),
        "partitions": table_value(told),
    }


def _sentence(words: str) -> str:
    return f"{words}." if not words.endswith((".", "!", "?")) else words
