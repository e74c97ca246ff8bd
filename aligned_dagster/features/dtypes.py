"""Data types of a contract: a name, its parameters, and the polars dtype that carries it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property

import polars as pl
from polars._typing import PolarsDataType

from aligned_dagster.errors import ContractError

_SIMPLE: dict[str, pl.DataType] = {
    "bool": pl.Boolean(),
    "int8": pl.Int8(),
    "int16": pl.Int16(),
    "int32": pl.Int32(),
    "int64": pl.Int64(),
    "uint8": pl.UInt8(),
    "uint16": pl.UInt16(),
    "uint32": pl.UInt32(),
    "uint64": pl.UInt64(),
    "float32": pl.Float32(),
    "float64": pl.Float64(),
    "string": pl.String(),
    "uuid": pl.String(),
    "json": pl.String(),
    "date": pl.Date(),
    "time": pl.Time(),
    "duration": pl.Duration("us"),
    "binary": pl.Binary(),
}
_INTEGERS = frozenset(name for name in _SIMPLE if "int" in name)
_FLOATS = frozenset({"float32", "float64"})
_TEXTS = frozenset({"string", "uuid", "json"})


@dataclass(frozen=True)
class DataType:
    """One data type: `kind` and, where the kind has them, its parameters.

    Args:
        kind: "int32", "decimal", "timestamp", "list", "struct", "embedding", ...
        inner: the element type of a list or an embedding.
        fields: names and types of a struct, in order.
        precision: digits of a decimal.
        scale: digits after a decimal's point.
        size: the number of values of an embedding.
        time_zone: zone of a timestamp; None is a naive one.

    >>> DataType("list", inner=DataType("int32")).text
    'list(int32)'
    >>> DataType.from_text("struct(a:int32,b:list(string))").polars
    Struct({'a': Int32, 'b': List(String)})
    """

    kind: str
    inner: DataType | None = None
    fields: tuple[tuple[str, DataType], ...] = ()
    precision: int = 38
    scale: int = 0
    size: int = 0
    time_zone: str | None = None

    @cached_property
    def polars(self) -> pl.DataType:
        """The polars dtype."""
        if self.kind in _SIMPLE:
            return _SIMPLE[self.kind]
        if self.kind == "decimal":
            return pl.Decimal(self.precision, self.scale)
        if self.kind == "timestamp":
            return pl.Datetime("us", self.time_zone)
        if self.kind == "struct":
            return pl.Struct({name: dtype.polars for name, dtype in self.fields})
        if self.kind == "list" and self.inner is not None:
            return pl.List(self.inner.polars)
        if self.kind == "embedding" and self.inner is not None:
            return pl.Array(self.inner.polars, self.size)
        raise ContractError(f"Unknown data type {self.kind!r}. Known: {', '.join(sorted(_SIMPLE))}, ...")

    @cached_property
    def text(self) -> str:
        """The canonical text, which `from_text` reads back."""
        if self.kind == "decimal":
            return f"decimal({self.precision},{self.scale})"
        if self.kind == "timestamp":
            return f"timestamp(us,{self.time_zone or ''})"
        if self.kind == "list" and self.inner is not None:
            return f"list({self.inner.text})"
        if self.kind == "embedding" and self.inner is not None:
            return f"embedding({self.size},{self.inner.text})"
        if self.kind == "struct":
            return "struct(" + ",".join(f"{_quote(name)}:{t.text}" for name, t in self.fields) + ")"
        return self.kind

    @property
    def is_integer(self) -> bool:
        """Whether values are whole numbers."""
        return self.kind in _INTEGERS

    @property
    def is_float(self) -> bool:
        """Whether values are floating point numbers, which can be NaN."""
        return self.kind in _FLOATS

    @property
    def is_numeric(self) -> bool:
        """Whether values are numbers."""
        return self.is_integer or self.is_float or self.kind == "decimal"

    @property
    def is_text(self) -> bool:
        """Whether values are stored as text."""
        return self.kind in _TEXTS

    @property
    def is_temporal(self) -> bool:
        """Whether values are dates, times or durations."""
        return self.kind in {"date", "time", "timestamp", "duration"}

    @property
    def is_nested(self) -> bool:
        """Whether values hold other values."""
        return self.kind in {"list", "struct", "embedding"}

    @property
    def group(self) -> str:
        """The family within which values compare: number, text, bool, date, timestamp, ..."""
        if self.is_numeric:
            return "number"
        return "text" if self.is_text else self.kind

    @staticmethod
    def from_text(text: str) -> DataType:
        """Read the canonical text.

        Raises:
            ContractError: the text is no data type.
        """
        dtype, rest = _parse(text)
        if rest:
            raise ContractError(f"{text!r} is no data type: {rest!r} is left over.")
        return dtype

    @staticmethod
    def from_polars(dtype: PolarsDataType) -> DataType:
        """The contract's type for a polars dtype.

        Raises:
            ContractError: contracts have no such type (Object, Null, Unknown).

        >>> DataType.from_polars(pl.Datetime("ms", "UTC")).text
        'timestamp(us,UTC)'
        """
        if isinstance(dtype, type):
            dtype = dtype()
        assert isinstance(dtype, pl.DataType)
        for kind, known in _SIMPLE.items():
            if dtype == known:
                return DataType(kind)
        if isinstance(dtype, pl.Duration):
            return DataType("duration")
        if isinstance(dtype, pl.Datetime):
            return DataType("timestamp", time_zone=dtype.time_zone)
        if isinstance(dtype, pl.Decimal):
            return DataType("decimal", precision=dtype.precision or 38, scale=dtype.scale)
        if isinstance(dtype, pl.List):
            return DataType("list", inner=DataType.from_polars(dtype.inner))
        if isinstance(dtype, pl.Array):
            return DataType("embedding", inner=DataType.from_polars(dtype.inner), size=dtype.size)
        if isinstance(dtype, pl.Struct):
            return DataType(
                "struct", fields=tuple((f.name, DataType.from_polars(f.dtype)) for f in dtype.fields)
            )
        if isinstance(dtype, pl.Categorical | pl.Enum):
            return DataType("string")
        raise ContractError(f"Contracts have no type for polars' {dtype}. Cast the column to one they have.")


def castable(stored: DataType, wanted: DataType) -> bool:
    """Whether values of one type can be read as another; a value that does not fit is still an error when read.

    >>> castable(DataType("int32"), DataType("float64")), castable(DataType("string"), DataType("int32"))
    (True, False)
    """
    if stored == wanted or stored.group == wanted.group == "number":
        return True
    if stored.is_nested or wanted.is_nested:
        if stored.kind != wanted.kind or stored.inner is None or wanted.inner is None:
            return (
                stored.group == wanted.group == "struct"
                and dict(stored.fields).keys() == dict(wanted.fields).keys()
            )
        return stored.size == wanted.size and castable(stored.inner, wanted.inner)
    if stored.group == wanted.group:
        return True
    return (stored.kind, wanted.group) in {
        ("date", "timestamp"),
        ("bool", "number"),
    } or wanted.kind == "string"


def _quote(name: str) -> str:
    return re.sub(r"([\\:,()])", r"\\\1", name)


def _parse(text: str) -> tuple[DataType, str]:
    match = re.match(r"[a-z0-9]+", text)
    if match is None:
        raise ContractError(f"{text!r} is no data type.")
    kind, rest = match.group(), text[match.end() :]
    if kind in _SIMPLE:
        return DataType(kind), rest
    if not rest.startswith("("):
        raise ContractError(f"{kind!r} is no data type.")
    rest = rest[1:]
    if kind in {"decimal", "timestamp"}:
        first, _, tail = rest.partition(",")
        second, _, tail = tail.partition(")")
        if kind == "decimal":
            return DataType(kind, precision=int(first), scale=int(second)), tail
        return DataType(kind, time_zone=second or None), tail
    if kind == "embedding":
        size, _, rest = rest.partition(",")
        inner, rest = _parse(rest)
        return DataType(kind, inner=inner, size=int(size)), rest.removeprefix(")")
    if kind == "list":
        inner, rest = _parse(rest)
        return DataType(kind, inner=inner), rest.removeprefix(")")
    if kind == "struct":
        return _parse_fields(rest)
    raise ContractError(f"{kind!r} is no data type.")


def _parse_fields(rest: str) -> tuple[DataType, str]:
    fields: list[tuple[str, DataType]] = []
    while rest and not rest.startswith(")"):
        rest = rest.removeprefix(",")
        match = re.match(r"((?:\\.|[^\\:,()])*):", rest)
        if match is None:
            raise ContractError(f"{rest!r} should start with a field of a struct, as in 'a:int32'.")
        name = re.sub(r"\\(.)", r"\1", match.group(1))
        dtype, rest = _parse(rest[match.end() :])
        fields.append((name, dtype))
    return DataType("struct", fields=tuple(fields)), rest.removeprefix(")")
