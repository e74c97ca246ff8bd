"""Functions as JSON: by the path from which another process can import them."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

from aligned_dagster.errors import ConfigurationError, UnsupportedError


def import_path(function: Callable[..., Any]) -> str:
    """`module:name` of a function.

    Raises:
        UnsupportedError: no other process could import it, as it is a lambda, a local function, or of the main script.

    >>> import_path(len)
    'builtins:len'
    """
    module, name = getattr(function, "__module__", ""), qualified_name(function)
    path = f"{module}:{name}"
    if module != "__main__":
        try:
            if imported(path) is function:
                return path
        except ConfigurationError:
            pass
    raise UnsupportedError(
        f"The function {name!r} of {module!r} has no JSON form, because no other process could import it. "
        "Define it with def at the top level of a module, not in a function, a notebook or the main script."
    )


def imported(path: str) -> Any:
    """What stands at `module:name`.

    Raises:
        ConfigurationError: it cannot be imported.
    """
    module, _, name = path.partition(":")
    try:
        found: Any = importlib.import_module(module)
        for part in name.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigurationError(f"The function {path!r} cannot be imported: {error}.") from error
    return found


def qualified_name(function: Callable[..., Any]) -> str:
    """The name of a function in its module; of an object that can be called, its class."""
    return str(getattr(function, "__qualname__", type(function).__qualname__))
