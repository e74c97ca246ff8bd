"""How the values of a contract are sent so that a column of the server holds exactly them, or an error says why not.

Rows go by binary COPY, which checks little: a number of another width is refused with a riddle, a date too far away
becomes infinity, a time is cut to microseconds. So every value is brought to the very form of the stored type here, by
casts that are checked.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace

import polars as pl

from aligned_dagster.errors import AlignedError
from aligned_dagster.features.dtypes import DataType
from aligned_dagster.sources.casting import CheckedCast, Place
from aligned_dagster.sources.date_formatter import fit_timestamps
from aligned_dagster.sources.json_text import nested_to_text
from aligned_dagster.sources.sql.types import StoredColumn, ddl_type

_UUID = r"^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$"
_INTEGERS: dict[str, pl.DataType] = {"int2": pl.Int16(), "int4": pl.Int32(), "int8": pl.Int64()}
_ZONES: dict[str, str | None] = {"timestamptz": "UTC", "timestamp": None}
_AS_THEY_ARE: dict[str, str] = {
    "bool": "bool",
    "float32": "float4",
    "float64": "float8",
    "binary": "bytea",
} | {"duration": "interval"}
"""Kind of a contract's type to the server's type that has the same values."""
_FIRST_DAY, _LAST_DAY = -719_162, 2_932_896
_DAY = 86_400_000_000
_PARSED_BY_US = {
    *_INTEGERS,
    *_ZONES,
    *_AS_THEY_ARE.values(),
    *("numeric", "date", "time"),
}
"""Types for which contracts have types of their own: text is not turned into them on the quiet."""


class MisfitError(AlignedError):
    """Values of a contract's type cannot be stored in a column; it never leaves `sources.sql`."""


@dataclass(frozen=True)
class Outgoing:
    """One column on its way.

    Args:
        name: its name in the contract.
        stored: the column of the server.
        sent: the type in which it is sent, where the server has to cast it; None where that is its own.
        encode: from the contract's values to those that are sent; None where they are the same.
    """

    name: str
    stored: StoredColumn
    sent: str | None
    encode: pl.Expr | None

    @property
    def held(self) -> str:
        """The name under which a spool holds what is sent."""
        return self.name if self.encode is None else f"\0sent {self.name}"

    def cast(self, operand: str) -> str:
        """The SQL expression of the stored type for what was sent."""
        return operand if self.sent is None else f"{operand}::{self.stored.sql_type}"


def declared(name: str, dtype: DataType, sql_type: str | None = None) -> StoredColumn:
    """The column as which one of a contract is created.

    Args:
        name: its stored name.
        dtype: the contract's type.
        sql_type: the type that the system declares for it, where it is not PostgreSQL's.

    >>> declared("id", DataType("uint64")).sql_type
    'numeric(20,0)'
    """
    sql_type = sql_type or ddl_type(dtype)
    element = sql_type.removesuffix("[]")
    args = re.search(r"\((\d+),(\d+)\)", element)
    base = re.sub(r"\(.*\)", "", element)
    bases = {"boolean": "bool", "smallint": "int2", "integer": "int4", "bigint": "int8", "real": "float4"}
    return StoredColumn(
        name,
        sql_type,
        base={**bases, "double precision": "float8"}.get(base, base),
        is_array=element != sql_type,
        precision=int(args.group(1)) if args else None,
        scale=int(args.group(2)) if args else 0,
    )


def outgoing(place: Place, stored: StoredColumn) -> Outgoing:
    """How the values of a contract's column are sent to a column of the server.

    Args:
        place: the column, with its type and name.
        stored: the column of the server.

    Raises:
        MisfitError: it cannot hold them; the message says which types meet.
    """
    column = pl.col(place.column)
    misfit = MisfitError(f"{stored.sql_type} cannot hold {place.dtype.text}")
    if stored.is_generated:
        raise MisfitError("the server computes it itself")
    if place.dtype.is_nested or stored.is_array:
        expr, sent = _nested(column, place.dtype, stored)
    else:
        expr, sent = _scalar(column, place, stored), None
        if (
            expr is None
            and place.dtype.is_text
            and stored.base not in _PARSED_BY_US
            and stored.family in "be"
        ):
            expr, sent = column, "text"
    if expr is None:
        raise misfit
    return Outgoing(place.column, stored, sent, None if expr is column else expr)


def _scalar(column: pl.Expr, place: Place, stored: StoredColumn) -> pl.Expr | None:
    """What is sent, the column itself where it has the stored form; None where no form of ours is the stored one."""
    kind, base = place.dtype.kind, stored.base
    if place.dtype.is_text:
        return _text(column, place, stored)
    if base == "numeric":
        return _decimal(column, place, stored)
    if place.dtype.is_integer and base in _INTEGERS:
        return _integer(column, place, _INTEGERS[base])
    if kind == "timestamp" and base in _ZONES:
        return _moment(column, place, stored)
    if kind == "date" and base == "date":
        return _within(column, place, _FIRST_DAY, _LAST_DAY)
    if kind == "time" and base == "time":
        return _checked(column, place, lambda times: _units(times, 1000), "The server counts microseconds.")
    if kind == "float32" and base == "float8":
        return column.cast(pl.Float64)
    return column if _AS_THEY_ARE.get(kind) == base else None


def _integer(column: pl.Expr, place: Place, wanted: pl.DataType) -> pl.Expr:
    if wanted == place.dtype.polars:
        return column
    hint = f"The column holds {wanted} only: widen it, or mend the value."
    return CheckedCast(lambda values: values.cast(wanted, strict=False), place, hint).on(column, wanted)


