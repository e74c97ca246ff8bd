"""How each check of a contract is put to a frame of an engine: which rows break it."""

from __future__ import annotations

import functools
import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import polars as pl

from aligned_dagster.features.constraints import OnViolation, Reference, Unique
from aligned_dagster.features.dtypes import DataType
from aligned_dagster.features.engines.carried import carried
from aligned_dagster.features.engines.dialect import Dialect
from aligned_dagster.features.engines.names import Engine
from aligned_dagster.features.engines.native import native
from aligned_dagster.features.engines.replay import replay_on
from aligned_dagster.features.engines.selecting import column_on, select_on
from aligned_dagster.features.expression import Expression
from aligned_dagster.features.schema import Schema
from aligned_dagster.quality.checks import CheckSpec, expected_checks
from aligned_dagster.quality.probes import referenced, wrong_columns

if TYPE_CHECKING:
    import narwhals as nw

_REFERENCE, _KNOWN, _TIMES, _BROKEN = "__referenced", "__known", "__times", "__breaks"
_WHOLE = DataType("decimal", precision=20)
"""Holds every whole number of a contract; as this one Spark carries those of 64 bits without a sign."""


@dataclass(frozen=True)
class ProbeOn:
    """One check that can be computed on a frame of an engine.

    Args:
        check: what is checked.
        engine: holds the rows.
        violation: true on the rows that break it by themselves, never null; None where other rows tell.
        unique: columns that no two rows may have alike, where they have no null.
        known: the values that a reference may have, each once, in one column; None for other checks.
        wide: whether those and the checked ones are compared as whole numbers of any width.
    """

    check: CheckSpec
    engine: Engine
    violation: nw.Expr | None = None
    unique: tuple[str, ...] = ()
    known: nw.LazyFrame[Any] | None = None
    wide: bool = False

    def among_others(self, frame: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
        """One row with the number of the rows that break it and not by themselves, in the column `broken`."""
        import narwhals as nw

        if self.known is not None:
            references = frame.select(self._reference()).drop_nulls()
            strangers = references.join(self.known, on=_REFERENCE, how="anti")
            return strangers.select(nw.len().cast(nw.Int64).alias("broken"))
        sql = Dialect(self.engine)
        names = {f"key {number}": sql.name(name) for number, name in enumerate(self.unique)}
        alike = select_on(frame, names, self.engine).group_by(*names).agg(nw.len().alias(_TIMES))
        known = " AND ".join(f"{sql.name(name)} IS NOT NULL" for name in names)
        times = sql.name(_TIMES)
        count = f"SUM(CASE WHEN {times} > 1 AND {known} THEN {times} END)"
        broken = sql.cast(f"COALESCE({count}, 0)", DataType("int64"))
        return alike.select(native(broken, self.engine, aggregates=True).alias("broken"))

    def broken(self, frame: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
        """The rows that break the rule."""
        import narwhals as nw

        # A condition over groups of rows is one over windows, which engines take as a column and not in a filter.
        return self.flag(frame, _BROKEN).filter(nw.col(_BROKEN))

    def flag(self, frame: nw.LazyFrame[Any], name: str) -> nw.LazyFrame[Any]:
        """The frame with a boolean column that is true on the rows that break the rule."""
        import narwhals as nw

        sql = Dialect(self.engine)
        if self.known is not None:
            known = self.known.with_columns(nw.lit(True).alias(_KNOWN))
            # A join of narwhals selects by names, in which Spark sees fields.
            names = {f"column {n}": column for n, column in enumerate(frame.collect_schema().names())}
            columns = {alias: sql.name(column) for alias, column in names.items()}
            rows = select_on(frame, {**columns, _REFERENCE: self._compared()}, self.engine)
            stranger = f"({sql.name(_REFERENCE)} IS NOT NULL AND {sql.name(_KNOWN)} IS NULL)"
            kept = {column: sql.name(alias) for alias, column in names.items()}
            joined = rows.join(known, on=_REFERENCE, how="left")
            return select_on(joined, {**kept, name: stranger}, self.engine)
        if self.unique:
            alike = [sql.name(column) for column in self.unique]
            times = f"COUNT(*) OVER (PARTITION BY {', '.join(alike)})"
            complete = " AND ".join(f"{column} IS NOT NULL" for column in alike)
            otherwise = "FALSE" if self.violation is None else "TRUE"
            broken = f"CASE WHEN {complete} THEN {times} > 1 ELSE {otherwise} END"
            return frame.with_columns(native(broken, self.engine).alias(name))
        assert self.violation is not None
        return frame.with_columns(self.violation.alias(name))

    def _reference(self) -> nw.Expr:
        return native(self._compared(), self.engine).alias(_REFERENCE)

    def _compared(self) -> str:
        """SQL of the checked column in the type in which it is compared."""
        sql = Dialect(self.engine)
        text = sql.name(self.check.columns[0])
        return sql.cast(text, _WHOLE) if self.wide else text


def any_of(conditions: Sequence[nw.Expr]) -> nw.Expr:
    """Whether one of some conditions, of which none is ever null, holds."""
    return functools.reduce(operator.or_, conditions)


def trees_of_checks(schema: Schema) -> dict[str, Expression]:
    """Name to recorded violation of every check that one row, or a rule over all of them, tells.

    >>> from aligned_dagster.features.constraints import NotNull
    >>> from aligned_dagster.features.dtypes import DataType
    >>> from aligned_dagster.features.schema import Column
    >>> trees_of_checks(Schema((Column("age", DataType("int8"), constraints=(NotNull(),)),)))
    {'age__not_null': <age.is_null()>}
    """
    trees = {}
    for check in expected_checks(schema):
        if check.rule is not None:
            trees[check.name] = check.rule.violated()
        elif check.constraint is not None and check.constraint.row_local and check.column is not None:
            trees[check.name] = check.constraint.violated(check.column, schema.column(check.column).dtype)
    return trees


def plan_on(
    found: Mapping[str, pl.DataType],
    schema: Schema,
    *,
    contract: str,
    engine: Engine,
    on_violation: OnViolation,
    references: Mapping[str, nw.LazyFrame[Any]],
) -> tuple[list[ProbeOn], dict[str, str], dict[str, str]]:
    """The checks that can be computed on a frame of an engine, and why the others cannot.

    Args:
        found: names and carried dtypes of the frame.
        schema: the contract's columns and rules.
        contract: its name, for messages.
        engine: holds the rows.
        on_violation: what a broken rule does that says nothing itself.
        references: view name to a frame of the same engine with the referenced column.

    Returns:
        Probes in the order of `expected_checks` without the check of the schema, check name to reason, and column to
        what is wrong with it.

    Raises:
        UnknownContractError: a referenced view is not in `references`.
        UnknownFeatureError: a referenced view lacks the column.
    """
    held = {column.name: carried(column.dtype, engine) for column in schema.columns}
    wrong = wrong_columns(found, schema, held)
    dtypes = {column.name: column.dtype for column in schema.columns}
    trees = trees_of_checks(schema)
    probes: list[ProbeOn] = []
    unchecked: dict[str, str] = {}
    for check in expected_checks(schema, on_violation)[1:]:
        because = [wrong[name] for name in check.columns if name in wrong]
        probe: ProbeOn | str = ""
        if isinstance(check.constraint, Reference):
            frame = referenced(check, check.constraint, contract, references)
            if not because:
                probe = _reference_probe(check, check.constraint, found, frame, schema, engine)
        elif not because and check.name in trees:
            probe = ProbeOn(check, engine, replay_on(trees[check.name], engine, dtypes))
        elif not because:
            probe = _unique_probe(check, engine)
        if isinstance(probe, ProbeOn):
            probes.append(probe)
        else:
            unchecked[check.name] = "not checked: " + " ".join(because or [probe])
    return probes, unchecked, wrong


def _unique_probe(check: CheckSpec, engine: Engine) -> ProbeOn:
    if isinstance(check.constraint, Unique):
        return ProbeOn(check, engine, unique=check.columns)
    nulls = any_of([column_on(name, engine).is_null() for name in check.columns])
    return ProbeOn(check, engine, nulls, unique=check.columns)


def _reference_probe(
    check: CheckSpec,
    constraint: Reference,
    found: Mapping[str, pl.DataType],
    frame: nw.LazyFrame[Any],
    schema: Schema,
    engine: Engine,
) -> ProbeOn | str:
    """The probe, or why the two columns cannot be compared."""
    column, sql = check.columns[0], Dialect(engine)
    mine, theirs = found[column], frame.collect_schema().to_polars()[constraint.column]
    if mine != theirs and not (_is_whole(mine) and _is_whole(theirs)):
        return (
            f"{column!r} is {schema.polars[column]}, and {constraint.view}.{constraint.column} is {theirs}."
        )
    text = sql.name(constraint.column)
    values = {_REFERENCE: text if mine == theirs else sql.cast(text, _WHOLE)}
    known = select_on(frame, values, engine).drop_nulls().unique()
    return ProbeOn(check, engine, known=known, wide=mine != theirs)


def _is_whole(dtype: pl.DataType) -> bool:
    return dtype.is_integer() or dtype == _WHOLE.polars
