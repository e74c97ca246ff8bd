"""The engines by name."""

from __future__ import annotations

from typing import Any, Literal, TypeGuard, get_args

from aligned_dagster.errors import ContractError, did_you_mean

Engine = Literal["polars", "spark", "duckdb"]
ENGINES: tuple[Engine, ...] = get_args(Engine)


def check_engine(value: Any, where: str = "engine") -> Engine:
    """The value itself, where it names an engine.

    Args:
        value: what was given.
        where: what it was given for, as the message names it.

    Raises:
        ContractError: there is no such engine.

    >>> check_engine("spark")
    'spark'
    """
    if _is_engine(value):
        return value
    raise ContractError(
        f"{where} is one of {', '.join(map(repr, ENGINES))}; got {value!r}."
        f"{did_you_mean(value, ENGINES) if isinstance(value, str) else ''}"
    )


def _is_engine(value: Any) -> TypeGuard[Engine]:
    return value in ENGINES