def _decimal(column: pl.Expr, place: Place, stored: StoredColumn) -> pl.Expr | None:
    dtype = place.dtype
    if not (dtype.is_integer or dtype.kind == "decimal"):
        return None
    wanted = dtype.polars if dtype.kind == "decimal" else pl.Decimal(20, 0)
    if stored.precision is not None and stored.precision <= 38 and 0 <= stored.scale <= stored.precision:
        wanted = pl.Decimal(stored.precision, stored.scale)
    elif stored.precision is not None:
        return None
    if wanted == dtype.polars:
        return column

    def fit(values: pl.Series) -> pl.Series:
        fitted = values.cast(wanted, strict=False)
        return _only(fitted, fitted.cast(values.dtype, strict=False).eq_missing(values))

    return CheckedCast(fit, place, f"The column is {stored.sql_type}: widen it, or mend the value.").on(
        column, wanted
    )


def _text(column: pl.Expr, place: Place, stored: StoredColumn) -> pl.Expr | None:
    if stored.base in {"text", "varchar", "json"}:
        return column
    if stored.base == "jsonb":
        return _jsonb(column)
    if stored.base != "uuid":
        return None

    def parse(values: pl.Series) -> pl.Series:
        bare = _only(values, values.str.contains(_UUID)).str.replace_all("-", "", literal=True)
        return bare.str.decode("hex", strict=False)

    return CheckedCast(parse, place, "The column is uuid.").on(column, pl.Binary())


def _jsonb(text: pl.Expr) -> pl.Expr:
    """The binary form: a version, and the text."""
    return pl.concat_str(pl.lit("\1"), text)


def _moment(column: pl.Expr, place: Place, stored: StoredColumn) -> pl.Expr:
    zone = _ZONES[stored.base]
    if (place.dtype.time_zone is None) != (zone is None):
        other = DataType("timestamp", time_zone=zone)
        home = place.dtype.time_zone or place.zone
        hint = f"The column is {stored.sql_type}, and there is no such time, or two, in {home}."
        given = place.dtype

        def fit(values: pl.Series) -> pl.Series:
            fitted = fit_timestamps(values, other, home, home)
            return _only(fitted, fit_timestamps(fitted, given, home, home).eq_missing(values))

        column = CheckedCast(fit, place, hint).on(column, other.polars)
        place = replace(place, dtype=other)
    digits = re.search(r"\((\d)\)", stored.sql_type)
    first, last = _FIRST_DAY * _DAY, (_LAST_DAY + 1) * _DAY - 1
    if digits is not None:
        unit = 10 ** (6 - int(digits.group(1)))
        column = _checked(
            column, place, lambda moments: _units(moments, unit), f"The column is {stored.sql_type}."
        )
    return _within(column, place, first, last)


def _nested(column: pl.Expr, dtype: DataType, stored: StoredColumn) -> tuple[pl.Expr | None, str | None]:
    if not stored.is_array:
        if not dtype.is_nested or stored.base not in {"text", "varchar", "json", "jsonb"}:
            return None, None
        text = column.map_batches(nested_to_text, return_dtype=pl.String, is_elementwise=True)
        return (_jsonb(text) if stored.base == "jsonb" else text), None
    inner = dtype.inner
    if inner is None or inner.is_nested:
        return None, None
    element = _element(inner, stored)
    if element is not None:
        same = dtype.kind == "list" and element == inner.polars
        return (column if same else column.cast(pl.List(element))), None
    castable = inner.is_text and stored.base not in _PARSED_BY_US
    return (column, "text[]") if castable and dtype.kind == "list" else (None, None)


def _element(inner: DataType, stored: StoredColumn) -> pl.DataType | None:
    """The dtype of elements that have the stored form without a loss; None where there is none."""
    base = stored.base
    if inner.is_integer and base in _INTEGERS:
        unsigned = inner.kind.startswith("u")
        bits = int(inner.kind.lstrip("uint")) + unsigned
        return _INTEGERS[base] if bits <= int(base[3:]) * 8 else None
    if inner.kind == "uint64" and base == "numeric":
        return pl.Decimal(20, 0) if stored.precision in {None, 20} and not stored.scale else None
    if inner.kind == "decimal" and base == "numeric":
        return (
            inner.polars
            if (stored.precision, stored.scale) in {(inner.precision, inner.scale), (None, 0)}
            else None
        )
    if inner.kind == "timestamp":
        return (
            inner.polars if base in _ZONES and (_ZONES[base] is None) == (inner.time_zone is None) else None
        )
    if inner.kind == "float32" and base == "float8":
        return pl.Float64()
    plain = {**_AS_THEY_ARE, "string": "text", "date": "date", "time": "time"}
    return inner.polars if plain.get(inner.kind) == base else None


def _checked(column: pl.Expr, place: Place, check: Callable[[pl.Series], pl.Series], hint: str) -> pl.Expr:
    return CheckedCast(check, place, hint).on(column, place.dtype.polars)


def _within(column: pl.Expr, place: Place, first: int, last: int) -> pl.Expr:
    """The days or moments that Python knows too: far beyond them lie the server's infinities."""
    hint = "It is no year from 1 to 9999."

    def check(values: pl.Series) -> pl.Series:
        good = values.to_physical().is_between(first, last)
        if not good.all():
            raise place.misfit(values.filter(~good).cast(pl.String)[0], hint)
        return values

    return _checked(column, place, check, hint)


def _units(values: pl.Series, unit: int) -> pl.Series:
    return _only(values, values.to_physical() % unit == 0)


def _only(values: pl.Series, good: pl.Series) -> pl.Series:
    """The values for which something holds; null for the others."""
    if good.all():
        return values
    return pl.select(pl.when(good).then(values)).to_series()
