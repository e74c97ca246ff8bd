"""An S3 bucket by boto3, and the arguments with which polars reads it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aligned_dagster.errors import (
    AccessDeniedError,
    ConfigurationError,
    ConflictError,
    SourceNotFoundError,
    UnavailableSourceError,
)
from aligned_dagster.sources.object_store import AT_ONCE, ATTEMPTS, Expected, ObjectStore, StoredObject

if TYPE_CHECKING:
    from aligned_dagster.sources.s3_location import S3Settings

_DENIED = {"403", "401", "AccessDenied", "Forbidden", "InvalidAccessKeyId", "SignatureDoesNotMatch"}
_DENIED |= {"ExpiredToken", "InvalidToken", "InvalidSecurity"}
_CONFLICT = {"PreconditionFailed", "412", "ConditionalRequestConflict", "409"}
_PART = 64 << 20
"""Bytes of a part; larger files are sent in several."""


class S3Credentials:
    """What polars asks for the keys each time a scan starts. It holds names of environment variables, not keys.

    Args:
        settings: how to reach the bucket.
    """

    def __init__(self, settings: S3Settings) -> None:
        self._settings = settings

    def __call__(self) -> tuple[dict[str, str | None], int | None]:
        """The keys, and the second at which they expire."""
        found = client_of(self._settings)._request_signer._credentials
        if found is None:
            raise ConfigurationError(_no_keys(self._settings))
        keys = found.get_frozen_credentials()
        given = {"aws_access_key_id": keys.access_key, "aws_secret_access_key": keys.secret_key}
        if keys.token:
            given["aws_session_token"] = keys.token
        expiry = getattr(found, "_expiry_time", None)
        return given, (int(expiry.timestamp()) if isinstance(expiry, dt.datetime) else None)


class S3Store(ObjectStore):
    """See `ObjectStore`.

    Args:
        settings: how to reach the bucket.
    """

    def __init__(self, settings: S3Settings) -> None:
        self._settings = settings
        bucket = settings.value(settings.bucket, settings.bucket_env, "the bucket")
        assert bucket is not None  # S3Settings has one or the other
        self._bucket = bucket

    @property
    def bucket(self) -> str:
        """See `ObjectStore.bucket`."""
        return self._bucket

    @property
    def uri(self) -> str:
        """See `ObjectStore.uri`."""
        return f"s3://{self._bucket}"

    @cached_property
    def options(self) -> Mapping[str, Any]:
        """See `ObjectStore.options`."""
        found = self._client.meta
        options: dict[str, Any] = {"max_retries": ATTEMPTS}
        if found.region_name:
            options["aws_region"] = found.region_name
        if self._is_elsewhere:
            options["aws_endpoint_url"] = found.endpoint_url
            options["aws_allow_http"] = "true"
        return {"storage_options": options, "credential_provider": S3Credentials(self._settings)}

    def head(self, key: str) -> StoredObject | None:
        """See `ObjectStore.head`."""
        try:
            with self._asked(key):
                found = self._client.head_object(Bucket=self._bucket, Key=key)
        except FileNotFoundError:
            return None
        return StoredObject(key, found["ContentLength"], found["LastModified"], found["ETag"].strip('"'))

    def list(self, prefix: str) -> Iterator[StoredObject]:
        """See `ObjectStore.list`."""
        with self._asked(prefix):
            pages = self._client.get_paginator("list_objects_v2")
            for page in pages.paginate(Bucket=self._bucket, Prefix=prefix):
                for one in page.get("Contents", ()):
                    if not one["Key"].endswith("/"):
                        yield StoredObject(
                            one["Key"], one["Size"], one["LastModified"], one["ETag"].strip('"')
                        )

    def children(self, prefix: str) -> Iterator[str]:
        """See `ObjectStore.children`."""
        with self._asked(prefix):
            pages = self._client.get_paginator("list_objects_v2")
            for page in pages.paginate(Bucket=self._bucket, Prefix=prefix, Delimiter="/"):
                for one in page.get("CommonPrefixes", ()):
                    yield one["Prefix"][len(prefix) :]
                for one in page.get("Contents", ()):
                    yield one["Key"][len(prefix) :]

    def get(self, key: str) -> tuple[bytes, str]:
        """See `ObjectStore.get`."""
        with self._asked(key):
            found = self._client.get_object(Bucket=self._bucket, Key=key)
            return found["Body"].read(), found["ETag"].strip('"')

    def put(self, key: str, content: Path | bytes, expected: Expected | None = None) -> None:
        """See `ObjectStore.put`. A store that knows no conditions takes the object in any case."""
        where = {"Bucket": self._bucket, "Key": key}
        condition: dict[str, str] = {}
        if expected is not None:
            condition = {"IfNoneMatch": "*"} if expected.etag is None else {"IfMatch": expected.etag}
        try:
            with self._asked(key):
                if isinstance(content, bytes):
                    self._client.put_object(**where, Body=content, **condition)
                elif content.stat().st_size <= _PART:
                    with content.open("rb") as body:
                        self._client.put_object(**where, Body=body, **condition)
                else:
                    self._put_in_parts(content, where, condition)
        except FileNotFoundError:  # if-match on an object that is gone
            raise ConflictError(f"{self.uri}/{key} was removed by another writer.") from None

    def copy(self, source: str, target: str) -> None:
        """See `ObjectStore.copy`."""
        with self._asked(source):
            self._client.copy({"Bucket": self._bucket, "Key": source}, self._bucket, target)

    def delete(self, keys: Iterable[str]) -> None:
        """See `ObjectStore.delete`. One request a key: not every store takes the checksum of a request for many."""

        def remove(key: str) -> None:
            with suppress(FileNotFoundError), self._asked(key):
                self._client.delete_object(Bucket=self._bucket, Key=key)

        with ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(remove, keys))

    def _put_in_parts(self, content: Path, where: dict[str, str], condition: dict[str, str]) -> None:
        upload = {**where, "UploadId": self._client.create_multipart_upload(**where)["UploadId"]}
        try:
            parts: list[dict[str, Any]] = []
            with content.open("rb") as body:
                while piece := body.read(_PART):
                    number = len(parts) + 1
                    sent = self._client.upload_part(**upload, PartNumber=number, Body=piece)
                    parts.append({"PartNumber": number, "ETag": sent["ETag"]})
            self._client.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts}, **condition)
        except BaseException:
            with suppress(Exception):
                self._client.abort_multipart_upload(**upload)
            raise

    @cached_property
    def _client(self) -> Any:
        return client_of(self._settings)

    @property
    def _is_elsewhere(self) -> bool:
        return ".amazonaws.com" not in self._client.meta.endpoint_url

    @contextmanager
    def _asked(self, key: str) -> Iterator[None]:
        """Raise what boto3 raises as an error of ours."""
        from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError

        place = f"{self.uri}/{key}"
        try:
            yield
        except ClientError as error:
            answer = error.response.get("Error", {})
            code = str(answer.get("Code", ""))
            status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
            if code == "NoSuchBucket":
                raise SourceNotFoundError(
                    f"There is no bucket {self._bucket!r} at {self._client.meta.endpoint_url}. Check {self._origin}."
                ) from None
            if code in _CONFLICT or status in (409, 412):
                raise ConflictError(f"{place} was changed by another writer.") from None
            if code in _DENIED or status in (401, 403):
                raise AccessDeniedError(
                    f"{place}: the store refused access ({code}). Check the keys in {self._keys}, and that they may "
                    f"{error.operation_name} there."
                ) from None
            if code in {"NoSuchKey", "404", "NotFound"}:
                raise FileNotFoundError(place) from None
            raise UnavailableSourceError(
                f"{place}: the store answered {code or status} to {error.operation_name}, also after {ATTEMPTS} tries: "
                f"{answer.get('Message', '')}. Try again later."
            ) from None
        except NoCredentialsError:
            raise ConfigurationError(_no_keys(self._settings)) from None
        except BotoCoreError as error:
            raise UnavailableSourceError(
                f"{place} cannot be reached at {self._client.meta.endpoint_url} ({type(error).__name__}), also after "
                f"{ATTEMPTS} tries. Check the endpoint, the region and the network."
            ) from None

    @property
    def _origin(self) -> str:
        return self._settings.bucket_env or "the bucket of AwsS3Config"

    @property
    def _keys(self) -> str:
        return (
            f"{self._settings.access_token_env} and {self._settings.secret_token_env}"
            if self._settings.access_token_env
            else "the environment or profile of AWS"
        )


def client_of(settings: S3Settings) -> Any:
    """A boto3 client; the same one for the same settings and values.

    Raises:
        ConfigurationError: an environment variable is not set.
    """
    if settings.resource is not None:
        return _client_of_resource(settings.resource)
    return _client(
        settings.value(None, settings.access_token_env, "the access key"),
        settings.value(None, settings.secret_token_env, "the secret key"),
        settings.value(None, settings.session_token_env, "the session token"),
        settings.value(settings.region, settings.region_env, "the region"),
        settings.value(settings.endpoint_url, settings.endpoint_env, "the endpoint"),
    )


@lru_cache(16)
def _client_of_resource(resource: Any) -> Any:
    return resource.ready().get_client()


@lru_cache(16)
def _client(
    access_key: str | None,
    secret_key: str | None,
    token: str | None,
    region: str | None,
    endpoint: str | None,
) -> Any:
    import boto3
    from botocore.config import Config

    config = Config(
        connect_timeout=5,
        read_timeout=60,
        retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
        max_pool_connections=32,
        s3={"addressing_style": "path"} if endpoint else None,
    )
    session = boto3.Session(access_key, secret_key, token, region)
    region = session.region_name or ("us-east-1" if endpoint else None)
    return session.client("s3", region_name=region, endpoint_url=endpoint, config=config)


def _no_keys(settings: S3Settings) -> str:
    return (
        f"No keys for the bucket {settings.shown_bucket!r} were found: name environment variables with "
        "access_token_env and secret_token_env, or set up the AWS environment or profile."
    )
