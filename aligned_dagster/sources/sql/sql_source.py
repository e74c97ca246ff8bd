"""A table or a query of a database as a source."""

from __future__ import annotations

import datetime as dt
import hashlib
from abc import abstractmethod
from typing import TYPE_CHECKING

import polars as pl
from pydantic import Field, field_validator

from aligned_dagster.errors import ConfigurationError, MissingColumnError, NothingStoredError
from aligned_dagster.request.retrieval_request import RetrievalRequest
from aligned_dagster.sources.conform import conform, stored_names
from aligned_dagster.sources.file_source import check_mapping
from aligned_dagster.sources.quarantine_run import QuarantineRun
from aligned_dagster.sources.source import DataSource, Fingerprint, WritableSource
from aligned_dagster.sources.sql import point_in_time
from aligned_dagster.sources.sql.catalog import TableShape, query_columns, similar_table, table_shape
from aligned_dagster.sources.sql.config import SqlConfig
from aligned_dagster.sources.sql.connection import Session, explained_sql, session
from aligned_dagster.sources.sql.identifiers import TableName
from aligned_dagster.sources.sql.scan import Relation, greatest_of, scan
from aligned_dagster.sources.sql.statistics import fingerprint_of
from aligned_dagster.sources.sql.types import StoredColumn
from aligned_dagster.sources.writing import Staged, WriteMode

if TYPE_CHECKING:
    from aligned_dagster.sources.sql.writes import Writes


class SqlSource(DataSource):
    """What a table and a query have in common: rows that are asked for in SQL.

    Args:
        config: how to reach the database.
        mapping_values: stored name to name in the contract.
    """

    config: SqlConfig
    mapping_values: dict[str, str] = Field(default_factory=dict)

    @field_validator("mapping_values")
    @classmethod
    def _one_to_one(cls, mapping: dict[str, str]) -> dict[str, str]:
        try:
            return check_mapping(mapping)
        except ConfigurationError as error:  # files call it otherwise
            raise ConfigurationError(str(error).replace("mapping_keys", "mapping_values")) from None

    __hash__ = DataSource.__hash__

    @property
    def kind(self) -> str:
        """The system, such as postgres."""
        return self.config.dialect.kind

    @abstractmethod
    def _relation(self, opened: Session, request: RetrievalRequest) -> tuple[Relation, TableShape | None]:
        """What is read, as the server describes it now, and what it knows of the table, where it is one."""

    def all_data(self, request: RetrievalRequest, limit: int | None = None) -> pl.LazyFrame:
        """See `DataSource.all_data`. Only the catalog is read before the frame is collected."""
        relation, _ = self.described(request)
        rows = scan(relation)
        return self._conformed(rows if limit is None else rows.head(limit), relation, request)

    def newest(self, request: RetrievalRequest, column: str) -> dt.datetime | None:
        """See `DataSource.newest`. The server looks for it, where it stores a time as a time."""
        asked = request.project((column,))
        relation, _ = self.described(asked)
        greatest = greatest_of(relation, stored_names(asked, self.mapping_values)[column])
        if greatest is None:
            return super().newest(request, column)
        with explained_sql(request.name, self.uri, self.config):
            found: dt.datetime | None = self._conformed(scan(greatest), greatest, asked).collect().item()
        return found

    def features_for(
        self, facts: pl.LazyFrame, request: RetrievalRequest, *, fact_timestamp: str | None = None
    ) -> pl.LazyFrame:
        """See `DataSource.features_for`. The facts go to the server where that moves fewer rows than fetching."""
        relation, shape = self.described(request)
        fetched = super().features_for(facts, request, fact_timestamp=fact_timestamp)
        lookup = point_in_time.lookup(relation, shape, request, facts, fact_timestamp)
        if lookup is None:
            return fetched

        def conformed(rows: pl.LazyFrame, beside: str) -> pl.LazyFrame:
            return self._conformed(rows, relation, request.project(lookup.wanted), beside)

        return point_in_time.joined_by_server(lookup, facts, fetched, conformed)

    def described(self, request: RetrievalRequest) -> tuple[Relation, TableShape | None]:
        """What is read, as the server describes it now, and what it knows of the table, where it is one.

        Args:
            request: the contract and the wanted columns.

        Raises:
            SourceError: the server does not answer, or the table is not there.
        """
        with explained_sql(request.name, self.uri, self.config), session(self.config) as opened:
            return self._relation(opened, request)

    def _conformed(
        self, rows: pl.LazyFrame, relation: Relation, request: RetrievalRequest, beside: str | None = None
    ) -> pl.LazyFrame:
        try:
            return conform(
                rows,
                request,
                source_label=self.uri,
                mapping=self.mapping_values,
                stored=relation.schema,
                beside=beside,
            )
        except MissingColumnError as error:  # files call it otherwise
            raise MissingColumnError(str(error).replace("mapping_keys", "mapping_values")) from None

    def _reading(
        self, request: RetrievalRequest, source: str, columns: tuple[StoredColumn, ...], *, only_reads: bool
    ) -> Relation:
        names = stored_names(request, self.mapping_values)
        return Relation(
            config=self.config,
            sql=source,
            columns=columns,
            contract=request.name,
            uri=self.uri,
            wanted={names[column.name]: (column.name, column.dtype) for column in request.schema.columns},
            zone=request.zone,
            only_reads=only_reads,
        )


