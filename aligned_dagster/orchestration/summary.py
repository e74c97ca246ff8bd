"""What happened in a run, gathered from its events as they come."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dagster import DagsterEvent

_INTERRUPTED = "DagsterExecutionInterruptedError"
UNACCEPTABLE = "unacceptable_seconds"
"""The metadata by which the check of how old the data are is known: it blocks nothing."""
COMMENTS = 8
"""The most failed checks of one asset that are told in words."""


@dataclass
class AssetSummary:
    """One asset in a run.

    Args:
        key: its key, parts joined by slashes.
        state: "published", "observed", "audited", "done", "empty" (it has no partition yet), "failed", "stopped"
            or "not run".
        rows: how many it has now, where that is known.
        bytes: its size, where that is known.
        passed: checks that passed.
        failed: checks that failed, those that only warn included.
        seconds: how long its step took.
        partitions: how many were written; 0 where it has none.
        aside: where rows were kept aside, with their number.
        stored: where its rows are, if they were published.
    """

    key: str
    state: str = "not run"
    rows: int | None = None
    bytes: int | None = None
    passed: int = 0
    failed: int = 0
    seconds: float | None = None
    partitions: int = 0
    aside: dict[str, int] = field(default_factory=dict)
    stored: str | None = None


@dataclass(frozen=True)
class FailedCheck:
    """A check that did not pass.

    Args:
        asset: whose rule is broken.
        check: the check's name.
        words: what was found, in one sentence.
        blocks: whether nothing was published because of it; data that are too old block nothing.
        quarantine: where the bad rows were kept, if they were.
        rows: how many were checked, where that is known.
        warns: whether it only warns, as data do that are older than is acceptable and not yet unacceptable.
    """

    asset: str
    check: str
    words: str
    blocks: bool
    quarantine: str | None
    rows: int | None = None
    warns: bool = True


@dataclass
class RunSummary:
    """One run or several that follow each other; feed it every event with `record`.

    Args:
        runs: Dagster's ids of the runs.
    """

    runs: list[str] = field(default_factory=list)
    assets: dict[str, AssetSummary] = field(default_factory=dict)
    checks: list[FailedCheck] = field(default_factory=list)
    errors: dict[str, str] = field(default_factory=dict)
    done: int = 0
    interrupted: bool = False
    error: str | None = None
    _ended: int = 0
    _steps: dict[str, list[str]] = field(default_factory=dict)

    @property
    def steps(self) -> int:
        """The number of steps that there are."""
        return len(self._steps)

    @property
    def success(self) -> bool:
        """Whether every run ended and nothing failed."""
        return self._ended == len(self.runs) and not self.errors and self.error is None

    def fail(self, key: str, message: str) -> None:
        """Take note that an asset failed before its step began."""
        self.errors[next(step for step, keys in self._steps.items() if key in keys)] = message
        self.assets[key].state = "failed"

    def expect(self, step: str, keys: list[str]) -> None:
        """Announce the assets of a step before it runs."""
        self._steps[step] = keys
        for key in keys:
            self.assets.setdefault(key, AssetSummary(key))

    def of_step(self, step: str) -> list[AssetSummary]:
        """The assets of a step."""
        return [self.assets[key] for key in self._steps.get(step, ())]

    def record(self, event: DagsterEvent) -> None:
        """Take note of what an event says."""
        if event.is_step_materialization or event.event_type_value == "ASSET_OBSERVATION":
            self._record_rows(event)
        elif event.event_type_value == "ASSET_CHECK_EVALUATION":
            self._record_check(event)
        elif event.is_step_success or event.is_step_failure or event.is_step_skipped:
            self._record_end(event)
        elif event.event_type_value == "PIPELINE_SUCCESS":
            self._ended += 1
        elif event.event_type_value == "PIPELINE_FAILURE":
            data = event.job_failure_data
            self.error = data.error.message.strip() if data.error else event.message
            reason = data.failure_reason
            self.interrupted |= reason is not None and reason.value == "UNEXPECTED_TERMINATION"

    @property
    def warnings(self) -> list[FailedCheck]:
        """Failed checks that block nothing."""
        return [check for check in self.checks if not check.blocks]

    def _record_rows(self, event: DagsterEvent) -> None:
        observed = event.event_type_value == "ASSET_OBSERVATION"
        data: Any = event.asset_observation_data if observed else event.step_materialization_data
        found = data.asset_observation if observed else data.materialization
        asset = self.assets.get(found.asset_key.to_user_string())
        if asset is None or (observed and asset.key not in self._steps.get(event.step_key or "", ())):
            return
        told = {name: value.value for name, value in found.metadata.items()}
        rows, part = told.get("dagster/row_count"), told.get("dagster/partition_row_count")
        size = told.get("dagster/size_bytes", told.get("table_size_bytes"))
        if part is not None:
            asset.rows = (asset.rows or 0) + part
            asset.partitions += 1
        elif rows is not None:
            asset.rows = rows
        asset.bytes = size if size is not None else asset.bytes
        for prefix in ("", "run_"):
            if f"{prefix}quarantine" in told:
                asset.aside[str(told[f"{prefix}quarantine"])] = told[f"{prefix}quarantined_rows"]
        if not observed and "dagster/storage_kind" in told:
            asset.stored = str(told["dagster/uri"])
        checked = asset.passed + asset.failed > 0
        written = "published" if asset.stored is not None else "audited" if checked else "done"
        asset.state = "observed" if observed else written

    def _record_check(self, event: DagsterEvent) -> None:
        found = event.asset_check_evaluation_data
        key = found.asset_key.to_user_string()
        asset = self.assets.setdefault(key, AssetSummary(key))
        if found.passed:
            asset.passed += 1
            return
        asset.failed += 1
        quarantine, rows = found.metadata.get("quarantine"), found.metadata.get("checked_rows")
        self.checks.append(
            FailedCheck(
                asset=key,
                check=found.check_name,
                words=found.description or found.check_name,
                blocks=found.severity.value == "ERROR" and UNACCEPTABLE not in found.metadata,
                warns=found.severity.value != "ERROR",
                quarantine=str(quarantine.value) if quarantine is not None else None,
                rows=int(str(rows.value)) if rows is not None else None,
            )
        )

    def _record_end(self, event: DagsterEvent) -> None:
        self.done += 1
        step = event.step_key or ""
        seconds = event.step_success_data.duration_ms / 1_000 if event.is_step_success else None
        for asset in self.of_step(step):
            asset.seconds = seconds if asset.seconds is None or seconds is None else asset.seconds + seconds
        if event.is_step_failure:
            error = event.step_failure_data.error
            self.interrupted |= error is not None and error.cls_name == _INTERRUPTED
            self.errors[step] = _words(event)
            for asset in self.of_step(step):
                asset.state = "stopped" if self.interrupted else "failed"


def _words(event: DagsterEvent) -> str:
    """The words of the error that a person can act on: the failure's description, or the innermost cause."""
    data = event.step_failure_data
    if data.user_failure_data is not None and data.user_failure_data.description:
        return str(data.user_failure_data.description)
    error = data.error
    while error is not None and error.cause is not None:
        error = error.cause
    return error.message.strip() if error is not None else event.message or "unknown"
