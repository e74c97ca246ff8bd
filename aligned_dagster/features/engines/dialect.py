"""How an engine's SQL writes values, types and names."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from aligned_dagster.errors import UnsupportedError
from aligned_dagster.features.dtypes import DataType
from aligned_dagster.features.engines.carried import engine_type_name, quoted
from aligned_dagster.features.engines.names import Engine
from aligned_dagster.features.literals import FrozenDict

FLOAT64 = DataType("float64")
INT64 = DataType("int64")
TEXT = DataType("string")
NULL = DataType("null")
_GREATEST = "3.4028235677973366e38"
"""From here on a number of 64 floating bits is infinite in 32."""
_EPOCH = dt.datetime(1970, 1, 1)


class GapError(UnsupportedError):
    """An engine has no way to a derivation's answer; the message is the reason."""


@dataclass(frozen=True)
class Written:
    """A part of a derivation as SQL.

    Args:
        text: the SQL.
        dtype: the contract's type of its values.
        value: the plain value, where it is one.
        is_plain: whether it is a plain value.
        aggregates: whether rows are taken together in it.
        kept: SQL of the condition on the rows that an aggregation takes; empty for all rows.
    """

    text: str
    dtype: DataType
    value: Any = None
    is_plain: bool = False
    aggregates: bool = False
    kept: str = ""


@dataclass(frozen=True)
class Asked:
    """A call of a method, as those see it that write it.

    Args:
        method: dotted name of the polars method.
        args: the receiver first.
        named: plain values by name.
        dtype: type of what polars answers.
    """

    method: str
    args: tuple[Written, ...]
    named: Mapping[str, Any]
    dtype: DataType

    def plain(self, place: int, name: str = "", default: Any = None) -> Any:
        """The plain value of an argument, by its place or its name."""
        if place < len(self.args):
            if not self.args[place].is_plain:
                raise GapError(f"{self.method} takes a plain value there, not a column")
            return self.args[place].value
        return self.named.get(name, default)


