"""Constraints: what must hold of a column or of a row, in words, in polars, in pandera and in JSON."""

from __future__ import annotations

import dataclasses
import datetime as dt
import re
from abc import ABC, abstractmethod
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any, ClassVar, Literal, get_args
from zoneinfo import ZoneInfo

import polars as pl

from aligned_dagster.errors import ContractError
from aligned_dagster.features.dtypes import DataType
from aligned_dagster.features.expression import (
    Call,
    ColumnRef,
    Expression,
    from_json,
    inputs,
    replay,
    to_json,
)
from aligned_dagster.features.expression import Literal as Constant
from aligned_dagster.features.literals import Value, value_from_json, value_to_json

if TYPE_CHECKING:
    from pandera.polars import Check

OnViolation = Literal["block", "quarantine", "warn"]
"""What a broken rule does: publish nothing, keep the bad rows aside and publish the rest, or tell and publish."""


def check_on_violation(value: str | None) -> OnViolation | None:
    """The value itself when it is one of the three, or None.

    Raises:
        ContractError: it is something else.
    """
    if value is not None and value not in get_args(OnViolation):
        raise ContractError(
            f"on_violation is {value!r}; it must be one of {', '.join(get_args(OnViolation))}."
        )
    return value  # type: ignore[return-value]  # narrowed by the test above, which mypy cannot see


_KINDS: dict[str, type[Constraint]] = {}


@dataclass(frozen=True, kw_only=True)
class Constraint(ABC):
    """A rule on the values of one column. A null breaks only `NotNull`.

    Args:
        on_violation: what happens to rows that break it; None leaves it to the contract.
    """

    kind: ClassVar[str]
    row_local: ClassVar[bool] = True
    """Whether one row alone tells if the rule is kept; `Unique` and `Reference` need more."""

    on_violation: OnViolation | None = None

    def __init_subclass__(cls) -> None:
        _KINDS[cls.kind] = cls

    def __post_init__(self) -> None:
        check_on_violation(self.on_violation)

    @property
    def key(self) -> str:
        """The name of the rule, unique within its column."""
        return self.kind

    @abstractmethod
    def words(self, column: str) -> str:
        """The rule as a sentence about the column."""

    def violated(self, column: str, dtype: DataType) -> Expression:
        """A recorded boolean expression, true where the rule is broken and never null, for any engine to replay.

        Args:
            column: the name of the column.
            dtype: its type; floating point values can be NaN, which breaks every bound.

        Raises:
            ContractError: one row alone cannot tell (`row_local` is false).
        """
        raise ContractError(f"{self.kind!r} needs more than one row; the audit of the whole frame tells.")

    def violation(self, column: str, dtype: DataType) -> pl.Expr:
        """The same for polars.

        Args:
            column: the name of the column.
            dtype: its type.

        Raises:
            ContractError: one row alone cannot tell (`row_local` is false).
        """
        violation: pl.Expr = replay(self.violated(column, dtype))
        return violation

    def pandera_check(self) -> Check | None:
        """The pandera check with the same verdict; None where pandera has a setting of its own for it."""
        import pandera.polars as pa

        def keeps(data: Any) -> pl.LazyFrame:
            dtype = DataType.from_polars(data.lazyframe.collect_schema()[data.key])
            frame: pl.LazyFrame = data.lazyframe.select(~self.violation(data.key, dtype))
            return frame

        return pa.Check(keeps, name=self.key, error=self.words("value"), ignore_na=False)

    def to_json(self) -> dict[str, Any]:
        """The stable JSON form."""
        form: dict[str, Any] = {"rule": self.kind}
        for field in (field for field in dataclasses.fields(self) if field.compare):
            value = getattr(self, field.name)
            if value is not None or field.name != "on_violation":
                form[field.name] = value_to_json(value)
        return form


def constraint_from_json(form: dict[str, Any]) -> Constraint:
    """Read what `Constraint.to_json` wrote.

    Raises:
        ContractError: there is no such rule.
    """
    if form.get("rule") not in _KINDS:
        raise ContractError(f"{form.get('rule')!r} is no rule. Known: {', '.join(sorted(_KINDS))}.")
    arguments = {name: value_from_json(value) for name, value in form.items() if name != "rule"}
    return _KINDS[form["rule"]](**arguments)


def _broken(condition: Expression) -> Expression:
    return Call("fill_null", condition, False)


def _not(condition: Expression) -> Expression:
    return _broken(Call("not_", condition))


@dataclass(frozen=True, kw_only=True)
class NotNull(Constraint):
    """A value is there."""

    kind = "not_null"

    def words(self, column: str) -> str:
        return f"{column} must not be null"

    def violated(self, column: str, dtype: DataType) -> Expression:
        return Call("is_null", ColumnRef(column))

    def pandera_check(self) -> None:
        return None


