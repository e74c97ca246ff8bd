"""Aggregations: rows taken together by `group_by`, by a window, or by `over`."""

from __future__ import annotations

from aligned_dagster.features.engines.dialect import FLOAT64, Asked, Dialect, GapError, Written, case, writes
from aligned_dagster.features.engines.number_sql import wrapped

AGGREGATES = frozenset(
    {
        "count", "len", "sum", "mean", "std", "var", "median", "quantile", "min", "max", "first", "last", "n_unique",
        "implode",
    }
)  # fmt: skip
_ROWS = "\ufdd0"
"""Stands behind each aggregation until `over` says which rows it takes."""


def of_group(text: str) -> str:
    """SQL of aggregations that take the rows of a group."""
    return text.replace(_ROWS, "")


def _run(dialect: Dialect, function: str, kept: str = "") -> str:
    """An aggregate function over the rows that it takes; Spark's windows know no FILTER, so there `kept` is in the function."""
    rows = f" OVER ({dialect.window})" if dialect.window else _ROWS
    return f"{function}{f' FILTER (WHERE {kept})' if kept and not dialect.is_spark else ''}{rows}"


def _values(dialect: Dialect, part: Written, text: str | None = None) -> str:
    """What Spark takes: null in place of values that a condition leaves out."""
    text = part.text if text is None else text
    return f"CASE WHEN {part.kept} THEN {text} END" if part.kept and dialect.is_spark else text


def _of(dialect: Dialect, function: str, part: Written, text: str | None = None) -> str:
    return _run(dialect, f"{function}({_values(dialect, part, text)})", part.kept)


@writes("filter")
def _filter(dialect: Dialect, asked: Asked) -> str:
    if asked.args[0].kept:
        raise GapError("where() after where(): join the conditions by &")
    return asked.args[0].text


@writes("over")
def _over(dialect: Dialect, asked: Asked) -> str:
    by = ", ".join(part.text for part in asked.args[1:])
    return dialect.cast(asked.args[0].text.replace(_ROWS, f" OVER (PARTITION BY {by})"), asked.dtype)


@writes("count")
def _count(dialect: Dialect, asked: Asked) -> str:
    return dialect.cast(_of(dialect, "count", asked.args[0]), asked.dtype)


@writes("len")
def _len(dialect: Dialect, asked: Asked) -> str:
    return dialect.cast(_of(dialect, "count", asked.args[0], "1"), asked.dtype)


def _number(dialect: Dialect, part: Written) -> str:
    return f"CAST({part.text} AS int)" if part.dtype.kind == "bool" else part.text


def _need_number(asked: Asked) -> None:
    dtype = asked.args[0].dtype
    if not (dtype.is_numeric or dtype.kind == "bool"):
        raise GapError(f"{asked.method} of {dtype.text}: only polars has it")


@writes("sum")
def _sum(dialect: Dialect, asked: Asked) -> str:
    part = asked.args[0]
    if part.dtype.kind != "duration":
        _need_number(asked)
    total = _of(dialect, "sum", part, _number(dialect, part))
    if asked.dtype.is_integer:
        total = f"coalesce({total}, 0)"
        return (
            dialect.cast(total, asked.dtype)
            if asked.dtype.kind == "int64"
            else wrapped(dialect, total, asked.dtype)
        )
    return dialect.fitted(f"coalesce({total}, {dialect.cast('0', asked.dtype)})", asked.dtype)


@writes("mean")
def _mean(dialect: Dialect, asked: Asked) -> str:
    part = asked.args[0]
    _need_number(asked)
    if not asked.dtype.is_float:
        raise GapError(
            f"mean of {part.dtype.text}: engines round its digits otherwise; cast it to Float() first"
        )
    return dialect.fitted(
        _of(dialect, "avg", part, dialect.cast(_number(dialect, part), FLOAT64)), asked.dtype
    )


