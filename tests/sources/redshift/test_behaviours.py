"""The suite of behaviours over tables of a server that looks like Redshift, with and without a bucket."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count

import polars as pl
import pytest

from aligned_dagster import RedshiftSQLConfig
from aligned_dagster.request.retrieval_request import RetrievalRequest
from aligned_dagster.sources.redshift import RedshiftQuery, RedshiftTable

from ..behaviours import Persists, Reads


class TestQuery(Reads):
    @pytest.fixture
    def stored(
        self, warehouse: RedshiftSQLConfig, request_for: RetrievalRequest
    ) -> Callable[[pl.DataFrame], RedshiftQuery]:
        numbers = count()

        def store(rows: pl.DataFrame) -> RedshiftQuery:
            name = f"readings_{next(numbers)}"
            warehouse.table(name).overwrite(rows.lazy(), request_for)
            return warehouse.fetch(f"SELECT * FROM {name}")

        return store


class TestTable(Persists):
    @pytest.fixture
    def stored(
        self, warehouse: RedshiftSQLConfig, request_for: RetrievalRequest
    ) -> Callable[[pl.DataFrame], RedshiftTable]:
        numbers = count()

        def store(rows: pl.DataFrame) -> RedshiftTable:
            table = warehouse.table(f"readings_{next(numbers)}", dist_key="station", sort_keys=["time"])
            table.overwrite(rows.lazy(), request_for)
            return table

        return store


class TestTableOfHostileNames(Persists):
    @pytest.fixture
    def stored(
        self, warehouse: RedshiftSQLConfig, request_for: RetrievalRequest
    ) -> Callable[[pl.DataFrame], RedshiftTable]:
        hostile = ['"', "%s", ";--", "Ünïcode 😀", "level", "x" * 63]
        numbers = count()

        def store(rows: pl.DataFrame) -> RedshiftTable:
            mapping = dict(zip(hostile, rows.columns, strict=True))
            name = f'{next(numbers)} "rows"; %(a)s'
            table = warehouse.table(name, mapping, schema='odd "schema" %s; --')
            table.overwrite(rows.lazy(), request_for)
            return table

        return store


class TestTableByWayOfABucket(Persists):
    @pytest.fixture
    def stored(
        self, staging: RedshiftSQLConfig, request_for: RetrievalRequest
    ) -> Callable[[pl.DataFrame], RedshiftTable]:
        numbers = count()

        def store(rows: pl.DataFrame) -> RedshiftTable:
            table = staging.with_schema("staged").table(f"readings_{next(numbers)}")
            table.overwrite(rows.lazy(), request_for)
            return table

        return store
