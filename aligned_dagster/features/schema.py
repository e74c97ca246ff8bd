"""The compiled columns of a contract, and the version of what is stored."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal, cast

import polars as pl

from aligned_dagster.errors import UnknownFeatureError, did_you_mean
from aligned_dagster.features import expression as ex
from aligned_dagster.features.constraints import Constraint, NotNull, Rule, constraint_from_json
from aligned_dagster.features.dtypes import DataType
from aligned_dagster.features.expression import Expression
from aligned_dagster.features.literals import Value, value_from_json, value_to_json
from aligned_dagster.features.location import SourceLocation as SourceLocation
from aligned_dagster.features.prediction import Prediction

Role = Literal["entity", "event_timestamp", "created_timestamp", "feature"]


@dataclass(frozen=True)
class Column:
    """One column of a contract.

    Args:
        name: its name in frames.
        dtype: its type.
        role: "entity", "event_timestamp", "created_timestamp" or "feature".
        optional: whether it may be null, and may be missing in storage.
        has_default: whether a missing or null stored value becomes `default`.
        derivation: how it is computed; None where it is stored.
        aggregated: whether it is computed over the rows of a group, so that it is a column of the grouped frame.
        prediction: what it says about a prediction, in a model contract.
        ttl: for an event timestamp, how long a row may be used as a feature, inclusive; None for ever.
        location: the line of the contract that declares it.
    """

    name: str
    dtype: DataType
    role: Role = "feature"
    optional: bool = False
    default: Value = None
    has_default: bool = False
    description: str = ""
    tags: tuple[str, ...] = ()
    constraints: tuple[Constraint, ...] = ()
    derivation: Expression | None = None
    aggregated: bool = False
    prediction: Prediction | None = None
    ttl: dt.timedelta | None = None
    location: SourceLocation | None = field(default=None, compare=False)

    @property
    def nullable(self) -> bool:
        """Whether a null keeps the contract."""
        return not any(isinstance(constraint, NotNull) for constraint in self.constraints)

    def to_json(self) -> dict[str, Any]:
        """The stable JSON form."""
        form: dict[str, Any] = {"name": self.name, "dtype": self.dtype.text, "role": self.role}
        if self.optional:
            form["optional"] = True
        if self.has_default:
            form["default"] = value_to_json(self.default)
        if self.description:
            form["description"] = self.description
        if self.tags:
            form["tags"] = list(self.tags)
        if self.constraints:
            form["constraints"] = [constraint.to_json() for constraint in self.constraints]
        if self.derivation is not None:
            form["derivation"] = ex.to_json(self.derivation)
        if self.aggregated:
            form["aggregated"] = True
        if self.prediction is not None:
            form["prediction"] = self.prediction.to_json()
        if self.ttl is not None:
            form["ttl"] = self.ttl.total_seconds()
        return form

    @staticmethod
    def from_json(form: Mapping[str, Any]) -> Column:
        """Read what `to_json` wrote."""
        return Column(
            name=form["name"],
            dtype=DataType.from_text(form["dtype"]),
            role=cast(Role, form["role"]),
            optional=form.get("optional", False),
            default=value_from_json(form.get("default")),
            has_default="default" in form,
            description=form.get("description", ""),
            tags=tuple(form.get("tags", ())),
            constraints=tuple(constraint_from_json(item) for item in form.get("constraints", ())),
            derivation=ex.from_json(form["derivation"]) if "derivation" in form else None,
            aggregated=form.get("aggregated", False),
            prediction=Prediction.from_json(form["prediction"]) if "prediction" in form else None,
            ttl=dt.timedelta(seconds=form["ttl"]) if "ttl" in form else None,
        )


@dataclass(frozen=True)
class Schema:
    """The columns of a contract in the order in which they were declared, and its rules on whole rows.

    >>> schema = Schema((Column("id", DataType("int32"), "entity"), Column("age", DataType("float64"))))
    >>> schema.names, schema.entities
    (('id', 'age'), ('id',))
    >>> len(schema.version)
    32
    """

    columns: tuple[Column, ...]
    rules: tuple[Rule, ...] = ()

    @cached_property
    def names(self) -> tuple[str, ...]:
        """All names, in order."""
        return tuple(column.name for column in self.columns)

    @cached_property
    def _by_name(self) -> dict[str, Column]:
        return {column.name: column for column in self.columns}

    @cached_property
    def stored(self) -> tuple[Column, ...]:
        """The columns that a source delivers."""
        return tuple(column for column in self.columns if column.derivation is None)

    @cached_property
    def derived(self) -> tuple[Column, ...]:
        """The columns that are computed."""
        return tuple(column for column in self.columns if column.derivation is not None)

    @cached_property
    def derivations(self) -> dict[str, Expression]:
        """Name to expression of every derived column."""
        return {column.name: column.derivation for column in self.columns if column.derivation is not None}

    @cached_property
    def entities(self) -> tuple[str, ...]:
        """Names of the entity columns."""
        return tuple(column.name for column in self.columns if column.role == "entity")

    @cached_property
    def event_timestamp(self) -> str | None:
        """Name of the column that says when a row became true."""
        return next((c.name for c in self.columns if c.role == "event_timestamp"), None)

    @cached_property
    def created_timestamp(self) -> str | None:
        """Name of the column that says when a row was written."""
        return next((c.name for c in self.columns if c.role == "created_timestamp"), None)

    @cached_property
    def ttl(self) -> dt.timedelta | None:
        """How long after its event a row may be used as a feature, inclusive; None for ever."""
        return next((c.ttl for c in self.columns if c.role == "event_timestamp"), None)

    @property
    def key(self) -> tuple[str, ...]:
        """What identifies a row: the entities and, where there is one, the event timestamp."""
        return self.entities + ((self.event_timestamp,) if self.event_timestamp else ())

    @cached_property
    def polars(self) -> dict[str, pl.DataType]:
        """Name to polars dtype."""
        return {column.name: column.dtype.polars for column in self.columns}

    def __contains__(self, name: object) -> bool:
        return name in self._by_name

    def column(self, name: str) -> Column:
        """The column of that name.

        Raises:
            UnknownFeatureError: there is none.
        """
        if name not in self._by_name:
            raise UnknownFeatureError(
                f"There is no column {name!r}.{did_you_mean(name, self.names)} Columns: {', '.join(self.names)}."
            )
        return self._by_name[name]

    def select(self, names: Iterable[str]) -> Schema:
        """The named columns in that order, with the rules that read nothing else.

        Raises:
            UnknownFeatureError: a name is not there.
        """
        columns = tuple(self.column(name) for name in names)
        kept = {column.name for column in columns}
        return Schema(columns, tuple(rule for rule in self.rules if kept.issuperset(rule.columns)))

    def as_stored(self) -> Schema:
        """The same columns, all of them stored: what is written when a view is materialised."""
        return Schema(tuple(replace(c, derivation=None, aggregated=False) for c in self.columns), self.rules)

    @cached_property
    def version(self) -> str:
        """32 hex digits over the stored columns that a file must have: names, dtypes, entities, event timestamp.

        Derived columns, optional ones and those with a default do not change it. The text that is hashed is
        canonical JSON with sorted names, so that no two schemas share one.
        """
        needed = sorted(
            (column.name, column.dtype.text)
            for column in self.stored
            if not column.optional and not column.has_default
        )
        canonical = json.dumps(
            {"columns": needed, "entities": sorted(self.entities), "event_timestamp": self.event_timestamp},
            ensure_ascii=True,
            separators=(",", ":"),
            sort_keys=True,
        )
        return hashlib.sha256(canonical.encode()).hexdigest()[:32]

    def to_json(self) -> dict[str, Any]:
        """The stable JSON form."""
        return {
            "columns": [column.to_json() for column in self.columns],
            "rules": [rule.to_json() for rule in self.rules],
        }

    @staticmethod
    def from_json(form: Mapping[str, Any]) -> Schema:
        """Read what `to_json` wrote."""
        return Schema(
            tuple(Column.from_json(item) for item in form["columns"]),
            tuple(Rule.from_json(item) for item in form.get("rules", ())),
        )
