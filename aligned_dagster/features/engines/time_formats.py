"""Patterns of strftime in the words of the engines."""

from __future__ import annotations

import re
from itertools import groupby

from aligned_dagster.features.engines.dialect import Dialect, GapError

_LONG = {"%F": "%Y-%m-%d", "%T": "%H:%M:%S", "%D": "%m/%d/%y", "%R": "%H:%M"}
_SPARK = {
    "%Y": "yyyy", "%m": "MM", "%d": "dd", "%H": "HH", "%M": "mm", "%S": "ss", "%y": "yy", "%j": "DDD", "%b": "MMM",
    "%B": "MMMM", "%a": "E", "%A": "EEEE", "%I": "hh", "%p": "a", "%3f": "SSS", "%6f": "SSSSSS", "%.3f": ".SSS",
    "%.6f": ".SSSSSS",
}  # fmt: skip
_DUCKDB = {"%3f": "%g", "%6f": "%f", "%.3f": ".%g", "%.6f": ".%f"}
_READ = frozenset({"%Y", "%m", "%d", "%H", "%M", "%S", "%6f", "%.6f", "%b", "%B"})
_PART = re.compile(r"%\.?\d?[a-zA-Z%]|[^%]+|%")


def _words(pattern: str, known: frozenset[str]) -> list[str]:
    for short, meaning in _LONG.items():
        pattern = pattern.replace(short, meaning)
    words = _PART.findall(pattern)
    for word in words:
        if word.startswith("%") and word != "%%" and word not in known:
            raise GapError(f"the pattern {pattern!r} has {word}, which engines read otherwise")
    return words


def _engine_pattern(dialect: Dialect, words: list[str]) -> str:
    if not dialect.is_spark:
        return "".join(_DUCKDB.get(word, word) for word in words)
    parts = []
    for is_plain, group in groupby(words, key=lambda word: word not in _SPARK):
        together = "".join("%" if word == "%%" else word if is_plain else _SPARK[word] for word in group)
        parts.append("'" + together.replace("'", "''") + "'" if is_plain else together)
    return "".join(parts)


def formatted(dialect: Dialect, naive: str, pattern: str) -> str:
    """SQL of the text of a date or naive timestamp.

    Args:
        dialect: whose SQL.
        naive: SQL of the date or timestamp.
        pattern: strftime.

    Raises:
        GapError: the pattern has a part that the engine has no word for.
    """
    written = dialect.text(_engine_pattern(dialect, _words(pattern, frozenset(_SPARK))))
    return dialect.either(f"date_format({naive}, {written})", f"strftime({naive}, {written})")


def parsed(dialect: Dialect, text: str, pattern: str) -> str:
    """SQL of the naive timestamp that a text writes; one that it does not write is an error.

    Raises:
        GapError: the pattern has a part that the engine reads otherwise.
    """
    words = _words(pattern, _READ)
    if not {"%Y", "%d"} <= set(words) or not {"%m", "%b", "%B"} & set(words):
        raise GapError(f"the pattern {pattern!r} has no whole date")
    written = dialect.text(_engine_pattern(dialect, words))
    return dialect.either(
        f"CAST(to_timestamp({text}, {written}) AS timestamp_ntz)", f"strptime({text}, {written})"
    )
