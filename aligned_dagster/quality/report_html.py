"""What an audit shows of itself in a notebook."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aligned_dagster.features.html import (
    Html,
    Look,
    Part,
    bar,
    bold,
    folded,
    line,
    marked,
    muted,
    number,
    page,
    table,
    values,
)

if TYPE_CHECKING:
    from aligned_dagster.quality.report import AuditReport, CheckOutcome, ColumnStatistics

MOST_ROWS = 5
"""Broken rows that are shown of a check."""
_LOOKS: dict[str, Look] = {"passed": "good", "warned": "look", "quarantined": "look", "blocked": "bad"}


def audit_page(report: AuditReport) -> str:
    """The checks with how many rows keep them, some of the rows that do not, and figures of the columns.

    Args:
        report: of an audit.
    """
    failed, checks = len(report.failures), len(report.outcomes)
    ended = marked("all checks passed", "good")
    if failed:
        worst: Look = "bad" if report.blocking else "look"
        ended = marked(f"{failed} of {checks} check{'' if checks == 1 else 's'} failed", worst)
    rows = f"{report.rows:,} row{'' if report.rows == 1 else 's'}"
    parts: list[Part] = [line(bold(report.contract), muted(rows), ended)]
    head = ["", "rule", "broken", "rows that keep it", "note"]
    # what failed first: a contract may have a hundred rules
    ordered = sorted(report.outcomes, key=lambda outcome: outcome.passed)
    if ordered:
        parts.append(table(head, [_check(outcome) for outcome in ordered], ["broken"]))
    parts += [_sample(outcome) for outcome in report.failures if outcome.sample.height]
    if report.statistics:
        parts.append(folded("figures of the columns", _figures(report)))
    return page(*parts)


def _check(outcome: CheckOutcome) -> list[Part]:
    look = _LOOKS[outcome.status]
    kept: Part = ""
    if outcome.checked and outcome.rows and outcome.broken <= outcome.rows:
        kept = bar(outcome.kept, _percent(outcome.kept), look)
    return [marked(outcome.status, look), outcome.words, f"{outcome.broken:,}", kept, outcome.note]


def _percent(share: float) -> str:
    """A share that is only said to be all or nothing where it is.

    >>> _percent(0.99999), _percent(1.0), _percent(0.5), _percent(0.0001)
    ('99.9 %', '100 %', '50.0 %', '0.1 %')
    """
    if share in (0.0, 1.0):
        return f"{share * 100:.0f} %"
    return f"{min(max(share * 100, 0.1), 99.9):.1f} %"


def _sample(outcome: CheckOutcome) -> Html:
    rows = outcome.sample.head(MOST_ROWS)
    title = f"rows that break: {outcome.words}"
    return folded(title, values(rows.columns, rows.rows()), is_open=True)


def _figures(report: AuditReport) -> Html:
    head = ["column", "null", "min", "mean", "max", "deviation"]
    return table(
        head,
        [_column(column, report.rows) for column in report.statistics],
        ["min", "mean", "max", "deviation"],
    )


def _column(column: ColumnStatistics, rows: int) -> list[Part]:
    share = column.nulls / rows if rows else 0.0
    nulls = bar(share, _percent(share), "look") if column.nulls else Html("0 %")
    figures = (column.min, column.mean, column.max, column.std)
    return [bold(column.name), nulls, *map(number, figures)]
