"""A condition of the contract, by which a part of a table is replaced, as a condition on what is stored."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from aligned_dagster.request.retrieval_request import RetrievalRequest
from aligned_dagster.sources.conform import stored_names
from aligned_dagster.sources.sql.bound import Sql
from aligned_dagster.sources.sql.catalog import TableShape
from aligned_dagster.sources.sql.dialect import Dialect
from aligned_dagster.sources.sql.predicate import to_sql
from aligned_dagster.sources.sql.types import StoredColumn, Wire, wire


def condition_in_sql(
    where: pl.Expr, request: RetrievalRequest, shape: TableShape, mapping: Mapping[str, str], dialect: Dialect
) -> Sql | None:
    """A condition on the contract's columns as one on the stored ones; None where the server might mean another.

    Columns of which a reader sees other values than the stored ones, such as a default in place of null, do not count.

    Args:
        where: the condition.
        request: the contract.
        shape: the table.
        mapping: stored name to name in the contract.
        dialect: the system.
    """
    names = stored_names(request, mapping)
    columns: dict[str, StoredColumn] = {}
    wires: dict[str, Wire] = {}
    for column in request.wanted:
        stored = shape.column(names[column.name])
        if stored is None or (column.has_default and column.default is not None):
            continue
        sent, wanted = wire(stored, column.dtype), column.dtype.polars
        moments = isinstance(sent.dtype, pl.Datetime) and isinstance(wanted, pl.Datetime)
        if sent.dtype == wanted or moments or (sent.dtype.is_integer() and wanted.is_integer()):
            columns[column.name], wires[column.name] = stored, sent
    return to_sql(where, columns, dialect, wires)
