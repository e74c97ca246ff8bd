"""What people write to pick columns and rows, as polars understands it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol, runtime_checkable

import polars as pl

from aligned_dagster.errors import RequestError, UnknownFeatureError, did_you_mean
from aligned_dagster.features.expression import Expression, replay
from aligned_dagster.features.schema import Schema


@runtime_checkable
class Named(Protocol):
    """A feature that was taken from a contract."""

    @property
    def name(self) -> str:
        """Name of its column."""


@runtime_checkable
class Recorded(Protocol):
    """A feature, or a derivation from features."""

    @property
    def expression(self) -> Expression:
        """The derivation over the columns of its contract."""


def column_names(
    columns: Iterable[str | Named | Iterable[str | Named]], schema: Schema, job: str
) -> list[str]:
    """Names of columns that were given as names, features, or lists of them, each once.

    Args:
        columns: what was given.
        schema: the columns there are.
        job: the contract, for messages.

    Raises:
        UnknownFeatureError: there is no such column.
        RequestError: something else was given.
    """
    names: list[str] = []
    for column in columns:
        if isinstance(column, str):
            names.append(column)
        elif isinstance(column, Named):
            names.append(column.name)
        elif isinstance(column, Iterable):
            names.extend(column_names(column, schema, job))
        else:
            raise RequestError(f"{job!r}: {column!r} is no column; give its name or View().column.")
    check_known(names, schema, job)
    return list(dict.fromkeys(names))


def expression_of(value: pl.Expr | Recorded | str, schema: Schema, job: str) -> pl.Expr:
    """A polars expression, SQL text, or a feature, as a polars expression over the columns of a schema.

    Args:
        value: what was given.
        schema: the columns there are.
        job: the contract, for messages.

    Raises:
        UnknownFeatureError: it reads a column that is not there.
        RequestError: the text is no SQL, or something else was given.

    >>> from aligned_dagster.features.dtypes import DataType
    >>> from aligned_dagster.features.schema import Column
    >>> schema = Schema((Column("age", DataType("int32")),))
    >>> pl.DataFrame({"age": [5, 50]}).filter(expression_of("age > 10", schema, "person")).rows()
    [(50,)]
    """
    expression: pl.Expr
    if isinstance(value, pl.Expr):
        expression = value
    elif isinstance(value, str):
        try:
            expression = pl.sql_expr(value)
        except pl.exceptions.PolarsError as error:
            reason = str(error).strip().splitlines()[0]
            raise RequestError(f"{job!r}: {value!r} is no SQL condition: {reason}.") from error
    elif isinstance(value, Recorded):
        expression = replay(value.expression)
    else:
        raise RequestError(
            f"{job!r}: {value!r} is no condition. "
            "Give View().column > 1, pl.col('column') > 1 or 'column > 1'."
        )
    roots = expression.meta.root_names()
    check_known((name for name in roots if name != "*" and not name.startswith("^")), schema, job)
    return expression


def check_known(names: Iterable[str], schema: Schema, job: str) -> None:
    """Raise for names that a schema lacks.

    Raises:
        UnknownFeatureError: with the closest name there is.
    """
    for name in names:
        if name not in schema:
            raise UnknownFeatureError(
                f"{job!r} has no column {name!r}.{did_you_mean(name, schema.names)} "
                f"Columns: {', '.join(schema.names)}."
            )
