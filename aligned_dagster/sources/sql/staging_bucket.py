"""A bucket of S3 in which rows wait on their way into a warehouse or out of it."""

from __future__ import annotations

import io
import uuid
from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import polars as pl
from pydantic import BaseModel, ConfigDict, Field, model_validator

from aligned_dagster.errors import ConfigurationError, SourceError
from aligned_dagster.sources.environment import from_environment

if TYPE_CHECKING:
    from pathlib import Path

_NAME = r"^[A-Za-z_][A-Za-z0-9_]*$"


class StagingBucket(BaseModel):
    """A bucket. It keeps names of environment variables; what they hold is read when rows are moved.

    Args:
        bucket_env: the variable with the bucket's name.
        region_env: that with its region.
        access_key_env: that with the access key; the default chain of credentials if there is none.
        secret_key_env: that with its secret.
        session_token_env: that with the token of temporary keys.
        endpoint_env: that with the address of another server than Amazon's.
        iam_role_env: that with the role by which the warehouse reaches the bucket; it is given the keys if there is
            none.
        prefix: the directory in the bucket.
        large_rows: from how many rows on a table or query goes this way.

    >>> StagingBucket(bucket_env="STAGING_BUCKET", iam_role_env="REDSHIFT_ROLE").prefix
    'aligned_dagster'
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    bucket_env: str = Field(pattern=_NAME)
    region_env: str | None = Field(default=None, pattern=_NAME)
    access_key_env: str | None = Field(default=None, pattern=_NAME)
    secret_key_env: str | None = Field(default=None, pattern=_NAME)
    session_token_env: str | None = Field(default=None, pattern=_NAME)
    endpoint_env: str | None = Field(default=None, pattern=_NAME)
    iam_role_env: str | None = Field(default=None, pattern=_NAME)
    prefix: str = Field(default="aligned_dagster", pattern=r"^[A-Za-z0-9_\-./=]*$")
    large_rows: int = Field(default=100_000, ge=1)

    @model_validator(mode="after")
    def _has_both_keys(self) -> StagingBucket:
        if (self.access_key_env is None) != (self.secret_key_env is None):
            raise ConfigurationError(
                "StagingBucket needs both access_key_env and secret_key_env, or none of them."
            )
        return self

    def new_place(self) -> str:
        """A directory of the bucket that nobody uses, with a slash at its end."""
        start = self.prefix.strip("/")
        return f"{start and f'{start}/'}{uuid.uuid4().hex}/"

    def uri(self, key: str) -> str:
        """The address of an object or of all that start so."""
        return f"s3://{self._bucket}/{key}"

    def credentials_sql(self) -> str:
        """How a statement reaches the bucket. It may hold secrets: keep it out of logs and errors.

        Raises:
            ConfigurationError: a variable is not set, or there are no credentials.
        """
        if self.iam_role_env is not None:
            return f"IAM_ROLE {_text(self._read(self.iam_role_env, 'role'))}"
        keys = self._keys()
        if keys is None:
            raise ConfigurationError(
                "Redshift needs a role or keys to reach the bucket of StagingBucket: iam_role_env=..., or "
                "access_key_env=... and secret_key_env=... ."
            )
        names = ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY", "SESSION_TOKEN")
        return " ".join(f"{name} {_text(key)}" for name, key in zip(names, keys, strict=True) if key)

    def scrubbed(self, text: str) -> str:
        """A text without the keys."""
        import os

        names = (self.access_key_env, self.secret_key_env, self.session_token_env)
        values = {os.environ.get(name, "").strip() for name in names if name is not None}
        for secret in sorted(values, key=len, reverse=True):
            text = text.replace(secret, "***") if secret else text
        return text

    def put(self, key: str, file: Path) -> None:
        """Store a local file."""
        self._do("be written", lambda client: client.upload_file(str(file), self._bucket, key))

    def frames(self, place: str) -> Iterator[pl.DataFrame]:
        """The rows of each Parquet file in a directory."""
        for key in self._listed(place):
            body = self._do(
                "be read",
                lambda client, key=key: client.get_object(Bucket=self._bucket, Key=key)["Body"].read(),
            )
            yield pl.read_parquet(io.BytesIO(body), hive_partitioning=False)

    def remove(self, place: str) -> None:
        """Remove a directory, as far as that is allowed: what stays there does no harm."""
        with suppress(SourceError):
            for key in self._listed(place):
                self._do(
                    "be removed", lambda client, key=key: client.delete_object(Bucket=self._bucket, Key=key)
                )

    @property
    def _bucket(self) -> str:
        name = self._read(self.bucket_env, "bucket")
        if not all(sign.isalnum() or sign in ".-_" for sign in name):
            raise ConfigurationError(
                f"The environment variable {self.bucket_env}, the bucket of StagingBucket, should hold no more than a "
                "bucket's name, such as my-staging."
            )
        return name

    def _listed(self, place: str) -> list[str]:
        def keys(client: Any) -> list[str]:
            pages = client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=place)
            return sorted(
                entry["Key"] for page in pages for entry in page.get("Contents", []) if entry["Size"]
            )

        found: list[str] = self._do("be listed", keys)
        return found

    def _keys(self) -> tuple[str, str, str | None] | None:
        if self.access_key_env is None or self.secret_key_env is None:
            return None
        token = self.session_token_env
        return (
            self._read(self.access_key_env, "access key"),
            self._read(self.secret_key_env, "secret key"),
            None if token is None else self._read(token, "session token"),
        )

    def _read(self, variable: str, what: str) -> str:
        return from_environment(variable, f"the {what} of StagingBucket").strip()

    def _do(self, what: str, call: Any) -> Any:
        """Ask the store.

        Raises:
            SourceError: it refuses, or is not there.
        """
        from boto3.exceptions import Boto3Error
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            return call(self._client())
        except ClientError as error:
            told = error.response.get("Error", {}).get("Code", "unknown")
        except (BotoCoreError, Boto3Error) as error:
            told = f"{type(error).__name__}: {error}"
        raise SourceError(
            f"The staged rows in the bucket {self._bucket!r} of {self.bucket_env} cannot {what}: "
            f"{self.scrubbed(told)}. Check the bucket, its region and what the keys may do."
        )

    def _client(self) -> Any:
        import boto3
        from botocore.config import Config

        keys = self._keys() or (None, None, None)
        return boto3.client(
            "s3",
            aws_access_key_id=keys[0],
            aws_secret_access_key=keys[1],
            aws_session_token=keys[2],
            region_name=None if self.region_env is None else self._read(self.region_env, "region"),
            endpoint_url=None if self.endpoint_env is None else self._read(self.endpoint_env, "endpoint"),
            config=Config(connect_timeout=5, retries={"mode": "standard", "max_attempts": 4}),
        )


def _text(value: str) -> str:
    return "'" + value.replace("\\", "").replace("'", "''") + "'"
