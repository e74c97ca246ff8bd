"""The list of all checks that a contract has, known before any row is read."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass

from aligned_dagster.features.constraints import Constraint, OnViolation, Rule
from aligned_dagster.features.schema import Schema


@dataclass(frozen=True)
class CheckSpec:
    """One check of a contract.

    Args:
        name: unique within the contract, made of [A-Za-z0-9_] only.
        words: the rule as a sentence.
        column: the column that it is about; None where it is about whole rows.
        on_violation: what a broken rule does, the contract's choice already applied.
        columns: every column that it reads.
        constraint: the constraint on `column`, where it is one.
        rule: the rule on several columns, where it is one.
    """

    name: str
    words: str
    column: str | None
    on_violation: OnViolation
    columns: tuple[str, ...] = ()
    constraint: Constraint | None = None
    rule: Rule | None = None


def expected_checks(schema: Schema, default: OnViolation = "block") -> tuple[CheckSpec, ...]:
    """Every check of a contract: the schema, the entity key, one per constraint, one per rule, in that order.

    A wrong schema always blocks: whoever reads the rows relies on their columns.

    Args:
        schema: the columns and rules of the contract.
        default: what a broken rule does that says nothing itself.

    >>> from aligned_dagster.features.constraints import LowerBound
    >>> from aligned_dagster.features.dtypes import DataType
    >>> from aligned_dagster.features.schema import Column
    >>> age = Column("age", DataType("int32"), constraints=(LowerBound(0, on_violation="warn"),))
    >>> for check in expected_checks(Schema((Column("id", DataType("int32"), "entity"), age))):
    ...     print(check.name, "|", check.words, "|", check.on_violation)
    schema | columns and dtypes must be those of the contract | block
    entity_key | id must be unique and not null | block
    age__lower_bound | age must be at least 0 | warn
    """
    specs = [
        CheckSpec("schema", "columns and dtypes must be those of the contract", None, "block", schema.names)
    ]
    if schema.entities:
        key = " + ".join(schema.key)
        together = "" if len(schema.key) == 1 else "together "
        words = f"{key} must {together}be unique and not null"
        specs.append(CheckSpec("entity_key", words, None, default, schema.key))
    for column in schema.columns:
        seen: dict[str, int] = {}
        for constraint in column.constraints:
            seen[constraint.key] = seen.get(constraint.key, 0) + 1
            number = f"_{seen[constraint.key]}" if seen[constraint.key] > 1 else ""
            specs.append(
                CheckSpec(
                    name=f"{_column_part(column.name)}__{constraint.key}{number}",
                    words=constraint.words(column.name),
                    column=column.name,
                    on_violation=constraint.on_violation or default,
                    columns=(column.name,),
                    constraint=constraint,
                )
            )
    for rule in schema.rules:
        name = f"rule__{escape(rule.name)}"
        specs.append(
            CheckSpec(name, rule.words(), None, rule.on_violation or default, rule.columns, rule=rule)
        )
    return tuple(specs)


def told_apart(
    schema: Schema, default: OnViolation, *, include_blocking: bool, among: Collection[str] | None
) -> set[str]:
    """Names of the checks whose bad rows are kept aside.

    Args:
        schema: the contract's columns and rules.
        default: what a broken rule does that says nothing itself.
        include_blocking: whether rows are bad as well that break a rule whose effect is "block".
        among: the only checks to look at; all if not given.

    >>> from aligned_dagster.features.constraints import LowerBound
    >>> from aligned_dagster.features.dtypes import DataType
    >>> from aligned_dagster.features.schema import Column
    >>> schema = Schema((Column("age", DataType("int64"), constraints=(LowerBound(0),)),))
    >>> told_apart(schema, "quarantine", include_blocking=False, among=None)
    {'age__lower_bound'}
    """
    effects = {"quarantine", "block"} if include_blocking else {"quarantine"}
    return {
        check.name
        for check in expected_checks(schema, default)
        if check.on_violation in effects and (among is None or check.name in among)
    }


def escape(name: str) -> str:
    """A name made of [A-Za-z0-9_] only; different names stay different.

    Any other character becomes `_U` with its code point in hex and `_`; so does an underscore before a U.

    >>> escape("departure time"), escape("name"), escape("a_U")
    ('departure_U20_time', 'name', 'a_U5f_U')
    """
    return re.sub(r"[^A-Za-z0-9_]|_(?=U)", _code, name)


def _code(found: re.Match[str]) -> str:
    return f"_U{ord(found.group()):x}_"


def _column_part(column: str) -> str:
    """The column's name, escaped, and never one that could be read as the name of a rule."""
    escaped = escape(column)
    return f"_U72_{escaped[1:]}" if escaped == "rule" or escaped.startswith("rule__") else escaped
