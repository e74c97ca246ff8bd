# Which operators each type of column has, and what they give. The results are those of polars: tests/typing/operators.py
# states them for type checkers, and tests/test_typing.py holds them against what is derived.
import datetime as dt
import decimal
from typing import Self, TypeAlias, overload

from aligned_dagster.features.numeric import Decimal, Float32, Float64, Floating, Integer, Number
from aligned_dagster.features.temporal import Calendar, Date, Duration, Time, Timestamp
from aligned_dagster.features.text import Json, String
from aligned_dagster.features.truth import Bool

AnyNumber: TypeAlias = Number | float | decimal.Decimal
AnyText: TypeAlias = String | Json | str
Span: TypeAlias = Duration | dt.timedelta

class NumberOperators:
    def __lt__(self, other: AnyNumber) -> Bool: ...

    __le__ = __gt__ = __ge__ = __lt__

    def __neg__(self) -> Self: ...

    __pos__ = __abs__ = __neg__

    def __add__(self, other: AnyNumber) -> Number: ...

    __sub__ = __truediv__ = __floordiv__ = __mod__ = __pow__ = __add__
    __radd__ = __rsub__ = __rtruediv__ = __rfloordiv__ = __rmod__ = __rpow__ = __add__

    @overload
    def __mul__(self, other: AnyNumber) -> Number: ...
    @overload
    def __mul__(self, other: Span) -> Duration: ...

    __rmul__ = __mul__

class IntegerOperators(NumberOperators):
    @overload  # type: ignore[override]  # the same operands as those of every number, told apart
    def __add__(self, other: Self) -> Self: ...  # type: ignore[overload-overlap]  # a type with itself stays, whatever polars widens others to
    @overload
    def __add__(self, other: int | Integer) -> Integer: ...
    @overload
    def __add__(self, other: float | Float64) -> Float64: ...
    @overload
    def __add__(self, other: Float32) -> Floating: ...
    @overload
    def __add__(self, other: decimal.Decimal | Decimal) -> Decimal: ...
    @overload
    def __add__(self, other: AnyNumber) -> Number: ...

    __sub__ = __floordiv__ = __mod__ = __add__
    __radd__ = __rsub__ = __rfloordiv__ = __rmod__ = __add__

    @overload  # type: ignore[override]  # the same operands as those of every number, told apart
    def __mul__(self, other: Self) -> Self: ...  # type: ignore[overload-overlap]  # a type with itself stays, whatever polars widens others to
    @overload
    def __mul__(self, other: int | Integer) -> Integer: ...
    @overload
    def __mul__(self, other: float | Float64) -> Float64: ...
    @overload
    def __mul__(self, other: Float32) -> Floating: ...
    @overload
    def __mul__(self, other: decimal.Decimal | Decimal) -> Decimal: ...
    @overload
    def __mul__(self, other: AnyNumber) -> Number: ...
    @overload
    def __mul__(self, other: Span) -> Duration: ...

    __rmul__ = __mul__  # type: ignore[assignment]  # the same operands as those of every number, told apart

    @overload
    def __truediv__(self, other: float | Integer | Float64) -> Float64: ...
    @overload
    def __truediv__(self, other: Float32) -> Floating: ...
    @overload
    def __truediv__(self, other: decimal.Decimal | Decimal) -> Decimal: ...
    @overload
    def __truediv__(self, other: AnyNumber) -> Number: ...

    __rtruediv__ = __truediv__

    @overload
    def __pow__(self, other: int | Integer) -> Self: ...  # type: ignore[overload-overlap]  # a whole exponent keeps the type
    @overload
    def __pow__(self, other: float | Float64) -> Float64: ...
    @overload
    def __pow__(self, other: Float32) -> Float32: ...
    @overload
    def __pow__(self, other: AnyNumber) -> Number: ...
    @overload
    def __rpow__(self, other: int) -> Integer: ...
    @overload
    def __rpow__(self, other: float) -> Float64: ...
    @overload
    def __rpow__(self, other: AnyNumber) -> Number: ...

class FloatingOperators(NumberOperators):
    def __add__(self, other: AnyNumber) -> Floating: ...

    __sub__ = __truediv__ = __floordiv__ = __mod__ = __pow__ = __add__
    __radd__ = __rsub__ = __rtruediv__ = __rfloordiv__ = __rmod__ = __rpow__ = __add__

    @overload
    def __mul__(self, other: AnyNumber) -> Floating: ...
    @overload
    def __mul__(self, other: Span) -> Duration: ...

    __rmul__ = __mul__