@dataclass(frozen=True)
class LowerBound(Constraint):
    """A value is not below a bound. NaN breaks it.

    >>> LowerBound(0).words("age")
    'age must be at least 0'
    """

    kind = "lower_bound"
    value: Value
    inclusive: bool = True

    def words(self, column: str) -> str:
        return f"{column} must be {'at least' if self.inclusive else 'greater than'} {_say(self.value)}"

    def violated(self, column: str, dtype: DataType) -> Expression:
        return _beyond("lt" if self.inclusive else "le", column, self.value, dtype)


@dataclass(frozen=True)
class UpperBound(Constraint):
    """A value is not above a bound. NaN breaks it.

    >>> UpperBound(1.5, inclusive=False).words("share")
    'share must be less than 1.5'
    """

    kind = "upper_bound"
    value: Value
    inclusive: bool = True

    def words(self, column: str) -> str:
        return f"{column} must be {'at most' if self.inclusive else 'less than'} {_say(self.value)}"

    def violated(self, column: str, dtype: DataType) -> Expression:
        return _beyond("gt" if self.inclusive else "ge", column, self.value, dtype)


@dataclass(frozen=True)
class AcceptedValues(Constraint):
    """A value is one of a few."""

    kind = "accepted_values"
    values: tuple[Value, ...]

    def words(self, column: str) -> str:
        shown = ", ".join(_say(value) for value in self.values[:20])
        more = f", ... ({len(self.values)} in all)" if len(self.values) > 20 else ""
        return f"{column} must be one of {shown}{more}"

    def violated(self, column: str, dtype: DataType) -> Expression:
        return _not(Call("is_in", ColumnRef(column), self._accepted(dtype).drop_nulls().to_list()))

    def violation(self, column: str, dtype: DataType) -> pl.Expr:
        # A series of the column's own dtype: a plain list would have polars cast every row to the list's.
        return (~pl.col(column).is_in(self._accepted(dtype).implode())).fill_null(False)

    def _accepted(self, dtype: DataType) -> pl.Series:
        return pl.Series("accepted", list(self.values), dtype=dtype.polars, strict=False)


@dataclass(frozen=True)
class Regex(Constraint):
    """A text matches a pattern somewhere (anchor it with ^ and $ for the whole), in the syntax of Rust's regex crate."""

    kind = "regex"
    pattern: str

    def words(self, column: str) -> str:
        return f"{column} must match the pattern {self.pattern!r}"

    def violated(self, column: str, dtype: DataType) -> Expression:
        return _not(Call("str.contains", ColumnRef(column), self.pattern, literal=False))


@dataclass(frozen=True)
class StartsWith(Constraint):
    """A text starts with a prefix."""

    kind = "starts_with"
    prefix: str

    def words(self, column: str) -> str:
        return f"{column} must start with {self.prefix!r}"

    def violated(self, column: str, dtype: DataType) -> Expression:
        return _not(Call("str.starts_with", ColumnRef(column), self.prefix))


@dataclass(frozen=True)
class EndsWith(Constraint):
    """A text ends with a suffix."""

    kind = "ends_with"
    suffix: str

    def words(self, column: str) -> str:
        return f"{column} must end with {self.suffix!r}"

    def violated(self, column: str, dtype: DataType) -> Expression:
        return _not(Call("str.ends_with", ColumnRef(column), self.suffix))


@dataclass(frozen=True)
class MinLength(Constraint):
    """A text has at least so many characters, a list so many items."""

    kind = "min_length"
    length: int

    def words(self, column: str) -> str:
        return f"the length of {column} must be at least {self.length}"

    def violated(self, column: str, dtype: DataType) -> Expression:
        return _broken(Call("lt", _length(column, dtype), self.length))


@dataclass(frozen=True)
class MaxLength(Constraint):
    """A text has at most so many characters, a list so many items."""

    kind = "max_length"
    length: int

    def words(self, column: str) -> str:
        return f"the length of {column} must be at most {self.length}"

    def violated(self, column: str, dtype: DataType) -> Expression:
        return _broken(Call("gt", _length(column, dtype), self.length))


@dataclass(frozen=True, kw_only=True)
class Unique(Constraint):
    """No value stands twice; nulls may."""

    kind = "unique"
    row_local = False

    def words(self, column: str) -> str:
        return f"{column} must be unique"

    def pandera_check(self) -> None:
        return None


@dataclass(frozen=True)
class Reference(Constraint):
    """A value stands in a column of another view; a null refers to nothing and is fine."""

    kind = "reference"
    row_local = False
    view: str
    column: str
    owner: object = dataclasses.field(default=None, compare=False, repr=False)
    """The view itself, where the contract was written and not read from JSON."""

    def words(self, column: str) -> str:
        return f"{column} must stand in {self.view}.{self.column}"

    def pandera_check(self) -> None:
        return None


