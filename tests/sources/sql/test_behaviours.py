"""The suite of behaviours over tables of PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count

import polars as pl
import pytest

from aligned_dagster import PostgreSQLConfig
from aligned_dagster.request.retrieval_request import RetrievalRequest
from aligned_dagster.sources.postgresql import PostgreSQLQuery, PostgreSQLTable

from ..behaviours import Persists, Reads
from .conftest import Run, fill


class TestQuery(Reads):
    @pytest.fixture
    def stored(self, database: PostgreSQLConfig) -> Callable[[pl.DataFrame], PostgreSQLQuery]:
        numbers = count()

        def store(rows: pl.DataFrame) -> PostgreSQLQuery:
            name = f"readings_{next(numbers)}"
            fill(database, name, rows)
            return database.fetch(f"SELECT * FROM {name}")

        return store


class TestTable(Persists):
    @pytest.fixture
    def stored(self, database: PostgreSQLConfig) -> Callable[[pl.DataFrame], PostgreSQLTable]:
        numbers = count()

        def store(rows: pl.DataFrame) -> PostgreSQLTable:
            name = f"readings_{next(numbers)}"
            fill(database, name, rows)
            return database.table(name)

        return store


class TestTableOfHostileNames(Persists):
    @pytest.fixture
    def stored(self, database: PostgreSQLConfig, run: Run) -> Callable[[pl.DataFrame], PostgreSQLTable]:
        run('CREATE SCHEMA "odd ""schema"" %s; --"')
        hostile = ['"', "%s", ";--", "Ünïcode 😀", "level", "x" * 63]
        numbers = count()

        def store(rows: pl.DataFrame) -> PostgreSQLTable:
            names = dict(zip(rows.columns, hostile, strict=True))
            name = f'{next(numbers)} "rows"; %(a)s'
            fill(database, name, rows.rename(names), 'odd "schema" %s; --')
            mapping = {stored: column for column, stored in names.items()}
            return database.table(name, mapping, schema='odd "schema" %s; --')

        return store


class TestCreatedTable(Persists):
    @pytest.fixture
    def stored(
        self, database: PostgreSQLConfig, request_for: RetrievalRequest
    ) -> Callable[[pl.DataFrame], PostgreSQLTable]:
        numbers = count()

        def store(rows: pl.DataFrame) -> PostgreSQLTable:
            table = database.with_schema("made").table(f"readings_{next(numbers)}")
            table.overwrite(rows.lazy(), request_for)
            return table

        return store
