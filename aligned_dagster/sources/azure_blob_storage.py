"""Files in a container of Azure Blob Storage."""

from __future__ import annotations

import os
from typing import Any

from aligned_dagster.sources.azure_location import AzureLocation, AzureSettings
from aligned_dagster.sources.constructors import FolderConstructors, PathText


class AzureBlobConfig(AzureSettings, FolderConstructors):
    """An account whose blobs are sources, made as those of a local directory are. See `AzureSettings` for the arguments.

    >>> config = AzureBlobConfig(
    ...     tenant_id_env="AZURE_TENANT_ID",
    ...     client_id_env="AZURE_CLIENT_ID",
    ...     client_secret_env="AZURE_CLIENT_SECRET",
    ...     account_name_env="AZURE_ACCOUNT_NAME",
    ... )
    >>> config.parquet_at("taxis/taxi_data.parquet").uri
    'az://taxis/taxi_data.parquet'
    """

    @classmethod
    def from_resource(cls, resource: Any, container: str) -> AzureBlobConfig:
        """A container that is reached with a `dagster_azure.blob.AzureBlobStorageResource`.

        Args:
            resource: may name environment variables by `EnvVar`.
            container: its name.
        """
        return cls(resource=resource, container=container)

    def at(self, path: PathText) -> AzureLocation:
        """The location of a blob."""
        return AzureLocation(config=self, path=os.fspath(path))
