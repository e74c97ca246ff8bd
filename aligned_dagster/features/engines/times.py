"""Dates, timestamps, times of day and durations, told in the zone that the contract states."""

from __future__ import annotations

import re

from aligned_dagster.features.dtypes import DataType
from aligned_dagster.features.engines.dialect import FLOAT64, INT64, Asked, Dialect, GapError, Written, writes
from aligned_dagster.features.engines.number_sql import divided
from aligned_dagster.features.engines.time_formats import formatted, parsed

_NAIVE = DataType("timestamp")
_MICROS = {
    "us": 1, "ms": 1_000, "s": 1_000_000, "m": 60_000_000, "h": 3_600_000_000, "d": 86_400_000_000, "w": 604_800_000_000,
}  # fmt: skip
_MONTHS = {"mo": 1, "q": 3, "y": 12}
_STEP = re.compile(r"(\d+)(us|ms|mo|[smhdwqy])")
_FIELDS = {
    "dt.year": "year", "dt.quarter": "quarter", "dt.month": "month", "dt.day": "day", "dt.hour": "hour",
    "dt.minute": "minute", "dt.second": "second", "dt.ordinal_day": "dayofyear",
}  # fmt: skip
_OF_DAY = {
    "dt.hour": (3_600_000_000_000, 24),
    "dt.minute": (60_000_000_000, 60),
    "dt.second": (1_000_000_000, 60),
}


def local(dialect: Dialect, part: Written, zone: str | None = None) -> str:
    """SQL of a date or of a naive timestamp in the part's own zone, or in another."""
    if part.dtype.kind != "timestamp" or part.dtype.time_zone is None:
        return part.text
    zone = zone or part.dtype.time_zone
    name = dialect.text(zone)
    return dialect.either(
        f"convert_timezone('UTC', {name}, CAST({part.text} AS timestamp_ntz))",
        f"timezone({name}, {part.text})",
    )


def placed(dialect: Dialect, naive: str, zone: str | None) -> str:
    """SQL of the moment at which clocks of a zone show a naive timestamp."""
    if zone is None:
        return naive
    name = dialect.text(zone)
    return dialect.either(
        f"CAST(convert_timezone({name}, 'UTC', {naive}) AS timestamp)", f"timezone({name}, {naive})"
    )


@writes(*_FIELDS)
def _field(dialect: Dialect, asked: Asked) -> str:
    part = asked.args[0]
    if part.dtype.kind == "time":
        unit, size = _OF_DAY[asked.method]
        return dialect.cast(f"({dialect.whole_division(part.text, str(unit))} % {size})", asked.dtype)
    return dialect.cast(f"{_FIELDS[asked.method]}({local(dialect, part)})", asked.dtype)


@writes("dt.week", "dt.weekday")
def _week(dialect: Dialect, asked: Asked) -> str:
    day = local(dialect, asked.args[0])
    if asked.method == "dt.week":
        return dialect.cast(dialect.either(f"weekofyear({day})", f"week({day})"), asked.dtype)
    return dialect.cast(dialect.either(f"(weekday({day}) + 1)", f"isodow({day})"), asked.dtype)


@writes("dt.date")
def _day(dialect: Dialect, asked: Asked) -> str:
    return f"CAST({local(dialect, asked.args[0])} AS date)"


@writes("dt.epoch")
def _since_1970(dialect: Dialect, asked: Asked) -> str:
    part, unit = asked.args[0], asked.plain(1, "time_unit", "us")
    if unit not in {"s", "ms", "us"}:
        raise GapError(f"dt.epoch in {unit!r}: only polars has it")
    micros = dialect.micros(part.text, part.dtype)
    return dialect.cast(_floor_division(dialect, micros, _MICROS[unit]), asked.dtype)


def _floor_division(dialect: Dialect, number: str, size: int) -> str:
    if size == 1:
        return number
    return dialect.whole_division(f"({number} - {dialect.floor_mod(number, size)})", str(size))


@writes("dt.convert_time_zone")
def _retold(dialect: Dialect, asked: Asked) -> str:
    return asked.args[0].text


@writes("dt.replace_time_zone")
def _reread(dialect: Dialect, asked: Asked) -> str:
    return placed(dialect, local(dialect, asked.args[0]), asked.dtype.time_zone)


def _steps(by: str, method: str) -> list[tuple[int, str]]:
    steps = [(int(number), unit) for number, unit in _STEP.findall(by.lstrip("-"))]
    if "".join(f"{number}{unit}" for number, unit in steps) != by.lstrip("-"):
        raise GapError(f"{method}({by!r}): only polars knows such steps")
    return [(-number, unit) if by.startswith("-") else (number, unit) for number, unit in steps]


@writes("dt.truncate")
def _start(dialect: Dialect, asked: Asked) -> str:
    part, every = asked.args[0], asked.plain(1, "every")
    steps = _steps(every, "dt.truncate")
    if len(steps) != 1:
        raise GapError(f"dt.truncate({every!r}): only polars knows such steps")
    number, unit = steps[0]
    naive = local(dialect, part)
    if unit in _MONTHS:
        first = _first_of_months(dialect, naive, number * _MONTHS[unit])
        started = first if asked.dtype.kind == "date" else dialect.cast(first, _NAIVE)
    else:
        micros = dialect.micros(naive, DataType("date") if part.dtype.kind == "date" else _NAIVE)
        size = number * _MICROS[unit]
        moved = f"{micros} - {4 * _MICROS['d']}" if unit == "w" else micros
        started = dialect.from_micros(f"{micros} - {dialect.floor_mod(moved, size)}", _NAIVE)
        if asked.dtype.kind == "date":
            return f"CAST({started} AS date)"
    return started if asked.dtype.kind == "date" else placed(dialect, started, asked.dtype.time_zone)


