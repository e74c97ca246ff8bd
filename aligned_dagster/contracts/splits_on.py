"""The part that each row of a training set is in, where an engine holds the rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import polars as pl

from aligned_dagster.contracts.splits import SPLIT, Split, SplitByTime
from aligned_dagster.features.engines.dialect import Dialect
from aligned_dagster.features.engines.native import native
from aligned_dagster.features.schema import Column, Schema
from aligned_dagster.request.moments_on import moment_on
from aligned_dagster.sources.engines.session import EngineSession

if TYPE_CHECKING:
    import narwhals as nw


def with_split_on(
    rows: nw.LazyFrame[Any], split: Split, schema: Schema, session: EngineSession
) -> nw.LazyFrame[Any]:
    """The rows with the part that each is in, as `Split.expression` tells it.

    By time the engine tells them apart. A hash is taken in Python, beside the engine's rows: engines have another one.

    Args:
        rows: in carried dtypes.
        split: how parts are told from each other.
        schema: the columns of the set, with their roles.
        session: the engine.
    """
    if isinstance(split, SplitByTime):
        return rows.with_columns(native(_by_time(split, schema, session), session.name).alias(SPLIT))
    known = [schema.column(name) for name in split.columns(schema)]
    made_of = Schema(tuple(Column(column.name, column.dtype, column.role) for column in known))
    types = {column.name: column.dtype for column in made_of.columns}
    return session.with_text(rows, SPLIT, _Parts(split, made_of), types)


@dataclass(frozen=True)
class _Parts:
    """The parts of rows of polars, wherever they are: this is sent to other processes.

    Args:
        split: how parts are told from each other.
        schema: the columns that it goes by.
    """

    split: Split
    schema: Schema

    def __call__(self, rows: pl.DataFrame) -> pl.Series:
        return rows.select(self.split.expression(self.schema)).to_series()


def _by_time(split: SplitByTime, schema: Schema, session: EngineSession) -> str:
    """SQL of the part of a row; see `SplitByTime.expression`."""
    (time,) = split.columns(schema)
    sql = Dialect(session.name)
    now = moment_on(time, schema.polars[time], session.name, zone="UTC")
    cases = [f"WHEN {now} < {end} THEN {sql.text(part)}" for part, end in split.ends()]
    return f"CASE {' '.join(cases)} WHEN {now} IS NOT NULL THEN {sql.text('test')} END"
