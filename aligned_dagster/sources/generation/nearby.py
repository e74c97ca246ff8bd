"""Values near those of other columns, for rows that must keep a rule between columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import polars as pl

from aligned_dagster.features.dtypes import DataType
from aligned_dagster.sources.generation.bits import Draw
from aligned_dagster.sources.generation.columns import Maker


def near(
    frame: pl.DataFrame, name: str, dtype: DataType, draw: Draw, makers: Mapping[str, Maker]
) -> list[pl.Series]:
    """The values of the row's other columns of the same family, as they are and a little more or less."""
    found: list[pl.Series] = []
    for other in frame.columns:
        if other == name or makers[other].column.dtype.group != dtype.group or dtype.is_nested:
            continue
        other_values = frame[other].cast(dtype.polars, strict=False)
        found.append(other_values)
        if dtype.group in {"number", "date", "timestamp", "time", "duration"}:
            step = draw.called(other).whole("step", -100, 100)
            found.append(_moved(other_values, step, dtype))
    return [values.rename("") for values in found]


def reckoned(
    frame: pl.DataFrame, name: str, dtype: DataType, others: Sequence[str], value: pl.Series
) -> list[pl.Series]:
    """What equations give: a named value less or plus another column, and sums, differences, products of two columns."""
    number = pl.Int128() if dtype.is_integer else pl.Float64()
    columns = [pl.col(other).cast(number, strict=False) for other in others[:3]]
    named = pl.lit(value).cast(number, strict=False)
    exprs = [expr for column in columns for expr in (named - column, named + column)]
    for place, column in enumerate(columns):
        for other in columns[place + 1 :]:
            exprs += [column + other, column - other, other - column, column * other]
    if not exprs:
        return []
    made = frame.select(expr.cast(dtype.polars, strict=False).alias(str(n)) for n, expr in enumerate(exprs))
    return [values.rename("") for values in made.get_columns()]


def _moved(values: pl.Series, steps: pl.Series, dtype: DataType) -> pl.Series:
    frame = pl.DataFrame({"x": values, "step": steps})
    x, step = pl.col("x"), pl.col("step")
    if dtype.kind == "date":
        moved = (x.cast(pl.Int64) + step).cast(pl.Int32).cast(pl.Date)
    elif dtype.kind in {"timestamp", "duration"}:
        moved = x + (step * 60_000_000).cast(pl.Duration("us"))
    elif dtype.kind == "time":
        wrapped = (x.cast(pl.Int64) + step * 60_000_000_000) % 86_400_000_000_000
        moved = wrapped.cast(pl.Time)
    elif dtype.is_float:
        moved = x + step
    elif dtype.kind == "decimal":
        moved = x + step.cast(dtype.polars, strict=False)
    else:
        moved = x.cast(pl.Int128) + step
    return frame.select(moved.cast(dtype.polars, strict=False)).to_series()


def chosen_of(draw: Draw, options: Sequence[pl.Series]) -> pl.Series:
    """One of several values a row, the first where the chosen one is null."""
    frame = pl.DataFrame({str(number): values for number, values in enumerate(options)})
    frame = frame.with_columns((draw.bits("option") % len(options)).alias("choice"))
    expr = pl.col("0")
    for number in range(1, len(options)):
        expr = pl.when(pl.col("choice") == number).then(pl.col(str(number))).otherwise(expr)
    return frame.select(pl.coalesce(expr, pl.col("0")).alias("made")).to_series()
