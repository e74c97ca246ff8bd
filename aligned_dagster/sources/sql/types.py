"""Types of columns: how each comes over the wire without a loss, and how the contract's types are declared.

The driver hands most types over as Arrow has them. Where it has none, or where it would hand over something else
than what is stored (an oid above 2**31 as a negative number, an array of arrays flattened, money as a number of
cents, padding blanks of char(n)), the query casts: to text, as a rule.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, cast

import polars as pl

from aligned_dagster.errors import MISFIT
from aligned_dagster.features.dtypes import DataType
from aligned_dagster.sources.sql.dialect import POSTGRES
from aligned_dagster.sources.sql.identifiers import quote

MOST_DIGITS = 38
"""Digits that a polars decimal has at most."""

Form = Literal["plain", "decimal", "fitted", "moment", "day", "time", "duration"]
"""What is left to do with values that have arrived; see `arrived`."""


@dataclass(frozen=True)
class StoredColumn:
    """A column of a table or of a query.

    Args:
        name: as it is stored.
        sql_type: as it is declared, for a cast or a definition: integer, numeric(10,2), text[], mood, ...
        not_null: whether it refuses nulls.
        comment: what is said of it.
        base: the name of its type, of what it is an array of, or of what it is a domain over: int4, numeric, ...
        is_array: whether it is an array.
        family: what `base` is: "b" a base type, "e" an enum, "c" a composite, "r" a range, ...
        precision: digits of a numeric; None where it is not bounded.
        scale: digits after its point.
        has_default: whether rows can be inserted without it although it refuses nulls.
        is_generated: whether the server computes it, so that it cannot be written.
        bytewise: whether two texts in it are equal only when their bytes are.
    """

    name: str
    sql_type: str
    not_null: bool = False
    comment: str | None = None
    base: str = "text"
    is_array: bool = False
    family: str = "b"
    precision: int | None = None
    scale: int = 0
    has_default: bool = False
    is_generated: bool = False
    bytewise: bool = True

    @property
    def sql(self) -> str:
        """The quoted name."""
        return quote(self.name)


@dataclass(frozen=True)
class Wire:
    """How the values of a column are asked for and what they are on arrival.

    Args:
        select: the SQL expression.
        dtype: the polars dtype that a frame gets.
        form: what is left to do; of the elements, where it is a list.
        is_stored: whether `select` is the stored column itself, so that an index on it serves a condition.
    """

    select: str
    dtype: pl.DataType
    form: Form = "plain"
    is_stored: bool = False


_AS_STORED: dict[str, tuple[pl.DataType, Form]] = {
    "bool": (pl.Boolean(), "plain"),
    "int2": (pl.Int16(), "plain"),
    "int4": (pl.Int32(), "plain"),
    "int8": (pl.Int64(), "plain"),
    "float4": (pl.Float32(), "plain"),
    "float8": (pl.Float64(), "plain"),
    "text": (pl.String(), "plain"),
    "varchar": (pl.String(), "plain"),
    "bytea": (pl.Binary(), "plain"),
    "date": (pl.Date(), "day"),
    "timestamp": (pl.Datetime("us"), "moment"),
    "timestamptz": (pl.Datetime("us", "UTC"), "moment"),
    "time": (pl.Time(), "plain"),
}
_INTEGERS: list[pl.DataType] = [pl.Int16(), pl.Int32(), pl.Int64()]


def wire(column: StoredColumn, wanted: DataType | None = None) -> Wire:
    """How to ask for a column.

    Args:
        column: the column.
        wanted: the contract's type, which a numeric without bounds and an array of arrays are read as, and to which
            small numbers are widened.

    >>> wire(StoredColumn("key", "uuid", base="uuid"))
    Wire(select='"key"::text', dtype=String, form='plain', is_stored=False)
    """
    if column.is_array:
        return _array(column, wanted)
    name, base = column.sql, column.base
    if base == "time":
        told = refusal(column, "24:00, which is no time of a day", name)
        return Wire(f"CASE WHEN {name} = '24:00' THEN {told}::time ELSE {name} END", pl.Time())
    if base in _AS_STORED and column.family == "b":
        dtype, form = _AS_STORED[base]
        return Wire(name, _widened(dtype, wanted), form, is_stored=True)
    if base == "numeric":
        return _numeric(column, wanted)
    if base == "money":
        return _numeric(StoredColumn(column.name, "numeric", base="numeric"), wanted, f"{name}::numeric")
    if base == "oid":
        return Wire(f"{name}::bigint", pl.Int64())
    if base == "inet":  # a cast would add /32
        return Wire(f"abbrev({name})", pl.String())
    if base == "interval" and (wanted is None or wanted.kind == "duration"):
        counted = f"trim_scale(extract(epoch FROM {name})::numeric * 1000000)::text"
        whole = f"isfinite({name}) AND extract(year FROM {name}) = 0 AND extract(month FROM {name}) = 0"
        return Wire(f"CASE WHEN {whole} THEN {counted} ELSE {name}::text END", pl.Duration("us"), "duration")
    if base == "super":  # of Redshift, where a cast would turn objects into null
        return Wire(f"json_serialize({name})", pl.String())
    if column.family == "c":
        return Wire(f"to_json({name})::text", pl.String())
    return Wire(f"{name}::text", pl.String())


def _widened(dtype: pl.DataType, wanted: DataType | None) -> pl.DataType:
    """The contract's dtype where every value fits into it, so that conditions on it still reach the server."""
    if wanted is None:
        return dtype
    if wanted.polars in _INTEGERS and dtype in _INTEGERS:
        return max(dtype, wanted.polars, key=_INTEGERS.index)
    if dtype == pl.Float32() and wanted.kind == "float64":
        return wanted.polars
    if isinstance(dtype, pl.Datetime) and dtype.time_zone is not None and wanted.time_zone is not None:
        return wanted.polars
    return dtype


