"""Comparisons, logic, and choices between values."""

from __future__ import annotations

from aligned_dagster.features.dtypes import DataType
from aligned_dagster.features.engines.dialect import (
    FLOAT64,
    TEXT,
    Asked,
    Dialect,
    GapError,
    Written,
    case,
    writes,
)
from aligned_dagster.features.literals import thaw

_COMPARISONS = {"eq": "=", "ne": "<>", "lt": "<", "le": "<=", "gt": ">", "ge": ">="}
_LOGIC = {"and_": "AND", "or_": "OR", "xor": "<>"}


def common_type(*parts: Written) -> DataType:
    """The type in which polars compares values.

    Raises:
        GapError: they have none on an engine.
    """
    known = [part.dtype for part in parts if not part.is_plain]
    plain = [part.value for part in parts if part.is_plain and part.value is not None]
    if not known:
        return parts[0].dtype
    dtype = known[0]
    for other in known[1:]:
        dtype = _shared(dtype, other)
    if dtype.is_integer and any(isinstance(value, float) for value in plain):
        return FLOAT64
    if dtype.is_integer and plain:
        return dtype if dtype.kind == "uint64" else DataType("int64")
    return dtype


def _shared(one: DataType, other: DataType) -> DataType:
    if one == other:
        return one
    kinds = {one.kind, other.kind}
    if one.is_numeric and other.is_numeric:
        if one.is_float or other.is_float:
            small = kinds <= {"float32", "int8", "int16", "uint8", "uint16"}
            return DataType("float32") if small else FLOAT64
        if "decimal" in kinds:
            scale = max(dtype.scale for dtype in (one, other))
            return DataType("decimal", precision=38, scale=scale)
        if "uint64" in kinds:
            return DataType("decimal", precision=38)
        return DataType("int64")
    if kinds == {"date", "timestamp"}:
        return one if one.kind == "timestamp" else other
    if one.is_text and other.is_text:
        return TEXT
    if one.group == other.group == "timestamp":
        return one
    raise GapError(f"{one.text} beside {other.text}: only polars compares them")


@writes(*_COMPARISONS)
def _compared(dialect: Dialect, asked: Asked) -> str:
    left, right = asked.args
    dtype = common_type(left, right)
    if dtype.kind == "timestamp":
        texts = [_moment(dialect, part, dtype) for part in asked.args]
    else:
        texts = [dialect.typed(part, dtype) for part in asked.args]
    return f"({f' {_COMPARISONS[asked.method]} '.join(texts)})"


def _moment(dialect: Dialect, part: Written, dtype: DataType) -> str:
    if part.is_plain or part.dtype.kind == "timestamp":
        return dialect.literal(part.value, dtype) if part.is_plain else part.text
    if dtype.time_zone is not None:
        raise GapError("a date beside a timestamp of a zone: take the timestamp's date() first")
    return dialect.cast(part.text, dtype)


@writes("and_", "or_", "xor")
def _logic(dialect: Dialect, asked: Asked) -> str:
    left, right = (dialect.typed(part, DataType("bool")) for part in asked.args)
    return f"({left} {_LOGIC[asked.method]} {right})"


@writes("not_")
def _not(dialect: Dialect, asked: Asked) -> str:
    return f"(NOT {asked.args[0].text})"


@writes("is_null", "is_not_null")
def _there(dialect: Dialect, asked: Asked) -> str:
    return f"({asked.args[0].text} IS {'' if asked.method == 'is_null' else 'NOT '}NULL)"


@writes("fill_null", "coalesce")
def _first_known(dialect: Dialect, asked: Asked) -> str:
    return f"coalesce({', '.join(dialect.typed(part, asked.dtype) for part in asked.args)})"


@writes("when")
def _chosen(dialect: Dialect, asked: Asked) -> str:
    condition, yes, no = asked.args
    return case([(condition.text, dialect.typed(yes, asked.dtype))], dialect.typed(no, asked.dtype))


@writes("is_in")
def _one_of(dialect: Dialect, asked: Asked) -> str:
    part = asked.args[0]
    values = [value for value in asked.args[1].value if value is not None]
    if part.dtype.is_nested:
        raise GapError(f"is_in of {part.dtype.text}: only polars has it")
    if not values:
        return case([(f"{part.text} IS NULL", "NULL")], "FALSE")
    plain = [Written("", part.dtype, value, True) for value in values]
    dtype = FLOAT64 if part.dtype.is_float else common_type(part, *plain)
    texts = ", ".join(dialect.literal(value, dtype) for value in values)
    return f"({dialect.typed(part, dtype)} IN ({texts}))"


@writes("replace")
def _replaced(dialect: Dialect, asked: Asked) -> str:
    part = asked.args[0]
    pairs = thaw(asked.args[1].value)
    literal = dialect.literal
    choices = [
        (f"{part.text} = {literal(old, part.dtype)}", literal(new, asked.dtype)) for old, new in pairs.items()
    ]
    return case(choices, dialect.typed(part, asked.dtype))


@writes("replace_strict")
def _numbered(dialect: Dialect, asked: Asked) -> str:
    part = asked.args[0]
    literal = dialect.literal
    pairs = thaw(asked.args[1].value)
    choices = [
        (f"{part.text} = {literal(old, part.dtype)}", literal(new, asked.dtype)) for old, new in pairs.items()
    ]
    return case(choices, literal(asked.named.get("default"), asked.dtype))


@writes("max_horizontal", "min_horizontal")
def _extreme(dialect: Dialect, asked: Asked) -> str:
    function = "greatest" if asked.method == "max_horizontal" else "least"
    texts = [dialect.typed(part, asked.dtype) for part in asked.args]
    if len(texts) == 1:
        return texts[0]
    if not asked.dtype.is_float:
        return f"{function}({', '.join(texts)})"
    nan = dialect.literal(float("nan"), asked.dtype)
    numbers = ", ".join(f"nullif({text}, {nan})" for text in texts)
    return f"coalesce({function}({numbers}), {', '.join(texts)})"
