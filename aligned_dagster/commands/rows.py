"""Rows as commands print them: a table for people, JSON for machines."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import polars as pl
    from rich.table import Table


def json_text(rows: pl.DataFrame) -> str:
    """The rows as an array of JSON objects, as `View.json_schema()` describes them; bytes are written in base 64.

    >>> import datetime as dt
    >>> import polars as pl
    >>> json_text(
    ...     pl.DataFrame({"at": [dt.datetime(2026, 1, 2, 3, tzinfo=dt.UTC)], "raw": [b"a"], "id": [None]})
    ... )
    '[{"at":"2026-01-02T03:00:00+00:00","raw":"YQ==","id":null}]'
    """
    import polars as pl
    import polars.selectors as cs

    return rows.with_columns(cs.by_dtype(pl.Binary).bin.encode("base64")).write_json()


def json_rows(rows: pl.DataFrame) -> list[dict[str, Any]]:
    """The rows as `json_text` writes them, read back."""
    found: list[dict[str, Any]] = json.loads(json_text(rows))
    return found


def rows_table(rows: pl.DataFrame) -> Table:
    """The rows as a table, in which null is told from the text "null" by its colour."""
    from rich.markup import escape
    from rich.table import Table

    table = Table(*(escape(name) for name in rows.columns))
    for row in rows.iter_rows():
        table.add_row(*("[dim]null[/]" if value is None else escape(_text(value)) for value in row))
    return table


def _text(value: Any) -> str:
    from aligned_dagster.quality.report import plain

    if isinstance(value, list | dict):
        return json.dumps(plain(value), ensure_ascii=False)
    return str(value)
