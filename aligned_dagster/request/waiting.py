"""Rows that are to be awaited, and methods that are to be called: told where somebody forgot."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from functools import update_wrapper, wraps
from inspect import Signature, signature
from typing import TYPE_CHECKING, Any, NoReturn, ParamSpec, TypeVar, cast

from aligned_dagster.errors import NotAwaitedError, NotCalledError
from aligned_dagster.features.location import at, caller

P = ParamSpec("P")
R = TypeVar("R")
C = TypeVar("C", bound=Callable[..., Any])


class Awaited(Coroutine[Any, Any, R]):
    """A coroutine that says what is missing when it is used like its result.

    Args:
        running: the coroutine.
        words: what was called.
        instead: what gives the same without await; empty where nothing does.
    """

    def __init__(self, running: Coroutine[Any, Any, R], words: str, instead: str) -> None:
        self._running = running
        self._words = words
        self._instead = instead
        self._refused = False

    def __del__(self) -> None:
        if self._refused:  # it was told already, so Python need not warn
            self._running.close()

    def send(self, value: Any) -> Any:
        """Go on."""
        return self._running.send(value)

    def throw(self, *error: Any) -> Any:
        """Go on with an error."""
        return self._running.throw(*error)

    def close(self) -> None:
        """Give up."""
        self._running.close()

    def __await__(self) -> Any:
        return self._running.__await__()

    def __repr__(self) -> str:
        return f"<{self._words}, which nobody has awaited yet>"

    if (
        not TYPE_CHECKING
    ):  # a type checker reports these mistakes itself, and would accept them if it saw the methods

        def __getattr__(self, name: str) -> NoReturn:
            if name.startswith(("_", "cr_", "gi_", "ag_")):  # somebody asks what kind of object it is
                raise AttributeError(name)
            self._refuse(f".{name}")

        def __getitem__(self, key: object) -> NoReturn:
            self._refuse(f"[{key!r}]")

        def __len__(self) -> NoReturn:
            self._refuse("its length")

        def __iter__(self) -> NoReturn:
            self._refuse("its rows")

        def __bool__(self) -> bool:
            return True

        def _refuse(self, wanted: str) -> NoReturn:
            self._refused = True
            other = f" In a script, where there is no await: {self._instead}." if self._instead else ""
            raise NotAwaitedError(
                f"{wanted} is asked of {self._words}, which was not awaited. Write await in front of it.{other}{at(caller())}"
            )


def awaited(
    instead: str = "",
) -> Callable[[Callable[P, Coroutine[Any, Any, R]]], Callable[P, Coroutine[Any, Any, R]]]:
    """Let the result of an async function say what is missing when it is used before it is awaited.

    Args:
        instead: what gives the same without await, as in ".collect()"; empty where nothing does.
    """

    def decorate(function: Callable[P, Coroutine[Any, Any, R]]) -> Callable[P, Coroutine[Any, Any, R]]:
        @wraps(function)
        def call(*args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, R]:
            return Awaited(function(*args, **kwargs), f"{function.__name__}(...)", instead)

        return call

    return decorate


class _Method:
    """A method of an object that says so where it is used like what it gives."""

    def __init__(self, function: Callable[..., Any], owner: object) -> None:
        update_wrapper(self, function)
        del self.__dict__["__wrapped__"]  # its signature has the object itself
        self.__self__ = owner
        self.__func__ = function

    @property
    def __signature__(self) -> Signature:
        told = signature(self.__func__)
        return told.replace(parameters=list(told.parameters.values())[1:])

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.__func__(self.__self__, *args, **kwargs)

    def __repr__(self) -> str:
        return f"<method {self.__func__.__qualname__} of {self.__self__!r}>"

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith("_"):
            raise AttributeError(name)
        method = self.__func__.__name__
        raise NotCalledError(
            f"{method} is a method, which has no {name!r}. Call it: {method}().{name}{at(caller())}"
        )


class _Descriptor:
    """What a class holds in place of a method; asked of an object, it gives the method."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.__dict__.update(__doc__=function.__doc__, __name__=function.__name__, __wrapped__=function)
        self.__func__ = function

    def __get__(self, owner: object, kind: type | None = None) -> Any:
        return self.__func__ if owner is None else _Method(self.__func__, owner)


def to_be_called(function: C) -> C:
    """Let a method say that its brackets are missing, where it is used like what it gives."""
    return cast(C, _Descriptor(function))
