"""Columns of a frame of an engine by the SQL of their values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from aligned_dagster.features.engines.names import Engine
from aligned_dagster.features.engines.native import native

if TYPE_CHECKING:
    import narwhals as nw


def select_on(frame: nw.LazyFrame[Any], columns: Mapping[str, str], engine: Engine) -> nw.LazyFrame[Any]:
    """A frame with these columns alone, whatever characters their names and those of the frame are made of.

    Args:
        frame: a frame of the engine.
        columns: name to SQL of the value.
        engine: whose SQL.
    """
    return frame.select(*(native(text, engine).alias(name) for name, text in columns.items()))
