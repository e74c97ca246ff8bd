"""The credentials of a storage account: its own client asks with them, and polars is told them when a scan starts."""

from __future__ import annotations

import datetime as dt
import re
import time
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from aligned_dagster.errors import AccessDeniedError, ConfigurationError, UnsupportedError
from aligned_dagster.sources.environment import environment_of, secret_from_environment
from aligned_dagster.sources.object_store import ATTEMPTS
from aligned_dagster.sources.wire_logs import keep_secrets_out_of_logs

if TYPE_CHECKING:
    from pydantic import SecretStr

    from aligned_dagster.sources.azure_location import AzureSettings
    from aligned_dagster.sources.resource_handle import ResourceHandle

_SCOPE = "https://storage.azure.com/.default"
KEYS_LAST = 60
"""Seconds for which polars keeps a key before it asks again, so that one which was changed is noticed."""


class TokenRefusedError(Exception):
    """Microsoft's login gave no token; with its reason."""


class TokenSource:
    """A credential of azure-identity that fails at once: Azure's client would ask again for half a minute.

    Args:
        credential: with a `get_token`.
    """

    def __init__(self, credential: Any) -> None:
        self._credential = credential

    def get_token(self, *scopes: str, **options: Any) -> Any:
        """A token for what is asked for.

        Raises:
            TokenRefusedError: there is none.
        """
        from azure.core.exceptions import ClientAuthenticationError

        try:
            return self._credential.get_token(*scopes, **options)
        except ClientAuthenticationError as error:
            reason = re.search(r"AADSTS\d+", str(error))
            told = reason[0] if reason else type(error).__name__
        raise TokenRefusedError(told)


class AzureCredentials:
    """What polars asks for a key or a token when a scan starts. It holds names of environment variables, not secrets.

    Args:
        settings: how to reach the account.
    """

    def __init__(self, settings: AzureSettings) -> None:
        self._settings = settings

    def __call__(self) -> tuple[dict[str, str | None], int | None]:
        """The key or token, and the second at which polars has to ask for it again."""
        service = service_of(self._settings)
        credential = service.credential
        if hasattr(credential, "get_token"):
            try:
                token = credential.get_token(_SCOPE)
            except TokenRefusedError as error:
                raise AccessDeniedError(f"Microsoft's login gave no token ({error}).") from None
            return {"bearer_token": token.token}, token.expires_on
        if hasattr(credential, "account_key"):
            return {"account_key": credential.account_key}, int(time.time()) + KEYS_LAST
        if sas_of(service):
            return {"sas_token": sas_of(service)}, int(time.time()) + KEYS_LAST
        raise UnsupportedError(
            f"The credential of the resource ({type(credential).__name__}) cannot be passed to polars: use a key or a token."
        )


def sas_of(service: Any) -> str:
    """The SAS token by which a client asks; empty where it asks in another way."""
    signed = getattr(service.credential, "signature", None) or urlsplit(service.url).query
    return signed if "sig=" in signed else ""


def is_anonymous(service: Any) -> bool:
    """Whether a client asks without any credential, as is enough for public containers."""
    return service.credential is None and not sas_of(service)


def expiry_of(settings: AzureSettings) -> str:
    """When the SAS token ended by which the account is asked; empty where there is none, or it is still good."""
    ends = parse_qs(sas_of(service_of(settings))).get("se", [""])[0]
    try:
        moment = dt.datetime.fromisoformat(ends)
    except ValueError:
        return ""
    moment = moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)
    return ends if moment <= dt.datetime.now(dt.UTC) else ""


