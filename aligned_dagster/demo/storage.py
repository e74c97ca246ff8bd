"""Where the demo keeps its rows: in files, in PostgreSQL, in S3 or in Azure, as `DEMO_STORAGE` says.

The contracts ask for a table, a partitioned or a versioned one by its name, and are the same in each storage.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Protocol

from aligned_dagster import AwsS3Config, AzureBlobConfig, Directory, FileSource, PostgreSQLConfig
from aligned_dagster.errors import ConfigurationError, did_you_mean
from aligned_dagster.sources.source import WritableSource

VARIABLE = "DEMO_STORAGE"


class Storage(Protocol):
    """Keeps the rows of contracts, each under a name."""

    def table(self, name: str) -> WritableSource:
        """Rows that are kept together."""

    def partitioned(self, name: str, by: Sequence[str]) -> WritableSource:
        """Rows that are divided by the values of some columns."""

    def versioned(self, name: str) -> WritableSource:
        """Rows of the present schema version, and where there is room for them those of older ones."""


class Files:
    """Parquet files in a directory, which may be one of this machine or one in a bucket.

    Args:
        directory: where they are.
    """

    def __init__(self, directory: Directory) -> None:
        self._directory = directory

    def table(self, name: str) -> WritableSource:
        """One file."""
        return self._directory.parquet_at(f"{name}.parquet")

    def partitioned(self, name: str, by: Sequence[str]) -> WritableSource:
        """A directory with a directory for each partition."""
        return self._directory.partitioned_parquet_at(name, by)

    def versioned(self, name: str) -> WritableSource:
        """A directory with a directory for each schema version."""
        return self._directory.with_schema_version(name).parquet_at(f"{name}.parquet")


class Tables:
    """Tables of a database.

    Args:
        database: where they are.
    """

    def __init__(self, database: PostgreSQLConfig) -> None:
        self._database = database

    def table(self, name: str) -> WritableSource:
        """One table."""
        return self._database.table(name)

    def partitioned(self, name: str, by: Sequence[str]) -> WritableSource:
        """One table, whose partitions are the rows that have their values."""
        return self._database.table(name, partition_keys=by)

    def versioned(self, name: str) -> WritableSource:
        """One table: a database changes with ALTER TABLE, and keeps no older version beside it."""
        return self._database.table(name)


STORAGES: Mapping[str, Storage] = {
    "files": Files(FileSource.directory("data/demo")),
    "postgres": Tables(PostgreSQLConfig(env_var="DEMO_DB_URL")),
    "s3": Files(
        AwsS3Config(
            access_token_env="DEMO_S3_ACCESS_KEY",
            secret_token_env="DEMO_S3_SECRET_KEY",
            bucket_env="DEMO_S3_BUCKET",
            region_env="DEMO_S3_REGION",
            endpoint_env="DEMO_S3_ENDPOINT",
        ).directory("nycflights13")
    ),
    "azure": Files(
        AzureBlobConfig(
            account_name_env="DEMO_AZURE_ACCOUNT",
            account_key_env="DEMO_AZURE_KEY",
            container_env="DEMO_AZURE_CONTAINER",
            endpoint_env="DEMO_AZURE_ENDPOINT",
        ).directory("nycflights13")
    ),
}
"""Each storage by the name that `DEMO_STORAGE` has for it; an environment variable is read when rows are."""


def storage(environ: Mapping[str, str] | None = None) -> Storage:
    """The storage that the environment names; files if it names none.

    Args:
        environ: the environment; the process's own if not given.

    Raises:
        ConfigurationError: there is no such storage.
    """
    name = (os.environ if environ is None else environ).get(VARIABLE) or "files"
    if name not in STORAGES:
        raise ConfigurationError(
            f"{VARIABLE} is {name!r}, which is no storage of the demo.{did_you_mean(name, STORAGES)} "
            f"Choose one of: {', '.join(STORAGES)}."
        )
    return STORAGES[name]


STORAGE = storage()
"""The one that the demo's contracts use."""
