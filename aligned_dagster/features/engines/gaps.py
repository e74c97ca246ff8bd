"""What an engine cannot do, told without starting it."""

from __future__ import annotations

from collections.abc import Mapping

from aligned_dagster.errors import UnsupportedError
from aligned_dagster.features import expression as ex
from aligned_dagster.features.dtypes import DataType
from aligned_dagster.features.engines.dialect import Dialect
from aligned_dagster.features.engines.names import Engine
from aligned_dagster.features.engines.replay import written


def gaps(
    tree: ex.Expression,
    engine: Engine,
    schema: Mapping[str, DataType],
    *,
    order_by: str | None = None,
) -> tuple[str, ...]:
    """The reasons why an engine cannot compute a derivation; none where it can.

    Args:
        tree: the derivation.
        engine: where it would run.
        schema: the columns that it may read, with the contract's types.
        order_by: the column by which rows are ordered within an aggregation; None where they have no order.

    >>> from aligned_dagster.features.expression import Call, ColumnRef
    >>> gaps(Call("hash", ColumnRef("x")), "spark", {"x": DataType("int64")})
    ("hash: polars' hash is known to polars alone",)
    >>> gaps(Call("add", ColumnRef("x"), 1), "spark", {"x": DataType("int64")})
    ()
    """
    if engine == "polars":
        return ()
    dialect = Dialect(engine, "" if order_by is None else Dialect(engine).name(order_by))
    try:
        part = written(tree, dialect, schema)
        dialect.type(part.dtype)
    except UnsupportedError as error:
        return (str(error),)
    return ()
