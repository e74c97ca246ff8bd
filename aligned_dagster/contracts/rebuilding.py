"""The same contracts, each changed in one respect, over the changed ones among those that it reads."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aligned_dagster.contracts.feature_view import FeatureView

    Change = Callable[[FeatureView[Any]], FeatureView[Any]]


def rebuilt(views: Iterable[FeatureView[Any]], change: Change) -> Change:
    """What gives for a contract the changed one, which reads and refers to changed ones too.

    Args:
        views: the contracts; those that they read or refer to are changed with them.
        change: gives for a contract what takes its place; itself where nothing changes. It leaves alone what the contract
            reads.
    """
    made: dict[int, tuple[FeatureView[Any], FeatureView[Any]]] = {}

    def other(view: FeatureView[Any]) -> FeatureView[Any]:
        if id(view) not in made:
            made[id(view)] = (view, view)  # a contract that refers to itself finds itself
            touched = any(other(upstream) is not upstream for upstream in view.upstream_views.values())
            made[id(view)] = (view, change(view.reading(other) if touched else view))
        return made[id(view)][1]

    for view in _upstream_first(views):
        other(view)
    return other


def _upstream_first(views: Iterable[FeatureView[Any]]) -> Iterator[FeatureView[Any]]:
    """All views that can be reached, each after those that it reads or refers to."""
    seen: set[int] = set()
    done: set[int] = set()
    waiting = [*views][::-1]
    while waiting:
        view = waiting[-1]
        missing = [one for one in view.upstream_views.values() if id(one) not in seen]
        if missing and id(view) not in done:
            seen.add(id(view))
            waiting.extend(missing)
            continue
        waiting.pop()
        seen.add(id(view))
        if id(view) not in done:
            done.add(id(view))
            yield view
