"""A recorded derivation on an engine: SQL with polars' answers, as an expression of narwhals.

narwhals has polars' words, but its backends keep the engines' own meanings (halves, NaN, weekdays, the absent null), so each
method is written once here with what polars would answer, and narwhals carries the frame and the expression.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import polars as pl

from aligned_dagster.errors import AlignedError, DerivationError, UnsupportedError, did_you_mean
from aligned_dagster.features import expression as ex
from aligned_dagster.features.dtypes import DataType
from aligned_dagster.features.engines import methods
from aligned_dagster.features.engines.aggregates import of_group
from aligned_dagster.features.engines.casts import converted
from aligned_dagster.features.engines.dialect import NULL, Asked, Dialect, GapError, Written
from aligned_dagster.features.engines.names import Engine
from aligned_dagster.features.engines.native import native
from aligned_dagster.features.literals import FrozenDict
from aligned_dagster.features.plan import levels

if TYPE_CHECKING:
    import narwhals as nw

_LONGEST = 4_000
"""Characters of SQL from which on a part of a derivation becomes a column of its own."""
_STEP = "__step"


def replay_on(
    tree: ex.Expression,
    engine: Engine,
    schema: Mapping[str, DataType],
    *,
    order_by: str | None = None,
    window: str = "",
) -> nw.Expr:
    """A recorded derivation as an expression of narwhals over columns in carried dtypes.

    Args:
        tree: the derivation.
        engine: "spark" or "duckdb".
        schema: the columns that it may read, with the contract's types.
        order_by: the column by which rows are ordered where an aggregation takes the first, the last or a list.
        window: SQL of a window ("PARTITION BY ... ORDER BY ... RANGE ...") that every aggregation in it runs over; within
            `group_by(...).agg(...)` none.

    Raises:
        UnsupportedError: the engine cannot do it, with the reason.
    """
    dialect = Dialect(engine, "" if order_by is None else Dialect(engine).name(order_by), window)
    part = written(tree, dialect, schema)
    text = dialect.typed(part, part.dtype)
    return native(text, engine, aggregates=part.aggregates and not window)


def with_derived_on(
    frame: nw.LazyFrame[Any],
    derivations: Mapping[str, ex.Expression],
    engine: Engine,
    schema: Mapping[str, DataType],
) -> nw.LazyFrame[Any]:
    """Add derived columns to a frame that has the stored ones, each in its carried dtype.

    Args:
        frame: a frame of the engine in carried dtypes.
        derivations: derived column to derivation.
        engine: "spark" or "duckdb".
        schema: the contract's types, of stored and derived columns.

    Raises:
        UnsupportedError: the engine cannot do one of them; the message names the column and the reason.
    """
    dialect = Dialect(engine)
    for group in levels(derivations):
        steps: dict[str, str] = {}
        answers = {}
        for name in group:
            part = _named(name, derivations[name], dialect, schema, steps)
            answers[name] = _settled(dialect, part, schema.get(name, part.dtype))
        for step, text in steps.items():
            frame = frame.with_columns(native(text, engine).alias(step))
        frame = frame.with_columns(**{name: native(text, engine) for name, text in answers.items()})
        if steps:
            frame = frame.drop(*steps)
    return frame


def _settled(dialect: Dialect, part: Written, dtype: DataType) -> str:
    """A derivation in the contract's type; a number that does not fit into it is an error."""
    if dtype.is_integer and dtype != part.dtype and part.dtype.is_numeric and not part.is_plain:
        return dialect.cast(converted(dialect, part, dtype), dtype)
    return dialect.cast(dialect.typed(part, part.dtype), dtype)


def _named(
    name: str,
    tree: ex.Expression,
    dialect: Dialect,
    schema: Mapping[str, DataType],
    steps: dict[str, str],
) -> Written:
    try:
        return written(tree, dialect, schema, steps)
    except UnsupportedError as error:
        raise UnsupportedError(
            f"{name}: {error}. {dialect.engine} cannot compute it; use engine='polars'."
        ) from error


