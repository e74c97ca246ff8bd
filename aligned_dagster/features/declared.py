"""What a contract states about a column, while it is written: type, role, facts and rules."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any, ClassVar, Self

from aligned_dagster.errors import ContractError, DerivationError, UnknownMethodError, did_you_mean
from aligned_dagster.features import constraints as rules
from aligned_dagster.features.arguments import checked_arguments
from aligned_dagster.features.column_type import ColumnType
from aligned_dagster.features.constraints import Constraint, OnViolation
from aligned_dagster.features.dtypes import DataType
from aligned_dagster.features.expression import Expression
from aligned_dagster.features.literals import Value, freeze
from aligned_dagster.features.location import SourceLocation, at, caller
from aligned_dagster.features.misuse import NoValue
from aligned_dagster.features.prediction import Prediction
from aligned_dagster.features.schema import Role


@dataclass(frozen=True)
class Facts:
    """What a contract states about a column beside its type."""

    role: Role = "feature"
    optional: bool = False
    required: bool = False
    default: Value = None
    has_default: bool = False
    description: str = ""
    tags: tuple[str, ...] = ()
    constraints: tuple[Constraint, ...] = ()
    prediction: Prediction | None = None


@dataclass(frozen=True)
class Origin:
    """The column of a contract that a feature stands for, when it was taken from one (`View().age`)."""

    view: str
    column: str
    owner: object = field(default=None, compare=False, repr=False)


@dataclass(frozen=True)
class Grouping:
    """Rows that an aggregation takes together: those of an entity, all or in a window that ends at each row."""

    window: dt.timedelta | None = None


class Leaf(Expression):
    """A feature inside a derivation, before the contract tells its name."""

    __slots__ = ("feature",)
    feature: Declared

    def __init__(self, feature: Declared) -> None:
        object.__setattr__(self, "feature", feature)
        self._seal(str(id(feature)))


_CLASSES: dict[str, type[Declared]] = {}
_AGGREGATIONS = frozenset(
    [
        "sum",
        "mean",
        "median",
        "std",
        "variance",
        "min",
        "max",
        "first",
        "last",
        "count",
        "n_unique",
        "percentile",
        "to_list",
        "len",
    ]
)
_ELSEWHERE = {
    "str": "Its methods are on the column itself, as in name.to_lowercase().",
    "dt": "Its methods are on the column itself, as in at.weekday().",
    "apply": "For any polars expression there is .transform_polars(lambda column: ...).",
    "map": "For any polars expression there is .transform_polars(lambda column: ...).",
    "map_elements": "For any polars expression there is .transform_polars(lambda column: ...).",
    "alias": "A column is called as the attribute that it is assigned to.",
    "rename": "A column is called as the attribute that it is assigned to.",
    "isin": "Did you mean 'is_in'?",
    "isna": "Did you mean 'is_null'?",
    "isnull": "Did you mean 'is_null'?",
    "notna": "Did you mean 'is_not_null'?",
    "fillna": "Did you mean 'fill_null'?",
    "astype": "Did you mean 'cast'?",
    "lower": "Did you mean 'to_lowercase'?",
    "upper": "Did you mean 'to_uppercase'?",
}
"""What people look for who know pandas or polars, and where it is here."""


class Declared(NoValue, metaclass=ColumnType):
    """What a contract states about one column. Every method returns a new one and leaves this one as it is."""

    __slots__ = ("dtype", "facts", "grouping", "location", "origin", "tree")
    __array_ufunc__ = None
    """numpy's scalars leave operators with a feature to the feature."""

    kind: ClassVar[str] = ""
    dtype: DataType
    facts: Facts
    tree: Expression | None
    grouping: Grouping | None
    origin: Origin | None
    location: SourceLocation | None

    def __init__(self, dtype: DataType, facts: Facts | None = None) -> None:
        for name, value in (
            ("dtype", dtype),
            ("facts", facts or Facts()),
            ("tree", None),
            ("grouping", None),
            ("origin", None),
            ("location", caller()),
        ):
            object.__setattr__(self, name, value)

    def __init_subclass__(cls) -> None:
        if cls.__dict__.get("kind"):
            _CLASSES.setdefault(cls.kind, cls)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(
            f"A feature is immutable; its methods return changed copies ({name!r} cannot be set)."
        )

    def copy_with(self, **changes: Any) -> Self:
        """A copy in which the named slots differ."""
        copy = object.__new__(type(self))
        for name in ("dtype", "facts", "tree", "grouping", "origin", "location"):
            object.__setattr__(copy, name, changes.get(name, getattr(self, name)))
        return copy

    def _state(self, **facts: Any) -> Self:
        return self.copy_with(facts=replace(self.facts, **facts))

    if not TYPE_CHECKING:  # a type checker would take every name for a method

        def __getattr__(self, name: str) -> Any:
            if name.startswith("__"):
                raise AttributeError(name)
            raise UnknownMethodError(
                f"A {type(self).__name__} column has no {name!r}.{self._instead_of(name)}{at(caller())}"
            )

    def _instead_of(self, name: str) -> str:
        """What to write in place of a method that a column of this type does not have."""
        known = [option for option in dir(type(self)) if not option.startswith("_")]
        if name in _AGGREGATIONS:
            return f" Rows are taken together by .aggregate().{name}()."
        if name in _ELSEWHERE and (hint := _ELSEWHERE[name]):
            meant = re.search(r"^Did you mean '(\w+)'", hint)
            if meant is None or meant[1] in known:
                return f" {hint}"
        elsewhere = sorted(cls.__name__ for cls in set(_CLASSES.values()) if hasattr(cls, name))
        where = f" Columns of type {', '.join(elsewhere)} have it." if elsewhere else ""
        return f"{did_you_mean(name, known)}{where}"

    def __repr__(self) -> str:
        name = f" {self.origin.view}.{self.origin.column}" if self.origin else ""
        return f"<{type(self).__name__}{name}: {self.dtype.text}>"

    @property
    def name(self) -> str:
        """Name of the column that the feature stands for.

        Raises:
            DerivationError: it was not taken from a contract with `View().column`.
        """
        if self.origin is None:
            raise DerivationError(
                f"{self!r} has no name. Take it from its contract, as in View().column.{at(self.location)}"
            )
        return self.origin.column

    def as_entity(self) -> Self:
        """Make it (part of) what identifies a row; it must not be null."""
        return self._state(role="entity")

    def is_optional(self) -> Self:
        """Allow null, and allow storage to lack the column."""
        return self._state(optional=True)

    def is_required(self) -> Self:
        """Forbid null; a stored column that is not optional needs no saying, a derived one does."""
        return self._state(required=True, optional=False)

    def default_value(self, value: Value) -> Self:
        """Read a missing or null stored value as this one.

        Raises:
            ContractError: the value does not fit the type.
        """
        self._check_value(value, "default_value")
        return self._state(default=freeze(value), has_default=True)

    def description(self, text: str) -> Self:
        """Say what the column means."""
        return self._state(description=text)

    def with_tag(self, *tags: str) -> Self:
        """Add tags."""
        return self._state(tags=tuple(dict.fromkeys((*self.facts.tags, *tags))))

    def with_constraint(self, constraint: Constraint) -> Self:
        """Add a rule; one of the same kind is replaced."""
        kept = (known for known in self.facts.constraints if known.key != constraint.key)
        return self._state(constraints=(*kept, constraint))

    @checked_arguments({"*": "Several values go into one list, as in accepted_values(['oslo', 'rome'])."})
    def accepted_values(self, values: Iterable[Value], *, on_violation: OnViolation | None = None) -> Self:
        """Allow only these values.

        Raises:
            ContractError: there is none, or one does not fit the type.
        """
        if isinstance(values, str | bytes):
            raise ContractError(
                f"accepted_values takes a list, as in accepted_values([{values!r}]); got {values!r}.{at(caller())}"
            )
        frozen = tuple(freeze(value) for value in values)
        if not frozen:
            raise ContractError(f"accepted_values needs at least one value.{at(caller())}")
        for value in frozen:
            self._check_value(value, "accepted_values")
        return self.with_constraint(rules.AcceptedValues(frozen, on_violation=on_violation))

    def is_unique(self, *, on_violation: OnViolation | None = None) -> Self:
        """Allow no value twice."""
        return self.with_constraint(rules.Unique(on_violation=on_violation))

    def reference_to(self, other: Declared, *, on_violation: OnViolation | None = None) -> Self:
        """Allow only values that stand in a column of another view, as in `reference_to(Planes().tailnum)`.

        Raises:
            ContractError: the other feature is not one of a view, or has another type.
        """
        if not isinstance(other, Declared) or other.origin is None:
            raise ContractError(
                f"reference_to needs a column of another view, as in reference_to(Planes().tailnum); got {other!r}."
                f"{at(caller())}"
            )
        if other.dtype.group != self.dtype.group:
            raise ContractError(
                f"A {self.dtype.text} column cannot refer to {other.origin.view}.{other.origin.column}, "
                f"which is {other.dtype.text}.{at(caller())}"
            )
        return self.with_constraint(
            rules.Reference(
                other.origin.view, other.origin.column, other.origin.owner, on_violation=on_violation
            )
        )

    def referencing(self, other: Declared) -> Self:
        """The name that `aligned` gives to `reference_to`."""
        return self.reference_to(other)

    def _check_value(self, value: Value, what: str) -> None:
        group = value_group(value)
        if value is None or self.dtype.is_nested or group == self.dtype.group:
            return
        if {group, self.dtype.group} <= {"date", "timestamp"}:
            return
        raise ContractError(
            f"{what} got {value!r} ({type(value).__name__}), which does not fit a {self.dtype.text} column."
            f"{self._hint_on(value, what)}{at(caller())}"
        )

    def _hint_on(self, value: Value, what: str) -> str:
        if isinstance(value, str) and self.dtype.group == "number" and _is_number(value):
            return f" Write the number without quotes: {value}."
        if self.dtype.group == "text" and what in _OF_LENGTHS:
            return f" For the length of a text there is {_OF_LENGTHS[what]}."
        if self.dtype.group == "text":
            return f" Write it as a text: '{value}'."
        if isinstance(value, str) and self.dtype.group in {"date", "timestamp"}:
            return f" Write a {'date(2024, 5, 1)' if self.dtype.group == 'date' else 'datetime(2024, 5, 1)'}."
        return " Change the value, or the type of the column."


_OF_LENGTHS = {"lower_bound": "min_length", "upper_bound": "max_length", "bounded_between": "min_length"}


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def value_group(value: Value) -> str:
    """The family of a plain value, in the words of `DataType.group`."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "bool"
    families: tuple[tuple[Any, str], ...] = (
        ((int, float, Decimal), "number"),
        (str, "text"),
        (dt.datetime, "timestamp"),
        (dt.date, "date"),
        (dt.time, "time"),
        (dt.timedelta, "duration"),
        (bytes, "binary"),
        ((list, tuple), "list"),
        ((dict,), "struct"),
    )
    number = getattr(value, "item", None)
    if callable(number) and type(value).__module__ == "numpy":
        return value_group(number())
    return next((name for types, name in families if isinstance(value, types)), "unknown")


def class_of(dtype: DataType) -> type[Declared]:
    """The class that has the methods of a type."""
    return _CLASSES[dtype.kind]
