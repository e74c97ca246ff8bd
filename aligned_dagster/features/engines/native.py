"""SQL text of an engine as an expression of narwhals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from aligned_dagster.errors import ConfigurationError
from aligned_dagster.features.engines.names import Engine

if TYPE_CHECKING:
    import narwhals as nw


def import_narwhals(engine: Engine) -> Any:
    """The narwhals module.

    Raises:
        ConfigurationError: it is not installed.
    """
    try:
        import narwhals
    except ImportError as error:
        raise ConfigurationError(
            f"engine={engine!r} needs the package narwhals: pip install 'aligned-dagster[{engine}]'"
        ) from error
    return narwhals


def native(text: str, engine: Engine, *, aggregates: bool = False) -> nw.Expr:
    """An expression of narwhals that an engine's SQL text computes.

    narwhals has no public way from text to expression: its node "_expr" makes the expression of the backend itself.

    Args:
        text: SQL of the engine.
        engine: "spark" or "duckdb".
        aggregates: whether it takes rows together, for `group_by(...).agg(...)`.

    Raises:
        ConfigurationError: narwhals is not installed, or another one than is asked for.
    """
    narwhals = import_narwhals(engine)
    try:
        from narwhals._expression_parsing import ExprKind, ExprNode
        from narwhals._utils import Implementation, Version
    except ImportError as error:
        raise ConfigurationError(
            f"narwhals {narwhals.__version__} is none that engine={engine!r} works with: {error}. "
            f"Install the one that is named by: pip install 'aligned-dagster[{engine}]'"
        ) from error

    def call(frame: Any) -> Sequence[Any]:
        return [_column(text, engine)]

    return narwhals.Expr(
        ExprNode(
            ExprKind.AGGREGATION if aggregates else ExprKind.SERIES,
            "_expr",
            call=call,
            window_function=lambda frame, inputs: call(frame),
            evaluate_output_names=lambda frame: ["computed"],
            alias_output_names=None,
            version=Version.MAIN,
            implementation=Implementation.PYSPARK if engine == "spark" else Implementation.DUCKDB,
        )
    )


def _column(text: str, engine: Engine) -> Any:
    if engine == "spark":
        from pyspark.sql import functions

        return functions.expr(text)
    import duckdb

    return duckdb.SQLExpression(text)
