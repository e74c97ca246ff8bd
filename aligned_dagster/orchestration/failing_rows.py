"""Rows that break a rule, in tables that stand by themselves: the rows with the rule, the rules with a row."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import dagster as dg
import polars as pl

from aligned_dagster.orchestration.profile_pictures import percent
from aligned_dagster.orchestration.tables import LONGEST_CELL, table_value
from aligned_dagster.quality.profile import short

if TYPE_CHECKING:
    from aligned_dagster.quality.report import CheckOutcome


def failing_rows(outcome: CheckOutcome) -> dg.TableMetadataValue:
    """Some rows that break a rule: the key, the columns that the rule is about, and the rule.

    Args:
        outcome: of a check that found some.

    >>> from aligned_dagster.quality.report import CheckOutcome
    >>> sample = pl.DataFrame({"id": [7], "age": [-1]})
    >>> found = CheckOutcome("age", "age must be at least 0", "age", "warn", 9, 1, sample)
    >>> failing_rows(found).records[0].data
    {'id': 7, 'age': -1, 'broken rule': 'age must be at least 0'}
    """
    name = "broken rule"
    while name in outcome.sample.columns:
        name += "_"
    return table_value(outcome.sample.with_columns(pl.lit(outcome.words).alias(name)))


def broken_rules(outcomes: Iterable[CheckOutcome]) -> dg.TableMetadataValue:
    """One line a broken rule: what it says, what it did, how many rows break it, and one of them.

    Args:
        outcomes: of checks that did not pass.
    """
    rows = [
        {
            "rule": one.words,
            "effect": one.status,
            "broken rows": _broken(one),
            "such as": one.note or _first(one),
        }
        for one in outcomes
    ]
    return table_value(pl.DataFrame(rows))


def _broken(outcome: CheckOutcome) -> str:
    """How many rows break it, and their share; of the schema how many columns are wrong."""
    if not outcome.checked:
        return "not checked"
    if not outcome.rows or outcome.name == "schema":
        return f"{outcome.broken:,}"
    return f"{outcome.broken:,} ({percent(outcome.broken / outcome.rows)})"


def _first(outcome: CheckOutcome) -> str:
    """The first of the broken rows in words, as far as there is room."""
    if outcome.sample.is_empty():
        return ""
    told = ", ".join(f"{name} {_value(value)}" for name, value in outcome.sample.row(0, named=True).items())
    return told if len(told) <= LONGEST_CELL else f"{told[: LONGEST_CELL - 3]}..."


def _value(value: Any) -> str:
    return "null" if value is None else short(value)
