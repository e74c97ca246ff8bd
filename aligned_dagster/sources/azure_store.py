"""A container of Azure Blob Storage by its own client, and the arguments with which polars reads it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aligned_dagster.errors import (
    AccessDeniedError,
    ConflictError,
    SourceNotFoundError,
    UnavailableSourceError,
    UnsupportedError,
)
from aligned_dagster.sources.object_store import AT_ONCE, ATTEMPTS, Expected, ObjectStore, StoredObject

if TYPE_CHECKING:
    from aligned_dagster.sources.azure_location import AzureSettings

_SCOPE = "https://storage.azure.com/.default"


class AzureCredentials:
    """What polars asks for a key or a token when a scan starts. It holds names of environment variables, not secrets.

    Args:
        settings: how to reach the account.
    """

    def __init__(self, settings: AzureSettings) -> None:
        self._settings = settings

    def __call__(self) -> tuple[dict[str, str | None], int | None]:
        """The key or token, and the second at which it expires."""
        settings = self._settings
        if settings.account_key_env is not None:
            return {"account_key": settings.value(settings.account_key_env, "the account key")}, None
        credential = service_of(settings).credential
        if hasattr(credential, "get_token"):
            token = credential.get_token(_SCOPE)
            return {"bearer_token": token.token}, token.expires_on
        if hasattr(credential, "account_key"):
            return {"account_key": credential.account_key}, None
        raise UnsupportedError(
            f"The credential of the resource ({type(credential).__name__}) cannot be passed to polars: use a key or a token."
        )


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
        if settings.sas_token_env is not None and settings.account_key_env is None:
            options["azure_storage_sas_key"] = settings.value(settings.sas_token_env, "the SAS token")
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

    def put(self, key: str, content: Path | bytes, expected: Expected | None = None) -> None:
        """See `ObjectStore.put`."""
        from azure.core import MatchConditions

        condition: dict[str, Any] = {"overwrite": True}
        if expected is not None and expected.etag is None:
            condition = {"overwrite": False}
        elif expected is not None:
            condition |= {"etag": f'"{expected.etag}"', "match_condition": MatchConditions.IfNotModified}
        blob = self._client.get_blob_client(key)
        try:
            with self._asked(key):
                if isinstance(content, bytes):
                    blob.upload_blob(content, **condition)
                else:
                    with content.open("rb") as body:
                        blob.upload_blob(body, length=content.stat().st_size, **condition)
        except FileNotFoundError:
            raise ConflictError(f"{self.uri}/{key} was removed by another writer.") from None

    def copy(self, source: str, target: str) -> None:
        """See `ObjectStore.copy`. The bytes pass through this machine: a copy by the server needs a signed address."""
        content, _ = self.get(source)
        self.put(target, content)

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
        except exceptions.ClientAuthenticationError as error:
            raise AccessDeniedError(
                f"{place}: Azure refused the credentials ({_code(error)}). Check {self._named}."
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
                    f"{place}: Azure refused access ({code}). Check {self._named}, and what they may do there."
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
    def _named(self) -> str:
        settings = self._settings
        names = (
            settings.account_key_env,
            settings.sas_token_env,
            settings.tenant_id_env,
            settings.client_id_env,
        )
        known = [name for name in (*names, settings.client_secret_env) if name is not None]
        return ", ".join(known) or "Azure's default credentials"


def service_of(settings: AzureSettings) -> Any:
    """A client of the account; the same one for the same settings and values.

    Raises:
        ConfigurationError: an environment variable is not set.
    """
    if settings.resource is not None:
        return _service_of_resource(settings.resource)
    account = settings.account_name or settings.value(settings.account_name_env or "", "the account")
    secret = settings.account_key_env or settings.sas_token_env
    values = tuple(
        None if name is None else settings.value(name, what)
        for name, what in (
            (secret, "the account key or SAS token"),
            (None if secret else settings.tenant_id_env, "the tenant"),
            (None if secret else settings.client_id_env, "the client id"),
            (None if secret else settings.client_secret_env, "the client secret"),
        )
    )
    return _service(
        account, settings.endpoint_url, settings.authority_host, settings.verify_certificates, *values
    )


@lru_cache(16)
def _service_of_resource(resource: Any) -> Any:
    return resource.ready().blob_client


@lru_cache(16)
def _service(
    account: str,
    endpoint: str | None,
    authority: str | None,
    verify: bool,
    secret: str | None,
    tenant: str | None,
    client: str | None,
    client_secret: str | None,
) -> Any:
    from azure.core.credentials import AzureNamedKeyCredential, AzureSasCredential
    from azure.identity import ClientSecretCredential, DefaultAzureCredential
    from azure.storage.blob import BlobServiceClient

    identity: dict[str, Any] = {"connection_verify": verify}
    if authority is not None:
        identity |= {"authority": authority, "disable_instance_discovery": True}
    credential: Any
    if secret is not None:
        signed = "sig=" in secret
        credential = (
            AzureSasCredential(secret.lstrip("?")) if signed else AzureNamedKeyCredential(account, secret)
        )
    elif tenant is not None and client is not None and client_secret is not None:
        credential = ClientSecretCredential(tenant, client, client_secret, **identity)
    else:
        credential = DefaultAzureCredential(**identity)
    return BlobServiceClient(
        endpoint or f"https://{account}.blob.core.windows.net",
        credential=credential,
        retry_total=ATTEMPTS - 1,
        initial_backoff=1,
        connection_timeout=5,
        connection_verify=verify,
    )


def _code(error: Any) -> str:
    return str(getattr(error, "error_code", None) or getattr(error, "status_code", None) or "no code")
