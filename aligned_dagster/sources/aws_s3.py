"""Files in a bucket of AWS S3, or of another store that speaks its protocol."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from aligned_dagster.sources.constructors import Directory, PathText, PlainConstructors
from aligned_dagster.sources.s3_location import S3Location, S3Settings

if TYPE_CHECKING:
    from aligned_dagster.sources.versioned_directory import VersionedDirectory


class AwsS3Config(S3Settings, PlainConstructors):
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

    def sub_directory(self, path: PathText) -> Directory:
        """A prefix whose objects are sources."""
        return self.directory(path)

    def with_schema_version(self, sub_directory: PathText | None = None) -> VersionedDirectory:
        """A prefix with a prefix for every schema version; see `Directory.with_schema_version`."""
        return Directory(location=self.at("")).with_schema_version(sub_directory)


AwsConfig = AwsS3Config
"""The name that the documentation uses too."""
