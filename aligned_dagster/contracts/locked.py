"""What a contract promises, in the form in which a lock keeps it: all that readers and stored rows rely on."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, cast

from aligned_dagster.contracts.view_source import ContractSource
from aligned_dagster.features.constraints import Constraint, OnViolation, Rule, constraint_from_json
from aligned_dagster.features.dtypes import DataType
from aligned_dagster.features.expression import inputs, text, to_json
from aligned_dagster.features.literals import Value, value_from_json, value_to_json
from aligned_dagster.features.schema import Column, Role

if TYPE_CHECKING:
    from aligned_dagster.contracts.feature_view import FeatureView

_TEXT = 100
"""Characters of a derivation that are shown; its digest covers all of it."""


@dataclass(frozen=True)
class LockedColumn:
    """A column as it was promised.

    Args:
        dtype: its type.
        role: "entity", "event_timestamp", "created_timestamp" or "feature".
        optional: whether it may be null or missing in storage.
        has_default: whether `default` takes the place of a missing value.
        default: that value.
        derivation: how it is computed, shortened; empty where it is stored.
        digest: of the whole derivation.
        inputs: columns of the same contract that it is computed from, sorted.
        reads: columns of other contracts that it is made of, as (contract, column).
        constraints: its rules.
        is_input: whether it is only read from the source, and gone once rows are aggregated.
    """

    dtype: DataType
    role: Role = "feature"
    optional: bool = False
    has_default: bool = False
    default: Value = None
    derivation: str = ""
    digest: str = ""
    inputs: tuple[str, ...] = ()
    reads: tuple[tuple[str, str], ...] = ()
    constraints: tuple[Constraint, ...] = ()
    is_input: bool = False

    @property
    def may_be_missing(self) -> bool:
        """Whether stored rows keep the promise without it."""
        return self.optional or self.has_default or bool(self.derivation)

    @staticmethod
    def of(column: Column, over: str = "", reads: tuple[tuple[str, str], ...] = ()) -> LockedColumn:
        """What a column promises.

        Args:
            column: of a contract.
            over: the window that it is aggregated over.
            reads: what it is made of.
        """
        words = digest = ""
        read: tuple[str, ...] = ()
        if column.derivation is not None:
            words = text(column.derivation, _TEXT) + (f" over {over}" if over else "")
            digest = _digest([to_json(column.derivation), over])[:16]
            read = tuple(sorted(inputs(column.derivation)))
        return LockedColumn(
            column.dtype,
            column.role,
            column.optional,
            column.has_default,
            column.default,
            words,
            digest,
            read,
            reads,
            column.constraints,
        )

    def to_json(self) -> dict[str, Any]:
        """The stable JSON form; what is as usual is left out."""
        form: dict[str, Any] = {"dtype": self.dtype.text}
        if self.role != "feature":
            form["role"] = self.role
        if self.optional:
            form["optional"] = True
        if self.has_default:
            form["default"] = value_to_json(self.default)
        if self.derivation:
            form["derivation"] = self.derivation
            form["digest"] = self.digest
        if self.inputs:
            form["inputs"] = list(self.inputs)
        if self.reads:
            form["reads"] = [f"{view}.{column}" for view, column in self.reads]
        if self.constraints:
            form["constraints"] = [rule.to_json() for rule in self.constraints]
        if self.is_input:
            form["input"] = True
        return form

    @staticmethod
    def from_json(form: Mapping[str, Any]) -> LockedColumn:
        """Read what `to_json` wrote."""
        return LockedColumn(
            DataType.from_text(form["dtype"]),
            cast(Role, form.get("role", "feature")),
            form.get("optional", False),
            "default" in form,
            value_from_json(form.get("default")),
            form.get("derivation", ""),
            form.get("digest", ""),
            tuple(form.get("inputs", ())),
            tuple(_origin(item) for item in form.get("reads", ())),
            tuple(constraint_from_json(item) for item in form.get("constraints", ())),
            form.get("input", False),
        )


@dataclass(frozen=True)
class LockedVersion:
    """A schema version: what files of it hold.

    Args:
        version: 32 hex digits.
        date: the UTC day on which it was locked first.
        columns: name to type of the stored columns.
        entities: names of the entity columns, sorted.
        event_timestamp: name of the event timestamp, where there is one.
    """

    version: str
    date: dt.date
    columns: Mapping[str, str] = field(default_factory=dict)
    entities: tuple[str, ...] = ()
    event_timestamp: str | None = None

    @staticmethod
    def of(view: FeatureView[Any], date: dt.date) -> LockedVersion:
        """The version that a contract has now."""
        schema = view.compiled.inputs
        columns = {column.name: column.dtype.text for column in schema.stored}
        entities = tuple(sorted(schema.entities))
        return LockedVersion(view.version, date, columns, entities, schema.event_timestamp)

    def to_json(self) -> dict[str, Any]:
        """The stable JSON form."""
        return {
            "version": self.version,
            "date": self.date.isoformat(),
            "columns": dict(self.columns),
            "entities": list(self.entities),
            "event_timestamp": self.event_timestamp,
        }

    @staticmethod
    def from_json(form: Mapping[str, Any]) -> LockedVersion:
        """Read what `to_json` wrote."""
        day = dt.date.fromisoformat(form["date"])
        return LockedVersion(
            form["version"], day, dict(form["columns"]), tuple(form["entities"]), form["event_timestamp"]
        )


@dataclass(frozen=True)
class LockedContract:
    """All that a contract promises, apart from words that describe it and from where its rows are.

    Args:
        name: of the contract.
        version: its schema version.
        columns: name to column, those that are only read for an aggregation included.
        rules: name to (predicate's digest, words, what happens when it is broken).
        on_violation: what happens where a rule does not say it.
    """

    name: str
    version: str
    columns: Mapping[str, LockedColumn]
    rules: Mapping[str, tuple[str, str, OnViolation | None]] = field(default_factory=dict)
    on_violation: OnViolation = "block"

    @property
    def digest(self) -> str:
        """32 hex digits over columns, derivations, constraints and rules."""
        return _digest(self._promise())

    @staticmethod
    def of(view: FeatureView[Any]) -> LockedContract:
        """What a contract promises now."""
        windows = {n: "all" if g.window is None else str(g.window) for n, g in view.compiled.groupings}
        reads = _reads(view)
        columns = {
            column.name: LockedColumn.of(column, windows.get(column.name, ""), reads.get(column.name, ()))
            for column in view.schema.columns
        }
        for column in view.compiled.inputs.columns:
            if column.name not in columns:
                columns[column.name] = replace(LockedColumn.of(column), is_input=True)
        rules = {
            rule.name: (_rule_digest(rule), rule.words(), rule.on_violation) for rule in view.schema.rules
        }
        return LockedContract(view.name, view.version, columns, rules, view.on_violation)

    def _promise(self) -> dict[str, Any]:
        return {
            "columns": {name: column.to_json() for name, column in self.columns.items()},
            "rules": {
                name: {"digest": digest, "words": words, "on_violation": then}
                for name, (digest, words, then) in self.rules.items()
            },
            "on_violation": self.on_violation,
        }

    def to_json(self) -> dict[str, Any]:
        """The stable JSON form."""
        return {"version": self.version, "digest": self.digest, **self._promise()}

    @staticmethod
    def from_json(name: str, form: Mapping[str, Any]) -> LockedContract:
        """Read what `to_json` wrote."""
        return LockedContract(
            name,
            form["version"],
            {column: LockedColumn.from_json(item) for column, item in form["columns"].items()},
            {n: (item["digest"], item["words"], item["on_violation"]) for n, item in form["rules"].items()},
            form["on_violation"],
        )


def _reads(view: FeatureView[Any]) -> dict[str, tuple[tuple[str, str], ...]]:
    """Column to columns of other contracts that it is made of; raw sources have addresses, which differ by machine."""
    if not isinstance(view.source, ContractSource):
        return {}
    return view.column_lineage()


def _origin(item: str) -> tuple[str, str]:
    contract, _, column = item.rpartition(".")
    return contract, column


def _rule_digest(rule: Rule) -> str:
    predicate = to_json(rule.predicate)
    return _digest(predicate if rule.mostly == 1 else [predicate, rule.mostly])[:16]


def _digest(form: Any) -> str:
    return hashlib.sha256(json.dumps(form, sort_keys=True).encode()).hexdigest()[:32]
