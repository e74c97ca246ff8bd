"""The kinds of locations, as fields of sources."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Discriminator, Tag

from aligned_dagster.sources.azure_location import AzureLocation
from aligned_dagster.sources.local_location import LocalLocation
from aligned_dagster.sources.s3_location import S3Location


def _kind(value: Any) -> str:
    found = value.get("kind", "local") if isinstance(value, dict) else getattr(value, "kind", None)
    return str(found)


AnyLocation = Annotated[
    Annotated[LocalLocation, Tag("local")]
    | Annotated[S3Location, Tag("s3")]
    | Annotated[AzureLocation, Tag("azure")],
    Discriminator(_kind),
]
"""A place on this machine or in an object store."""
