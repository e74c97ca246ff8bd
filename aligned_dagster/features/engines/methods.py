"""Every method that an engine can answer, and why it cannot answer the others."""

from __future__ import annotations

from aligned_dagster.features.engines import (  # noqa: F401  # their import fills the table of methods
    aggregates,
    arithmetic,
    casts,
    choices,
    mathematics,
    nested_values,
    text_patterns,
    texts,
    times,
)
from aligned_dagster.features.engines.aggregates import AGGREGATES
from aligned_dagster.features.engines.dialect import METHODS, Asked
from aligned_dagster.features.expression import POLARS_JSON

__all__ = ["AGGREGATES", "METHODS", "absent", "condition_of"]

_REASONS = {
    POLARS_JSON: "transform_polars: an expression of polars runs on polars alone",
    "hash": "hash: polars' hash is known to polars alone",
}


def absent(method: str) -> str:
    """Why no engine but polars has a method."""
    return _REASONS.get(method, f"{method}: only polars has it")


def condition_of(asked: Asked) -> str:
    """SQL of the condition by which an aggregation takes rows."""
    return asked.args[1].text