def _first_of_months(dialect: Dialect, naive: str, months: int) -> str:
    number = f"(year({naive}) * 12 + month({naive}) - 1)"
    first = f"({number} - {dialect.floor_mod(number, months)})"
    year = _floor_division(dialect, first, 12)
    month = f"{dialect.floor_mod(first, 12)} + 1"
    return f"make_date(CAST({year} AS int), CAST({month} AS int), 1)"


@writes("dt.offset_by")
def _moved(dialect: Dialect, asked: Asked) -> str:
    part = asked.args[0]
    steps = _steps(asked.plain(1, "by"), "dt.offset_by")
    zone = part.dtype.time_zone if part.dtype.kind == "timestamp" else None
    naive = local(dialect, part)
    micros = 0
    calendar = False
    for number, unit in steps:
        if unit in _MONTHS:
            calendar = True
            months = number * _MONTHS[unit]
            naive = dialect.either(
                f"({naive} + make_interval(0, {months}))", f"({naive} + to_months({months}))"
            )
        elif unit in {"d", "w"}:
            calendar = True
            days = number * (7 if unit == "w" else 1)
            naive = dialect.either(
                f"({naive} + make_interval(0, 0, 0, {days}))", f"({naive} + to_days({days}))"
            )
        else:
            micros += number * _MICROS[unit]
    if asked.dtype.kind == "date":
        if micros:
            raise GapError("dt.offset_by of a date by hours: only polars has it")
        return f"CAST({naive} AS date)"
    moment = placed(dialect, dialect.cast(naive, _NAIVE), zone) if calendar else part.text
    return _shifted(dialect, moment, asked.dtype, str(micros)) if micros else moment


def _shifted(dialect: Dialect, moment: str, dtype: DataType, micros: str) -> str:
    return dialect.from_micros(f"({dialect.micros(moment, dtype)} + {micros})", dtype)


def write_temporal(dialect: Dialect, asked: Asked) -> str:
    """Arithmetic on dates, timestamps and durations."""
    left, right = asked.args
    kinds = (left.dtype.kind, right.dtype.kind)
    texts = [dialect.typed(part, part.dtype) for part in asked.args]
    if "timestamp" in kinds or "date" in kinds:
        return _on_the_calendar(dialect, asked, texts)
    if asked.method in {"add", "sub"}:
        return f"({texts[0]} {'+' if asked.method == 'add' else '-'} {texts[1]})"
    return _scaled(dialect, asked, texts)


def _on_the_calendar(dialect: Dialect, asked: Asked, texts: list[str]) -> str:
    left, right = asked.args
    if asked.dtype.kind == "duration":
        micros = [dialect.micros(text, part.dtype) for text, part in zip(texts, asked.args, strict=True)]
        return f"({micros[0]} - {micros[1]})"
    moment, span = (left, texts[1]) if left.dtype.kind in {"date", "timestamp"} else (right, texts[0])
    text = dialect.typed(moment, moment.dtype)
    signed = f"(- {span})" if asked.method == "sub" else span
    if asked.dtype.kind == "date":
        days = _floor_division(dialect, signed, _MICROS["d"])
        return dialect.either(f"date_add({text}, CAST({days} AS int))", f"({text} + CAST({days} AS INTEGER))")
    return _shifted(dialect, text, asked.dtype, signed)


def _scaled(dialect: Dialect, asked: Asked, texts: list[str]) -> str:
    left, right = asked.args
    if asked.dtype == FLOAT64:
        number, divisor = (dialect.cast(text, FLOAT64) for text in texts)
        return divided(dialect, number, divisor)
    factor = right if left.dtype.kind == "duration" else left
    if not factor.dtype.is_integer:
        raise GapError(f"{asked.method} of a duration by a number that is not whole: engines round otherwise")
    if asked.method == "mul":
        return f"({texts[0]} * {texts[1]})"
    divisor = f"nullif({dialect.typed(right, INT64)}, 0)"
    below = f"{texts[0]} % {divisor} <> 0 AND ({texts[0]} % {divisor} < 0) <> ({divisor} < 0)"
    return f"({dialect.whole_division(texts[0], divisor)} - CASE WHEN {below} THEN 1 ELSE 0 END)"


@writes("dt.total_seconds", "dt.total_minutes", "dt.total_hours", "dt.total_days")
def _total(dialect: Dialect, asked: Asked) -> str:
    unit = asked.method.removeprefix("dt.total_")[0]
    return dialect.whole_division(asked.args[0].text, str(_MICROS[unit]))


def shown(dialect: Dialect, part: Written, pattern: str) -> str:
    """SQL of a date or timestamp as text by a strftime pattern."""
    return formatted(dialect, local(dialect, part), pattern)


@writes("dt.strftime")
def _as_text(dialect: Dialect, asked: Asked) -> str:
    return shown(dialect, asked.args[0], asked.plain(1, "format"))


@writes("str.to_date", "str.to_datetime")
def _read(dialect: Dialect, asked: Asked) -> str:
    text, pattern = asked.args[0].text, asked.plain(1, "format")
    if pattern is None and asked.method == "str.to_date":
        pattern = "%Y-%m-%d"
    if pattern is None:
        raise GapError(f"{asked.method} without a format: only polars guesses one")
    moment = parsed(dialect, text, pattern)
    return f"CAST({moment} AS date)" if asked.dtype.kind == "date" else dialect.cast(moment, asked.dtype)