def _numeric(column: StoredColumn, wanted: DataType | None, expression: str | None = None) -> Wire:
    name = expression or column.sql
    if (
        column.precision is not None
        and column.precision <= MOST_DIGITS
        and 0 <= column.scale <= column.precision
    ):
        dtype = pl.Decimal(column.precision, column.scale)
        return Wire(f"{name}::text", dtype, "decimal")
    if wanted is not None and wanted.is_float:
        return Wire(f"{name}::double precision", pl.Float64())
    if wanted is not None and wanted.kind == "decimal":
        return Wire(f"trim_scale({name})::text", wanted.polars, "fitted")
    if wanted is not None and wanted.is_numeric:
        return Wire(f"trim_scale({name})::text", pl.String())
    return Wire(f"{name}::text", pl.String())


def _array(column: StoredColumn, wanted: DataType | None) -> Wire:
    name, base = column.sql, column.base
    inner = None if wanted is None else wanted.inner
    if wanted is not None and (not wanted.is_nested or (inner is not None and inner.is_nested)):
        return Wire(f"array_to_json({name})::text" if wanted.is_nested else f"{name}::text", pl.String())
    flat = f"coalesce(array_ndims({name}), 1) = 1"
    told = refusal(column, "an array of arrays, which is no list of values", name)

    def guarded(values: str, sql_type: str) -> str:
        return f"CASE WHEN {flat} THEN {values} ELSE {told}::{sql_type} END"

    if base in _AS_STORED and column.family == "b" and base != "time":
        dtype, form = _AS_STORED[base]
        return Wire(guarded(name, f"{base}[]"), pl.List(dtype), form)
    texts = guarded(f"{name}::text[]", "text[]")
    if base == "time":
        return Wire(texts, pl.List(pl.Time()), "time")
    if base == "oid":
        return Wire(guarded(f"{name}::bigint[]", "bigint[]"), pl.List(pl.Int64()))
    if base == "numeric":
        if (
            column.precision is not None
            and column.precision <= MOST_DIGITS
            and 0 <= column.scale <= column.precision
        ):
            return Wire(texts, pl.List(pl.Decimal(column.precision, column.scale)), "decimal")
        if inner is not None and inner.is_float:
            return Wire(guarded(f"{name}::double precision[]", "double precision[]"), pl.List(pl.Float64()))
        if inner is not None and inner.kind == "decimal":
            return Wire(texts, pl.List(inner.polars), "fitted")
    if base == "inet" or (base == "interval" and inner is not None and inner.kind == "duration"):
        part = wire(StoredColumn("part", base, base=base))
        values = f"ARRAY(SELECT {part.select} FROM unnest({name}) WITH ORDINALITY AS parts(part, place) ORDER BY place)"
        values = f"CASE WHEN {name} IS NOT NULL THEN {values} END"
        return Wire(guarded(values, "text[]"), pl.List(part.dtype), part.form)
    if column.family == "c":
        return Wire(f"array_to_json({name})::text", pl.String())
    return Wire(texts, pl.List(pl.String()))


