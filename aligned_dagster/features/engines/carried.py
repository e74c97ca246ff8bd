"""The dtypes in which columns travel to an engine and back, and what the engine calls them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from string import ascii_lowercase, ascii_uppercase

import polars as pl

from aligned_dagster.errors import UnsupportedError
from aligned_dagster.features.dtypes import DataType
from aligned_dagster.features.engines.names import Engine

_WIDER = {"uint8": "int16", "uint16": "int32", "uint32": "int64"}
"""Spark has no unsigned numbers; each travels in the next wider type."""

_COUNTED = frozenset({"time", "duration"})
"""Travel as whole numbers: a time of day in nanoseconds since midnight, a duration in microseconds."""

_SPARK = {
    "bool": "boolean", "int8": "tinyint", "int16": "smallint", "int32": "int", "int64": "bigint",
    "float32": "float", "float64": "double", "string": "string", "uuid": "string", "json": "string",
    "date": "date", "binary": "binary",
}  # fmt: skip
_DUCKDB = {
    "bool": "BOOLEAN", "int8": "TINYINT", "int16": "SMALLINT", "int32": "INTEGER", "int64": "BIGINT",
    "uint8": "UTINYINT", "uint16": "USMALLINT", "uint32": "UINTEGER", "uint64": "UBIGINT",
    "float32": "FLOAT", "float64": "DOUBLE", "string": "VARCHAR", "uuid": "VARCHAR", "json": "VARCHAR",
    "date": "DATE", "binary": "BLOB",
}  # fmt: skip

_SMALL = str.maketrans(ascii_uppercase, ascii_lowercase)


def carried_type(dtype: DataType, engine: Engine) -> DataType:
    """The contract's type in whose values an engine holds those of another.

    Args:
        dtype: what the contract says.
        engine: which engine holds it.

    >>> carried_type(DataType("list", inner=DataType("uint8")), "spark").text
    'list(int16)'
    """
    if engine == "polars":
        return dtype
    if dtype.kind in _COUNTED:
        return DataType("int64")
    if engine == "spark" and dtype.kind == "uint64":
        return DataType("decimal", precision=20)
    if engine == "spark" and dtype.kind in _WIDER:
        return DataType(_WIDER[dtype.kind])
    if dtype.kind == "timestamp" and dtype.time_zone is not None:
        return DataType("timestamp", time_zone="UTC")
    if dtype.kind == "struct":
        return replace(dtype, fields=tuple((name, carried_type(t, engine)) for name, t in dtype.fields))
    if dtype.kind in {"list", "embedding"} and dtype.inner is not None:
        return DataType("list", inner=carried_type(dtype.inner, engine))
    return dtype


def carried(dtype: DataType, engine: Engine) -> pl.DataType:
    """The polars dtype in which a column travels to an engine and comes back from it.

    Args:
        dtype: what the contract says.
        engine: where the column travels to.

    >>> carried(DataType("uint64"), "spark"), carried(DataType("duration"), "duckdb")
    (Decimal(precision=20, scale=0), Int64)
    >>> carried(DataType("timestamp", time_zone="Europe/Oslo"), "spark")
    Datetime(time_unit='us', time_zone='UTC')
    """
    return carried_type(dtype, engine).polars


def engine_type_name(dtype: DataType, engine: Engine) -> str:
    """What an engine's SQL calls the type in which it holds a contract's type.

    Raises:
        UnsupportedError: the engine has no type that holds it.

    >>> engine_type_name(DataType.from_text("struct(a:int8,b:list(string))"), "duckdb")
    'STRUCT("a" TINYINT, "b" VARCHAR[])'
    """
    held = carried_type(dtype, engine)
    spark = engine == "spark"
    simple = (_SPARK if spark else _DUCKDB).get(held.kind)
    if simple is not None:
        return simple
    if held.kind == "decimal":
        return f"decimal({held.precision},{held.scale})"
    if held.kind == "timestamp":
        naive, zoned = ("timestamp_ntz", "timestamp") if spark else ("TIMESTAMP", "TIMESTAMPTZ")
        return naive if held.time_zone is None else zoned
    if held.kind == "list" and held.inner is not None:
        inner = engine_type_name(held.inner, engine)
        return f"array<{inner}>" if spark else f"{inner}[]"
    if held.kind == "struct" and held.fields:
        alike = {} if spark else alike_in_duckdb(name for name, _ in held.fields)
        for name, first in alike.items():
            raise UnsupportedError(
                f"DuckDB takes the fields {first!r} and {name!r} for one; rename one of them"
            )
        fields = [(quoted(name, engine), engine_type_name(inner, engine)) for name, inner in held.fields]
        if spark:
            return f"struct<{', '.join(f'{name}: {inner}' for name, inner in fields)}>"
        return f"STRUCT({', '.join(f'{name} {inner}' for name, inner in fields)})"
    raise UnsupportedError(f"{engine} has no type for {dtype.text}; cast the column, or use engine='polars'.")


def alike_in_duckdb(names: Iterable[str]) -> dict[str, str]:
    """Names to earlier ones from which they differ only in the case of letters of ASCII: DuckDB knows no other difference.

    >>> alike_in_duckdb(["a", "A", "é", "É"])
    {'A': 'a'}
    """
    alike: dict[str, str] = {}
    seen: dict[str, str] = {}
    for name in dict.fromkeys(names):
        first = seen.setdefault(name.translate(_SMALL), name)
        if first is not name:
            alike[name] = first
    return alike


def quoted(name: str, engine: Engine) -> str:
    """A name of a column as an engine's SQL writes it.

    >>> quoted("a`b", "spark"), quoted('a"b', "duckdb")
    ('`a``b`', '"a""b"')
    """
    mark = "`" if engine == "spark" else '"'
    return f"{mark}{name.replace(mark, mark * 2)}{mark}"
