"""Names in SQL, always quoted: a name is never read as anything but a name."""

from __future__ import annotations

from dataclasses import dataclass

from aligned_dagster.errors import ConfigurationError

LONGEST = 63
"""Bytes of an identifier that PostgreSQL keeps: it would cut a longer one, and so mean another column or table."""


def quote(name: str, longest: int = LONGEST) -> str:
    """The name as a quoted identifier.

    Args:
        name: any text.
        longest: bytes that the system keeps.

    Raises:
        ConfigurationError: no identifier can be that: it is empty, too long, or has a zero byte.

    >>> quote('odd "name"; --')
    '"odd ""name""; --"'
    """
    if not name or "\0" in name:
        raise ConfigurationError(
            f"{name!r} is no name of a table or column: it must not be empty or have a zero byte."
        )
    size = len(name.encode(errors="replace"))
    if size > longest:
        raise ConfigurationError(
            f"The name {name!r} is {size} bytes long, and the database keeps {longest}. Shorten it: rename the stored "
            "column with mapping_values, or the table."
        )
    return '"' + name.replace('"', '""') + '"'


@dataclass(frozen=True)
class TableName:
    """The name of a table, with its schema where one is said.

    Args:
        schema: the schema; None for the first one on the connection's search path that has the table.
        name: the table.

    >>> TableName("raw", "taxi").sql
    '"raw"."taxi"'
    """

    schema: str | None
    name: str

    @property
    def sql(self) -> str:
        """The quoted name."""
        return quote(self.name) if self.schema is None else f"{quote(self.schema)}.{quote(self.name)}"

    @property
    def text(self) -> str:
        """The name for people."""
        return self.name if self.schema is None else f"{self.schema}.{self.name}"