def refusal(column: StoredColumn, what: str, value: str) -> str:
    """An expression that fails with a message of ours when it is computed, by casting it to a number."""
    words = POSTGRES.literal(f"{MISFIT}: the column {column.name!r} holds {what}: ")
    return f"({words} || {value}::text)::integer::text"


_DAYS = (-719162, 2932896)
_MICROSECONDS = 86_400_000_000
OUT_OF_TIME = (
    "It holds infinity, or a time outside of the years 1 to 9999, which no frame can hold. Mend the value, or read the "
    "column from a query that does: nullif(column, 'infinity')."
)


def arrived(values: pl.Series, of: Wire) -> pl.Series:
    """The values as `Wire.dtype`, with null where a value does not fit.

    Args:
        values: a batch, as the driver hands it over.
        of: how it was asked for.
    """
    if of.form in {"moment", "day"}:
        values = _within(values, *_limits(of.form))
    if of.form in {"plain", "moment", "day"}:
        return values if values.dtype == of.dtype else values.cast(of.dtype)
    dtype = of.dtype
    if isinstance(dtype, pl.List):
        return values.list.eval(_converted(pl.element(), of.form, pl.List(dtype.inner).inner))
    return pl.select(_converted(pl.lit(values), of.form, dtype)).to_series()


def misfits(values: pl.Series, converted: pl.Series) -> pl.Series:
    """The values that `arrived` could not convert."""
    if isinstance(converted.dtype, pl.List):
        values, converted = values.explode(), converted.explode()
    return values.filter(converted.is_null() & values.is_not_null())


def _converted(texts: pl.Expr, form: Form, dtype: Any) -> pl.Expr:
    if form == "duration":
        return texts.cast(pl.Int64, strict=False).cast(dtype)
    if form == "time":
        return texts.str.to_time("%H:%M:%S%.f", strict=False)
    if form == "fitted":  # a cast would round what has more digits
        too_fine = rf"\.\d{{{dtype.scale}}}\d*[1-9]"
        return pl.when(~texts.str.contains(too_fine)).then(texts.cast(dtype, strict=False))
    return texts.cast(dtype, strict=False)


def _limits(form: Form) -> tuple[int, int]:
    first, last = _DAYS
    return (first, last) if form == "day" else (first * _MICROSECONDS, (last + 1) * _MICROSECONDS - 1)


def _within(values: pl.Series, first: int, last: int) -> pl.Series:
    """The values in a range that Python has too; `infinity` is far outside."""
    numbers = (values.explode() if isinstance(values.dtype, pl.List) else values).to_physical()
    low, high = cast("int | None", numbers.min()), cast("int | None", numbers.max())
    if low is None or high is None or (low >= first and high <= last):
        return values
    if isinstance(values.dtype, pl.List):
        part = pl.element()
        return values.list.eval(pl.when(part.to_physical().is_between(first, last)).then(part))
    return pl.select(pl.when(numbers.is_between(first, last)).then(values)).to_series()


_DECLARED = {
    "bool": "boolean",
    "int8": "smallint",
    "int16": "smallint",
    "int32": "integer",
    "int64": "bigint",
    "uint8": "smallint",
    "uint16": "integer",
    "uint32": "bigint",
    "uint64": "numeric(20,0)",
    "float32": "real",
    "float64": "double precision",
    "string": "text",
    "uuid": "uuid",
    "json": "jsonb",
    "date": "date",
    "time": "time",
    "duration": "interval",
    "binary": "bytea",
    "struct": "jsonb",
}


def ddl_type(dtype: DataType) -> str:
    """The type with which a column of the contract is created.

    >>> ddl_type(DataType.from_text("list(uint64)")), ddl_type(DataType.from_text("timestamp(us,)"))
    ('numeric(20,0)[]', 'timestamp')
    """
    if dtype.kind == "decimal":
        return f"numeric({dtype.precision},{dtype.scale})"
    if dtype.kind == "timestamp":
        return "timestamp" if dtype.time_zone is None else "timestamptz"
    if dtype.kind in {"list", "embedding"} and dtype.inner is not None:
        return "jsonb" if dtype.inner.is_nested else f"{ddl_type(dtype.inner)}[]"
    return _DECLARED[dtype.kind]


def contract_type(column: StoredColumn) -> DataType:
    """The contract's type for a stored column, as it is read where nothing else is wanted."""
    if column.base in {"uuid", "json", "jsonb"} and not column.is_array:
        return DataType("uuid" if column.base == "uuid" else "json")
    return DataType.from_polars(wire(column).dtype)
