"""How often a raw source is looked at: one number for all, others by name or glob."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import timedelta
from fnmatch import fnmatchcase
from typing import Literal

from aligned_dagster.errors import ConfigurationError, did_you_mean

Every = float | timedelta | Literal[False] | None
"""Seconds or a span of time; False or None is never."""

DEFAULT = "default"
DEFAULT_SECONDS = 300.0


def observation_interval(name: str, every: Mapping[str, Every]) -> timedelta | None:
    """How often the source with this asset key is looked at; None for never.

    Its own name counts first, then the first glob that fits, then "default", which is five minutes if it is not given.

    Args:
        name: the asset key, its parts joined by "/".
        every: names, globs and "default".

    Raises:
        ConfigurationError: it is no span of time.

    >>> every = {"default": 60, "raw/logs*": False, "raw/logs.csv": 3600}
    >>> [str(observation_interval(name, every)) for name in ("raw/a.csv", "raw/logs_1.csv", "raw/logs.csv")]
    ['0:01:00', 'None', '1:00:00']
    """
    fitting = (pattern for pattern in every if pattern != DEFAULT and fnmatchcase(name, pattern))
    chosen = name if name in every else next(fitting, DEFAULT)
    found = every.get(chosen, DEFAULT_SECONDS)
    if found is None or found is False:
        return None
    if isinstance(found, timedelta):
        span = found
    elif isinstance(found, bool) or not isinstance(found, int | float) or not 0 < found <= 10**9:
        raise not_a_span(chosen, found)
    else:
        span = timedelta(seconds=found)
    if span < timedelta(seconds=1):
        raise not_a_span(chosen, found)
    return span


def not_a_span(key: str, given: object) -> ConfigurationError:
    """The error for a span that is none."""
    return ConfigurationError(
        f"observe_every has {key!r} = {given!r}; give a number of seconds, 1 or more, or false for never, as in "
        f'"{key}" = 300.'
    )


def check_names(every: Mapping[str, Every], names: Collection[str]) -> None:
    """Make sure that every name and glob is that of a source.

    Args:
        every: names, globs and "default".
        names: the asset keys of the sources.

    Raises:
        ConfigurationError: one fits no source.
    """
    for pattern in every:
        if pattern == DEFAULT or pattern in names or any(fnmatchcase(name, pattern) for name in names):
            continue
        known = f"Sources: {', '.join(sorted(names))}." if names else "There is none."
        raise ConfigurationError(
            f"observe_every names {pattern!r}, but no raw source or observed model has an asset key like it."
            f"{did_you_mean(pattern, [DEFAULT, *names])} {known}"
        )
