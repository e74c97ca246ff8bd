"""An S3 bucket by boto3, and the arguments with which polars reads it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import cached_property
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
from aligned_dagster.sources.s3_client import S3Credentials, access_to, no_keys

if TYPE_CHECKING:
    from aligned_dagster.sources.s3_location import S3Settings

_DENIED = {"403", "401", "AccessDenied", "Forbidden", "InvalidAccessKeyId", "SignatureDoesNotMatch"}
_DENIED |= {"ExpiredToken", "InvalidToken", "InvalidSecurity"}
_CONFLICT = {"PreconditionFailed", "412", "ConditionalRequestConflict", "409"}
_MISSING = {"NoSuchKey", "NoSuchUpload", "404", "NotFound"}
_MARK = "aligned-put"
"""The metadata that tells which put an object came from."""
_PART = 64 << 20
"""Bytes of a part; larger files are sent in several."""

_COPIED_AT_ONCE = 1 << 30
"""Bytes of the largest object that one request copies; the store would do five times that."""


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
        if found.region_name and found.region_name != "aws-global":
            options["aws_region"] = found.region_name
        if self._is_elsewhere:
            options["aws_endpoint_url"] = found.endpoint_url
            options["aws_allow_http"] = "true"
        if access_to(self._settings).session is None:
            options["aws_skip_signature"] = "true"
            return {"storage_options": options, "credential_provider": None}
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
        from botocore.exceptions import HTTPClientError, IncompleteReadError

        with self._asked(key):
            tries = 0
            while True:
                found = self._client.get_object(Bucket=self._bucket, Key=key)
                try:
                    return found["Body"].read(), found["ETag"].strip('"')
                except (HTTPClientError, IncompleteReadError):  # cut in mid-content: boto3 does not try again
                    tries += 1
                    if tries == ATTEMPTS:
                        raise

    def _send(self, key: str, content: Path | bytes, expected: Expected | None, mark: str) -> None:
        """See `ObjectStore.put`. A store that knows no conditions takes the object in any case."""
        where = {"Bucket": self._bucket, "Key": key}
        marked = {**where, "Metadata": {_MARK: mark}}
        condition: dict[str, str] = {}
        if expected is not None:
            condition = {"IfNoneMatch": "*"} if expected.etag is None else {"IfMatch": expected.etag}
        with self._asked(key):
            if isinstance(content, bytes):
                self._client.put_object(**marked, Body=content, **condition)
            elif content.stat().st_size <= _PART:
                with content.open("rb") as body:
                    self._client.put_object(**marked, Body=body, **condition)
            else:
                upload_id = self._client.create_multipart_upload(**marked)["UploadId"]
                self._put_in_parts(content, {**where, "UploadId": upload_id}, condition)

    def _mark_of(self, key: str) -> str | None:
        try:
            with self._asked(key):
                found: dict[str, str] = self._client.head_object(Bucket=self._bucket, Key=key)["Metadata"]
        except FileNotFoundError:
            return None
        return found.get(_MARK)

    def copy(self, source: str, target: str) -> None:
        """See `ObjectStore.copy`."""
        where = {"Bucket": self._bucket, "Key": source}
        with self._asked(source):
            if self._client.head_object(**where)["ContentLength"] <= _COPIED_AT_ONCE:
                self._client.copy_object(CopySource=where, Bucket=self._bucket, Key=target)
            else:
                self._client.copy(where, self._bucket, target)

    def delete(self, keys: Iterable[str]) -> None:
        """See `ObjectStore.delete`. One request a key: not every store takes the checksum of a request for many."""

        def remove(key: str) -> None:
            with suppress(FileNotFoundError), self._asked(key):
                self._client.delete_object(Bucket=self._bucket, Key=key)

        with ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(remove, keys))

    def _put_in_parts(self, content: Path, upload: dict[str, str], condition: dict[str, str]) -> None:
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
        client = access_to(self._settings).client
        client.meta.events.register("needs-retry.s3", _wait_after_a_cut, unique_id="aligned-dagster-cut")
        return client

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
            if (
                code == "400" and error.operation_name == "HeadObject"
            ):  # an answer without a body has no reason
                code = "400, as to a session token that is wrong or has expired"
                status = 401
            if code in _DENIED or status in (401, 403):
                raise AccessDeniedError(
                    f"{place}: the store refused access ({code}). Check the keys in {self._keys}, and that they may "
                    f"{error.operation_name} there."
                ) from None
            if code in _MISSING:
                raise FileNotFoundError(place) from None
            raise UnavailableSourceError(
                f"{place}: the store answered {code or status} to {error.operation_name}, also after {ATTEMPTS} tries: "
                f"{str(answer.get('Message', '')).rstrip('.')}. Try again later."
            ) from None
        except NoCredentialsError:
            raise ConfigurationError(no_keys(self._settings)) from None
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
            if self._settings.resource is None
            else repr(self._settings.resource)
        )


def _wait_after_a_cut(response: tuple[Any, Any] | None, attempts: int, **_: object) -> float | None:
    """Seconds after which a request is sent again whose answer ends among its headers: boto3 takes it for an empty one."""
    if response is None or attempts >= ATTEMPTS:
        return None
    answer = response[0]
    whole = {"content-length", "transfer-encoding"} & {name.lower() for name in answer.headers}
    return None if whole or answer.status_code == 204 else 0.1 * 2**attempts
