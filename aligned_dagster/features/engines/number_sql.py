"""Numbers as polars leaves them: whole ones wrap around where they are computed, and are checked where they are cast."""

from __future__ import annotations

from aligned_dagster.errors import MISFIT
from aligned_dagster.features.dtypes import DataType
from aligned_dagster.features.engines.dialect import FLOAT64, INT64, TEXT, Dialect, Written, case

_BITS = {f"{sign}int{bits}": (bits, sign == "") for bits in (8, 16, 32, 64) for sign in ("", "u")}

UNSIGNED = frozenset(kind for kind in _BITS if kind.startswith("u"))
"""Kinds of whole numbers without a sign, which Spark does not have."""
_HALF = 2**63
_SHOWN = 100
"""Characters of SQL up to which an error tells them."""


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


def checked(dialect: Dialect, fits: str, value: str, answer: str, dtype: DataType) -> str:
    """SQL of an answer, and of an error where a value does not fit; null stays null.

    Args:
        dialect: whose SQL.
        fits: SQL of the condition on the value.
        value: SQL of what the error tells.
        answer: SQL in the type.
        dtype: of the answer.
    """
    of = f" of {value}" if len(value) < _SHOWN else ""
    told = dialect.text(f"'{of} does not fit into {dtype.text}.")
    start = dialect.text(f"{MISFIT}: The value '")
    shown = f"concat({start}, CAST({value} AS {dialect.type(TEXT)}), {told})"
    error = dialect.cast(dialect.either(f"raise_error({shown})", f"error({shown})"), dtype)
    return f"(CASE WHEN NOT ({fits}) THEN {error} ELSE {answer} END)"


def unsigned(dialect: Dialect, part: Written, dtype: DataType, shown: str = "") -> str:
    """A number in a type of Spark that is wider than the one that it stands for, cut towards zero and within its range.

    Args:
        dialect: of Spark.
        part: the number.
        dtype: without a sign.
        shown: SQL of what an error tells; the number if not given.
    """
    have, number, size = part.dtype, part.text, 2 ** _BITS[dtype.kind][0]
    if have.kind in UNSIGNED and _BITS[have.kind][0] <= _BITS[dtype.kind][0]:
        return dialect.cast(number, dtype)
    if have.is_float:
        number = dialect.cast(number, FLOAT64)
        fits = f"{number} > -1D AND {number} < {size}D"
        whole = f"CAST({number} AS bigint)"
        if dtype.kind == "uint64":  # a cast to a decimal would take the shortest digits for the number
            above = f"CAST({number} - {_HALF}D AS bigint) + {_HALF}BD"
            whole = case([(f"{number} >= {_HALF}D", above)], whole)
    else:
        fits = f"{number} > -1BD AND {number} < {size}BD"
        whole = case([(f"{number} < 0", "0")], f"floor({number})") if have.kind == "decimal" else number
    return checked(dialect, fits, shown or part.text, dialect.cast(whole, dtype), dtype)
