"""Contracts on made-up rows in place of their data."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from aligned_dagster.contracts.feature_view import FeatureView
from aligned_dagster.contracts.view_source import ContractSource
from aligned_dagster.sources.random_source import RandomDataSource
from aligned_dagster.sources.source import DataSource


def dummies(
    views: Iterable[FeatureView[Any]], seed: int = 0, rows: int = 1_000
) -> dict[str, FeatureView[Any]]:
    """The same contracts on random rows, by name, with those that they read or refer to.

    A view of views stays one; every other source becomes random. Nothing is materialized, so that no storage is
    touched, and a reference draws from the random rows of the view that it names.

    Args:
        views: the contracts.
        seed: decides the rows.
        rows: how many each raw source has; fewer where a contract does not allow so many.
    """
    made: dict[str, FeatureView[Any]] = {}
    waiting = [*views][::-1]
    below: set[str] = set()
    while waiting:
        view = waiting[-1]
        if view.name in made:
            waiting.pop()
            continue
        missing = [
            other for name, other in view.upstream_views.items() if name not in made and name not in below
        ]
        if missing and view.name not in below:
            below.add(view.name)
            waiting.extend(missing)
            continue
        waiting.pop()
        made[view.name] = _dummy(view, made, seed, rows)
    return made


def dummy(view: FeatureView[Any], seed: int = 0, rows: int = 1_000) -> FeatureView[Any]:
    """One contract on random rows; see `dummies`."""
    return dummies([view], seed, rows)[view.name]


def _dummy(
    view: FeatureView[Any], made: dict[str, FeatureView[Any]], seed: int, rows: int
) -> FeatureView[Any]:
    source: DataSource
    if isinstance(view.source, ContractSource):
        source = view.source.over(lambda known: made.get(known.name, known))
    elif isinstance(view.source, RandomDataSource):
        given = view.source.seed
        source = view.source.model_copy(update={"seed": seed if given is None else given})
    else:
        source = RandomDataSource(default_data_size=rows, seed=seed, exact_size=False)
    referenced = {name: made.get(name, known) for name, known in view.upstream_views.items()}
    return replace(
        view,
        source=source,
        materialized_source=None,
        referenced={name: known for name, known in referenced.items() if name in view.references()},
    )
