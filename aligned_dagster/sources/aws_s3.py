"""Files in a bucket of AWS S3, or of another store that speaks its protocol."""

from __future__ import annotations

import os
from typing import Any

from aligned_dagster.sources.constructors import FolderConstructors, PathText
from aligned_dagster.sources.s3_location import S3Location, S3Settings


class AwsS3Config(S3Settings, FolderConstructors):
    """A bucket whose objects are sources, made as those of a local directory are. See `S3Settings` for the arguments.

    >>> bucket = AwsS3Config(
    ...     access_token_env="AWS_ACCESS_TOKEN",
    ...     secret_token_env="AWS_SECRET_TOKEN",
    ...     bucket_env="AWS_BUCKET",
    ...     region_env="AWS_REGION",
    ... )
    >>> bucket.parquet_at("taxi.parquet").kind
    'parquet'
    """

    @classmethod
    def from_resource(cls, resource: Any, bucket: str) -> AwsS3Config:
        """A bucket that is reached with a `dagster_aws.s3.S3Resource`.

        Args:
            resource: may name environment variables by `EnvVar`.
            bucket: its name.
        """
        return cls(resource=resource, bucket=bucket)

    def at(self, path: PathText) -> S3Location:
        """The location of a key."""
        return S3Location(config=self, path=os.fspath(path))


AwsConfig = AwsS3Config
"""The name that the documentation uses too."""
