"""A place in a container of Azure Blob Storage, and what must be known to reach it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Literal

from pydantic import ConfigDict, field_validator, model_validator

from aligned_dagster.errors import ConfigurationError
from aligned_dagster.sources.environment import check_names, from_environment, with_names
from aligned_dagster.sources.object_location import ObjectLocation
from aligned_dagster.sources.resource_handle import AnyResource
from aligned_dagster.sources.settings import Settings

if TYPE_CHECKING:
    from aligned_dagster.sources.azure_store import AzureStore


class AzureSettings(Settings):
    """How to reach an account. Secrets are named and not held: they are read from the environment when a scan starts.

    The first of these that is named is used: an account key, a SAS token, a service principal (tenant, client and secret).
    Without any, Azure's chain of default credentials is asked: environment, managed identity, command line.

    Args:
        account_id_env: accepted for those who come from `aligned`; nothing needs it.
        tenant_id_env: environment variable with the tenant of the service principal.
        client_id_env: environment variable with its client id.
        client_secret_env: environment variable with its secret.
        account_name_env: environment variable with the name of the storage account.
        account_key_env: environment variable with a key of the account.
        sas_token_env: environment variable with a SAS token.
        container_env: environment variable with the container; the first part of each path where neither is given.
        container: the container itself, in place of `container_env`.
        account_name: the account itself, in place of `account_name_env`.
        endpoint_env: environment variable with the URL of another service than Azure's, the account included, such as
            http://127.0.0.1:10000/devstoreaccount1.
        endpoint_url: the URL itself, in place of `endpoint_env`.
        authority_host: where tokens are had, where it is not Azure's.
        verify_certificates: whether the certificates of both must be known; the emulator signs its own.
        resource: a `dagster_azure.blob.AzureBlobStorageResource`, which is asked for the account and its credential.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", arbitrary_types_allowed=True, hide_input_in_errors=True
    )

    account_id_env: str | None = None
    tenant_id_env: str | None = None
    client_id_env: str | None = None
    client_secret_env: str | None = None
    account_name_env: str | None = None
    account_key_env: str | None = None
    sas_token_env: str | None = None
    container_env: str | None = None
    container: str | None = None
    account_name: str | None = None
    endpoint_env: str | None = None
    endpoint_url: str | None = None
    authority_host: str | None = None
    verify_certificates: bool = True
    resource: AnyResource | None = None

    @model_validator(mode="before")
    @classmethod
    def _names(cls, fields: Any) -> Any:
        return with_names(fields)

    @model_validator(mode="after")
    def _enough(self) -> AzureSettings:
        check_names(self)
        if self.account_name_env is None and self.account_name is None and self.resource is None:
            raise ConfigurationError(
                "AzureBlobConfig needs an account: account_name_env='AZURE_ACCOUNT_NAME' or account_name='name'."
            )
        principal = (self.tenant_id_env, self.client_id_env, self.client_secret_env)
        if any(principal) and not all(principal):
            raise ConfigurationError(
                "A service principal needs tenant_id_env, client_id_env and client_secret_env; one is missing."
            )
        return self

    def value(self, variable: str, what: str) -> str:
        """What an environment variable holds.

        Raises:
            ConfigurationError: it is not set.
        """
        return from_environment(variable, f"{what} of AzureBlobConfig")

    @property
    def shown_container(self) -> str | None:
        """The container, or the name of its environment variable as long as it is not set; None where paths name it."""
        if self.container is not None or self.container_env is None:
            return self.container
        return os.environ.get(self.container_env) or f"${self.container_env}"


class AzureLocation(ObjectLocation):
    """A blob, or a prefix of blobs.

    Args:
        path: below the container, or beginning with it where the config names none.
        config: how to reach the account.
    """

    kind: Literal["azure"] = "azure"
    config: AzureSettings

    @field_validator("path")
    @classmethod
    def _without_backslash(cls, path: str) -> str:
        if "\\" in path:
            raise ConfigurationError(
                f"{path!r} has a backslash, which Azure takes for a '/'. Write it as one."
            )
        return path

    @property
    def uri(self) -> str:
        """az://container/key."""
        container = self.config.shown_container
        return f"az://{self.path if container is None else f'{container}/{self.path}'}".rstrip("/")

    @property
    def key(self) -> str:
        """The name of the blob in its container."""
        return self.path if self.config.shown_container is not None else self.path.partition("/")[2]

    def store(self) -> AzureStore:
        """See `ObjectLocation.store`."""
        from aligned_dagster.sources.azure_store import AzureStore

        config = self.config
        if config.shown_container is None:
            container = self.path.partition("/")[0]
        else:
            container = config.container or config.value(config.container_env or "", "the container")
        if not container:
            raise ConfigurationError(
                "A path in Azure begins with its container, where AzureBlobConfig names none: 'container/file.parquet'."
            )
        return AzureStore(config, container)
