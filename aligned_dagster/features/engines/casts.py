"""Casts between types, and how numbers, dates and times are written as text."""

from __future__ import annotations

from aligned_dagster.features.dtypes import DataType
from aligned_dagster.features.engines.dialect import (
    TEXT,
    Asked,
    Dialect,
    GapError,
    Written,
    writes,
)
from aligned_dagster.features.engines.number_sql import UNSIGNED, checked, unsigned
from aligned_dagster.features.engines.times import local, shown

_FLOAT = r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?|[+-]?(?i:inf|infinity|nan)"
"""The texts that polars reads as a number of floating point."""


@writes("cast")
def _cast(dialect: Dialect, asked: Asked) -> str:
    part = asked.args[0]
    dtype = asked.dtype
    if part.is_plain:
        return dialect.literal(part.value, dtype)
    return converted(dialect, part, dtype)


def converted(dialect: Dialect, part: Written, dtype: DataType) -> str:
    """SQL of a part in another type, by polars' rules; a value that does not fit is an error.

    Raises:
        GapError: engines cast otherwise, or not at all.
    """
    have = part.dtype
    if have == dtype or (have.is_text and dtype.is_text):
        return part.text
    if dtype.is_text:
        return as_text(dialect, part)
    if have.is_text and dtype.is_numeric and dtype.kind != "decimal":
        return _parsed(dialect, part.text, dtype)
    if have.is_numeric and dtype.kind in UNSIGNED and dialect.is_spark:
        return unsigned(dialect, part, dtype)
    if (have.is_float or have.kind == "decimal") and dtype.is_integer:
        return dialect.cast(part.text if dialect.is_spark else f"trunc({part.text})", dtype)
    if have.kind == "date" and dtype.kind == "timestamp":
        if dtype.time_zone is not None:
            raise GapError(f"a cast of a date to {dtype.text}: only polars has it")
        return dialect.cast(part.text, dtype)
    if have.kind == "timestamp" and dtype.kind == "date":
        return f"CAST({local(dialect, part, 'UTC')} AS date)"
    if have.kind == dtype.kind == "timestamp":
        if (have.time_zone is None) != (dtype.time_zone is None):
            raise GapError(f"a cast of {have.text} to {dtype.text}: only polars has it")
        return part.text
    if have.is_text and dtype.kind == "decimal":
        raise GapError(
            f"a cast of a text to {dtype.text}: engines round halves otherwise; cast it to Float() first"
        )
    if have.kind == dtype.kind == "decimal" and dtype.scale < have.scale:
        function = dialect.either("bround", "round_even")
        return dialect.cast(f"{function}({part.text}, {dtype.scale})", dtype)
    numeric = (have.is_numeric or have.kind == "bool") and (dtype.is_numeric or dtype.kind == "bool")
    if have.is_numeric and dtype.kind == "bool":
        return f"({part.text} <> 0)"
    if have.is_float and dtype.is_float:
        return dialect.typed(part, dtype)
    if numeric:
        return dialect.cast(part.text, dtype)
    if (
        have.kind in {"list", "embedding"}
        and dtype.kind in {"list", "embedding"}
        and have.inner
        and dtype.inner
    ):
        return _converted_list(dialect, part, have.inner, dtype.inner)
    raise GapError(f"a cast of {have.text} to {dtype.text}: only polars has it")


def _parsed(dialect: Dialect, text: str, dtype: DataType) -> str:
    """SQL of the number that a text writes as polars reads it: without a blank, an underscore, or a type of its own."""
    whole = r"\+?[0-9]+" if dtype.kind in UNSIGNED else r"[+-]?[0-9]+"
    form = _FLOAT if dtype.is_float else whole
    pattern = dialect.text(f"^(?:{form})\\z")
    fits = dialect.either(f"{text} RLIKE {pattern}", f"regexp_matches({text}, {pattern})")
    number = dialect.cast(text, dtype)
    if dialect.is_spark and dtype.kind in UNSIGNED:
        wide = dialect.cast(text, DataType("decimal", precision=38))
        number = unsigned(dialect, Written(wide, DataType("decimal", precision=38)), dtype, shown=text)
    return checked(dialect, fits, text, number, dtype)


def _converted_list(dialect: Dialect, part: Written, have: DataType, wanted: DataType) -> str:
    item = converted(dialect, Written("item", have), wanted)
    if item == "item":
        return part.text
    return dialect.either(
        f"transform({part.text}, item -> {item})", f"list_transform({part.text}, lambda item: {item})"
    )


def as_text(dialect: Dialect, part: Written) -> str:
    """SQL of the text that polars writes for a value.

    Raises:
        GapError: the engine writes it otherwise.
    """
    dtype = part.dtype
    if part.is_plain:
        return _plain_text(dialect, part)
    if dtype.is_text:
        return part.text
    if dtype.is_integer or dtype.kind in {"bool", "decimal"}:
        return dialect.cast(part.text, TEXT)
    if dtype.kind == "date":
        return shown(dialect, part, "%Y-%m-%d")
    if dtype.kind == "timestamp" and dtype.time_zone is None:
        return shown(dialect, part, "%Y-%m-%d %H:%M:%S.%6f")
    raise GapError(f"{dtype.text} as text: engines write it otherwise than polars")


def _plain_text(dialect: Dialect, part: Written) -> str:
    import polars as pl

    return dialect.literal(pl.select(pl.lit(part.value).cast(pl.String)).item(), TEXT)
