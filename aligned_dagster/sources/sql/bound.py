"""SQL text with values that are bound, never pasted in.

COPY, which streams a query's rows at twice the speed and without holding them all, takes no parameters. There a text
is bound to a setting of the transaction that the query reads. A number or a time is a typed constant, which the
planner needs (a setting is parsed for every row: 9 times as long for a day of 2M rows), and only where it is made of
nothing but digits, letters and a few signs, so that it cannot end the constant.
"""

from __future__ import annotations

import datetime as dt
import decimal
import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import count
from typing import Any

from aligned_dagster.sources.sql.dialect import POSTGRES, Dialect

_HARMLESS = re.compile(r'[0-9A-Za-z+\-.:, {}"]*')


@dataclass(frozen=True)
class Bound:
    """A value to bind.

    Args:
        text: how the server reads it.
        sql_type: what it is read as.
    """

    text: str
    sql_type: str

    @property
    def constant(self) -> str | None:
        """The value as a constant, where it is a number, a time or the like; None for text and bytes."""
        if self.sql_type.startswith(("text", "bytea")) or not _HARMLESS.fullmatch(self.text):
            return None
        return f"'{self.text}'::{self.sql_type}"


@dataclass(frozen=True)
class Sql:
    """A piece of SQL: text and bound values in turn.

    >>> where = Sql(('"id" > ', Bound("5", "bigint"), " AND ", '"name" = ', Bound("o'hara", "text")))
    >>> where.sql, where.parameters
    ('"id" > $1::bigint AND "name" = $2::text', ('5', "o'hara"))
    """

    parts: tuple[str | Bound, ...]
    dialect: Dialect = POSTGRES

    @property
    def sql(self) -> str:
        """The text with placeholders from $1 on, for a statement that is executed."""
        return self.numbered(1)

    @property
    def parameters(self) -> tuple[str, ...]:
        """The values of the placeholders, in order."""
        return tuple(part.text for part in self.parts if isinstance(part, Bound))

    def numbered(self, first: int) -> str:
        """The text with placeholders from the given number on."""
        numbers = count(first)
        return "".join(
            self.dialect.placeholder(next(numbers), part.sql_type) if isinstance(part, Bound) else part
            for part in self.parts
        )

    @property
    def streamed(self) -> str:
        """The text for COPY."""
        numbers = count(1)
        return "".join(
            part.constant or self.dialect.setting(next(numbers), part.sql_type)
            if isinstance(part, Bound)
            else part
            for part in self.parts
        )

    @property
    def settings(self) -> tuple[str, ...]:
        """The values that `streamed` reads from settings, in order."""
        return tuple(part.text for part in self.parts if isinstance(part, Bound) and part.constant is None)


def sql(*pieces: str | Bound | Sql, dialect: Dialect = POSTGRES) -> Sql:
    """Pieces, one after the other."""
    parts: list[str | Bound] = []
    for piece in pieces:
        parts.extend(piece.parts if isinstance(piece, Sql) else (piece,))
    return Sql(tuple(parts), dialect)


def joined(separator: str, pieces: Iterable[Sql], dialect: Dialect = POSTGRES) -> Sql:
    """Pieces with a text between them."""
    parts: list[str | Bound] = []
    for number, piece in enumerate(pieces):
        if number:
            parts.append(separator)
        parts.extend(piece.parts)
    return Sql(tuple(parts), dialect)


def text_of(value: Any) -> str | None:
    """The text from which the server reads a value; None where there is none.

    >>> text_of(True), text_of(float("inf")), text_of(["a", 'b"']), text_of("zero" + chr(0))
    ('true', 'Infinity', '{"a","b\\\\""}', None)
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return "NaN" if value != value else repr(value).replace("inf", "Infinity")
    if isinstance(value, int | decimal.Decimal):
        return str(value)
    if isinstance(value, dt.datetime | dt.date | dt.time):
        return value.isoformat()
    if isinstance(value, bytes):
        return "\\x" + value.hex()
    if isinstance(value, str):
        return None if "\0" in value or (not value.isprintable() and _is_broken(value)) else value
    if isinstance(value, list | tuple):
        texts = [text_of(item) for item in value]
        if any(text is None for text in texts):
            return None
        escaped = [str(text).replace("\\", "\\\\").replace('"', '\\"') for text in texts]
        return "{" + ",".join(f'"{text}"' for text in escaped) + "}"
    return None


def _is_broken(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return True
    return False
