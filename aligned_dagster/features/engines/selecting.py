"""Columns of a frame of an engine, whatever characters their names are made of: Spark reads a dot in a name as a field."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from aligned_dagster.features.engines.carried import quoted
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


def columns_on(frame: nw.LazyFrame[Any], names: Iterable[str], engine: Engine) -> nw.LazyFrame[Any]:
    """A frame with these of its columns alone."""
    return select_on(frame, {name: quoted(name, engine) for name in names}, engine)


def column_on(name: str, engine: Engine) -> nw.Expr:
    """A column of a frame of the engine."""
    return native(quoted(name, engine), engine).alias(name)