def written(
    tree: ex.Expression,
    dialect: Dialect,
    schema: Mapping[str, DataType],
    steps: dict[str, str] | None = None,
) -> Written:
    """A derivation as SQL.

    Args:
        tree: the derivation.
        dialect: whose SQL.
        schema: the columns that it may read, with the contract's types.
        steps: takes parts that are long, to be computed first: name of a column to its SQL.

    Raises:
        UnsupportedError: the engine cannot do it, with the reason.
    """

    def visit(node: ex.Expression, done: Mapping[ex.Expression, Written]) -> Written:
        part = write_node(node, [_seen(arg, done) for arg in _args(node)], dialect, schema)
        if steps is None or len(part.text) < _LONGEST or part.aggregates or part.kept:
            return part
        step = f"{_STEP} {node.digest.hex()}"
        steps.setdefault(step, dialect.cast(part.text, part.dtype))
        return Written(dialect.name(step), part.dtype)

    part = ex.fold(tree, visit)
    return replace(part, text=of_group(part.text))


def write_node(
    node: ex.Expression, args: list[Written], dialect: Dialect, schema: Mapping[str, DataType]
) -> Written:
    """One node as SQL, from that of the nodes below it.

    Raises:
        GapError: the engine cannot do it.
    """
    dtype = _typed(node, args, schema)
    if isinstance(node, ex.ColumnRef):
        return Written(dialect.name(node.name), dtype)
    if isinstance(node, ex.Literal):
        return _plain(node.value)
    assert isinstance(node, ex.Call)
    asked = Asked(node.method, tuple(args), dict(node.kwargs), dtype)
    writer = methods.METHODS.get(node.method)
    if writer is None:
        raise GapError(methods.absent(node.method))
    aggregates = node.method in methods.AGGREGATES or (
        node.method != "over" and any(arg.aggregates for arg in args)
    )
    kept = methods.condition_of(asked) if node.method == "filter" else ""
    return Written(writer(dialect, asked), dtype, aggregates=aggregates, kept=kept)


def _args(node: ex.Expression) -> tuple[Any, ...]:
    return node.args if isinstance(node, ex.Call) else ()


def _seen(arg: Any, done: Mapping[ex.Expression, Written]) -> Written:
    return done[arg] if isinstance(arg, ex.Expression) else _plain(arg)


def _plain(value: Any) -> Written:
    return Written("", _type_of_value(value), value, True)


def _type_of_value(value: Any) -> DataType:
    if value is None:
        return NULL
    if isinstance(value, tuple | FrozenDict):
        return DataType("plain")
    return DataType.from_polars(pl.select(pl.lit(value)).schema["literal"])


def _typed(node: ex.Expression, args: list[Written], schema: Mapping[str, DataType]) -> DataType:
    if isinstance(node, ex.ColumnRef):
        if node.name not in schema:
            raise DerivationError(f"There is no column {node.name!r}.{did_you_mean(node.name, schema)}")
        return schema[node.name]
    if isinstance(node, ex.Literal):
        return _type_of_value(node.value)
    assert isinstance(node, ex.Call)
    if node.method == "cast":
        return DataType.from_text(node.args[1])
    if node.method == ex.POLARS_JSON:
        return NULL
    shape: list[Any] = []
    dtypes: list[DataType] = []
    for arg, part in zip(node.args, args, strict=True):
        if isinstance(arg, ex.Literal) or not isinstance(arg, ex.Expression):
            shape.append(arg)
        else:
            shape.append(ex.ColumnRef(f"x{len(dtypes)}"))
            dtypes.append(part.dtype)
    return _answer(ex.Call(node.method, *shape, **dict(node.kwargs)), tuple(dtypes))


@lru_cache(maxsize=8192)
def _answer(shape: ex.Call, dtypes: tuple[DataType, ...]) -> DataType:
    if any(dtype == NULL for dtype in dtypes):
        return NULL
    columns = {f"x{number}": dtype.polars for number, dtype in enumerate(dtypes)}
    try:
        frame = pl.LazyFrame(schema=columns).select(result=ex.replay(shape))
        return DataType.from_polars(frame.collect_schema()["result"])
    except (AlignedError, pl.exceptions.PolarsError) as error:
        raise GapError(f"the type of {shape.method} is not known ({str(error).splitlines()[0]})") from error