class SqlTableSource(SqlSource, WritableSource):
    """A table or view.

    Args:
        config: how to reach the database.
        table: its name, as it is stored.
        table_schema: its schema; that of the config, or else the search path, if not given.
        mapping_values: stored name to name in the contract.
        partition_keys: columns of the contract whose values divide its rows into partitions, which are replaced by
            deleting and inserting the rows with those values.
    """

    table: str
    table_schema: str | None = None
    partition_keys: tuple[str, ...] = ()

    __hash__ = DataSource.__hash__

    @field_validator("table", "table_schema")
    @classmethod
    def _is_a_name(cls, name: str | None) -> str | None:
        if name is not None and (not name or "\0" in name):
            raise ConfigurationError(f"{name!r} is no name of a table or schema.")
        return name

    @field_validator("partition_keys")
    @classmethod
    def _named_once(cls, keys: tuple[str, ...]) -> tuple[str, ...]:
        for key in keys:
            if keys.count(key) > 1:
                raise ConfigurationError(f"The partition key {key!r} is named twice.")
        return keys

    @property
    def table_name(self) -> TableName:
        """The name with its schema."""
        return TableName(self.table_schema or self.config.schema_name, self.table)

    @property
    def uri(self) -> str:
        """Host, database and table, without user and password."""
        return f"{self.config.place}/{self.table_name.text}"

    @property
    def label(self) -> str:
        """The table with its schema."""
        return self.table_name.text

    def writes(self) -> Writes:
        """How the system takes the rows of this table."""
        return self.config.writes()

    def fingerprint(self) -> Fingerprint:
        """See `DataSource.fingerprint`. From statistics and indexes; the rows are not scanned."""
        with explained_sql(self.label, self.uri, self.config), session(self.config) as opened:
            shape = self._existing(opened, self.label)
            return fingerprint_of(opened, shape.table_name.sql, [shape])

    def stage(
        self,
        frame: pl.LazyFrame,
        request: RetrievalRequest,
        mode: WriteMode,
        *,
        where: pl.Expr | None = None,
    ) -> Staged:
        """See `WritableSource.stage`. The rows wait in a local file, and are published in one transaction."""
        from aligned_dagster.sources.sql.staged_table import stage_table

        return stage_table(self, frame, request, mode, where)

    def quarantine(self, frame: pl.LazyFrame, request: RetrievalRequest, run_id: str) -> str:
        """Keep bad rows in the table `<table>_quarantine`, and return its place."""
        from aligned_dagster.sources.sql.quarantine import write_quarantine

        return write_quarantine(self, frame, request, run_id)

    def read_quarantine(self, run_id: str | None = None) -> pl.LazyFrame | None:
        """The rows that were kept aside, by one run or by all; None where there are none."""
        from aligned_dagster.sources.sql.quarantine import read_quarantine

        return read_quarantine(self, run_id)

    def quarantine_runs(self) -> list[QuarantineRun]:
        """The runs that kept rows aside, the oldest first."""
        from aligned_dagster.sources.sql.quarantine import quarantine_runs

        return quarantine_runs(self)

    def remove_quarantine(self, run_id: str) -> None:
        """Remove the rows that one run kept aside; nothing happens where there are none."""
        from aligned_dagster.sources.sql.quarantine import remove_quarantine

        remove_quarantine(self, run_id)

    def _relation(self, opened: Session, request: RetrievalRequest) -> tuple[Relation, TableShape | None]:
        shape = self._existing(opened, request.name)
        return self._reading(request, shape.table_name.sql, shape.columns, only_reads=False), shape

    def _existing(self, opened: Session, contract: str) -> TableShape:
        shape = table_shape(opened, self.table_name)
        if shape is None:
            raise NothingStoredError(
                f"There is no table {self.table_name.text!r} for {contract!r} in {self.config.place}."
                f"{similar_table(opened, self.table_name)} Names are taken as they are stored, upper and lower case.",
                self.uri,
            )
        return shape


class SqlQuerySource(SqlSource):
    """The rows of a query, which are only read.

    Args:
        config: how to reach the database.
        query: one SELECT.
        mapping_values: name in the query to name in the contract.
    """

    query: str

    __hash__ = DataSource.__hash__

    @field_validator("query")
    @classmethod
    def _is_a_query(cls, query: str) -> str:
        if not query.strip().rstrip(";").strip():
            raise ConfigurationError("The SQL of a query is empty. Give a SELECT: .fetch('SELECT ...').")
        return query

    @property
    def uri(self) -> str:
        """Host, database and a digest of the query, without user and password."""
        return f"{self.config.place}?query={hashlib.sha256(self.query.encode()).hexdigest()[:12]}"

    @property
    def label(self) -> str:
        """The start of the query."""
        words = " ".join(self.query.split())
        return words if len(words) <= 60 else f"{words[:59]}…"

    def fingerprint(self) -> Fingerprint:
        """See `DataSource.fingerprint`. From the statistics of the tables that the query reads; it is not run."""
        with explained_sql(self.label, self.uri, self.config), session(self.config) as opened:
            return fingerprint_of(opened, self._from, [], self.query)

    @property
    def _from(self) -> str:
        return f"(\n{self._select}\n)"

    @property
    def _select(self) -> str:
        return self.query.strip().rstrip(";").rstrip()

    def _relation(self, opened: Session, request: RetrievalRequest) -> tuple[Relation, TableShape | None]:
        columns = query_columns(opened, self._select, f"The query {self.label!r}")
        return self._reading(request, self._from, columns, only_reads=True), None