@dataclass(frozen=True)
class Dialect:
    """The SQL of an engine.

    Args:
        engine: which one.
        order_by: SQL of what rows are ordered by within an aggregation; empty where they have no order.
        window: SQL of the window that aggregations run over; empty within `group_by`.
    """

    engine: Engine
    order_by: str = ""
    window: str = ""
    is_spark: bool = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "is_spark", self.engine == "spark")

    def either(self, spark: str, duckdb: str) -> str:
        """The text for this engine."""
        return spark if self.is_spark else duckdb

    def type(self, dtype: DataType) -> str:
        """The name of the type that holds a contract's type."""
        return engine_type_name(dtype, self.engine)

    def name(self, name: str) -> str:
        """A column or field by its name."""
        return quoted(name, self.engine)

    def text(self, value: str) -> str:
        """A text in quotes."""
        if not self.is_spark:
            if "\0" in value:
                raise GapError("DuckDB has no way to write a text with a zero byte")
            return "'" + value.replace("'", "''") + "'"
        # Spark puts variables in the place of ${...}, in a text too.
        marked = "".join(c if " " <= c <= "~" and c not in "\\'$" else _escaped(c) for c in value)
        return f"'{marked}'"

    def cast(self, text: str, dtype: DataType) -> str:
        """SQL in the type that holds a contract's type; the values must be there in it."""
        return f"CAST({text} AS {self.type(dtype)})"

    def fitted(self, number: str, dtype: DataType) -> str:
        """A number of 64 floating bits in another type of floating point; one that is too great for it is infinite."""
        if dtype.kind == "float32" and not self.is_spark:
            number = (
                f"CASE WHEN abs({number}) > {_GREATEST} THEN {number} * 'Infinity'::DOUBLE ELSE {number} END"
            )
        return self.cast(number, dtype)

    def typed(self, part: Written, dtype: DataType) -> str:
        """A part in another type, without a cast where it has that type already."""
        if part.is_plain:
            return self.literal(part.value, dtype)
        if part.dtype == dtype:
            return part.text
        return self.fitted(part.text, dtype) if part.dtype == FLOAT64 else self.cast(part.text, dtype)

    def literal(self, value: Any, dtype: DataType) -> str:
        """A plain value in the type that holds a contract's type."""
        if value is None:
            return f"CAST(NULL AS {self.type(dtype)})"
        if dtype.is_float:
            return self.cast(self._float(float(value)), dtype)
        if isinstance(value, bool) and dtype.kind == "bool":
            return "TRUE" if value else "FALSE"
        if isinstance(value, bool | int | float | Decimal) and dtype.is_numeric:
            number = (
                f"{value:f}"
                if isinstance(value, Decimal)
                else str(int(value) if isinstance(value, bool) else value)
            )
            return (
                self.cast(f"'{number}'", dtype)
                if self.is_spark or dtype.kind == "decimal"
                else self.cast(number, dtype)
            )
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, bytes):
            return self.either(f"X'{value.hex()}'", f"unhex('{value.hex()}')")
        if isinstance(value, dt.datetime | dt.date) and dtype.kind in {"timestamp", "date"}:
            return self._moment(value, dtype)
        if isinstance(value, dt.time):
            seconds = (value.hour * 60 + value.minute) * 60 + value.second
            return self.cast(str(seconds * 10**9 + value.microsecond * 1000), INT64)
        if isinstance(value, dt.timedelta):
            return self.cast(f"'{value // dt.timedelta(microseconds=1)}'", INT64)
        if isinstance(value, FrozenDict | dict) and dtype.kind == "struct":
            return self._struct(dict(value), dtype)
        if isinstance(value, list | tuple) and dtype.inner is not None:
            items = ", ".join(self.literal(item, dtype.inner) for item in value)
            return self.cast(self.either(f"array({items})", f"[{items}]"), dtype)
        raise GapError(f"{self.engine} has no way to write {value!r} as {dtype.text}")

    def _float(self, value: float) -> str:
        if math.isnan(value):
            return "'NaN'"
        if math.isinf(value):
            return "'Infinity'" if value > 0 else "'-Infinity'"
        return f"'{value!r}'"

    def _moment(self, value: dt.date, dtype: DataType) -> str:
        if dtype.kind == "date":
            return f"DATE '{value.isoformat()[:10]}'"
        moment = value if isinstance(value, dt.datetime) else dt.datetime(value.year, value.month, value.day)
        if moment.tzinfo is not None:
            moment = moment.astimezone(dt.UTC).replace(tzinfo=None)
        micros = (moment - _EPOCH) // dt.timedelta(microseconds=1)
        return self.from_micros(str(micros) + self.either("L", ""), dtype)

    def _struct(self, value: Mapping[str, Any], dtype: DataType) -> str:
        parts = [(name, self.literal(value.get(name), inner)) for name, inner in dtype.fields]
        if self.is_spark:
            return f"named_struct({', '.join(f'{self.text(name)}, {text}' for name, text in parts)})"
        return "{" + ", ".join(f"{self.text(name)}: {text}" for name, text in parts) + "}"

    def from_micros(self, micros: str, dtype: DataType) -> str:
        """A timestamp by SQL of its microseconds since 1970; of a naive one they count in its own time."""
        if self.is_spark:
            moment = f"timestamp_micros({micros})"
            return moment if dtype.time_zone is not None else f"CAST({moment} AS timestamp_ntz)"
        naive = f"make_timestamp({micros})"
        return naive if dtype.time_zone is None else f"timezone('UTC', {naive})"

    def micros(self, text: str, dtype: DataType) -> str:
        """Microseconds since 1970 of SQL that is a date or a timestamp."""
        if self.is_spark:
            moment = text if dtype.kind == "timestamp" and dtype.time_zone else f"CAST({text} AS timestamp)"
            return f"unix_micros({moment})"
        return f"epoch_us({text if dtype.kind == 'timestamp' else f'CAST({text} AS TIMESTAMP)'})"

    def whole_division(self, number: str, divisor: str) -> str:
        """A quotient of whole numbers, cut towards zero."""
        return f"({number} {self.either('div', '//')} {divisor})"

    def floor_mod(self, number: str, divisor: int) -> str:
        """What is left of a whole number above a multiple of a positive one."""
        return self.either(
            f"pmod({number}, {divisor})", f"((({number}) % {divisor} + {divisor}) % {divisor})"
        )


def _escaped(character: str) -> str:
    code = ord(character)
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


Writer = Callable[[Dialect, Asked], str]
METHODS: dict[str, Writer] = {}
"""Name of a polars method to what writes its answer as SQL."""


def writes(*names: str) -> Callable[[Writer], Writer]:
    """Put a function into `METHODS` under these names."""

    def put(writer: Writer) -> Writer:
        METHODS.update(dict.fromkeys(names, writer))
        return writer

    return put


def case(choices: Iterable[tuple[str, str]], otherwise: str) -> str:
    """SQL that chooses by the first condition that holds."""
    whens = " ".join(f"WHEN {condition} THEN {answer}" for condition, answer in choices)
    return f"(CASE {whens} ELSE {otherwise} END)" if whens else otherwise