@writes("std", "var")
def _spread(dialect: Dialect, asked: Asked) -> str:
    part = asked.args[0]
    _need_number(asked)
    ddof = int(asked.plain(1, "ddof", 1))
    if ddof not in {0, 1}:
        raise GapError(f"{asked.method} with ddof={ddof}: engines know 0 and 1")
    if not asked.dtype.is_float:
        raise GapError(
            f"{asked.method} of {part.dtype.text}: engines round its digits otherwise; cast it to Float() first"
        )
    name = ("stddev" if asked.method == "std" else "var") + ("_pop", "_samp")[ddof]
    number = dialect.cast(_number(dialect, part), FLOAT64)
    if dialect.is_spark:
        return dialect.fitted(_of(dialect, name, part, number), asked.dtype)
    finite = f"CASE WHEN isfinite({number}) THEN {number} END"
    outside = f"{_of(dialect, 'bool_or', part, f'NOT isfinite({number})')} AND {_of(dialect, 'count', part)} > {ddof}"
    return dialect.fitted(case([(outside, "'NaN'::DOUBLE")], _of(dialect, name, part, finite)), asked.dtype)


@writes("median", "quantile")
def _quantile(dialect: Dialect, asked: Asked) -> str:
    part = asked.args[0]
    _need_number(asked)
    share = 0.5 if asked.method == "median" else float(asked.plain(1, "quantile"))
    if asked.named.get("interpolation", "linear") != "linear":
        raise GapError("quantile with another interpolation than linear: only polars has it")
    if not asked.dtype.is_float:
        raise GapError(
            f"{asked.method} of {part.dtype.text}: engines round its digits otherwise; cast it to Float() first"
        )
    number = _values(dialect, part, dialect.cast(_number(dialect, part), FLOAT64))
    function = dialect.either("percentile", "quantile_cont")
    return dialect.fitted(_run(dialect, f"{function}({number}, {share!r})", part.kept), asked.dtype)


@writes("min", "max")
def _extreme(dialect: Dialect, asked: Asked) -> str:
    part = asked.args[0]
    if part.dtype.is_nested:
        raise GapError(f"{asked.method} of {part.dtype.text}: only polars has it")
    if not part.dtype.is_float:
        return _of(dialect, asked.method, part)
    nan = dialect.literal(float("nan"), part.dtype)
    numbers = _of(dialect, asked.method, part, f"nullif({part.text}, {nan})")
    return f"coalesce({numbers}, {_of(dialect, asked.method, part)})"


def _need_order(dialect: Dialect, asked: Asked) -> None:
    if not dialect.order_by:
        raise GapError(
            f"{asked.method}: rows of an engine have no order without the event timestamp of a grouped view"
        )


@writes("first", "last")
def _at_an_end(dialect: Dialect, asked: Asked) -> str:
    part = asked.args[0]
    _need_order(dialect, asked)
    spark, duckdb = ("min_by", "arg_min_null") if asked.method == "first" else ("max_by", "arg_max_null")
    at = f"CASE WHEN {part.kept} THEN {dialect.order_by} END" if part.kept else dialect.order_by
    return _run(dialect, f"{dialect.either(spark, duckdb)}({part.text}, {at})")


@writes("implode")
def _list(dialect: Dialect, asked: Asked) -> str:
    part = asked.args[0]
    _need_order(dialect, asked)
    if dialect.is_spark:
        rows = _of(
            dialect, "collect_list", part, f"named_struct('at', {dialect.order_by}, 'item', {part.text})"
        )
        return f"transform(array_sort({rows}), pair -> pair.item)"
    return f"coalesce({_run(dialect, f'list({part.text} ORDER BY {dialect.order_by})', part.kept)}, [])"


@writes("n_unique")
def _different(dialect: Dialect, asked: Asked) -> str:
    part = asked.args[0]
    text = f"({part.text} + {dialect.literal(0.0, part.dtype)})" if part.dtype.is_float else part.text
    nothing = _of(dialect, "count", part, f"CASE WHEN {part.text} IS NULL THEN 1 END")
    known = f"size({_of(dialect, 'collect_set', part, text)})"
    if not dialect.is_spark:
        known = _run(dialect, f"count(DISTINCT {text})", part.kept)
    return dialect.cast(f"({known} + CASE WHEN {nothing} > 0 THEN 1 ELSE 0 END)", asked.dtype)
