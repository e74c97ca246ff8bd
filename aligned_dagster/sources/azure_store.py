"""A container of Azure Blob Storage by its own client, and the arguments with which polars reads it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aligned_dagster.errors import (
    AccessDeniedError,
    ConflictError,
    SourceNotFoundError,
    UnavailableSourceError,
)
from aligned_dagster.sources.azure_client import (
    AzureCredentials,
    TokenRefusedError,
    expiry_of,
    is_anonymous,
    service_of,
)
from aligned_dagster.sources.object_store import AT_ONCE, ATTEMPTS, Expected, ObjectStore, StoredObject

if TYPE_CHECKING:
    from aligned_dagster.sources.azure_location import AzureSettings

_MARK = "aligned_put"
"""The metadata that tells which put a blob came from."""


class AzureStore(ObjectStore):
    """See `ObjectStore`.

    Args:
        settings: how to reach the account.
        container: its name.
    """

    def __init__(self, settings: AzureSettings, container: str) -> None:
        self._settings = settings
        self._container = container

    @property
    def bucket(self) -> str:
        """See `ObjectStore.bucket`."""
        return self._container

    @property
    def uri(self) -> str:
        """See `ObjectStore.uri`."""
        return f"az://{self._container}"

    @cached_property
    def options(self) -> Mapping[str, Any]:
        """See `ObjectStore.options`."""
        settings = self._settings
        service = service_of(settings)
        options: dict[str, Any] = {
            "azure_storage_account_name": service.account_name,
            "max_retries": ATTEMPTS,
        }
        if ".core.windows.net" not in service.url:
            options["azure_storage_endpoint"] = service.url.partition("?")[0].rstrip("/")
            if service.url.startswith("http://"):
                options["azure_allow_http"] = "true"
        if not settings.verify_certificates:
            options["allow_invalid_certificates"] = "true"
        if is_anonymous(service):
            options["azure_skip_signature"] = "true"
            return {"storage_options": options, "credential_provider": None}
        return {"storage_options": options, "credential_provider": AzureCredentials(settings)}

    def head(self, key: str) -> StoredObject | None:
        """See `ObjectStore.head`."""
        try:
            with self._asked(key):
                found = self._client.get_blob_client(key).get_blob_properties()
        except FileNotFoundError:
            return None
        return StoredObject(key, found.size, found.last_modified, found.etag.strip('"'))

    def list(self, prefix: str) -> Iterator[StoredObject]:
        """See `ObjectStore.list`."""
        with self._asked(prefix):
            for one in self._client.list_blobs(name_starts_with=prefix or None):
                yield StoredObject(one.name, one.size, one.last_modified, one.etag.strip('"'))

    def children(self, prefix: str) -> Iterator[str]:
        """See `ObjectStore.children`."""
        with self._asked(prefix):
            for one in self._client.walk_blobs(name_starts_with=prefix or None, delimiter="/"):
                yield one.name[len(prefix) :]

    def get(self, key: str) -> tuple[bytes, str]:
        """See `ObjectStore.get`."""
        with self._asked(key):
            found = self._client.get_blob_client(key).download_blob()
            return found.readall(), found.properties.etag.strip('"')

    def _send(self, key: str, content: Path | bytes, expected: Expected | None, mark: str) -> None:
        from azure.core import MatchConditions

        condition: dict[str, Any] = {"overwrite": True, "metadata": {_MARK: mark}}
        if expected is not None and expected.etag is None:
            condition |= {"overwrite": False}
        elif expected is not None:
            condition |= {"etag": f'"{expected.etag}"', "match_condition": MatchConditions.IfNotModified}
        blob = self._client.get_blob_client(key)
        with self._asked(key):
            if isinstance(content, bytes):
                blob.upload_blob(content, **condition)
            else:
                with content.open("rb") as body:
                    blob.upload_blob(body, length=content.stat().st_size, **condition)

    def _mark_of(self, key: str) -> str | None:
        try:
            with self._asked(key):
                found: dict[str, str] = self._client.get_blob_client(key).get_blob_properties().metadata
        except FileNotFoundError:
            return None
        return found.get(_MARK)

    def copy(self, source: str, target: str) -> None:
        """See `ObjectStore.copy`. The bytes pass through this machine: a copy by the server needs a signed address."""
        before = self.head(target)
        content, _ = self.get(source)
        with suppress(ConflictError):
            self.put(target, content, Expected(None if before is None else before.etag))

    def delete(self, keys: Iterable[str]) -> None:
        """See `ObjectStore.delete`."""

        def remove(key: str) -> None:
            with suppress(FileNotFoundError), self._asked(key):
                self._client.get_blob_client(key).delete_blob()

        with ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(remove, keys))

    @cached_property
    def _client(self) -> Any:
        return service_of(self._settings).get_container_client(self._container)

    @contextmanager
    def _asked(self, key: str) -> Iterator[None]:
        """Raise what the client raises as an error of ours."""
        from azure.core import exceptions

        place = f"{self.uri}/{key}"
        try:
            yield
        except TokenRefusedError as error:
            raise AccessDeniedError(
                f"{place}: Microsoft's login gave no token ({error}). {self._advice}."
            ) from None
        except exceptions.ClientAuthenticationError as error:
            raise AccessDeniedError(
                f"{place}: Azure refused the credentials ({_code(error)}). {self._advice}."
            ) from None
        except exceptions.HttpResponseError as error:
            code, status = _code(error), error.status_code
            if code == "ContainerNotFound":
                raise SourceNotFoundError(
                    f"There is no container {self._container!r} in this storage account. Check its name and the account."
                ) from None
            if status == 404:
                raise FileNotFoundError(place) from None
            if status in (409, 412):
                raise ConflictError(f"{place} was changed by another writer ({code}).") from None
            if status in (401, 403):
                raise AccessDeniedError(
                    f"{place}: Azure refused access ({code}). {self._advice}, and what they may do there."
                ) from None
            raise UnavailableSourceError(
                f"{place}: Azure answered {code or status}, also after {ATTEMPTS} tries. Try again later."
            ) from None
        except exceptions.AzureError as error:
            raise UnavailableSourceError(
                f"{place} cannot be reached ({type(error).__name__}), also after {ATTEMPTS} tries. Check the name of the "
                "account, the endpoint and the network."
            ) from None

    @property
    def _advice(self) -> str:
        settings = self._settings
        ended = expiry_of(settings)
        names = (
            settings.account_key_env,
            settings.sas_token_env,
            settings.tenant_id_env,
            settings.client_id_env,
        )
        known = [name for name in (*names, settings.client_secret_env) if name is not None]
        default = "Azure's default credentials" if settings.resource is None else repr(settings.resource)
        expired = f"The SAS token expired at {ended}: make a new one. " if ended else ""
        return f"{expired}Check {', '.join(known) or default}"


def _code(error: Any) -> str:
    code = getattr(error, "error_code", None) or getattr(error, "status_code", None) or "no code"
    return str(getattr(code, "value", code))
