"""A place in an S3 bucket, and what must be known to reach it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Literal

from pydantic import ConfigDict, model_validator

from aligned_dagster.errors import ConfigurationError
from aligned_dagster.sources.environment import check_names, from_environment, with_names
from aligned_dagster.sources.object_location import ObjectLocation
from aligned_dagster.sources.resource_handle import AnyResource
from aligned_dagster.sources.settings import Settings

if TYPE_CHECKING:
    from aligned_dagster.sources.s3_store import S3Store


class S3Settings(Settings):
    """How to reach a bucket. Secrets are named and not held: they are read from the environment when a scan starts.

    Without the names of keys the chain of boto3 is asked: environment, profile, role of the machine.

    Args:
        access_token_env: environment variable with the access key id.
        secret_token_env: environment variable with the secret access key.
        bucket_env: environment variable with the name of the bucket.
        region_env: environment variable with the region.
        session_token_env: environment variable with the token of temporary keys.
        endpoint_env: environment variable with the URL of another store than AWS.
        bucket: the name itself, in place of `bucket_env`.
        region: the region itself, in place of `region_env`.
        endpoint_url: the URL itself, in place of `endpoint_env`.
        resource: a `dagster_aws.s3.S3Resource`, which is asked for the keys, the region and the endpoint.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", arbitrary_types_allowed=True, hide_input_in_errors=True
    )

    access_token_env: str | None = None
    secret_token_env: str | None = None
    bucket_env: str | None = None
    region_env: str | None = None
    session_token_env: str | None = None
    endpoint_env: str | None = None
    bucket: str | None = None
    region: str | None = None
    endpoint_url: str | None = None
    resource: AnyResource | None = None

    @model_validator(mode="before")
    @classmethod
    def _names(cls, fields: Any) -> Any:
        return with_names(fields)

    @model_validator(mode="after")
    def _enough(self) -> S3Settings:
        check_names(self)
        if (self.bucket_env is None) == (self.bucket is None):
            raise ConfigurationError(
                "AwsS3Config needs a bucket: bucket_env='AWS_BUCKET' or bucket='name', one of them."
            )
        if (self.access_token_env is None) != (self.secret_token_env is None):
            raise ConfigurationError("AwsS3Config needs access_token_env and secret_token_env, or neither.")
        return self

    @property
    def shown_bucket(self) -> str:
        """The name of the bucket, or that of its environment variable as long as it is not set."""
        return self.bucket or os.environ.get(self.bucket_env or "") or f"${self.bucket_env}"

    def value(self, literal: str | None, variable: str | None, what: str) -> str | None:
        """A setting that is given, or that an environment variable holds; None where neither is named.

        Raises:
            ConfigurationError: the variable is not set.
        """
        if literal is not None or variable is None:
            return literal
        return from_environment(variable, f"{what} of AwsS3Config")

    def store(self) -> S3Store:
        """The bucket; environment variables are read now.

        Raises:
            ConfigurationError: one is not set.
        """
        from aligned_dagster.sources.s3_store import S3Store

        return S3Store(self)


class S3Location(ObjectLocation):
    """A key in an S3 bucket.

    Args:
        path: the key.
        config: how to reach the bucket.
    """

    kind: Literal["s3"] = "s3"
    config: S3Settings

    @property
    def uri(self) -> str:
        """s3://bucket/key."""
        return f"s3://{self.config.shown_bucket}/{self.path}".rstrip("/")

    def store(self) -> S3Store:
        """See `ObjectLocation.store`."""
        return self.config.store()
