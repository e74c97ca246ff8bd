"""Truth values and choices between columns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar, overload

from aligned_dagster.errors import DerivationError
from aligned_dagster.features.deriving import constant, derive, nothing
from aligned_dagster.features.dtypes import DataType
from aligned_dagster.features.feature import F, Feature
from aligned_dagster.features.location import at, caller
from aligned_dagster.features.operator_types import BoolOperators
from aligned_dagster.features.operators import binary

if TYPE_CHECKING:
    from aligned_dagster.features.numeric import Float64, Integer, Number
    from aligned_dagster.features.operator_types import AnyNumber
    from aligned_dagster.features.text import String

C = TypeVar("C", bound=Feature, covariant=True)


class Bool(BoolOperators, Feature):
    """True or false.

    >>> from aligned_dagster import Int32
    >>> class Passenger:
    ...     sibsp, parch = Int32(), Int32()
    ...     alone = (sibsp == 0) & (parch == 0)
    """

    __slots__ = ()
    kind: ClassVar[str] = "bool"

    def __init__(self) -> None:
        super().__init__(DataType("bool"))

    def logical_and(self, other: Bool) -> Bool:
        """The same as `&`."""
        return binary("and_", self, other)

    def logical_or(self, other: Bool) -> Bool:
        """The same as `|`."""
        return binary("or_", self, other)

    @overload
    def then(self, value: F) -> Then[F]: ...
    @overload
    def then(self, value: str) -> Then[String]: ...
    @overload
    def then(self, value: bool) -> Then[Bool]: ...  # type: ignore[overload-overlap]  # a bool is an int to Python
    @overload
    def then(self, value: int) -> Then[Integer]: ...
    @overload
    def then(self, value: float) -> Then[Float64]: ...
    @overload
    def then(self, value: Any) -> Then[Any]: ...
    def then(self, value: Any) -> Then[Any]:
        """Start a choice, as in `is_late.then("late").otherwise("on time")`."""
        return Then(self, value)


class Then(Generic[C]):
    """A choice that lacks its other half; `otherwise` completes it."""

    def __init__(self, condition: Bool, value: Any) -> None:
        self._condition = condition
        self._value = value

    @overload
    def otherwise(self: Then[Integer], value: int | Integer | None) -> Integer: ...
    @overload
    def otherwise(self: Then[Float64], value: AnyNumber | None) -> Float64: ...
    @overload
    def otherwise(self: Then[Number], value: AnyNumber | None) -> Number: ...
    @overload
    def otherwise(self, value: Any) -> C: ...
    def otherwise(self, value: Any) -> Any:
        """The value where the condition is false or null; a feature of the type that both share.

        Raises:
            DerivationError: the two values have no type in common.
        """
        return derive("when", self._condition, *_alike("when", self._value, value))


class When:
    """A choice that lacks its values."""

    def __init__(self, condition: Bool) -> None:
        self._condition = condition

    @overload
    def then(self, value: F) -> Then[F]: ...
    @overload
    def then(self, value: str) -> Then[String]: ...
    @overload
    def then(self, value: bool) -> Then[Bool]: ...  # type: ignore[overload-overlap]  # a bool is an int to Python
    @overload
    def then(self, value: int) -> Then[Integer]: ...
    @overload
    def then(self, value: float) -> Then[Float64]: ...
    @overload
    def then(self, value: Any) -> Then[Any]: ...
    def then(self, value: Any) -> Then[Any]:
        """The value where the condition is true."""
        return Then(self._condition, value)


def when(condition: Bool) -> When:
    """Choose between values row by row: `when(delay > 15).then("late").otherwise("on time")`.

    Raises:
        DerivationError: the condition is no boolean feature.
    """
    if not isinstance(condition, Feature) or condition.dtype.kind != "bool":
        raise DerivationError(
            f"when() needs a condition, as in when(delay > 15); got {condition!r}.{at(caller())}"
        )
    return When(condition)


@overload
def coalesce(first: Integer, *others: int | Integer | None) -> Integer: ...
@overload
def coalesce(first: Float64, *others: AnyNumber | None) -> Float64: ...
@overload
def coalesce(first: Number, *others: AnyNumber | None) -> Number: ...
@overload
def coalesce(first: F, *others: Any) -> F: ...
def coalesce(first: Feature, *others: Any) -> Any:
    """The first of these that is not null, row by row."""
    return derive("coalesce", *_alike("coalesce", first, *others))


def concat_str(*parts: Any, separator: str = "") -> String:
    """The texts of several columns in one, null where one of them is null."""
    return derive("concat_str", *(_operand(part) for part in parts), separator=separator)


@overload
def max_of(first: Integer, *others: int | Integer | None) -> Integer: ...
@overload
def max_of(first: Float64, *others: AnyNumber | None) -> Float64: ...
@overload
def max_of(first: Number, *others: AnyNumber | None) -> Number: ...
@overload
def max_of(first: F, *others: Any) -> F: ...
def max_of(first: Feature, *others: Any) -> Any:
    """The greatest of several columns, row by row; null counts as absent."""
    return derive("max_horizontal", *_alike("max_of", first, *others))


@overload
def min_of(first: Integer, *others: int | Integer | None) -> Integer: ...
@overload
def min_of(first: Float64, *others: AnyNumber | None) -> Float64: ...
@overload
def min_of(first: Number, *others: AnyNumber | None) -> Number: ...
@overload
def min_of(first: F, *others: Any) -> F: ...
def min_of(first: Feature, *others: Any) -> Any:
    """The smallest of several columns, row by row; null counts as absent."""
    return derive("min_horizontal", *_alike("min_of", first, *others))


def _operand(value: Any) -> Feature:
    """polars takes a bare text here for a column's name, so plain values are recorded as literals."""
    return value if isinstance(value, Feature) else constant(value)


def _alike(what: str, *values: Any) -> list[Feature]:
    """The values as features of one family; None takes the type of the others.

    Raises:
        DerivationError: their families differ, so that polars would turn one into the other.
    """
    known = [_operand(value) for value in values if value is not None]
    groups = list(dict.fromkeys(feature.dtype.group for feature in known))
    if len(groups) != 1:
        raise DerivationError(
            f"{what} needs values of one type; got {' and '.join(groups) or 'none'}. Cast one of them first.{at(caller())}"
        )
    return [nothing(known[0].dtype) if value is None else _operand(value) for value in values]