@dataclass(frozen=True)
class Rule:
    """A rule on several columns of a row: it is broken where the predicate is false; null keeps it.

    Args:
        name: the attribute of the contract that holds it.
        predicate: a boolean expression over the columns.
        description: the rule in words; the predicate's own text if not given.
        on_violation: what happens to rows that break it; None leaves it to the contract.
        mostly: the share of all rows, above 0 and up to 1, that must keep it; only where fewer do is the rule broken, by
            every row that breaks it.

    Raises:
        ContractError: the share is none.

    >>> from aligned_dagster.features.expression import Call, ColumnRef
    >>> known = Rule("known", Call("is_not_null", ColumnRef("wind")), "wind is known", mostly=0.9)
    >>> known.words(), known.is_kept(broken=10, rows=100), known.is_kept(broken=11, rows=100)
    ('wind is known, in at least 90 % of the rows', True, False)
    """

    name: str
    predicate: Expression
    description: str = ""
    on_violation: OnViolation | None = None
    mostly: float = 1.0

    def __post_init__(self) -> None:
        if not 0 < self.mostly <= 1:
            raise ContractError(
                f"The rule {self.name!r} must hold for a share of {self.mostly} of the rows; "
                "mostly lies above 0 and is at most 1."
            )

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns that it reads, sorted."""
        return tuple(sorted(inputs(self.predicate)))

    def words(self) -> str:
        """The rule as a sentence."""
        said = self.description or f"{self.predicate!r}"[1:-1]
        return said if self.mostly == 1 else f"{said}, in at least {_percent(self.mostly)} of the rows"

    def violated(self) -> Expression:
        """A recorded boolean expression, true where a row breaks the rule and never null, for any engine to replay."""
        return _not(self.predicate)

    def violation(self) -> pl.Expr:
        """The same for polars."""
        violation: pl.Expr = replay(self.violated())
        return violation

    def is_kept(self, broken: int, rows: int) -> bool:
        """Whether so many rows that break it, of so many, are few enough."""
        return broken <= rows * (1 - self._share)

    @property
    def punished(self) -> pl.Expr:
        """A boolean expression over all rows, true where a row breaks the rule and too many do."""
        violation = self.violation()
        if self.mostly == 1:
            return violation
        part, whole = self._share.as_integer_ratio()
        kept = (~violation).sum().cast(pl.Int128) * whole
        return violation & (kept < pl.len().cast(pl.Int128) * part)

    @property
    def _share(self) -> Fraction:
        return Fraction(str(self.mostly))  # 0.55 is meant as 55 of 100, not as the double next to it

    def to_json(self) -> dict[str, Any]:
        """The stable JSON form."""
        form = {
            "name": self.name,
            "predicate": to_json(self.predicate),
            "description": self.description,
            "on_violation": self.on_violation,
        }
        return form if self.mostly == 1 else {**form, "mostly": self.mostly}

    @staticmethod
    def from_json(form: dict[str, Any]) -> Rule:
        """Read what `to_json` wrote."""
        return Rule(
            form["name"],
            from_json(form["predicate"]),
            form["description"],
            form["on_violation"],
            form.get("mostly", 1.0),
        )


def check_pattern(pattern: str) -> str:
    """The pattern itself, when polars can compile it.

    Raises:
        ContractError: it is no regular expression of Rust's regex crate (no look-around, no back-references).
    """
    try:
        pl.Series([""]).str.contains(pattern)
    except pl.exceptions.PolarsError as error:
        reason = re.sub(r"\s+", " ", str(error)).strip()
        raise ContractError(
            f"{pattern!r} is no pattern that polars can use: {reason}. "
            "It takes the syntax of Rust's regex crate, which has no look-around and no back-references."
        ) from error
    return pattern


def _percent(share: float) -> str:
    return f"{Decimal(str(share)) * 100:f}".rstrip("0").rstrip(".") + " %"


def _say(value: Value) -> str:
    if isinstance(value, dt.datetime | dt.date):
        return value.isoformat()
    if isinstance(value, Decimal):
        return str(value)
    return repr(value)


def _length(column: str, dtype: DataType) -> Expression:
    methods = {"list": "list.len", "embedding": "arr.len"}
    return Call(methods.get(dtype.kind, "str.len_chars"), ColumnRef(column))


def _beyond(method: str, column: str, value: Value, dtype: DataType) -> Expression:
    """Whether a value lies on the wrong side of a bound; NaN lies on the wrong side of all."""
    beyond = Call(method, ColumnRef(column), _bound(value, dtype))
    return _broken(Call("or_", beyond, Call("is_nan", ColumnRef(column))) if dtype.is_float else beyond)


def _bound(value: Value, dtype: DataType) -> Expression:
    if dtype.kind == "decimal":
        return Constant(Decimal(str(value)))
    if isinstance(value, dt.datetime) and dtype.kind == "timestamp" and dtype.time_zone:
        zone = ZoneInfo(dtype.time_zone)
        return Constant(value.replace(tzinfo=zone) if value.tzinfo is None else value.astimezone(zone))
    if dtype.kind == "float32" and isinstance(value, int | float):
        return Call("cast", Constant(value), "float32")
    return Constant(value)