class Float64Operators(FloatingOperators):
    def __add__(self, other: AnyNumber) -> Float64: ...

    __sub__ = __truediv__ = __floordiv__ = __mod__ = __pow__ = __add__
    __radd__ = __rsub__ = __rtruediv__ = __rfloordiv__ = __rmod__ = __rpow__ = __add__

    @overload
    def __mul__(self, other: AnyNumber) -> Float64: ...
    @overload
    def __mul__(self, other: Span) -> Duration: ...

    __rmul__ = __mul__

class DecimalOperators(NumberOperators):
    @overload
    def __add__(self, other: int | Integer | decimal.Decimal | Decimal) -> Decimal: ...
    @overload
    def __add__(self, other: float | Floating) -> Float64: ...
    @overload
    def __add__(self, other: AnyNumber) -> Number: ...

    __sub__ = __truediv__ = __floordiv__ = __mod__ = __add__
    __radd__ = __rsub__ = __rtruediv__ = __rfloordiv__ = __rmod__ = __add__

    @overload  # type: ignore[override]  # the same operands as those of every number, told apart
    def __mul__(self, other: int | Integer | decimal.Decimal | Decimal) -> Decimal: ...
    @overload
    def __mul__(self, other: float | Floating) -> Float64: ...
    @overload
    def __mul__(self, other: AnyNumber) -> Number: ...
    @overload
    def __mul__(self, other: Span) -> Duration: ...

    __rmul__ = __mul__  # type: ignore[assignment]  # the same operands as those of every number, told apart

class TextOperators:
    def __lt__(self, other: AnyText) -> Bool: ...

    __le__ = __gt__ = __ge__ = __lt__

    def __add__(self, other: AnyText) -> String: ...

    __radd__ = __add__

class BoolOperators:
    def __and__(self, other: Bool | bool) -> Bool: ...

    __or__ = __xor__ = __rand__ = __ror__ = __rxor__ = __and__

    def __invert__(self) -> Bool: ...

class CalendarOperators:
    def __lt__(self, other: Calendar | dt.date) -> Bool: ...

    __le__ = __gt__ = __ge__ = __lt__

class DateOperators(CalendarOperators):
    def __add__(self, other: Span) -> Date: ...

    __radd__ = __add__

    @overload
    def __sub__(self, other: Date | dt.date) -> Duration: ...
    @overload
    def __sub__(self, other: Span) -> Date: ...
    def __rsub__(self, other: dt.date) -> Duration: ...

class TimestampOperators(CalendarOperators):
    def __add__(self, other: Span) -> Timestamp: ...

    __radd__ = __add__

    @overload
    def __sub__(self, other: Timestamp | dt.datetime) -> Duration: ...
    @overload
    def __sub__(self, other: Span) -> Timestamp: ...
    def __rsub__(self, other: dt.datetime) -> Duration: ...

class TimeOperators:
    def __lt__(self, other: Time | dt.time) -> Bool: ...

    __le__ = __gt__ = __ge__ = __lt__

class DurationOperators:
    def __lt__(self, other: Span) -> Bool: ...

    __le__ = __gt__ = __ge__ = __lt__

    def __neg__(self) -> Duration: ...

    __abs__ = __neg__

    @overload
    def __add__(self, other: Span) -> Duration: ...
    @overload
    def __add__(self, other: Timestamp | dt.datetime) -> Timestamp: ...  # type: ignore[overload-overlap]  # a datetime is a date to Python
    @overload
    def __add__(self, other: Date | dt.date) -> Date: ...

    __radd__ = __add__

    def __sub__(self, other: Span) -> Duration: ...
    @overload
    def __rsub__(self, other: Span) -> Duration: ...
    @overload
    def __rsub__(self, other: dt.datetime) -> Timestamp: ...  # type: ignore[overload-overlap]  # a datetime is a date to Python
    @overload
    def __rsub__(self, other: dt.date) -> Date: ...
    def __mul__(self, other: AnyNumber) -> Duration: ...

    __rmul__ = __mul__

    @overload
    def __truediv__(self, other: Span) -> Float64: ...
    @overload
    def __truediv__(self, other: AnyNumber) -> Duration: ...
    def __rtruediv__(self, other: dt.timedelta) -> Float64: ...
