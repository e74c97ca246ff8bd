"""Settings and secrets that configs name and do not hold: they are read when a scan or a write starts."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from pydantic import BaseModel, SecretStr

from aligned_dagster.errors import ConfigurationError, did_you_mean

_NAMED_BY = {"address": "env_var", "endpoint_url": "endpoint_env"}
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def from_environment(variable: str, what: str) -> str:
    """The value of an environment variable.

    Args:
        variable: its name.
        what: what it stands for, for the error.

    Raises:
        ConfigurationError: it is not set, or empty.

    >>> from_environment("NO_SUCH_BUCKET", "the bucket of AwsS3Config")
    Traceback (most recent call last):
    ...
    aligned_dagster.errors.ConfigurationError: The environment variable NO_SUCH_BUCKET, the bucket of AwsS3Config, ...
    """
    value = os.environ.get(variable, "")
    if value.strip():
        return value
    state = "is empty" if variable in os.environ else "is not set"
    raise ConfigurationError(
        f"The environment variable {variable}, {what}, {state}.{did_you_mean(variable, os.environ)} "
        "Set it where this process starts, or name another one in the config."
    )


def secret_from_environment(variable: str, what: str) -> SecretStr:
    """The value of an environment variable, which does not show itself.

    Args:
        variable: its name.
        what: what it stands for, for the error.

    Raises:
        ConfigurationError: it is not set, or empty.
    """
    return SecretStr(from_environment(variable, what))


def environment_of(prefix: str) -> tuple[tuple[str, SecretStr], ...]:
    """The environment variables with names that begin so, sorted: clouds look for their credentials there."""
    return tuple(
        (name, SecretStr(os.environ[name])) for name in sorted(os.environ) if name.startswith(prefix)
    )


def with_names(fields: Any) -> Any:
    """Fields of a config, in which each `dagster.EnvVar` is the name of its variable, in the field for that name.

    Args:
        fields: as they were given to a pydantic model: `bucket=EnvVar("LAKE")` becomes `bucket_env="LAKE"`.

    Raises:
        ConfigurationError: one field is given twice.
    """
    if not isinstance(fields, Mapping):
        return fields
    named: dict[str, Any] = {}
    for field, value in fields.items():
        variable = getattr(value, "env_var_name", None)
        name = field
        if variable is not None and not field.endswith(("_env", "env_var")):
            name = _NAMED_BY.get(field, f"{field}_env")
        told = value if variable is None else variable
        if told is not None and named.get(name) is not None:
            raise ConfigurationError(f"{name} is given twice, once by a dagster.EnvVar. Keep one of them.")
        if told is not None or name not in named:
            named[name] = told
    return named


def check_names(settings: BaseModel) -> None:
    """Refuse what cannot be the name of an environment variable, such as a secret that was given in its place.

    Args:
        settings: of which the fields that end in `_env` are looked at, and an `endpoint_url`, which holds no credential.

    Raises:
        ConfigurationError: with the field, and without what it holds.
    """
    for field, value in settings:
        if field == "endpoint_url" and value is not None:
            parts = urlsplit(value)
            if parts.username or parts.password or parts.query:
                raise ConfigurationError(
                    f"endpoint_url of {type(settings).__name__} holds more than an address. Put the URL into an environment "
                    "variable, and give the variable's name as endpoint_env."
                )
        if field.endswith("_env") and value is not None and not _NAME.fullmatch(value):
            raise ConfigurationError(
                f"{field} of {type(settings).__name__} must be the name of an environment variable, such as "
                f"{field.removesuffix('_env').upper()!r}, and not what it holds."
            )
