"""How each check of a contract is put to a frame: a count within one select, and the rows that break it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

import polars as pl

from aligned_dagster.errors import (
    SchemaMismatchError,
    UnknownContractError,
    UnknownFeatureError,
    did_you_mean,
)
from aligned_dagster.features.constraints import OnViolation, Reference, Unique
from aligned_dagster.features.schema import Schema
from aligned_dagster.quality.checks import CheckSpec, expected_checks

if TYPE_CHECKING:
    import narwhals as nw

Frame = TypeVar("Frame", pl.LazyFrame, "nw.LazyFrame[Any]")


@dataclass(frozen=True)
class Probe:
    """One check that can be computed on a frame.

    Args:
        check: what is checked.
        violation: true on the rows that break it; None where another frame is needed to tell.
        punished: the same, where too few such rows for the rule to be broken are let be; `violation` if not given.
        count: the number of broken rows; where it is not `exact`, 0 proves that there is none. None as above.
        exact: whether `count` is the number itself.
        known: the values that a reference may have, in one column named as the checked one.
    """

    check: CheckSpec
    violation: pl.Expr | None = None
    punished: pl.Expr | None = None
    count: pl.Expr | None = None
    exact: bool = True
    known: pl.LazyFrame | None = None

    def broken(self, frame: pl.LazyFrame) -> pl.LazyFrame:
        """The rows that break the rule."""
        if self.violation is not None:
            return frame.filter(self.violation)
        assert self.known is not None
        column = self.check.column
        assert column is not None
        key, dtype = _REFERENCE, self.known.collect_schema()[column]
        rows = frame.filter(pl.col(column).is_not_null()).with_columns(pl.col(column).cast(dtype).alias(key))
        known = self.known.rename({column: key})
        return rows.join(known, on=key, how="anti", maintain_order="left").drop(key)

    def flag(self, frame: pl.LazyFrame, name: str) -> pl.LazyFrame:
        """The frame, in its order, with a boolean column that is true on the rows for which the rule is broken.

        Of a rule that only a share of the rows must keep, no row is as long as the share does.
        """
        if self.violation is not None:
            told = self.violation if self.punished is None else self.punished
            return frame.with_columns(told.alias(name))
        assert self.known is not None
        column = self.check.column
        assert column is not None
        key, dtype = _REFERENCE, self.known.collect_schema()[column]
        known = self.known.rename({column: key}).unique().with_columns(pl.lit(True).alias(name))
        return (
            frame.with_columns(pl.col(column).cast(dtype).alias(key))
            .join(known, on=key, how="left", maintain_order="left")
            .with_columns((pl.col(column).is_not_null() & pl.col(name).is_null()).alias(name))
            .drop(key)
        )


_REFERENCE = "__referenced"


@dataclass(frozen=True)
class Around:
    """All rows, where those that are audited are only the ones of what changed.

    Args:
        read: gives all of them, the audited ones included.
        apart_by: columns; no row besides the audited ones has the same values of all of these as one of those.
    """

    read: Callable[[], pl.LazyFrame]
    apart_by: tuple[str, ...]

    @cached_property
    def rows(self) -> pl.LazyFrame:
        """All rows."""
        return self.read()

    def must_be_seen(self, probe: Probe, contract: str) -> bool:
        """Whether other rows than those that changed can tell whether a rule is broken.

        Args:
            probe: of the rule.
            contract: the name of the contract.
        """
        check = probe.check
        if isinstance(check.constraint, Reference):
            return check.constraint.view == contract
        if check.rule is not None and check.rule.mostly < 1:
            return True
        if isinstance(check.constraint, Unique) or (check.constraint is None and check.rule is None):
            return not set(self.apart_by) <= set(check.columns)  # rows that are alike are in one partition
        return probe.violation is None or not is_rowwise(probe.violation)


def is_rowwise(expr: pl.Expr) -> bool:
    """Whether an expression says of each row something that no other row changes.

    >>> is_rowwise(pl.col("a") > 1), is_rowwise(pl.col("a") > pl.col("a").mean())
    (True, False)
    """
    try:
        if not (expr.meta.is_row_separable() or expr.meta.is_literal(allow_aliasing=True)):
            return False
    except pl.exceptions.PolarsError:  # polars does not tell it of the elements of a list
        return False
    return all(is_rowwise(part) for part in expr.meta.pop())


def wrong_columns(
    found: Mapping[str, pl.DataType], schema: Schema, carried: Mapping[str, pl.DataType] | None = None
) -> dict[str, str]:
    """Name to sentence of every column that is missing, too many, or of another dtype; the order is free.

    Args:
        found: names and dtypes of the frame.
        schema: the contract's columns.
        carried: the dtypes in which an engine holds them; the contract's own if not given.
    """
    wrong = {}
    held = schema.polars if carried is None else carried
    for name, dtype in schema.polars.items():
        if name not in found:
            extra = [other for other in found if other not in schema]
            wrong[name] = f"{name!r} ({dtype}) is missing.{did_you_mean(name, extra)}"
        elif found[name] != held[name]:
            wrong[name] = f"{name!r} is {found[name]} and should be {dtype}."
    return wrong | {name: f"{name!r} is too many." for name in found if name not in schema}


def plan(
    found: Mapping[str, pl.DataType],
    schema: Schema,
    *,
    contract: str,
    on_violation: OnViolation,
    references: Mapping[str, pl.LazyFrame],
) -> tuple[list[Probe], dict[str, str]]:
    """The checks that can be computed on a frame, and why the others cannot.

    Args:
        found: names and dtypes of the frame.
        schema: the contract's columns and rules.
        contract: its name, for messages.
        on_violation: what a broken rule does that says nothing itself.
        references: view name to a frame with the referenced column.

    Returns:
        Probes in the order of `expected_checks` without the check of the schema, and check name to reason.

    Raises:
        UnknownContractError: a referenced view is not in `references`.
        UnknownFeatureError: a referenced view lacks the column.
    """
    wrong = wrong_columns(found, schema)
    probes: list[Probe] = []
    unchecked: dict[str, str] = {}
    for check in expected_checks(schema, on_violation)[1:]:
        because = [wrong[name] for name in check.columns if name in wrong]
        if isinstance(check.constraint, Reference):
            frame = referenced(check, check.constraint, contract, references)
            known = frame.select(pl.col(check.constraint.column).alias(check.columns[0])).drop_nulls()
            if not because:
                probe = _reference_probe(check, check.constraint, found, known)
                because = [probe] if isinstance(probe, str) else []
        else:
            probe = "" if because else _probe(check, schema)
        if because:
            unchecked[check.name] = "not checked: " + " ".join(because)
        elif isinstance(probe, Probe):
            probes.append(probe)
    return probes, unchecked


def require_probes(unchecked: Mapping[str, str], contract: str) -> None:
    """Raise for checks that cannot be computed.

    Raises:
        SchemaMismatchError: there are some.
    """
    if unchecked:
        lines = "\n".join(f"  {name}: {reason}" for name, reason in unchecked.items())
        raise SchemaMismatchError(f"The rows of {contract!r} cannot be told into good and bad ones:\n{lines}")


def _probe(check: CheckSpec, schema: Schema) -> Probe:
    if check.rule is not None:
        violation = check.rule.violation()
        return Probe(check, violation, check.rule.punished, violation.sum())
    if check.constraint is None:
        null = pl.any_horizontal(pl.col(name).is_null() for name in check.columns)
        whole = pl.struct(check.columns) if len(check.columns) > 1 else pl.col(check.columns[0])
        surplus = _surplus(whole) + null.sum()
        return Probe(check, whole.is_duplicated() | null, count=surplus, exact=False)
    assert check.column is not None
    values, dtype = pl.col(check.column), schema.column(check.column).dtype
    if isinstance(check.constraint, Unique):
        violation = values.is_duplicated() & values.is_not_null()
        return Probe(check, violation, count=_surplus(values.drop_nulls()), exact=False)
    violation = check.constraint.violation(check.column, dtype)
    return Probe(check, violation, count=violation.sum())


def _surplus(values: pl.Expr) -> pl.Expr:
    """How many more values than hashes of values there are; 0 proves that all values differ.

    Sorting the hashes takes half the time of counting distinct values, and 8 bytes a row.
    """
    distinct = values.hash().sort().rle_id().max() + 1
    return values.len().cast(pl.Int64) - distinct.fill_null(0).cast(pl.Int64)


def referenced(
    check: CheckSpec, constraint: Reference, contract: str, references: Mapping[str, Frame]
) -> Frame:
    """The frame that a reference points to, of polars or of an engine.

    Raises:
        UnknownContractError: it was not given.
        UnknownFeatureError: it lacks the column.
    """
    if constraint.view not in references:
        raise UnknownContractError(
            f"{contract!r}: {check.words}, but the rows of {constraint.view!r} were not given."
            f"{did_you_mean(constraint.view, references)} "
            f"Pass them: references={{{constraint.view!r}: frame}}."
        )
    frame = references[constraint.view]
    names = frame.collect_schema().names()
    if constraint.column not in names:
        raise UnknownFeatureError(
            f"{contract!r}: {check.words}, but {constraint.view!r} has no column {constraint.column!r}."
            f"{did_you_mean(constraint.column, names)} Columns: {', '.join(names)}."
        )
    return frame


_TEXTS = (pl.String, pl.Categorical, pl.Enum)


def _reference_probe(
    check: CheckSpec, constraint: Reference, found: Mapping[str, pl.DataType], known: pl.LazyFrame
) -> Probe | str:
    """The probe, or why the two columns cannot be compared."""
    assert check.column is not None
    mine, theirs = found[check.column], known.collect_schema()[check.column]
    if mine == theirs:
        return Probe(check, known=known)
    if mine.is_integer() and theirs.is_integer():
        return Probe(check, known=known.cast(pl.Int128))
    if isinstance(mine, _TEXTS) and isinstance(theirs, _TEXTS):
        return Probe(check, known=known.cast(pl.String))
    return f"{check.column!r} is {mine}, and {constraint.view}.{constraint.column} is {theirs}."
