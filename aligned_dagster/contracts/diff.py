"""What changed in the contracts of a project since they were locked, and what that touches."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from graphlib import TopologicalSorter
from typing import TYPE_CHECKING, Any, Literal

from aligned_dagster.contracts.changes import Change, changes
from aligned_dagster.contracts.lock import ContractsLock
from aligned_dagster.contracts.locked import LockedContract
from aligned_dagster.contracts.stored_parts import StoredPart, stored_parts

if TYPE_CHECKING:
    from aligned_dagster.contracts.feature_view import FeatureView

Verdict = Literal["unchanged", "compatible", "breaking", "added", "removed"]
Reference = tuple[str, str]
"""A contract and a column of it."""


@dataclass(frozen=True)
class Touched:
    """A column of another contract that is made of one that changed.

    Args:
        contract: the other contract.
        column: its column.
        of: the changed columns that it is made of, through every contract between, sorted.
    """

    contract: str
    column: str
    of: tuple[str, ...]


@dataclass(frozen=True)
class ContractDiff:
    """What became of one contract.

    Args:
        name: of the contract.
        verdict: "breaking" where a reader or stored rows that kept the old promise can fail; so does "removed".
        changes: every difference.
        version: its schema version now; None where it is gone.
        locked: its schema version in the lock; None where it is new.
        stored: what there is in its storage.
        downstream: columns of other contracts that are touched.
    """

    name: str
    verdict: Verdict
    changes: tuple[Change, ...] = ()
    version: str | None = None
    locked: str | None = None
    stored: tuple[StoredPart, ...] = ()
    downstream: tuple[Touched, ...] = ()

    @property
    def is_breaking(self) -> bool:
        """Whether it needs to be acknowledged."""
        return self.verdict in ("breaking", "removed")

    def to_json(self) -> dict[str, Any]:
        """A form for machines."""
        return {
            "name": self.name,
            "verdict": self.verdict,
            "version": self.version,
            "locked_version": self.locked,
            "changes": [
                {"column": c.column, "kind": c.kind, "breaking": c.breaking, "words": c.words}
                for c in self.changes
            ],
            "stored": [
                {
                    "name": part.name,
                    "modified": part.modified.isoformat() if part.modified else None,
                    "words": part.words,
                }
                for part in self.stored
            ],
            "downstream": [
                {"contract": one.contract, "column": one.column, "of": list(one.of)}
                for one in self.downstream
            ],
        }


@dataclass(frozen=True)
class Diff:
    """What became of all contracts.

    Args:
        contracts: one for each, sorted by name.
        materialize: the contracts whose stored rows should be written again, each after those that it reads.
    """

    contracts: tuple[ContractDiff, ...]
    materialize: tuple[str, ...] = ()

    @property
    def is_breaking(self) -> bool:
        """Whether something broke that nobody has acknowledged."""
        return any(contract.is_breaking for contract in self.contracts)

    @property
    def is_unchanged(self) -> bool:
        """Whether nothing changed that matters."""
        return all(contract.verdict == "unchanged" for contract in self.contracts)

    def to_json(self) -> dict[str, Any]:
        """A form for machines."""
        return {
            "breaking": self.is_breaking,
            "contracts": [contract.to_json() for contract in self.contracts],
            "materialize": list(self.materialize),
        }


def diff(views: Iterable[FeatureView[Any]], lock: ContractsLock) -> Diff:
    """Hold contracts against a lock. Nothing of the rows is read but the headers and footers of files.

    Args:
        views: all contracts of the project.
        lock: what they promised when they were locked.

    >>> from aligned_dagster import InMemorySource, Int32, feature_view
    >>> @feature_view(source=InMemorySource.empty())
    ... class Person:
    ...     id = Int32().as_entity()
    >>> diff([Person], ContractsLock()).contracts[0].verdict
    'added'
    >>> diff([Person], ContractsLock().with_contracts([Person])).is_unchanged
    True
    """
    there = {view.name: view for view in views}
    before = lock.contracts
    after = {name: LockedContract.of(view) for name, view in there.items()}
    found = {
        name: changes(before[name], after[name]) if name in before and name in after else ()
        for name in sorted({*before, *after})
    }
    readers = _readers(before, after)
    outdated: set[str] = set()
    diffs: list[ContractDiff] = []
    for name, differences in found.items():
        verdict = _verdict(name, differences, before, after)
        downstream = _downstream(name, _touched_columns(name, differences, before, after), readers)
        rewrites = verdict in ("added", "removed") or any(change.rewrites for change in differences)
        if rewrites:
            outdated |= {name, *(one.contract for one in downstream)}
        changed = name in there and verdict not in ("unchanged", "added")
        diffs.append(
            ContractDiff(
                name,
                verdict,
                differences,
                after[name].version if name in after else None,
                before[name].version if name in before else None,
                stored_parts(there[name], rewrites) if changed else (),
                downstream,
            )
        )
    order = TopologicalSorter(
        {name: [n for n in sorted(view.upstream_views) if n != name] for name, view in sorted(there.items())}
    )
    stored = {name for name in outdated if name in there and not there[name].is_virtual}
    return Diff(tuple(diffs), tuple(name for name in order.static_order() if name in stored))


def _verdict(
    name: str,
    differences: tuple[Change, ...],
    before: Mapping[str, LockedContract],
    after: Mapping[str, LockedContract],
) -> Verdict:
    if name not in after:
        return "removed"
    if name not in before:
        return "added"
    if any(change.breaking for change in differences):
        return "breaking"
    return "compatible" if differences else "unchanged"


def _touched_columns(
    name: str,
    differences: tuple[Change, ...],
    before: Mapping[str, LockedContract],
    after: Mapping[str, LockedContract],
) -> set[str]:
    """The columns whose values can be other ones than before, for those who read them."""
    if name not in before:
        return set()
    everything = {*before[name].columns, *(after[name].columns if name in after else ())}
    if name not in after or any(change.kind == "role" for change in differences):
        return everything  # other rows, or none
    changed = {change.column for change in differences if change.values}
    while True:  # columns of the same contract that are derived from them
        more = {c for c in after[name].columns if set(after[name].columns[c].inputs) & changed} - changed
        if not more:
            return changed
        changed |= more


def _readers(*states: Mapping[str, LockedContract]) -> dict[Reference, set[Reference]]:
    """Column to the columns of other contracts that are made of it, now or when it was locked."""
    readers: dict[Reference, set[Reference]] = {}
    for state in states:
        for name, contract in state.items():
            for column, facts in contract.columns.items():
                for origin in facts.reads:
                    readers.setdefault(origin, set()).add((name, column))
    return readers


def _downstream(
    name: str, columns: set[str], readers: Mapping[Reference, set[Reference]]
) -> tuple[Touched, ...]:
    found: dict[Reference, set[str]] = {}
    for column in columns:
        waiting = [(name, column)]
        seen: set[Reference] = set()
        while waiting:
            for reader in readers.get(waiting.pop(), ()):
                if reader not in seen:
                    seen.add(reader)
                    waiting.append(reader)
        for reader in seen:
            found.setdefault(reader, set()).add(column)
    return tuple(
        Touched(contract, column, tuple(sorted(of)))
        for (contract, column), of in sorted(found.items())
        if contract != name
    )
