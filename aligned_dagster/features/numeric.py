"""Numbers: whole, floating point and decimal."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any, ClassVar, Self

from aligned_dagster.errors import ContractError
from aligned_dagster.features import constraints as rules
from aligned_dagster.features.constraints import OnViolation
from aligned_dagster.features.deriving import derive
from aligned_dagster.features.dtypes import DataType
from aligned_dagster.features.feature import Feature
from aligned_dagster.features.literals import Value
from aligned_dagster.features.location import at, caller
from aligned_dagster.features.operator_types import (
    DecimalOperators,
    Float64Operators,
    FloatingOperators,
    IntegerOperators,
    NumberOperators,
)
from aligned_dagster.features.operators import binary, unary

if TYPE_CHECKING:
    from aligned_dagster.features.text import String
    from aligned_dagster.features.truth import Bool


class Ordered(Feature):
    """Values that have an order, and so can have bounds."""

    __slots__ = ()

    def lower_bound(
        self, value: Value, is_inclusive: bool = True, *, on_violation: OnViolation | None = None
    ) -> Self:
        """Allow no value below this one (nor equal to it, if not inclusive); NaN breaks it.

        Raises:
            ContractError: the bound does not fit the type.
        """
        self._check_value(value, "lower_bound")
        return self.with_constraint(rules.LowerBound(value, is_inclusive, on_violation=on_violation))

    def upper_bound(
        self, value: Value, is_inclusive: bool = True, *, on_violation: OnViolation | None = None
    ) -> Self:
        """Allow no value above this one (nor equal to it, if not inclusive); NaN breaks it.

        Raises:
            ContractError: the bound does not fit the type.
        """
        self._check_value(value, "upper_bound")
        return self.with_constraint(rules.UpperBound(value, is_inclusive, on_violation=on_violation))

    def bounded_between(self, lower: Value, upper: Value, *, on_violation: OnViolation | None = None) -> Self:
        """Allow only values from `lower` to `upper`, both included."""
        return self.lower_bound(lower, on_violation=on_violation).upper_bound(
            upper, on_violation=on_violation
        )

    def is_between(self, lower: Any, upper: Any) -> Bool:
        """Whether the value lies between two others, both included."""
        return binary("and_", binary("ge", self, lower), binary("le", self, upper))

    def clip(self, lower: Value = None, upper: Value = None) -> Self:
        """The value, or the nearer bound where it lies outside."""
        self._check_value(lower, "clip")
        self._check_value(upper, "clip")
        return derive("clip", self, lower, upper)


class Number(NumberOperators, Ordered):
    """What all numbers can do. Division of whole numbers gives Float64, as in polars."""

    __slots__ = ()

    def abs(self) -> Self:
        """The value without its sign."""
        return unary("abs", self)

    def sign(self) -> Self:
        """-1, 0 or 1."""
        return derive("sign", self)

    def round(self, decimals: int = 0) -> Self:
        """The nearest value with so many decimals; halves go to the even neighbour."""
        return derive("round", self, decimals)

    def ceil(self) -> Self:
        """The next whole number above."""
        return derive("ceil", self)

    def floor(self) -> Self:
        """The next whole number below."""
        return derive("floor", self)

    def sqrt(self) -> Floating:
        """Square root; NaN for negative values."""
        return derive("sqrt", self)

    def cbrt(self) -> Floating:
        """Cube root."""
        return derive("cbrt", self)

    def exp(self) -> Floating:
        """e to the power of the value."""
        return derive("exp", self)

    def log(self, base: float | None = None) -> Floating:
        """Logarithm; natural if no base is given."""
        return derive("log", self) if base is None else derive("log", self, base)

    def log10(self) -> Floating:
        """Logarithm to the base of 10."""
        return derive("log10", self)

    def log1p(self) -> Floating:
        """Natural logarithm of one plus the value."""
        return derive("log1p", self)

    def sin(self) -> Floating:
        """Sine of an angle in radians."""
        return derive("sin", self)

    def cos(self) -> Floating:
        """Cosine of an angle in radians."""
        return derive("cos", self)

    def tan(self) -> Floating:
        """Tangent of an angle in radians."""
        return derive("tan", self)

    def arcsin(self) -> Floating:
        """Angle in radians whose sine is the value."""
        return derive("arcsin", self)

    def arccos(self) -> Floating:
        """Angle in radians whose cosine is the value."""
        return derive("arccos", self)

    def arctan(self) -> Floating:
        """Angle in radians whose tangent is the value."""
        return derive("arctan", self)

    def degrees(self) -> Floating:
        """An angle in radians, in degrees."""
        return derive("degrees", self)

    def radians(self) -> Floating:
        """An angle in degrees, in radians."""
        return derive("radians", self)

    def is_nan(self) -> Bool:
        """Whether the value is NaN (null stays null)."""
        return derive("is_nan", self)

    def is_not_nan(self) -> Bool:
        """Whether the value is not NaN (null stays null)."""
        return derive("is_not_nan", self)

    def is_finite(self) -> Bool:
        """Whether the value is neither infinite nor NaN."""
        return derive("is_finite", self)

    def is_infinite(self) -> Bool:
        """Whether the value is infinite."""
        return derive("is_infinite", self)

    def bins(self, breaks: Sequence[float], labels: Sequence[str] | None = None) -> String:
        """The interval that the value falls in, as text; each interval includes its upper end.

        Args:
            breaks: ascending inner ends; n of them make n + 1 intervals.
            labels: names of the n + 1 intervals, as in "(18, 65]" if not given.

        Raises:
            ContractError: the breaks do not ascend, or the labels are too few or too many.
        """
        from aligned_dagster.features.truth import when

        if not breaks or any(low >= high for low, high in pairwise(breaks)):
            raise ContractError(f"bins needs breaks that ascend; got {list(breaks)!r}.{at(caller())}")
        if labels is not None and len(labels) != len(breaks) + 1:
            raise ContractError(
                f"{len(breaks)} breaks make {len(breaks) + 1} bins; got {len(labels)} labels.{at(caller())}"
            )
        ends = [f"{end:g}" for end in breaks]
        between = [f"({low}, {high}]" for low, high in pairwise(ends)]
        names = list(labels) if labels else [f"(-inf, {ends[0]}]", *between, f"({ends[-1]}, inf]"]
        interval = when(self > breaks[-1]).then(names[-1]).otherwise(None)
        for end, name in zip(reversed(breaks), reversed(names[:-1]), strict=True):
            interval = when(self <= end).then(name).otherwise(interval)
        return interval

    def one_hot_encode(self, values: Sequence[Value]) -> tuple[Bool, ...]:
        """One truth value per value given, in order."""
        return tuple(self == value for value in values)


class Integer(IntegerOperators, Number):
    """What all whole numbers can do."""

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__(DataType(self.kind))


class Floating(FloatingOperators, Number):
    """What all floating point numbers can do."""

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__(DataType(self.kind))


class Int8(Integer):
    """A whole number from -128 to 127."""

    __slots__ = ()
    kind: ClassVar[str] = "int8"


class Int16(Integer):
    """A whole number of 16 bits."""

    __slots__ = ()
    kind: ClassVar[str] = "int16"


class Int32(Integer):
    """A whole number of 32 bits."""

    __slots__ = ()
    kind: ClassVar[str] = "int32"


class Int64(Integer):
    """A whole number of 64 bits."""

    __slots__ = ()
    kind: ClassVar[str] = "int64"


class UInt8(Integer):
    """A whole number from 0 to 255."""

    __slots__ = ()
    kind: ClassVar[str] = "uint8"


class UInt16(Integer):
    """A whole number of 16 bits that is not negative."""

    __slots__ = ()
    kind: ClassVar[str] = "uint16"


class UInt32(Integer):
    """A whole number of 32 bits that is not negative."""

    __slots__ = ()
    kind: ClassVar[str] = "uint32"


class UInt64(Integer):
    """A whole number of 64 bits that is not negative."""

    __slots__ = ()
    kind: ClassVar[str] = "uint64"


class Float64(Float64Operators, Floating):
    """A floating point number of 64 bits."""

    __slots__ = ()
    kind: ClassVar[str] = "float64"


if TYPE_CHECKING:
    Float = Float64  # what is derived of a Float is a Float64, and is no less
else:

    class Float(Float64):
        """A floating point number of 64 bits, by its shorter name."""

        __slots__ = ()


class Float32(Floating):
    """A floating point number of 32 bits."""

    __slots__ = ()
    kind: ClassVar[str] = "float32"


class Decimal(DecimalOperators, Number):
    """An exact decimal number.

    Args:
        precision: digits in all, 38 at most.
        scale: digits after the point.
    """

    __slots__ = ()
    kind: ClassVar[str] = "decimal"

    def __init__(self, precision: int = 38, scale: int = 2) -> None:
        if not 0 <= scale <= precision <= 38:
            raise ContractError(
                f"Decimal({precision}, {scale}) needs 0 <= scale <= precision <= 38.{at(caller())}"
            )
        super().__init__(DataType("decimal", precision=precision, scale=scale))
