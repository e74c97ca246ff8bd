"""Frames as tables that the Dagster UI shows."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import dagster as dg
import polars as pl

LONGEST_CELL = 80
"""Characters of a value after which it is cut."""


def markdown_table(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A table in Markdown; values are escaped and cut so that no value can break it.

    >>> print(markdown_table(["id", "name"], [[1, "a|b"], [None, "<b>"]]))
    | id | name |
    | --- | --- |
    | 1 | a\\|b |
    | null | &lt;b&gt; |
    """
    lines = [_line(header), _line(["---"] * len(header), escape=False)]
    lines += [_line(row) for row in rows]
    return "\n".join(lines)


def frame_to_markdown(frame: pl.DataFrame) -> str:
    """The rows of a frame as a Markdown table, which the UI shows on a click where it is long.

    >>> print(frame_to_markdown(pl.DataFrame({"a": [1, 2]})))
    | a |
    | --- |
    | 1 |
    | 2 |
    """
    return markdown_table(frame.columns, frame.rows())


def table_value(frame: pl.DataFrame) -> dg.TableMetadataValue:
    """The rows of a frame as a table that the UI draws in place.

    >>> table_value(pl.DataFrame({"id": [1], "on": [None]})).records[0].data
    {'id': 1, 'on': 'null'}
    """
    records = [
        dg.TableRecord({name: _plain(value) for name, value in row.items()})
        for row in frame.iter_rows(named=True)
    ]
    columns = [dg.TableColumn(name, str(dtype)) for name, dtype in frame.schema.items()]
    return dg.MetadataValue.table(records, dg.TableSchema(columns))


def _plain(value: Any) -> str | int | float | bool:
    finite = isinstance(value, float) and math.isfinite(value)
    return value if finite or isinstance(value, bool | int) else _text(value)


def _line(cells: Sequence[Any], escape: bool = True) -> str:
    return "| " + " | ".join(_cell(cell) if escape else str(cell) for cell in cells) + " |"


def _cell(value: Any) -> str:
    text = _text(value)
    for plain, escaped in (
        ("&", "&amp;"),
        ("<", "&lt;"),
        (">", "&gt;"),
        ("\\", "\\\\"),
        ("|", "\\|"),
        ("`", "\\`"),
    ):
        text = text.replace(plain, escaped)
    return " ".join(text.split())


def _text(value: Any) -> str:
    """The value as a short text."""
    if value is None:
        return "null"
    text = value.isoformat(sep=" ") if isinstance(value, datetime) else str(value)
    return text if len(text) <= LONGEST_CELL else text[: LONGEST_CELL - 3] + "..."
