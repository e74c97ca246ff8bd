"""Pools: how many assets are at work on one database, bucket or account at once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from aligned_dagster.contracts.connections import Connection, configs_in, kind_of

if TYPE_CHECKING:
    from aligned_dagster.contracts.connections import Config
    from aligned_dagster.contracts.feature_view import FeatureView

_DATABASES = ("postgres", "redshift")


def pools_of(views: Iterable[FeatureView[Any]], connections: Mapping[str, Connection]) -> dict[str, str]:
    """Contract to the pool of its asset, which has the name of a connection; none for what is in files alone.

    Dagster takes one pool for each asset: that of the first database that a run of it reads, else of the one that it writes
    to, else of the first bucket or account that it reads. What a virtual contract reads is read by those that read it.

    Args:
        views: the contracts.
        connections: theirs, by name.
    """
    names = {one.config: name for name, one in connections.items()}
    found: dict[str, str] = {}
    for view in views:
        read = configs_in(_read(view, {view.name}))
        written = configs_in([] if view.is_virtual else [view.storage])
        databases = [config for config in (*read, *written) if kind_of(config) in _DATABASES]
        first: Config | None = next(iter((*databases, *read)), None)
        if first is not None and first in names:
            found[view.name] = names[first]
    return found


def _read(view: FeatureView[Any], seen: set[str]) -> Iterator[object]:
    """Where the rows are that a run of a contract reads: of its source, of what it reads and of what it refers to."""
    yield view.source
    for name, upstream in view.upstream_views.items():
        if name in seen:
            continue
        seen.add(name)
        if upstream.is_virtual:
            yield from _read(upstream, seen)
        else:
            yield upstream.storage
