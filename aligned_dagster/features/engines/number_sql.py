"""Numbers as polars leaves them: whole ones wrap around, quotients by zero are infinite, the infinite has a floor."""

from __future__ import annotations

from aligned_dagster.features.dtypes import DataType
from aligned_dagster.features.engines.dialect import INT64, Dialect, Written, case

_BITS = {f"{sign}int{bits}": (bits, sign == "") for bits in (8, 16, 32, 64) for sign in ("", "u")}


def wrapped(dialect: Dialect, number: str, dtype: DataType) -> str:
    """A whole number of 64 bits in a narrower type, modulo its size, as polars leaves it after an overflow."""
    bits, signed = _BITS[dtype.kind]
    if dtype.kind == "int64":
        return number
    size = 2**bits
    if dtype.kind == "uint64":
        wide = dialect.either(f"CAST({number} AS decimal(38,0))", f"CAST({number} AS HUGEINT)")
        return dialect.cast(dialect.floor_mod(wide, size), dtype)
    if signed:
        return dialect.cast(f"({dialect.floor_mod(f'({number}) + {size // 2}', size)} - {size // 2})", dtype)
    return dialect.cast(dialect.floor_mod(number, size), dtype)


def wide(dialect: Dialect, part: Written, dtype: DataType) -> str:
    """An operand in the type in which numbers of a type are computed."""
    if dtype.kind == "uint64":
        huge = dialect.either("decimal(38,0)", "HUGEINT")
        return f"CAST({dialect.typed(part, part.dtype if part.dtype.is_integer else INT64)} AS {huge})"
    return dialect.typed(part, INT64 if dtype.is_integer else dtype)


def divided(dialect: Dialect, number: str, divisor: str, known: bool = False) -> str:
    """A quotient of floating point numbers, infinite or NaN where the divisor is zero.

    Args:
        dialect: whose SQL.
        number: what is divided.
        divisor: what it is divided by.
        known: whether the divisor is known not to be zero.
    """
    if known or not dialect.is_spark:
        return f"({number} / {divisor})"
    return f"coalesce(try_divide({number}, {divisor}), {number} * power({divisor}, -1D))"


def rounded_by(dialect: Dialect, function: str, text: str, dtype: DataType) -> str:
    """`floor` or `ceil` of a floating point number; Spark's own give whole numbers, which infinity does not fit."""
    if not dialect.is_spark:
        return f"{function}({text})"
    moved = f"rint({text})"
    step, beyond = ("- 1D", ">") if function == "floor" else ("+ 1D", "<")
    return dialect.cast(case([(f"{moved} {beyond} {text}", f"{moved} {step}")], moved), dtype)
