"""Where SQL systems differ, in one class each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aligned_dagster.features.dtypes import DataType
    from aligned_dagster.sources.sql.own_catalog import OwnCatalog


@dataclass(frozen=True)
class Dialect:
    """PostgreSQL, and what other systems override.

    Args:
        name: how messages call the system.
        kind: what a source of it is, in a word.
        default_port: where its servers listen unless an address says otherwise.
        streams_by_copy: whether a query's rows can be had with COPY TO STDOUT, which streams them.
        has_lateral: whether a subquery in FROM can read the rows before it.
        has_arrays: whether columns can be arrays, and a list of values can be bound as one.
        longest_name: bytes that an identifier keeps.
        after_commit: statements that remove what a committed transaction left in its connection, and let others see
            at once what it did to the statistics.
        has_row_place: whether a table's rows have a `ctid`, their place.
        has_distinct_from: whether IS DISTINCT FROM compares nulls.
        numeric_keeps_digits: whether numeric, without a precision, holds any number; else such bounds stay with polars.
        text_type: the type of a text of any length.
        json_type: the type of a text of JSON that is kept as it is.
        read_only: the statement that lets a transaction change nothing; empty where there is none.
    """

    name: str = "PostgreSQL"
    kind: str = "postgres"
    default_port: int = 5432
    streams_by_copy: bool = True
    has_lateral: bool = True
    has_arrays: bool = True
    longest_name: int = 63
    after_commit: tuple[str, ...] = ("DISCARD TEMP", "SELECT pg_stat_force_next_flush()")
    has_row_place: bool = True
    has_distinct_from: bool = True
    numeric_keeps_digits: bool = True
    text_type: str = "text"
    json_type: str = "json"
    read_only: str = "SET TRANSACTION READ ONLY"

    def own_catalog(self) -> OwnCatalog | None:
        """How tables are looked up where the catalog is not PostgreSQL's; None where it is."""
        return None

    def ddl_type(self, dtype: DataType) -> str:
        """The type with which a column of the contract is created."""
        from aligned_dagster.sources.sql.types import ddl_type

        return ddl_type(dtype)

    def placeholder(self, number: int, sql_type: str) -> str:
        """The place of a bound value, which comes as text, in a statement that is executed.

        >>> Dialect().placeholder(1, "bigint")
        '$1::bigint'
        """
        return f"${number}::{sql_type}"

    def literal(self, text: str) -> str:
        """A text as a constant, for a statement that takes no bound values. A zero byte, which no text holds, is left out.

        >>> print(Dialect().literal("o'hara"), Dialect().literal("back" + chr(92)))
        'o''hara' E'back\\\\'
        """
        escaped = text.replace("\0", "").replace("'", "''")
        return "E'" + escaped.replace("\\", "\\\\") + "'" if "\\" in escaped else f"'{escaped}'"

    def setting(self, number: int, sql_type: str) -> str:
        """The place of a bound value in a query that is streamed by COPY, which takes no parameters.

        The value is bound to a setting of the transaction, which the planner looks up for its estimates.
        """
        return f"current_setting('aligned.p{number}')::{sql_type}"

    def bind_setting(self, number: int) -> str:
        """The expression that binds the parameter of this number to its setting."""
        return f"set_config('aligned.p{number}', ${number}, true)"

    def byte_order(self, operand: str) -> str:
        """A text operand that compares by its bytes, as polars compares, and not by the rules of a language."""
        return f'{operand} COLLATE "C"'


POSTGRES = Dialect()
