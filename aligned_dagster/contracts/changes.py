"""What changed between two states of a contract, and whether readers or stored rows break of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from aligned_dagster.contracts.locked import LockedColumn, LockedContract
from aligned_dagster.features.constraints import (
    AcceptedValues,
    Constraint,
    EndsWith,
    LowerBound,
    MaxLength,
    MinLength,
    NotNull,
    OnViolation,
    StartsWith,
    UpperBound,
)
from aligned_dagster.features.dtypes import castable

Kind = Literal[
    "added", "removed", "dtype", "role", "required", "optional", "default", "derivation", "constraint", "rule"
]
_SEVERITY: dict[OnViolation, int] = {"warn": 0, "quarantine": 1, "block": 2}
_ROLES = {
    "entity": "an entity",
    "event_timestamp": "the event timestamp",
    "created_timestamp": "the created timestamp",
    "feature": "a plain column",
}


@dataclass(frozen=True)
class Change:
    """One difference.

    Args:
        column: the column, or the name of the rule.
        kind: what sort of difference.
        words: the difference as the end of a sentence that starts with the column.
        breaking: whether readers or stored rows that kept the old contract can fail by it.
        values: whether the values that readers see can be other ones, or gone.
        rewrites: whether stored rows have to be written again to show it.
    """

    column: str
    kind: Kind
    words: str
    breaking: bool = False
    values: bool = False
    rewrites: bool = False

    def __str__(self) -> str:
        return f"{self.column} {self.words}"


def changes(old: LockedContract, new: LockedContract) -> tuple[Change, ...]:
    """Every difference that matters, in the order of the new contract's columns; those that are gone come first.

    Args:
        old: the contract as it was promised.
        new: the contract as it is.
    """
    if old == new:
        return ()
    found = [_removed(name, column) for name, column in old.columns.items() if name not in new.columns]
    for name, column in new.columns.items():
        if name in old.columns:
            found += _changed(name, old.columns[name], column)
            found += _constraints(name, old, new)
        else:
            found.append(_added(name, column))
    return (*found, *_rules(old, new))


def _removed(name: str, column: LockedColumn) -> Change:
    if column.is_input:
        return Change(name, "removed", "is no longer read from the source", rewrites=True)
    rewrites = not column.may_be_missing
    return Change(name, "removed", "is removed", breaking=True, values=True, rewrites=rewrites)


def _added(name: str, column: LockedColumn) -> Change:
    if column.role != "feature":
        words = f"is added as {_ROLES[column.role]}"
        return Change(name, "role", words, breaking=True, values=True, rewrites=True)
    if column.derivation:
        return Change(name, "added", f"is added, computed as {column.derivation}", rewrites=True)
    if column.has_default:
        return Change(name, "added", f"is added, {column.default!r} where it is missing", rewrites=True)
    if column.optional:
        return Change(name, "added", "is added, null where it is missing", rewrites=True)
    words = "is a new required column, which rows stored before lack"
    return Change(name, "required", words, breaking=True, rewrites=True)


def _changed(name: str, old: LockedColumn, new: LockedColumn) -> Iterator[Change]:
    if old.dtype != new.dtype:
        cast = "can" if castable(old.dtype, new.dtype) else "cannot"
        words = f"is {new.dtype.text} and was {old.dtype.text} (stored values {cast} be cast)"
        yield Change(name, "dtype", words, breaking=True, values=True, rewrites=True)
    if old.role != new.role:
        words = f"is {_ROLES[new.role]} and was {_ROLES[old.role]}"
        yield Change(name, "role", words, breaking=True, values=True, rewrites=True)
    if old.is_input and not new.is_input:
        yield Change(name, "added", "is offered to readers and was only read from the source", rewrites=True)
    elif new.is_input and not old.is_input:
        words = "is only read from the source now, and gone for readers"
        yield Change(name, "removed", words, breaking=True, values=True, rewrites=True)
    if old.derivation and not new.derivation:
        yield from _stored_now(name, new)
    elif new.derivation and not old.derivation:
        words = f"is computed now, as {new.derivation}, and was stored"
        yield Change(name, "derivation", words, values=True, rewrites=True)
    elif old.digest != new.digest:
        words = f"is computed as {new.derivation} and was {old.derivation}"
        if old.derivation == new.derivation:
            words = f"is computed differently, as {new.derivation}"
        yield Change(name, "derivation", words, values=True, rewrites=True)
    if not old.derivation and not new.derivation:
        yield from _presence(name, old, new)


def _stored_now(name: str, new: LockedColumn) -> Iterator[Change]:
    words = "is stored now and was computed"
    if not new.may_be_missing:
        words = f"{words}: a new required column, which rows stored before may lack"
    breaking = not new.may_be_missing
    yield Change(name, "derivation", words, breaking=breaking, values=True, rewrites=True)


def _presence(name: str, old: LockedColumn, new: LockedColumn) -> Iterator[Change]:
    if old.may_be_missing and not new.may_be_missing:
        was = "was optional" if old.optional else "had a default"
        yield Change(name, "required", f"is required and {was}", breaking=True, rewrites=True)
    elif new.optional and not old.optional:
        yield Change(name, "optional", "is optional and was required", values=True)
    elif old.optional and not new.optional:
        yield Change(name, "optional", f"is no longer null: it is {new.default!r} instead", values=True)
    if new.has_default and (not old.has_default or old.default != new.default):
        was = f"was {old.default!r}" if old.has_default else "had none"
        yield Change(
            name, "default", f"has the default {new.default!r} and {was}", values=True, rewrites=True
        )
    elif old.has_default and not new.has_default and new.optional:
        words = f"is null where it was {old.default!r} by default"
        yield Change(name, "default", words, values=True, rewrites=True)


def _constraints(name: str, old: LockedContract, new: LockedContract) -> Iterator[Change]:
    before, after = old.columns[name], new.columns[name]
    was, now = _by_key(before), _by_key(after)
    if before.may_be_missing != after.may_be_missing or before.role != after.role:
        was.pop(NotNull.kind, None)  # told already, as required, optional or an entity
        now.pop(NotNull.kind, None)
    for key in sorted(was.keys() - now.keys()):
        yield Change(name, "constraint", f"is loosened: no longer {_words(was[key], name)}")
    for key, rule in now.items():
        if key not in was:
            words = f"is narrowed: {_words(rule, name)}"
            yield Change(name, "constraint", words, breaking=True, rewrites=True)
        elif verdict := _compared(was[key], rule, old.on_violation, new.on_violation):
            same = was[key].words(name) == rule.words(name)
            end = _then(rule.on_violation, new.on_violation) if same else f", was {_words(was[key], name)}"
            words = f"is {verdict}: {_words(rule, name)}{end}"
            narrowed = verdict == "narrowed"
            yield Change(name, "constraint", words, breaking=narrowed, rewrites=narrowed)


def _compared(old: Constraint, new: Constraint, old_default: OnViolation, new_default: OnViolation) -> str:
    """ "narrowed", "loosened", or nothing where the rule is the same."""
    severity = _SEVERITY[new.on_violation or new_default] - _SEVERITY[old.on_violation or old_default]
    rank = _rank(old, new)
    if rank == "narrowed" or (rank == "" and severity > 0):
        return "narrowed"
    return "loosened" if rank == "loosened" or severity < 0 else ""


def _rank(old: Constraint, new: Constraint) -> str:
    """How the values that keep one rule relate to those that keep another of the same kind."""
    if old.words("x") == new.words("x"):
        return ""
    if isinstance(old, LowerBound) and isinstance(new, LowerBound):
        wider = _at_most(new.value, old.value, new.inclusive or not old.inclusive)
    elif isinstance(old, UpperBound) and isinstance(new, UpperBound):
        wider = _at_most(old.value, new.value, new.inclusive or not old.inclusive)
    elif isinstance(old, MinLength) and isinstance(new, MinLength):
        wider = new.length <= old.length
    elif isinstance(old, MaxLength) and isinstance(new, MaxLength):
        wider = new.length >= old.length
    elif isinstance(old, AcceptedValues) and isinstance(new, AcceptedValues):
        wider = set(old.values) <= set(new.values)
    elif isinstance(old, StartsWith) and isinstance(new, StartsWith):
        wider = old.prefix.startswith(new.prefix)
    elif isinstance(old, EndsWith) and isinstance(new, EndsWith):
        wider = old.suffix.endswith(new.suffix)
    else:
        wider = False  # two patterns, or references to two columns: some rows may keep only one of them
    return "loosened" if wider else "narrowed"


def _at_most(low: Any, high: Any, also_equal: bool) -> bool:
    try:
        return bool(low < high or (low == high and also_equal))
    except TypeError:  # a naive and a zoned time, a date and a time
        return False


def _rules(old: LockedContract, new: LockedContract) -> Iterator[Change]:
    for name, (_, words, _) in old.rules.items():
        if name not in new.rules:
            yield Change(name, "rule", f"is loosened: no longer {words}")
    for name, (digest, words, then) in new.rules.items():
        if name not in old.rules:
            yield Change(name, "rule", f"is narrowed: {words}", breaking=True, rewrites=True)
            continue
        was, before, when = old.rules[name]
        severity = _SEVERITY[then or new.on_violation] - _SEVERITY[when or old.on_violation]
        if was != digest:
            said = f"is another rule: {words}, was {before}"
            yield Change(name, "rule", said, breaking=True, rewrites=True)
        elif severity:
            verdict = "narrowed" if severity > 0 else "loosened"
            said = f"is {verdict}: {words}{_then(then, new.on_violation)}"
            yield Change(name, "rule", said, breaking=severity > 0, rewrites=severity > 0)


def _by_key(column: LockedColumn) -> dict[str, Constraint]:
    return {rule.key: rule for rule in column.constraints}


def _words(rule: Constraint, column: str) -> str:
    return rule.words(column).removeprefix(f"{column} ")


def _then(own: OnViolation | None, default: OnViolation) -> str:
    does: Mapping[OnViolation, str] = {
        "warn": "warns",
        "quarantine": "keeps rows aside",
        "block": "blocks",
    }
    return f" (a broken one {does[own or default]} now)"
