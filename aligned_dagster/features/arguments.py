"""Wrong arguments, told in the words of the function that was called."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from functools import update_wrapper
from types import FunctionType
from typing import ParamSpec, TypeVar, cast

from aligned_dagster.errors import ArgumentError, did_you_mean
from aligned_dagster.features.location import at, caller

P = ParamSpec("P")
R = TypeVar("R")
_UNKNOWN = re.compile(r"got an unexpected keyword argument '(\w+)'")
_SELF = ("self", "cls")


def checked_arguments(hints: Mapping[str, str] | None = None) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Make a function tell which argument it does not have, and which one may have been meant.

    Args:
        hints: name of an argument that people give to a sentence on what to write; "*" is for too many without a name.

    >>> @checked_arguments()
    ... def greet(name: str) -> str:
    ...     return f"hello {name}"
    >>> greet(nmae="you")
    Traceback (most recent call last):
    ...
    aligned_dagster.errors.ArgumentError: greet has no argument 'nmae'. Did you mean 'name'? Arguments: name. ...
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        explain = arguments_error

        def call(*args: P.args, **kwargs: P.kwargs) -> R:
            try:
                return function(*args, **kwargs)
            except TypeError as error:
                trace = error.__traceback__
                if trace is None or trace.tb_next is not None:  # it was raised inside, by something else
                    raise
                told = explain(function, error, hints or {})
            raise told

        # With the globals of the function, so that it counts as one of its module: doctest looks only at those.
        globals_ = getattr(function, "__globals__", {})
        made = FunctionType(call.__code__, globals_, call.__name__, None, call.__closure__)
        return cast("Callable[P, R]", update_wrapper(made, function))

    return decorate


def arguments_error(
    function: Callable[..., object],
    error: TypeError,
    hints: Mapping[str, str],
    title: str | None = None,
) -> ArgumentError:
    """What to say of a call whose arguments are not those of the function.

    Args:
        function: what was called.
        error: what Python said.
        hints: see `checked_arguments`.
        title: the name to call the function by; its own if not given.
    """
    name = title or getattr(function, "__name__", str(function))
    parameters = list(inspect.signature(function).parameters.values())
    known = [one.name for one in parameters if one.name not in _SELF]
    arguments = f"Arguments: {', '.join(known)}." if known else "It takes none."
    unknown = _UNKNOWN.search(str(error))
    if unknown is not None:
        found = unknown[1]
        hint = (
            f" {hints.get(found, hints.get('**', ''))}"
            if found in hints or "**" in hints
            else did_you_mean(found, known)
        )
        return ArgumentError(f"{name} has no argument {found!r}.{hint} {arguments}{at(caller())}")
    words = str(error).partition("() ")[2] or str(error)
    hint = (
        f" {hints['*']}" if "*" in hints and "positional argument" in words and "missing" not in words else ""
    )
    counted = "" if hint else f" {_without_self(words, len(parameters) - len(known))}."
    told = f"{name}:{counted}" if counted else f"{name} takes fewer arguments."
    return ArgumentError(f"{told}{hint} {arguments}{at(caller())}")


def _without_self(words: str, own: int) -> str:
    """Python's count of positional arguments without the object itself, which is one of them or none."""
    told = re.search(r"takes (\d+) positional arguments? but (\d+)", words)
    if told is None:
        return words
    return f"it takes {int(told[1]) - own} and was given {int(told[2]) - own}"
