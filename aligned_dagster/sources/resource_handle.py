"""A resource of Dagster that a config was given: held as it is, and never shown, sent or stored."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, NoReturn

from pydantic import BaseModel, BeforeValidator, PlainSerializer, SecretStr

from aligned_dagster.errors import ConfigurationError, UnsupportedError
from aligned_dagster.sources.environment import secret_from_environment


class ResourceHandle:
    """Holds a resource, which may hold secrets.

    Args:
        resource: such as `dagster_aws.s3.S3Resource`.
    """

    def __init__(self, resource: Any) -> None:
        self._resource = resource

    @property
    def state(self) -> tuple[SecretStr, ...]:
        """What the environment variables hold that the resource names; `ready` gives the same as long as this does.

        Raises:
            ConfigurationError: one is not set.
        """
        return tuple(
            secret_from_environment(name, f"read by {self!r}") for name in _variables(self._resource)
        )

    def ready(self) -> Any:
        """The resource, with its environment variables read. It shows its secrets: keep it out of frames that raise.

        Raises:
            ConfigurationError: its settings are not what it takes.
        """
        try:
            return getattr(self._resource, "process_config_and_initialize", lambda: self._resource)()
        except Exception as error:  # whatever the settings of somebody's resource may raise
            problem = type(error).__name__
        raise ConfigurationError(f"{self!r} cannot be used ({problem}). Check its settings.")

    def __repr__(self) -> str:
        return f"<{type(self._resource).__name__}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ResourceHandle) and self._resource is other._resource

    def __hash__(self) -> int:
        return id(self._resource)

    def __deepcopy__(self, memo: object) -> ResourceHandle:
        return self

    def __reduce__(self) -> NoReturn:
        raise _unsendable(self)


def _variables(value: Any) -> Iterator[str]:
    """Names of the environment variables in the settings of a resource."""
    name = getattr(value, "env_var_name", None)
    if isinstance(name, str):
        yield name
    elif isinstance(value, BaseModel):
        for _, part in value:
            yield from _variables(part)
    elif isinstance(value, Mapping):
        for part in value.values():
            yield from _variables(part)


def _unsendable(handle: ResourceHandle) -> UnsupportedError:
    return UnsupportedError(
        f"A source that was given the resource {handle!r} cannot be sent to another process or written as JSON. "
        "Name environment variables in its config instead."
    )


def _refuse(handle: ResourceHandle | None) -> None:
    if handle is not None:
        raise _unsendable(handle)


AnyResource = Annotated[
    ResourceHandle,
    BeforeValidator(lambda value: value if isinstance(value, ResourceHandle) else ResourceHandle(value)),
    PlainSerializer(_refuse),
]
"""A field that takes a resource."""
