"""Operators on numbers: whole numbers wrap around where they overflow 8, 16 or 32 bits, and divide by zero to null."""

from __future__ import annotations

import math

from aligned_dagster.features.dtypes import DataType
from aligned_dagster.features.engines.dialect import (
    FLOAT64,
    METHODS,
    Asked,
    Dialect,
    GapError,
    Written,
    case,
    writes,
)
from aligned_dagster.features.engines.number_sql import divided, rounded_by, wide, wrapped
from aligned_dagster.features.engines.times import write_temporal

_OTHER_DIGITS = "{} of decimals: engines round its digits otherwise; cast them to Float() first"
_SIGNS = {"add": "+", "sub": "-", "mul": "*"}


@writes("add", "sub", "mul")
def _sum(dialect: Dialect, asked: Asked) -> str:
    left, right = asked.args
    dtype = asked.dtype
    if dtype.kind == "string":
        return METHODS["concat_str"](dialect, asked)
    if dtype.is_temporal or left.dtype.is_temporal:
        return write_temporal(dialect, asked)
    if dtype.kind == "embedding":
        return _product_of_lists(dialect, asked)
    if not dtype.is_numeric:
        raise GapError(f"{asked.method} of {left.dtype.text} and {right.dtype.text}: only polars has it")
    sign = _SIGNS[asked.method]
    if dtype.kind == "decimal":
        texts = (_exact(dialect, part, dtype) for part in asked.args)
        return dialect.cast(f"({f' {sign} '.join(texts)})", dtype)
    result = f"({wide(dialect, left, dtype)} {sign} {wide(dialect, right, dtype)})"
    return wrapped(dialect, result, dtype) if dtype.is_integer else result


def _exact(dialect: Dialect, part: Written, dtype: DataType) -> str:
    if part.is_plain:
        return dialect.literal(part.value, dtype)
    return part.text if part.dtype.kind == "decimal" else dialect.typed(part, dtype)


def _product_of_lists(dialect: Dialect, asked: Asked) -> str:
    left, right = asked.args
    if asked.method != "mul" or right.dtype.kind != "embedding":
        raise GapError(f"{asked.method} of {left.dtype.text} and {right.dtype.text}: only polars has it")
    products = f"list_transform(list_zip({left.text}, {right.text}), lambda pair: pair[1] * pair[2])"
    return dialect.either(
        f"zip_with({left.text}, {right.text}, (p, q) -> p * q)",
        case([(f"{left.text} IS NULL OR {right.text} IS NULL", "NULL")], products),
    )


def _need_no_decimal(asked: Asked) -> None:
    """Refuse what engines would answer with other digits."""
    if asked.dtype.kind == "decimal":
        raise GapError(_OTHER_DIGITS.format(asked.method))


@writes("truediv")
def _quotient(dialect: Dialect, asked: Asked) -> str:
    left, right = asked.args
    if left.dtype.is_temporal:
        return write_temporal(dialect, asked)
    dtype = asked.dtype
    _need_no_decimal(asked)
    number, divisor = (dialect.typed(part, dtype) for part in asked.args)
    return divided(dialect, number, divisor, known=right.is_plain and bool(right.value))


@writes("floordiv")
def _whole_quotient(dialect: Dialect, asked: Asked) -> str:
    left, right = asked.args
    if left.dtype.is_temporal:
        return write_temporal(dialect, asked)
    dtype = asked.dtype
    _need_no_decimal(asked)
    if dtype.is_float:
        return _floor_quotient(dialect, asked)
    number, divisor = (wide(dialect, part, dtype) for part in asked.args)
    safe = divisor if right.is_plain and right.value else f"nullif({divisor}, 0)"
    below = f"{number} % {safe} <> 0 AND ({number} % {safe} < 0) <> ({divisor} < 0)"
    quotient = dialect.whole_division(number, safe)
    return wrapped(dialect, f"({quotient} - CASE WHEN {below} THEN 1 ELSE 0 END)", dtype)


def _floor_quotient(dialect: Dialect, asked: Asked) -> str:
    """The floor of a quotient of floating point numbers; by a plain number polars multiplies with its inverse."""
    dtype, right = asked.dtype, asked.args[1]
    number, divisor = (dialect.typed(part, dtype) for part in asked.args)
    if right.is_plain and right.value:
        quotient = f"({number} * {dialect.literal(1.0 / float(right.value), dtype)})"
    else:
        quotient = divided(dialect, number, divisor)
    return rounded_by(dialect, "floor", quotient, dtype)


@writes("mod")
def _rest(dialect: Dialect, asked: Asked) -> str:
    dtype = asked.dtype
    right = asked.args[1]
    _need_no_decimal(asked)
    number, divisor = (wide(dialect, part, dtype) for part in asked.args)
    if dtype.is_float:
        return f"({number} - {_floor_quotient(dialect, asked)} * {divisor})"
    safe = divisor if right.is_plain and right.value else f"nullif({divisor}, 0)"
    rest = f"({number} % {safe})"
    whole = case([(f"{rest} <> 0 AND ({rest} < 0) <> ({divisor} < 0)", f"{rest} + {divisor}")], rest)
    return wrapped(dialect, whole, dtype)


@writes("pow")
def _power(dialect: Dialect, asked: Asked) -> str:
    left, right = asked.args
    dtype = asked.dtype
    if dtype.is_float:
        number, exponent = (dialect.typed(part, FLOAT64) for part in asked.args)
        power = f"power({number}, {exponent})"
        if dialect.is_spark and not (right.is_plain and math.isfinite(right.value)):
            one, infinity = (dialect.literal(value, FLOAT64) for value in (1.0, math.inf))
            power = case(
                [
                    (f"{number} = {one} AND {exponent} IS NOT NULL", one),
                    (f"{number} = - {one} AND abs({exponent}) = {infinity}", one),
                ],
                power,
            )
        return dialect.fitted(power, dtype)
    if not dtype.is_integer:
        raise GapError(_OTHER_DIGITS.format("pow"))
    if not (right.is_plain and isinstance(right.value, int) and 0 <= right.value <= 8):
        raise GapError(
            "pow of whole numbers to a power that is no plain number from 0 to 8: cast one to Float()"
        )
    number = wide(dialect, left, dtype)
    product = f"({number} * 0 + 1)"
    for _ in range(right.value):
        step = Written(wrapped(dialect, f"({product} * {number})", dtype), dtype)
        product = wide(dialect, step, dtype)
    return wrapped(dialect, product, dtype)


@writes("neg")
def _negative(dialect: Dialect, asked: Asked) -> str:
    part = asked.args[0]
    if asked.dtype.is_integer:
        return wrapped(dialect, f"(- {wide(dialect, part, asked.dtype)})", asked.dtype)
    return f"(- {part.text})"


@writes("abs")
def _without_sign(dialect: Dialect, asked: Asked) -> str:
    part = asked.args[0]
    if asked.dtype.is_integer:
        return wrapped(dialect, f"abs({wide(dialect, part, asked.dtype)})", asked.dtype)
    return f"abs({part.text})"
