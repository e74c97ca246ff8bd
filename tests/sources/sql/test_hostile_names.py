"""Whatever a table, its columns, its contract and its values are called, in PostgreSQL."""

from __future__ import annotations

from hypothesis import given, settings

from aligned_dagster import PostgreSQLConfig

from .hostile_names import Names, hostile_names, some, stay_names


@settings(some, max_examples=30)
@given(names=hostile_names)
def test_names_stay_names(database: PostgreSQLConfig, names: Names) -> None:
    stay_names(database, names, database.table)
