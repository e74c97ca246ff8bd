"""What an audit found, to be read by people and by programs."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from aligned_dagster.features.constraints import OnViolation

SAMPLE_ROWS = 10
"""The most rows of a sample."""


@dataclass(frozen=True)
class CheckOutcome:
    """What one check found.

    Args:
        name: the check's name, [A-Za-z0-9_] only.
        words: the rule as a sentence.
        column: the column that it is about; None where it is about whole rows.
        on_violation: what a broken rule does.
        rows: the number of rows that were looked at.
        broken: how many of them break the rule; for the schema, how many columns are wrong.
        mostly: the share of the rows that must keep the rule.
        tolerated: whether so few rows break the rule that the share is kept.
        sample: some of the broken rows, key columns first, then the columns concerned.
        note: what else is to be said, such as the columns that are wrong.
        checked: false where the rule could not be computed, for the reason in `note`; that fails it.
    """

    name: str
    words: str
    column: str | None
    on_violation: OnViolation
    rows: int
    broken: int
    sample: pl.DataFrame = field(default_factory=pl.DataFrame, compare=False, repr=False)
    note: str = ""
    checked: bool = True
    mostly: float = 1.0
    tolerated: bool = False

    @property
    def passed(self) -> bool:
        """Whether the rule was checked and no row breaks it, or no more rows than may."""
        return self.checked and (self.broken == 0 or self.tolerated)

    @property
    def kept(self) -> float:
        """The share of the rows that keep the rule, 0 to 1; 1 where there are none."""
        return 1 - self.broken / self.rows if self.rows else 1.0

    @property
    def status(self) -> str:
        """One word: "passed", or what the broken rule does: "blocked", "quarantined", "warned"."""
        done = {"block": "blocked", "quarantine": "quarantined", "warn": "warned"}
        return "passed" if self.passed else done[self.on_violation]

    def describe(self) -> str:
        """One sentence with the count, as for a log line.

        >>> CheckOutcome("age__lower_bound", "age must be at least 0", "age", "block", 891, 2).describe()
        'age must be at least 0: 2 of 891 rows break it'
        """
        if self.note:
            return f"{self.words}: {self.note}"
        if self.broken == 0:
            return f"{self.words}: all {self.rows:,} rows keep it"
        if self.mostly < 1:
            return f"{self.words}: {self.broken:,} of {self.rows:,} rows break it, {self.kept:.1%} keep it"
        return f"{self.words}: {self.broken:,} of {self.rows:,} rows break it"

    def to_json(self) -> dict[str, Any]:
        """A form that `json.dumps` takes; values of the sample that JSON lacks are texts."""
        return {
            "name": self.name,
            "words": self.words,
            "column": self.column,
            "on_violation": self.on_violation,
            "rows": self.rows,
            "broken": self.broken,
            "passed": self.passed,
            "note": self.note,
            "sample": [
                {name: plain(value) for name, value in row.items()}
                for row in self.sample.iter_rows(named=True)
            ],
        } | ({} if self.mostly == 1 else {"mostly": self.mostly})


@dataclass(frozen=True)
class ColumnStatistics:
    """Figures of one column; NaN and null are left out of min, max, mean and std, which only numbers have."""

    name: str
    nulls: int
    min: float | None = None
    max: float | None = None
    mean: float | None = None
    std: float | None = None

    def to_json(self) -> dict[str, Any]:
        """A form that `json.dumps` takes."""
        figures = {"min": self.min, "max": self.max, "mean": self.mean, "std": self.std}
        return {"name": self.name, "nulls": self.nulls} | {n: plain(value) for n, value in figures.items()}


@dataclass(frozen=True)
class AuditReport:
    """The outcome of every check of a contract over one frame, and figures of its columns.

    Args:
        contract: its name.
        rows: the number of rows that were looked at.
        outcomes: of every check.
        statistics: of every column.
        beyond: names of the checks that looked at further rows besides, which did not change.

    >>> outcome = CheckOutcome("age__lower_bound", "age must be at least 0", "age", "warn", 891, 2)
    >>> report = AuditReport("person", 891, (outcome,), ())
    >>> report.passed, report.blocking, [found.name for found in report.warnings]
    (False, (), ['age__lower_bound'])
    >>> print(report)
    person: 891 rows, 1 of 1 checks failed
      warned  age__lower_bound  2  age must be at least 0
    """

    contract: str
    rows: int
    outcomes: tuple[CheckOutcome, ...]
    statistics: tuple[ColumnStatistics, ...]
    beyond: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether every check passed."""
        return not self.failures

    @property
    def failures(self) -> tuple[CheckOutcome, ...]:
        """The outcomes that did not pass."""
        return tuple(outcome for outcome in self.outcomes if not outcome.passed)

    @property
    def blocking(self) -> tuple[CheckOutcome, ...]:
        """The failures that keep anything from being published."""
        return self._failed("block")

    @property
    def quarantined(self) -> tuple[CheckOutcome, ...]:
        """The failures whose rows are kept aside."""
        return self._failed("quarantine")

    @property
    def warnings(self) -> tuple[CheckOutcome, ...]:
        """The failures that are only told."""
        return self._failed("warn")

    def _failed(self, effect: OnViolation) -> tuple[CheckOutcome, ...]:
        return tuple(outcome for outcome in self.failures if outcome.on_violation == effect)

    def outcome(self, name: str) -> CheckOutcome:
        """The outcome of the check of that name.

        Raises:
            KeyError: there is no such check.
        """
        found = {outcome.name: outcome for outcome in self.outcomes}
        if name not in found:
            raise KeyError(f"{self.contract!r} has no check {name!r}. Checks: {', '.join(found)}.")
        return found[name]

    def explain(self) -> str:
        """The failures as sentences, one a line, each with its first broken row."""
        lines = [f"{len(self.failures)} of {len(self.outcomes)} checks of {self.contract!r} failed:"]
        for outcome in self.failures:
            row = f", such as {plain(outcome.sample.row(0, named=True))!r}" if outcome.sample.height else ""
            lines.append(f"  {outcome.name} ({outcome.on_violation}): {outcome.describe()}{row}")
        if self.passed:
            return f"All {len(self.outcomes)} checks of {self.contract!r} passed."
        return "\n".join(lines)

    def to_frame(self) -> pl.DataFrame:
        """One row a check: check, column, rule, on_violation, rows, broken, status, note."""
        outcomes = self.outcomes
        return pl.DataFrame(
            {
                "check": [o.name for o in outcomes],
                "column": [o.column for o in outcomes],
                "rule": [o.words for o in outcomes],
                "on_violation": [o.on_violation for o in outcomes],
                "rows": [o.rows for o in outcomes],
                "broken": [o.broken for o in outcomes],
                "status": [o.status for o in outcomes],
                "note": [o.note for o in outcomes],
            },
            schema={
                "check": pl.String,
                "column": pl.String,
                "rule": pl.String,
                "on_violation": pl.String,
                "rows": pl.Int64,
                "broken": pl.Int64,
                "status": pl.String,
                "note": pl.String,
            },
        )

    def to_json(self) -> dict[str, Any]:
        """A form that `json.dumps` takes."""
        return {
            "contract": self.contract,
            "rows": self.rows,
            "passed": self.passed,
            "outcomes": [outcome.to_json() for outcome in self.outcomes],
            "statistics": [column.to_json() for column in self.statistics],
        }

    def _repr_html_(self) -> str:
        from aligned_dagster.quality.report_html import audit_page

        return audit_page(self)

    def __str__(self) -> str:
        failed = f"{len(self.failures)} of {len(self.outcomes)} checks failed"
        title = f"{self.contract}: {self.rows:,} rows, {failed}"
        cells = [
            (o.status, o.name, f"{o.broken:,}", f"{o.words} ({o.note})" if o.note else o.words)
            for o in self.outcomes
        ]
        wide = [max((len(row[i]) for row in cells), default=0) for i in range(3)]
        lines = (
            f"  {status:<{wide[0]}}  {name:<{wide[1]}}  {broken:>{wide[2]}}  {words}"
            for status, name, broken, words in cells
        )
        return "\n".join([title, *lines])


def plain(value: Any) -> Any:
    """The value itself where JSON has it; finite numbers only; anything else as text, as the times of a sample are told.

    >>> import datetime as dt
    >>> plain({"at": dt.datetime(2026, 11, 23, 16, tzinfo=dt.UTC)})
    {'at': '2026-11-23T16:00:00+00:00'}
    """
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, dict):
        return {str(name): plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value.isoformat() if hasattr(value, "isoformat") else str(value)
