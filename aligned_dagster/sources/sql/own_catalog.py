"""What a system answers in its own way of what PostgreSQL's catalog and statistics tell."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from aligned_dagster.sources.fingerprint import Fingerprint
    from aligned_dagster.sources.sql.catalog import TableShape
    from aligned_dagster.sources.sql.connection import Session
    from aligned_dagster.sources.sql.identifiers import TableName
    from aligned_dagster.sources.sql.types import StoredColumn


class OwnCatalog(Protocol):
    """See the functions of the same names in `catalog` and `statistics`."""

    def table_shape(self, session: Session, table: TableName) -> TableShape | None:
        """What a table is; None where there is no such table."""

    def query_columns(self, session: Session, query: str, what: str) -> tuple[StoredColumn, ...]:
        """The columns of a query, which is prepared and not run."""

    def names(self, session: Session) -> list[tuple[str, str, bool]]:
        """Schema and name of each table, and whether it is found without its schema."""

    def fingerprint_of(
        self, session: Session, source: str, shapes: Sequence[TableShape], query: str
    ) -> Fingerprint:
        """The state of a table or a query."""

    def estimated_rows(self, session: Session, source: str) -> int:
        """How many rows a table or a query has, more or less."""
