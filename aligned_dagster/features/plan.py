"""The order in which derived columns are computed, and what they are computed from."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

import polars as pl

from aligned_dagster.errors import DerivationError
from aligned_dagster.features.expression import Expression, inputs, replay


def levels(derivations: Mapping[str, Expression]) -> list[list[str]]:
    """Names of derived columns in groups: each group reads only stored columns and the groups before it.

    Args:
        derivations: derived column to expression; names that are no key are stored columns.

    Raises:
        DerivationError: columns are derived from each other in a circle.
    """
    below = {name: {i for i in inputs(tree) if i in derivations} for name, tree in derivations.items()}
    above: dict[str, list[str]] = {name: [] for name in derivations}
    for name, needed in below.items():
        for other in needed:
            above[other].append(name)
    waiting = {name: len(needed) for name, needed in below.items()}
    group = [name for name, count in waiting.items() if count == 0]
    groups: list[list[str]] = []
    placed = 0
    while group:
        groups.append(group)
        placed += len(group)
        following: list[str] = []
        for name in group:
            for dependent in above[name]:
                waiting[dependent] -= 1
                if waiting[dependent] == 0:
                    following.append(dependent)
        group = following
    if placed < len(derivations):
        circle = ", ".join(sorted(name for name, count in waiting.items() if count > 0))
        raise DerivationError(f"These columns are derived from each other in a circle: {circle}.")
    return groups


def with_derived(frame: pl.LazyFrame, derivations: Mapping[str, Expression]) -> pl.LazyFrame:
    """Add derived columns to a frame that has the stored ones."""
    for group in levels(derivations):
        frame = frame.with_columns(**{name: replay(derivations[name]) for name in group})
    return frame


def needed(names: Iterable[str], derivations: Mapping[str, Expression]) -> set[str]:
    """All columns, stored and derived, that the named ones are made of, themselves included."""
    found: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            if name in derivations:
                waiting.extend(inputs(derivations[name]))
    return found


def stored_inputs(names: Collection[str], derivations: Mapping[str, Expression]) -> dict[str, frozenset[str]]:
    """For each name the stored columns that it is made of, through every derivation between."""
    return {name: frozenset(n for n in needed([name], derivations) if n not in derivations) for name in names}
