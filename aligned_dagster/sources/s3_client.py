"""The keys of a bucket: boto3 asks with them, and polars is told them when a scan starts."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from aligned_dagster.errors import ConfigurationError
from aligned_dagster.sources.environment import environment_of, secret_from_environment
from aligned_dagster.sources.object_store import ATTEMPTS
from aligned_dagster.sources.wire_logs import keep_secrets_out_of_logs

if TYPE_CHECKING:
    from pydantic import SecretStr

    from aligned_dagster.sources.resource_handle import ResourceHandle
    from aligned_dagster.sources.s3_location import S3Settings

KEYS_LAST = 60
"""Seconds for which polars keeps a key before it asks again, so that one which was changed is noticed."""


@dataclass(frozen=True)
class S3Access:
    """How a bucket is asked.

    Args:
        client: of boto3.
        session: that knows the keys of the client; None where requests are not signed.
    """

    client: Any
    session: Any


class S3Credentials:
    """What polars asks for the keys each time a scan starts. It holds names of environment variables, not keys.

    Args:
        settings: how to reach the bucket.
    """

    def __init__(self, settings: S3Settings) -> None:
        self._settings = settings

    def __call__(self) -> tuple[dict[str, str | None], int | None]:
        """The keys, and the second at which polars has to ask for them again."""
        found = access_to(self._settings).session.get_credentials()
        if found is None:
            raise ConfigurationError(no_keys(self._settings))
        keys = found.get_frozen_credentials()
        given = {"aws_access_key_id": keys.access_key, "aws_secret_access_key": keys.secret_key}
        if keys.token:
            given["aws_session_token"] = keys.token
        return given, int(time.time()) + KEYS_LAST


def access_to(settings: S3Settings) -> S3Access:
    """How a bucket is asked; the same for the same settings and values.

    Raises:
        ConfigurationError: an environment variable is not set, or what boto3 is told makes no sense to it.
    """
    if settings.resource is not None:
        found = _of_resource(settings.resource, settings.resource.state)
        named = repr(settings.resource)
    else:
        keys = (
            None if name is None else secret_from_environment(name, f"{what} of AwsS3Config")
            for name, what in (
                (settings.access_token_env, "the access key"),
                (settings.secret_token_env, "the secret key"),
                (settings.session_token_env, "the session token"),
            )
        )
        found = _of_names(
            *keys,
            settings.value(settings.region, settings.region_env, "the region"),
            settings.value(settings.endpoint_url, settings.endpoint_env, "the endpoint"),
            environment_of("AWS_"),
        )
        named = "AwsS3Config"
    if isinstance(found, str):
        raise ConfigurationError(
            f"boto3 refuses the settings of {named}: {found}. Check the region, the endpoint and the profile."
        )
    return found


def no_keys(settings: S3Settings) -> str:
    """What to say where there are no keys."""
    return (
        f"No keys for the bucket {settings.shown_bucket!r} were found: name environment variables with "
        "access_token_env and secret_token_env, or set up the AWS environment or profile."
    )


@lru_cache(16)
def _of_resource(resource: ResourceHandle, _: tuple[SecretStr, ...]) -> S3Access | str:
    """By a resource whose environment variables have these values; an error would show its keys in its traceback."""
    import boto3
    from botocore.exceptions import BotoCoreError

    keep_secrets_out_of_logs()
    ready = resource.ready()
    names = ("aws_access_key_id", "aws_secret_access_key", "aws_session_token", "region_name", "profile_name")
    if not all(hasattr(ready, name) for name in (*names, "get_client")):
        return "it is no dagster_aws.s3.S3Resource"
    try:
        client = ready.get_client()
        signed = not getattr(ready, "use_unsigned_session", False)
        session = boto3.Session(**{name: getattr(ready, name) for name in names}) if signed else None
    except (BotoCoreError, ValueError) as error:
        return str(error)
    return S3Access(client, session)


@lru_cache(16)
def _of_names(
    access_key: SecretStr | None,
    secret_key: SecretStr | None,
    token: SecretStr | None,
    region: str | None,
    endpoint: str | None,
    _: tuple[tuple[str, SecretStr], ...],
) -> S3Access | str:
    """By these keys, or by the chain of boto3 in an environment with these variables."""
    import boto3
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError

    keep_secrets_out_of_logs()
    config = Config(
        connect_timeout=5,
        read_timeout=60,
        retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
        max_pool_connections=32,
        s3={"addressing_style": "path"} if endpoint else None,
    )
    try:
        session = boto3.Session(_text(access_key), _text(secret_key), _text(token), region)
        region = session.region_name or ("us-east-1" if endpoint else None)
        client = session.client("s3", region_name=region, endpoint_url=endpoint, config=config)
    except (BotoCoreError, ValueError) as error:
        return str(error)
    return S3Access(client, session)


def _text(secret: SecretStr | None) -> str | None:
    return None if secret is None else secret.get_secret_value()
