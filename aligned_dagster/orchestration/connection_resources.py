"""The resources that stand for databases, buckets and accounts: they hold names of variables, and no secret."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self, cast

import dagster as dg
from pydantic import Field

from aligned_dagster.contracts.connections import Config, Connection, made_of
from aligned_dagster.errors import ConfigurationError
from aligned_dagster.sources.environment import with_names


class ConnectionResource(dg.ConfigurableResource[Any]):
    """How contracts reach a database, bucket or account."""

    kind: ClassVar[str]

    def __init__(self, **fields: Any) -> None:
        named = with_names(fields)
        made_of(self.kind, named, type(self).__name__)  # refuses a secret before anything holds it
        super().__init__(**named)

    def config(self, replaced: Connection) -> Config:
        """The config that takes the place of a connection's.

        Args:
            replaced: the connection.

        Raises:
            ConfigurationError: the fields do not make one, or it is of another kind.
        """
        told = type(self).__name__
        if self.kind != replaced.kind:
            raise ConfigurationError(
                f"The resource {replaced.name!r} is a connection of {replaced.kind} and cannot be a {told}. "
                f"Give a {RESOURCES[replaced.kind].__name__}."
            )
        fields = {
            name: value for name in type(self).model_fields if (value := getattr(self, name)) is not None
        }
        return made_of(self.kind, {**self._kept(replaced), **fields}, f"{told} for {replaced.name!r}")

    def _with_updated_values(self, values: Mapping[str, Any] | None) -> Self:
        """What Dagster makes of this and of the config of a run, which must not differ.

        Contracts are bound to their connections when the definitions are loaded, so that a run cannot go elsewhere.

        Raises:
            ConfigurationError: a run's config names another place.
        """
        other = sorted(name for name, value in (values or {}).items() if value != getattr(self, name, None))
        if other:
            raise ConfigurationError(
                f"The config of this run changes {', '.join(other)} of a {type(self).__name__}, which would change nothing: "
                "contracts are bound to their connections when the definitions are loaded. Choose a profile "
                "(ALIGNED_PROFILE) or give build_definitions(resources=...) another resource."
            )
        return cast(Self, super()._with_updated_values(values))

    def _kept(self, replaced: Connection) -> dict[str, Any]:
        """Fields that have no place in the resource and stay what they were."""
        return {}

    @classmethod
    def of(cls, config: Config) -> Self:
        """The resource that shows a config."""
        held = {name: getattr(config, name) for name in cls.model_fields}
        return cls(**{name: value for name, value in held.items() if value is not None})


class _DatabaseResource(ConnectionResource):
    """What the resources of databases share."""

    env_var: str | None = Field(None, description="Environment variable with the address, password included.")
    address: str | None = Field(None, description="The address itself, where it has no password.")
    password_env: str | None = Field(
        None, description="Environment variable with the password for `address`."
    )
    schema_name: str | None = Field(
        None, description="Schema of tables that name none; theirs is kept if not given."
    )


class PostgreSQLResource(_DatabaseResource):
    """A PostgreSQL database that contracts read from or are kept in. The address stays in the environment."""

    kind: ClassVar[str] = "postgres"


class RedshiftResource(_DatabaseResource):
    """A Redshift database that contracts read from or are kept in. The address stays in the environment."""

    kind: ClassVar[str] = "redshift"

    iam_role_env: str | None = Field(
        None, description="Environment variable with the role that reaches the staging bucket."
    )
    large_rows: int | None = Field(
        None, description="Rows from which on a read or write goes through the staging bucket."
    )

    def _kept(self, replaced: Connection) -> dict[str, Any]:
        held = ("s3", "iam_role_env", "large_rows")
        return {name: getattr(replaced.config, name) for name in held}


class S3BucketResource(ConnectionResource):
    """A bucket of S3 that contracts read from or are kept in. Keys stay in the environment, or with boto3's own chain."""

    kind: ClassVar[str] = "s3"

    bucket: str | None = Field(None, description="Name of the bucket.")
    bucket_env: str | None = Field(None, description="Environment variable with the name of the bucket.")
    access_token_env: str | None = Field(None, description="Environment variable with the access key id.")
    secret_token_env: str | None = Field(None, description="Environment variable with the secret access key.")
    session_token_env: str | None = Field(
        None, description="Environment variable with the token of temporary keys."
    )
    region: str | None = Field(None, description="The region.")
    region_env: str | None = Field(None, description="Environment variable with the region.")
    endpoint_url: str | None = Field(None, description="URL of another store than AWS.")
    endpoint_env: str | None = Field(None, description="Environment variable with that URL.")


class AzureContainerResource(ConnectionResource):
    """An account, or a container, of Azure Blob Storage that contracts read from or are kept in. Credentials stay in the
    environment, or with Azure's own chain.
    """

    kind: ClassVar[str] = "azure"

    container: str | None = Field(
        None, description="Name of the container; the first part of each path if none is named."
    )
    container_env: str | None = Field(
        None, description="Environment variable with the name of the container."
    )
    account_name: str | None = Field(None, description="Name of the storage account.")
    account_name_env: str | None = Field(
        None, description="Environment variable with the name of the account."
    )
    account_key_env: str | None = Field(None, description="Environment variable with a key of the account.")
    sas_token_env: str | None = Field(None, description="Environment variable with a SAS token.")
    tenant_id_env: str | None = Field(
        None, description="Environment variable with the tenant of a service principal."
    )
    client_id_env: str | None = Field(None, description="Environment variable with its client id.")
    client_secret_env: str | None = Field(None, description="Environment variable with its secret.")
    endpoint_url: str | None = Field(
        None, description="URL of another service than Azure's, account included."
    )
    endpoint_env: str | None = Field(None, description="Environment variable with that URL.")
    authority_host: str | None = Field(None, description="Where tokens are had, where it is not Azure's.")
    verify_certificates: bool | None = Field(
        None, description="Whether certificates must be known; they must if not given."
    )


class HandedOverResource(dg.ConfigurableResource[Any]):
    """A bucket or account that contracts reach by a resource which they were given. What that holds is not shown."""

    place: str = Field(description="The bucket or container.")
    resource: str = Field(description="Class of the resource.")


RESOURCES: Mapping[str, type[ConnectionResource]] = {
    "postgres": PostgreSQLResource,
    "redshift": RedshiftResource,
    "s3": S3BucketResource,
    "azure": AzureContainerResource,
}
"""The resource of each kind of connection."""
