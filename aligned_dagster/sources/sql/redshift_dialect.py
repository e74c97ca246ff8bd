"""Where the SQL of Redshift differs from that of PostgreSQL."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from aligned_dagster.sources.sql.dialect import Dialect

if TYPE_CHECKING:
    from aligned_dagster.features.dtypes import DataType
    from aligned_dagster.sources.sql.own_catalog import OwnCatalog

LONGEST_TEXT = "varchar(65535)"
"""The longest text of Redshift, where `text` means varchar(256)."""

_NO_SUCH_TYPE = ("[]", "json", "jsonb", "uuid", "interval", "bytea", "text")


@dataclass(frozen=True)
class RedshiftDialect(Dialect):
    """Redshift: no COPY over the connection, no arrays, no indexes, no IS DISTINCT FROM; text compares by bytes."""

    name: str = "Redshift"
    kind: str = "redshift"
    default_port: int = 5439
    streams_by_copy: bool = False
    has_lateral: bool = False
    has_arrays: bool = False
    after_commit: tuple[str, ...] = ()
    has_row_place: bool = False
    has_distinct_from: bool = False
    numeric_keeps_digits: bool = False
    text_type: str = LONGEST_TEXT
    json_type: str = LONGEST_TEXT
    read_only: str = ""

    def own_catalog(self) -> OwnCatalog:
        """See `Dialect.own_catalog`."""
        from aligned_dagster.sources.sql.redshift_catalog import RedshiftCatalog

        return RedshiftCatalog()

    def ddl_type(self, dtype: DataType) -> str:
        """See `Dialect.ddl_type`. Nested values are texts of JSON.

        >>> from aligned_dagster.features.dtypes import DataType
        >>> REDSHIFT.ddl_type(DataType("string")), REDSHIFT.ddl_type(DataType("int8"))
        ('varchar(65535)', 'smallint')
        """
        declared = super().ddl_type(dtype)
        return LONGEST_TEXT if declared.endswith(_NO_SUCH_TYPE) else declared

    def placeholder(self, number: int, sql_type: str) -> str:
        """See `Dialect.placeholder`."""
        return f"${number}::{LONGEST_TEXT if sql_type == 'text' else sql_type}"

    def literal(self, text: str) -> str:
        """See `Dialect.literal`. A backslash might escape there, and so becomes a slash."""
        return super().literal(text.replace("\\", "/"))

    def byte_order(self, operand: str) -> str:
        """See `Dialect.byte_order`."""
        return operand


REDSHIFT = RedshiftDialect()
