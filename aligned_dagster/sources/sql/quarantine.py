"""Rows that were not fit to be stored, in a table beside the data.

A row is kept as one JSON object, each of its values as exact text, and beside it the types of its columns: contracts
change, and one table takes the rows of them all.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from typing import TYPE_CHECKING, Any
from urllib.parse import quote as in_uri

import polars as pl

from aligned_dagster.features.dtypes import DataType
from aligned_dagster.features.schema import Column, Schema
from aligned_dagster.request.retrieval_request import RetrievalRequest
from aligned_dagster.sources.conform import conform, to_stored
from aligned_dagster.sources.date_formatter import DateFormatter
from aligned_dagster.sources.quarantine_run import QuarantineRun
from aligned_dagster.sources.sql.catalog import table_shape
from aligned_dagster.sources.sql.committing import commit
from aligned_dagster.sources.sql.connection import session
from aligned_dagster.sources.sql.identifiers import TableName, quote
from aligned_dagster.sources.sql.spool import Spool
from aligned_dagster.sources.sql.sql_errors import explained_sql
from aligned_dagster.sources.sql.table_definition import create_schema
from aligned_dagster.sources.sql.write_errors import writing_sql

if TYPE_CHECKING:
    from aligned_dagster.sources.sql.sql_source import SqlTableSource

_SUFFIX = "_quarantine"
_COLUMNS = ("run_id", "contract", "kept_row", "kept_types", "kept_at")


def quarantine_table(source: SqlTableSource) -> TableName:
    """The table beside that of a source; a long name is cut, and ends in a digest of it."""
    table, longest = source.table_name, source.config.dialect.longest_name
    name = f"{table.name}{_SUFFIX}"
    if len(name.encode()) > longest:
        digest = hashlib.sha256(table.name.encode()).hexdigest()[:8]
        room = longest - len(_SUFFIX) - len(digest) - 1
        name = f"{table.name.encode()[:room].decode(errors='ignore')}_{digest}{_SUFFIX}"
    return TableName(table.schema, name)


def write_quarantine(
    source: SqlTableSource, frame: pl.LazyFrame, request: RetrievalRequest, run_id: str
) -> str:
    """Keep rows aside, in place of those that the same run kept before, and return where.

    Args:
        source: the table that they were meant for.
        frame: the rows; any columns of types that contracts have.
        request: the contract.
        run_id: names them.

    Raises:
        PublishError: they cannot be written.
    """
    table, config = quarantine_table(source), source.config
    uri = _uri(source, run_id)
    writes, spool = config.writes(), Spool()
    try:
        with writing_sql(request.name, uri, config):
            spool.write(_as_text(frame, request.name, uri, run_id))
            with session(config) as opened:
                writes.lock(opened, table)
                if table_shape(opened, table) is None:
                    create_schema(opened, table)
                    text, as_json = config.dialect.text_type, config.dialect.json_type
                    types = (text, text, as_json, as_json, "timestamptz")
                    columns = ", ".join(
                        f"{quote(name)} {sql_type} NOT NULL"
                        for name, sql_type in zip(_COLUMNS, types, strict=True)
                    )
                    opened.execute(f"CREATE TABLE {table.sql} ({columns})")
                place = config.dialect.placeholder(1, "text")
                opened.execute(f"DELETE FROM {table.sql} WHERE run_id = {place}", (run_id,))
                opened.ingest(
                    table.name, spool.batches({name: name for name in _COLUMNS}), schema=table.schema
                )
                commit(opened, writes, config, request.name, uri)
    finally:
        spool.remove()
    return uri


def read_quarantine(source: SqlTableSource, run_id: str | None = None) -> pl.LazyFrame | None:
    """The rows that were kept aside, by one run or by all, with the types that they had; None where there are none.

    Args:
        source: the table that they were meant for.
        run_id: the run.
    """
    table, config = quarantine_table(source), source.config
    with explained_sql(table.name, f"{config.place}/{table.text}", config), session(config) as opened:
        if table_shape(opened, table) is None:
            return None
        text, place = config.dialect.text_type, config.dialect.placeholder(1, "text")
        query = f"SELECT kept_types::{text}, kept_row::{text} FROM {table.sql}"
        found = (
            opened.batches(f"{query} ORDER BY kept_at, run_id")
            if run_id is None
            else opened.batches(f"{query} WHERE run_id = {place}", (run_id,))
        )
        rows = pl.concat([pl.DataFrame(schema={"kept_types": pl.String, "kept_row": pl.String}), *found])
    groups = rows.partition_by("kept_types", maintain_order=True)
    frames = [
        _from_text(group["kept_row"], json.loads(group["kept_types"][0]), table.text) for group in groups
    ]
    return pl.concat(frames, how="diagonal_relaxed") if frames else None


def quarantine_runs(source: SqlTableSource) -> list[QuarantineRun]:
    """The runs that kept rows aside, the oldest first.

    Args:
        source: the table that they were meant for.
    """
    table, config = quarantine_table(source), source.config
    with explained_sql(table.name, f"{config.place}/{table.text}", config), session(config) as opened:
        if table_shape(opened, table) is None:
            return []
        found = opened.rows(f"SELECT run_id, count(*), max(kept_at) FROM {table.sql} GROUP BY run_id")
    runs = [
        QuarantineRun(str(run_id), int(rows), kept_at.astimezone(dt.UTC), _uri(source, str(run_id)))
        for run_id, rows, kept_at in found
    ]
    return sorted(runs, key=lambda one: (one.kept_at, one.run_id))


def remove_quarantine(source: SqlTableSource, run_id: str) -> None:
    """Remove what one run kept aside; nothing happens where there is nothing.

    Args:
        source: the table that the rows were meant for.
        run_id: the run.

    Raises:
        PublishError: the rows cannot be removed.
    """
    table, config, uri = quarantine_table(source), source.config, _uri(source, run_id)
    writes = config.writes()
    with writing_sql(source.label, uri, config), session(config) as opened:
        if table_shape(opened, table) is None:
            return
        writes.lock(opened, table)
        place = config.dialect.placeholder(1, "text")
        opened.execute(f"DELETE FROM {table.sql} WHERE run_id = {place}", (run_id,))
        commit(opened, writes, config, source.label, uri)


def _uri(source: SqlTableSource, run_id: str) -> str:
    return f"{source.config.place}/{quarantine_table(source).text}?run_id={in_uri(run_id, safe='')}"


def _as_text(frame: pl.LazyFrame, contract: str, uri: str, run_id: str) -> pl.LazyFrame:
    """The columns of the table for the columns of a frame."""
    found = frame.collect_schema()
    dtypes = {
        name: DataType("string") if isinstance(dtype, pl.Null) else DataType.from_polars(dtype)
        for name, dtype in found.items()
    }
    request = _request(contract, dtypes)
    rows = conform(frame, request, source_label=f"the rows kept aside in {uri}", stored=found)
    texts = to_stored(rows, request, source_label=uri, as_text=True).select(pl.all().cast(pl.String))
    types = json.dumps({name: dtype.text for name, dtype in dtypes.items()}, ensure_ascii=False)
    return texts.select(
        pl.lit(run_id).alias("run_id"),
        pl.lit(contract).alias("contract"),
        pl.struct(pl.all()).struct.json_encode().alias("kept_row"),
        pl.lit(types).alias("kept_types"),
        pl.lit(dt.datetime.now(dt.UTC)).alias("kept_at"),
    )


def _from_text(rows: pl.Series, types: dict[str, Any], place: str) -> pl.LazyFrame:
    dtypes = {name: DataType.from_text(text) for name, text in types.items()}
    texts = rows.str.json_decode(pl.Struct(dict.fromkeys(dtypes, pl.String))).struct.unnest()
    return conform(
        texts.lazy(), _request(place, dtypes), source_label=place, formatter=DateFormatter.iso_8601()
    )


def _request(contract: str, dtypes: dict[str, DataType]) -> RetrievalRequest:
    return RetrievalRequest(contract, Schema(tuple(Column(name, dtype) for name, dtype in dtypes.items())))
