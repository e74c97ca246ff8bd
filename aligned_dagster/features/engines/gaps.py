"""What an engine cannot do, told without starting it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from aligned_dagster.errors import UnsupportedError
from aligned_dagster.features import expression as ex
from aligned_dagster.features.dtypes import DataType
from aligned_dagster.features.engines.carried import alike_in_duckdb
from aligned_dagster.features.engines.dialect import Dialect
from aligned_dagster.features.engines.names import Engine
from aligned_dagster.features.engines.replay import written

_VARIABLE = re.compile(r"\$\{\S+?\}")


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


def name_gaps(names: Iterable[str], engine: Engine) -> dict[str, str]:
    """The names under which an engine cannot hold columns side by side, and why.

    Args:
        names: of the columns of a frame.
        engine: where it would be.

    >>> name_gaps(["id", "Id", "é", "É"], "duckdb")
    {'Id': "DuckDB takes the columns 'id' and 'Id' for one; rename one of them"}
    >>> name_gaps(["id", "Id", "${HOME}"], "spark")
    {'${HOME}': 'Spark puts the value of a variable in the place of ${HOME} in a name; rename the column'}
    """
    known = list(names)
    found = {"": "an empty name is none in SQL; rename the column"} if "" in known else {}
    if engine == "duckdb":
        for name, first in alike_in_duckdb(known).items():
            found[name] = f"DuckDB takes the columns {first!r} and {name!r} for one; rename one of them"
    elif engine == "spark":
        for name in known:
            for variable in _VARIABLE.findall(name):
                found[name] = (
                    f"Spark puts the value of a variable in the place of {variable} in a name; rename the column"
                )
    return found
