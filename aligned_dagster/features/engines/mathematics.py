"""Functions of one number: rounding, roots, logarithms, angles, and what kind of number it is."""

from __future__ import annotations

import math

from aligned_dagster.features.engines.dialect import FLOAT64, Asked, Dialect, GapError, case, writes
from aligned_dagster.features.engines.number_sql import divided, rounded_by

_FUNCTIONS = {
    "cbrt": "cbrt", "exp": "exp", "sin": "sin", "cos": "cos", "tan": "tan", "arctan": "atan",
    "degrees": "degrees", "radians": "radians",
}  # fmt: skip
_DEFINED = {"sqrt": "{x} >= 0", "arcsin": "{x} BETWEEN -1 AND 1", "arccos": "{x} BETWEEN -1 AND 1"}
_NAMES = {"sqrt": "sqrt", "arcsin": "asin", "arccos": "acos"}


def _number(dialect: Dialect, asked: Asked) -> str:
    return dialect.typed(asked.args[0], FLOAT64)


def _nan(dialect: Dialect) -> str:
    return dialect.literal(math.nan, FLOAT64)


@writes(*_FUNCTIONS)
def _function(dialect: Dialect, asked: Asked) -> str:
    number = _number(dialect, asked)
    if not dialect.is_spark and asked.method in {"sin", "cos", "tan"}:
        infinite = f"abs({number}) = {dialect.literal(math.inf, FLOAT64)}"
        text = case([(infinite, _nan(dialect))], f"{asked.method}({number})")
    else:
        text = f"{_FUNCTIONS[asked.method]}({number})"
    return dialect.fitted(text, asked.dtype)


@writes(*_DEFINED)
def _partly_defined(dialect: Dialect, asked: Asked) -> str:
    number = _number(dialect, asked)
    text = f"{_NAMES[asked.method]}({number})"
    if not dialect.is_spark:
        defined = _DEFINED[asked.method].format(x=number)
        text = case([(f"{number} IS NULL", "NULL"), (defined, text)], _nan(dialect))
    return dialect.fitted(text, asked.dtype)


@writes("log", "log10", "log1p")
def _logarithm(dialect: Dialect, asked: Asked) -> str:
    number = _number(dialect, asked)
    base = asked.plain(1, "base")
    inner = f"({number} + {dialect.literal(1.0, FLOAT64)})" if asked.method == "log1p" else number
    function = "log10" if asked.method == "log10" else "ln"
    if asked.method == "log1p" and dialect.is_spark:
        log = f"log1p({number})"
    elif asked.method == "log1p":
        small = f"abs({number}) < 1e-5"
        series = f"{number} - {number} * {number} / 2 + {number} * {number} * {number} / 3"
        log = case([(small, series)], f"ln({inner})")
    else:
        log = f"{function}({inner})"
    zero = dialect.literal(0.0, FLOAT64)
    answer = case(
        [
            (f"{number} IS NULL", dialect.literal(None, FLOAT64)),
            (f"{inner} = {zero}", dialect.literal(-math.inf, FLOAT64)),
            (f"{inner} < {zero}", _nan(dialect)),
        ],
        log,
    )
    if base is not None:
        answer = divided(dialect, answer, f"ln({dialect.literal(float(base), FLOAT64)})", known=True)
    return dialect.fitted(answer, asked.dtype)


@writes("sign")
def _sign(dialect: Dialect, asked: Asked) -> str:
    part = asked.args[0]
    if not asked.dtype.is_float:
        return dialect.cast(f"sign({part.text})", asked.dtype)
    choices = [(f"{part.text} = {_nan(dialect)}", _nan(dialect))]
    return dialect.cast(case(choices, dialect.cast(f"sign({part.text})", FLOAT64)), asked.dtype)


@writes("ceil", "floor")
def _whole(dialect: Dialect, asked: Asked) -> str:
    part = asked.args[0]
    if asked.dtype.is_integer:
        return part.text
    if asked.dtype.is_float:
        return rounded_by(dialect, asked.method, part.text, asked.dtype)
    return dialect.cast(f"{asked.method}({part.text})", asked.dtype)


@writes("round")
def _round(dialect: Dialect, asked: Asked) -> str:
    part = asked.args[0]
    decimals = int(asked.plain(1, "decimals", 0))
    if asked.dtype.is_integer:
        return part.text
    if asked.dtype.kind == "decimal":
        if decimals >= asked.dtype.scale:
            return part.text
        function = dialect.either("bround", "round_even")
        return dialect.cast(f"{function}({part.text}, {decimals})", asked.dtype)
    number = dialect.typed(part, FLOAT64)
    even = "rint({})" if dialect.is_spark else "round_even({}, 0)"
    if decimals == 0:
        return dialect.cast(even.format(number), asked.dtype)
    factor = dialect.literal(10.0**decimals, FLOAT64)
    rounded = f"({even.format(f'{number} * {factor}')} / {factor})"
    infinite = f"abs({number}) >= 1e292"
    return dialect.fitted(case([(infinite, number)], rounded), asked.dtype)


@writes("is_nan", "is_not_nan", "is_finite", "is_infinite")
def _kind(dialect: Dialect, asked: Asked) -> str:
    part = asked.args[0]
    if not part.dtype.is_float:
        yes = asked.method in {"is_not_nan", "is_finite"}
        return case([(f"{part.text} IS NOT NULL", str(yes).upper())], "NULL")
    nan, infinite = (dialect.literal(value, part.dtype) for value in (math.nan, math.inf))
    is_nan = f"{part.text} = {nan}"
    if asked.method == "is_nan":
        return f"({is_nan})"
    if asked.method == "is_not_nan":
        return f"(NOT ({is_nan}))"
    if asked.method == "is_infinite":
        return f"(abs({part.text}) = {infinite})"
    return f"(abs({part.text}) < {infinite})"


@writes("clip")
def _clip(dialect: Dialect, asked: Asked) -> str:
    part = asked.args[0]
    if not (part.dtype.is_numeric or part.dtype.is_temporal):
        raise GapError(f"clip of {part.dtype.text}: only polars has it")
    text = part.text
    choices = []
    lower, upper = asked.plain(1, "lower_bound"), asked.plain(2, "upper_bound")
    if part.dtype.is_float:
        choices.append((f"{text} = {dialect.literal(float('nan'), part.dtype)}", text))
    if lower is not None:
        choices.append((f"{text} < {dialect.literal(lower, part.dtype)}", dialect.literal(lower, part.dtype)))
    if upper is not None:
        choices.append((f"{text} > {dialect.literal(upper, part.dtype)}", dialect.literal(upper, part.dtype)))
    return case(choices, text)
