"""A resource of Dagster that a config was given: held as it is, and never shown, sent or stored."""

from __future__ import annotations

from typing import Annotated, Any, NoReturn

from pydantic import BeforeValidator, PlainSerializer

from aligned_dagster.errors import UnsupportedError


class ResourceHandle:
    """Holds a resource, which may hold secrets.

    Args:
        resource: such as `dagster_aws.s3.S3Resource`.
    """

    def __init__(self, resource: Any) -> None:
        self._resource = resource

    def ready(self) -> Any:
        """The resource, with its environment variables read."""
        begin = getattr(self._resource, "process_config_and_initialize", None)
        return self._resource if begin is None else begin()

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
