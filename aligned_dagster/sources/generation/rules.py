"""What must hold between the columns of a row, and between rows, when rows are made up."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import polars as pl

from aligned_dagster.errors import UnsupportedError
from aligned_dagster.features.constraints import AcceptedValues, LowerBound, Reference, Unique, UpperBound
from aligned_dagster.features.dtypes import DataType
from aligned_dagster.features.expression import Call, Expression, Literal, postorder
from aligned_dagster.features.plan import needed, stored_inputs, with_derived
from aligned_dagster.features.schema import Schema


@dataclass(frozen=True)
class Condition:
    """Something that a row must keep and that more than one stored column, or a derived one, decides.

    Args:
        words: the rule, for messages.
        columns: the stored columns that decide it.
        reads: the columns, stored or derived, that `violation` reads.
        violation: true where it is broken.
        values: plain values that the rule names; a column that takes one of them may keep it.
        row_local: whether one row alone tells.
    """

    words: str
    columns: frozenset[str]
    reads: frozenset[str]
    violation: pl.Expr
    values: tuple[Any, ...] = ()
    row_local: bool = True


def conditions(schema: Schema, values_of: Callable[[Reference], pl.Series]) -> list[Condition]:
    """The rules of a contract, and the constraints on its derived columns.

    Args:
        schema: all columns and rules.
        values_of: the values that a reference allows.
    """
    derivations = schema.derivations
    found: list[Condition] = []
    for rule in schema.rules:
        inputs = stored_inputs(rule.columns, derivations)
        columns = frozenset[str]().union(*inputs.values())
        values = tuple(_values([rule.predicate, *_trees(rule.columns, derivations)]))
        words = f"the rule {rule.name} ({rule.words()})"
        found.append(Condition(words, columns, frozenset(rule.columns), rule.violation(), values))
    for column in schema.derived:
        columns = stored_inputs([column.name], derivations)[column.name]
        inherited = tuple(_values(_trees([column.name], derivations)))
        for constraint in column.constraints:
            name = pl.col(column.name)
            if isinstance(constraint, Unique):
                violation = name.is_not_null() & ~name.is_first_distinct()
            elif isinstance(constraint, Reference):
                known = values_of(constraint).cast(column.dtype.polars)
                violation = name.is_not_null() & ~name.is_in(known.implode())
            else:
                violation = constraint.violation(column.name, column.dtype)
            own: tuple[Any, ...] = ()
            if isinstance(constraint, LowerBound | UpperBound):
                own = (constraint.value,)
            elif isinstance(constraint, AcceptedValues):
                own = constraint.values
            found.append(
                Condition(
                    constraint.words(column.name),
                    columns,
                    frozenset({column.name}),
                    violation,
                    own + inherited,
                    constraint.row_local or isinstance(constraint, Reference),
                )
            )
    keys = [name for name in schema.entities if name in derivations]
    if keys:
        columns = frozenset[str]().union(*stored_inputs(keys, derivations).values())
        whole = pl.struct(schema.key)
        words = f"{' + '.join(schema.key)} must be unique"
        found.append(
            Condition(words, columns, frozenset(schema.key), ~whole.is_first_distinct(), row_local=False)
        )
    return found


def together(found: Iterable[Condition]) -> list[list[Condition]]:
    """Conditions in groups that share no column."""
    groups: list[tuple[set[str], list[Condition]]] = []
    for condition in found:
        touched = [group for group in groups if group[0] & condition.columns]
        merged = (
            set(condition.columns).union(*(group[0] for group in touched)),
            [one for group in touched for one in group[1]] + [condition],
        )
        groups = [group for group in groups if group not in touched] + [merged]
    return [group for _, group in groups]


def violations(
    frame: pl.DataFrame, found: Collection[Condition], schema: Schema, contract: str
) -> pl.DataFrame:
    """For each condition, in order, a column that is true where a row breaks it.

    Raises:
        UnsupportedError: a derived column cannot be computed on made-up values.
    """
    reads = frozenset[str]().union(*(condition.reads for condition in found))
    derivations = schema.derivations
    names = needed(reads, derivations)
    wanted = {name: tree for name, tree in derivations.items() if name in names}
    verdicts = [condition.violation.alias(str(number)) for number, condition in enumerate(found)]
    try:
        return with_derived(frame.lazy(), wanted).select(verdicts).collect()
    except pl.exceptions.PolarsError as error:
        reason = str(error).splitlines()[0]
        raise UnsupportedError(
            f"Random rows of {contract!r} cannot be derived from: {reason}. Tell more of the columns "
            f"{', '.join(sorted({c for one in found for c in one.columns}))} in the contract (a pattern, accepted "
            "values, bounds), or give them by RandomDataSource.with_values({...})."
        ) from error


def fitting(values: Iterable[Any], dtype: DataType) -> pl.Series:
    """Those plain values that a column may hold; whole numbers with their neighbours."""
    kinds: dict[str, tuple[type, ...]] = {
        "number": (int, float, Decimal),
        "text": (str,),
        "date": (dt.date,),
        "timestamp": (dt.datetime,),
        "time": (dt.time,),
        "duration": (dt.timedelta,),
    }
    suited: list[Any] = [
        v for v in values if isinstance(v, kinds.get(dtype.group, ())) and not isinstance(v, bool)
    ]
    if dtype.is_integer:
        suited = [int(value) + step for value in suited for step in (0, 1, -1) if abs(value) < 2**63]
    found: list[pl.Series] = []
    for value in dict.fromkeys(suited):
        made = pl.Series([value], strict=False)
        if dtype.kind == "timestamp" and dtype.time_zone and value.tzinfo is None:
            made = made.dt.replace_time_zone(dtype.time_zone, ambiguous="earliest", non_existent="null")
        found.append(made.cast(dtype.polars, strict=False))
    return pl.concat(found).drop_nulls() if found else pl.Series([], dtype=dtype.polars)


def _trees(names: Iterable[str], derivations: Mapping[str, Expression]) -> list[Expression]:
    return [derivations[name] for name in sorted(needed(names, derivations)) if name in derivations]


def _values(trees: Iterable[Expression]) -> Iterator[Any]:
    for tree in trees:
        for node in postorder(tree):
            plain = [node.value] if isinstance(node, Literal) else []
            if isinstance(node, Call):
                plain = [arg for arg in node.args if not isinstance(arg, Expression)]
            for value in plain:
                yield from value if isinstance(value, tuple) else (value,)
