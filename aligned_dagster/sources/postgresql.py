"""PostgreSQL: tables and queries as sources."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal
from urllib.parse import quote

from aligned_dagster.sources.source import DataSource
from aligned_dagster.sources.sql.config import SqlConfig
from aligned_dagster.sources.sql.sql_source import SqlQuerySource, SqlTableSource

__all__ = ["PostgreSQLConfig", "PostgreSQLQuery", "PostgreSQLTable"]


class PostgreSQLConfig(SqlConfig):
    """A PostgreSQL database. It keeps the name of the environment variable with the address, and never the address.

    Args:
        env_var: the variable that holds the address, postgresql://user:password@host:5432/database.
        schema_name: the schema of tables that name none; the connection's search path if not given.

    >>> database = PostgreSQLConfig(env_var="PSQL_DB_URL")
    >>> database.table("taxi").uri
    'postgres://$PSQL_DB_URL/taxi'
    """

    @staticmethod
    def localhost(
        db: str,
        user: str | None = None,
        password_env: str | None = None,
        port: int = 5432,
        schema_name: str | None = None,
    ) -> PostgreSQLConfig:
        """A database of this machine.

        Args:
            db: its name.
            user: who logs in; the driver's choice (PGUSER, or the name of the account) if not given.
            password_env: the environment variable with the password, where one is needed.
            port: where the server listens.
            schema_name: the schema of tables that name none.

        >>> PostgreSQLConfig.localhost("shop").table("orders").uri
        'postgres://127.0.0.1:5432/shop/orders'
        """
        login = "" if user is None else f"{quote(user, safe='')}@"
        return PostgreSQLConfig(
            address=f"postgresql://{login}127.0.0.1:{port}/{quote(db, safe='')}",
            password_env=password_env,
            schema_name=schema_name,
        )

    def with_schema(self, name: str) -> PostgreSQLConfig:
        """The same database, where tables are looked for in that schema."""
        return self.model_copy(update={"schema_name": name})

    def table(
        self,
        name: str,
        mapping_values: Mapping[str, str] | None = None,
        schema: str | None = None,
        partition_keys: Sequence[str] = (),
    ) -> PostgreSQLTable:
        """A table or view.

        Args:
            name: as it is stored, in upper and lower case.
            mapping_values: stored name to name in the contract.
            schema: its schema; that of the config, or else the search path, if not given.
            partition_keys: columns of the contract whose values are its partitions: a run replaces the rows of its own.
        """
        return PostgreSQLTable(
            config=self,
            table=name,
            table_schema=schema,
            mapping_values=dict(mapping_values or {}),
            partition_keys=tuple(partition_keys),
        )

    def fetch(self, sql: str, mapping_values: Mapping[str, str] | None = None) -> PostgreSQLQuery:
        """The rows of a query, which are only read.

        Args:
            sql: one SELECT.
            mapping_values: name in the query to name in the contract.
        """
        return PostgreSQLQuery(config=self, query=sql, mapping_values=dict(mapping_values or {}))


class PostgreSQLTable(SqlTableSource):
    """A table or view of PostgreSQL. Make it with `PostgreSQLConfig.table`."""

    type: Literal["postgres_table"] = "postgres_table"
    config: PostgreSQLConfig

    __hash__ = DataSource.__hash__


class PostgreSQLQuery(SqlQuerySource):
    """The rows of a query to PostgreSQL. Make it with `PostgreSQLConfig.fetch`."""

    type: Literal["postgres_query"] = "postgres_query"
    config: PostgreSQLConfig

    __hash__ = DataSource.__hash__
