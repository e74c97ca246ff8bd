"""Objects that become JSON with their `type`, and are read back by it."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel
from pydantic_core import PydanticSerializationError

from aligned_dagster.errors import AlignedError, ConfigurationError, did_you_mean

M = TypeVar("M", bound=BaseModel)


def to_typed_json(thing: BaseModel) -> dict[str, Any]:
    """The JSON form of an object.

    Raises:
        UnsupportedError: it holds something that no other process could find, such as a lambda.
    """
    try:
        return thing.model_dump(mode="json")
    except PydanticSerializationError as error:
        if isinstance(error.__cause__, AlignedError):
            raise error.__cause__ from None
        raise


def from_typed_json(
    form: Mapping[str, Any], types: Mapping[str, type[M]], built_in: Mapping[str, str], what: str
) -> M:
    """Read what `to_typed_json` wrote.

    Args:
        form: the JSON form.
        types: type to class, of those that were imported; importing a module may add to it.
        built_in: type to the module that defines its class.
        what: the word for such objects, for messages.

    Raises:
        ConfigurationError: nothing is known by that type.
    """
    key = str(form.get("type", ""))
    if key not in types and key in built_in:
        importlib.import_module(built_in[key])
    if key not in types:
        known = sorted({*types, *built_in})
        raise ConfigurationError(
            f"No {what} has the type {key!r}.{did_you_mean(key, known)} Known: {', '.join(known)}. "
            "Import the module that defines it first."
        )
    return types[key].model_validate(dict(form))
