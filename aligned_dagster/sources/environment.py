"""Settings and secrets that configs name and do not hold: they are read when a scan or a write starts."""

from __future__ import annotations

import os

from aligned_dagster.errors import ConfigurationError, did_you_mean


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