def service_of(settings: AzureSettings) -> Any:
    """A client of the account; the same one for the same settings and values.

    Raises:
        ConfigurationError: an environment variable is not set, or what Azure's client is told makes no sense to it.
    """
    found: Any
    if settings.resource is not None:
        found = _of_resource(settings.resource, settings.verify_certificates, settings.resource.state)
        named = repr(settings.resource)
    else:
        account = settings.account_name or settings.value(settings.account_name_env or "", "the account")
        endpoint = settings.endpoint_url
        if endpoint is None and settings.endpoint_env is not None:
            endpoint = settings.value(settings.endpoint_env, "the endpoint")
        key, sas = settings.account_key_env, settings.sas_token_env
        secrets = (
            None if name is None else secret_from_environment(name, f"{what} of AzureBlobConfig")
            for name, what in (
                (key, "the account key"),
                (None if key else sas, "the SAS token"),
                (None if key or sas else settings.tenant_id_env, "the tenant"),
                (None if key or sas else settings.client_id_env, "the client id"),
                (None if key or sas else settings.client_secret_env, "the client secret"),
            )
        )
        found = _of_names(
            account,
            endpoint,
            settings.authority_host,
            settings.verify_certificates,
            *secrets,
            environment_of("AZURE_"),
        )
        named = "AzureBlobConfig"
    if isinstance(found, str):
        raise ConfigurationError(
            f"Azure's client refuses the settings of {named} ({found}). Check the account, the endpoint, the tenant and "
            "what the credential looks like."
        )
    return found


@lru_cache(16)
def _of_resource(resource: ResourceHandle, verify: bool, _: tuple[SecretStr, ...]) -> Any:
    """By a resource whose environment variables have these values; an error would show its key in its traceback."""
    ready = resource.ready()
    try:
        if hasattr(ready, "get_client"):
            with ready.get_client() as lent:
                return _service(lent.url, lent.credential, verify)
        if hasattr(ready, "blob_client"):
            return _service(ready.blob_client.url, ready.blob_client.credential, verify)
    except (ValueError, TypeError, AttributeError) as error:
        return type(error).__name__
    return "it is no dagster_azure.blob.AzureBlobStorageResource"


@lru_cache(16)
def _of_names(
    account: str,
    endpoint: str | None,
    authority: str | None,
    verify: bool,
    key: SecretStr | None,
    sas: SecretStr | None,
    tenant: SecretStr | None,
    client: SecretStr | None,
    client_secret: SecretStr | None,
    _: tuple[tuple[str, SecretStr], ...],
) -> Any:
    """By what is given first, or by Azure's default chain in an environment with these variables."""
    from azure.core.credentials import AzureNamedKeyCredential, AzureSasCredential
    from azure.identity import ClientSecretCredential, DefaultAzureCredential

    identity: dict[str, Any] = {"connection_verify": verify}
    if authority is not None:
        identity |= {"authority": authority, "disable_instance_discovery": True}
    credential: Any
    try:
        if key is not None:
            credential = AzureNamedKeyCredential(account, key.get_secret_value())
        elif sas is not None:
            credential = AzureSasCredential(sas.get_secret_value().strip().lstrip("?"))
        elif tenant is not None and client is not None and client_secret is not None:
            principal = (one.get_secret_value() for one in (tenant, client, client_secret))
            credential = ClientSecretCredential(*principal, **identity)
        else:
            credential = DefaultAzureCredential(**identity)
        return _service(endpoint or f"https://{account}.blob.core.windows.net", credential, verify)
    except (ValueError, TypeError) as error:
        return type(error).__name__


def _refuse_cut(answer: Any) -> None:
    """Have a request sent again whose answer ends among its headers, the date being one of the last."""
    from azure.core.exceptions import ServiceResponseError

    found = answer.http_response
    if found.status_code < 300 and "date" not in {name.lower() for name in found.headers}:
        raise ServiceResponseError("the connection was cut in the middle of the headers")


def _service(url: str, credential: Any, verify: bool) -> Any:
    from azure.storage.blob import BlobServiceClient

    keep_secrets_out_of_logs()
    return BlobServiceClient(
        url,
        credential=TokenSource(credential) if hasattr(credential, "get_token") else credential,
        retry_total=ATTEMPTS - 1,
        retry_connect=ATTEMPTS - 1,
        retry_read=ATTEMPTS - 1,
        retry_status=ATTEMPTS - 1,
        initial_backoff=0,  # 1.6, 2.6, 4.1 and 6.6 seconds, each up to one more or less
        increment_base=1.6,
        random_jitter_range=1,
        connection_timeout=5,
        raw_response_hook=_refuse_cut,
        connection_verify=verify,
    )
