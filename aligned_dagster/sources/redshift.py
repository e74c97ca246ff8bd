"""Redshift: tables and queries as sources. Never run on a cluster: only on a server that is made to look like one."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal
from urllib.parse import quote, urlencode

from pydantic import BeforeValidator, Field, model_validator

from aligned_dagster.errors import ConfigurationError
from aligned_dagster.sources.aws_s3 import AwsS3Config
from aligned_dagster.sources.constructors import Directory
from aligned_dagster.sources.environment import check_names, from_environment
from aligned_dagster.sources.s3_location import S3Location
from aligned_dagster.sources.source import DataSource
from aligned_dagster.sources.sql.config import SqlConfig
from aligned_dagster.sources.sql.redshift_dialect import REDSHIFT, RedshiftDialect
from aligned_dagster.sources.sql.sql_source import SqlQuerySource, SqlTableSource
from aligned_dagster.sources.sql.staging_bucket import StagingBucket

if TYPE_CHECKING:
    import polars as pl
    import pyarrow as pa

    from aligned_dagster.sources.sql.bound import Sql
    from aligned_dagster.sources.sql.connection import Session
    from aligned_dagster.sources.sql.identifiers import TableName
    from aligned_dagster.sources.sql.redshift_writes import RedshiftWrites

__all__ = ["RedshiftQuery", "RedshiftSQLConfig", "RedshiftTable"]


def _place(value: Any) -> Any:
    """The location of a bucket or of a directory in it; what is neither is left to be refused."""
    if isinstance(value, Directory):
        value = value.location
    elif isinstance(value, AwsS3Config):
        value = value.at("")
    if value is None or isinstance(value, S3Location | Mapping):
        return value
    raise ConfigurationError(
        "s3 of RedshiftSQLConfig must be a directory of a bucket: s3=AwsS3Config(...).directory('staging')."
    )


class RedshiftSQLConfig(SqlConfig):
    """A database of Redshift. It keeps the name of the environment variable with the address, and never the address.

    Rows go through the connection, which is slow; with `s3`, large reads are unloaded to that place as Parquet, and
    large writes are copied from there.

    Args:
        env_var: the variable that holds the address, redshift://user:password@host:5439/database.
        schema_name: the schema of tables that name none; the connection's search path if not given.
        s3: the directory of an `AwsS3Config` in which rows wait on their way; the bucket itself will do too.
        iam_role_env: the variable with the role by which Redshift reaches that bucket. If not given, statements tell it
            the keys that `access_token_env` and `secret_token_env` of the bucket name.
        large_rows: from how many rows on a read or write goes by way of the bucket.

    >>> from aligned_dagster import AwsS3Config
    >>> bucket = AwsS3Config(bucket_env="STAGING_BUCKET", region_env="AWS_REGION")
    >>> warehouse = RedshiftSQLConfig(
    ...     env_var="REDSHIFT_DB_URL", s3=bucket.directory("staging"), iam_role_env="REDSHIFT_ROLE"
    ... )
    >>> warehouse.table("taxi").uri
    'redshift://$REDSHIFT_DB_URL/taxi'
    """

    schemes: ClassVar[tuple[str, ...]] = ("redshift", "postgresql", "postgres")

    s3: Annotated[S3Location, BeforeValidator(_place)] | None = None
    iam_role_env: str | None = None
    large_rows: int = Field(default=100_000, ge=1)

    def __init__(
        self,
        env_var: str | None = None,
        schema_name: str | None = None,
        *,
        s3: AwsS3Config | Directory | S3Location | None = None,
        **fields: Any,
    ) -> None:
        super().__init__(env_var=env_var, schema_name=schema_name, s3=s3, **fields)

    @model_validator(mode="after")
    def _names_a_role(self) -> RedshiftSQLConfig:
        check_names(self)
        return self

    @staticmethod
    def from_resource(
        resource: Any, *, password_env: str | None = None, **settings: Any
    ) -> RedshiftSQLConfig:
        """The database of a `RedshiftClientResource` of dagster-aws.

        Args:
            resource: what has a host, port, user, password and database, as text or `EnvVar`.
            password_env: the variable that holds the password, where the resource has the password itself.
            settings: the others of `RedshiftSQLConfig`, such as `schema_name` and `s3`.

        Raises:
            ConfigurationError: it has no host, a password that is in no variable, or a variable that is not set.
        """
        host, user, database = (_plain(resource, name) for name in ("host", "user", "database"))
        password = getattr(resource, "password", None)
        variable = password_env or getattr(password, "env_var_name", None)
        if not host:
            raise ConfigurationError(f"{type(resource).__name__} names no host, so it cannot be a database.")
        if variable is None and password is not None:
            raise ConfigurationError(
                f"The password of {type(resource).__name__} is a text, which a config would have to keep. Put it into an "
                "environment variable: password=EnvVar('REDSHIFT_PASSWORD'), or say "
                "from_resource(..., password_env='REDSHIFT_PASSWORD')."
            )
        login = f"{quote(user, safe='')}@" if user else ""
        port = _plain(resource, "port") or REDSHIFT.default_port
        given = {name: _plain(resource, name) for name in ("sslmode", "connect_timeout")}
        options = urlencode({name: value for name, value in given.items() if value}, quote_via=quote)
        address = f"redshift://{login}{host}:{port}/{quote(database or 'dev', safe='')}"
        return RedshiftSQLConfig(
            address=f"{address}?{options}" if options else address, password_env=variable, **settings
        )

    @property
    def dialect(self) -> RedshiftDialect:
        """See `SqlConfig.dialect`."""
        return REDSHIFT

    def writes(self) -> RedshiftWrites:
        """See `SqlConfig.writes`."""
        from aligned_dagster.sources.sql.redshift_writes import RedshiftWrites

        return RedshiftWrites()

    def with_schema(self, name: str) -> RedshiftSQLConfig:
        """The same database, where tables are looked for in that schema."""
        return self.model_copy(update={"schema_name": name})

    def table(
        self,
        name: str,
        mapping_values: Mapping[str, str] | None = None,
        schema: str | None = None,
        dist_key: str | None = None,
        sort_keys: Sequence[str] = (),
        partition_keys: Sequence[str] = (),
    ) -> RedshiftTable:
        """A table or view.

        Args:
            name: as it is stored; Redshift stores names in lower case unless it is told otherwise.
            mapping_values: stored name to name in the contract.
            schema: its schema; that of the config, or else the search path, if not given.
            dist_key: stored name of the DISTKEY of a table that is created.
            sort_keys: stored names of the SORTKEY of a table that is created.
            partition_keys: columns of the contract whose values are its partitions: a run replaces the rows of its own.
        """
        return RedshiftTable(
            config=self,
            table=name,
            table_schema=schema,
            mapping_values=dict(mapping_values or {}),
            dist_key=dist_key,
            sort_keys=tuple(sort_keys),
            partition_keys=tuple(partition_keys),
        )

    def fetch(self, sql: str, mapping_values: Mapping[str, str] | None = None) -> RedshiftQuery:
        """The rows of a query, which are only read.

        Args:
            sql: one SELECT.
            mapping_values: name in the query to name in the contract.
        """
        return RedshiftQuery(config=self, query=sql, mapping_values=dict(mapping_values or {}))

    @property
    def staging(self) -> StagingBucket | None:
        """Where rows wait on their way; None where they go through the connection."""
        return None if self.s3 is None else StagingBucket(self.s3, self.iam_role_env, self.large_rows)

    def scrubbed(self, text: str) -> str:
        """See `SqlConfig.scrubbed`. Statements that unload and copy hold the keys of the bucket too."""
        text = super().scrubbed(text)
        return text if self.staging is None else self.staging.scrubbed(text)

    def read_aside(self, session: Session, query: Sql) -> Generator[pl.DataFrame, None, None] | None:
        """See `SqlConfig.read_aside`: many rows are unloaded to the bucket."""
        from aligned_dagster.sources.sql.redshift_staging import unloaded

        return None if self.staging is None else unloaded(session, self.staging, query)

    def ingest(
        self,
        session: Session,
        table: TableName,
        batches: Iterable[pl.DataFrame | pa.Table],
        *,
        temporary: bool,
        create: bool,
    ) -> int:
        """See `SqlConfig.ingest`: many rows are copied from the bucket, few are inserted over the connection."""
        from aligned_dagster.sources.sql.redshift_rows import create_for, frames_of, insert_rows
        from aligned_dagster.sources.sql.redshift_staging import copied

        frames = frames_of(batches)
        if create:
            first = next(frames, None)
            if first is None:
                return 0
            create_for(session, table, first, temporary=temporary)
            frames = chain([first], frames)
        if self.staging is None:
            return insert_rows(session, table, frames)
        return copied(session, self.staging, table, frames)


class RedshiftTable(SqlTableSource):
    """A table or view of Redshift. Make it with `RedshiftSQLConfig.table`."""

    type: Literal["redshift_table"] = "redshift_table"
    config: RedshiftSQLConfig
    dist_key: str | None = None
    sort_keys: tuple[str, ...] = ()

    __hash__ = DataSource.__hash__

    def writes(self) -> RedshiftWrites:
        """See `SqlTableSource.writes`."""
        from aligned_dagster.sources.sql.redshift_writes import RedshiftWrites

        return RedshiftWrites(dist_key=self.dist_key, sort_keys=self.sort_keys)


class RedshiftQuery(SqlQuerySource):
    """The rows of a query to Redshift. Make it with `RedshiftSQLConfig.fetch`."""

    type: Literal["redshift_query"] = "redshift_query"
    config: RedshiftSQLConfig

    __hash__ = DataSource.__hash__


def _plain(resource: Any, name: str) -> str | None:
    """A setting that is no secret; an `EnvVar` is read."""
    value = getattr(resource, name, None)
    variable = getattr(value, "env_var_name", None)
    if variable is not None:
        return from_environment(str(variable), f"the {name} of {type(resource).__name__}")
    return None if value is None else str(value)
