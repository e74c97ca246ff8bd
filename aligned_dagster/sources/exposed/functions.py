"""A Python function as a model."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import CodeType
from typing import Any, Literal

import polars as pl
from pydantic import field_serializer, field_validator

from aligned_dagster.errors import ConfigurationError
from aligned_dagster.sources.exposed.answers import answer_frame
from aligned_dagster.sources.exposed.base import ExposedModel, Outputs, Predictor, short_digest
from aligned_dagster.sources.fingerprint import Fingerprint
from aligned_dagster.sources.import_path import import_path, imported, qualified_name


class PythonModel(ExposedModel):
    """A function that predicts. Make it with `ExposedModel.python`.

    Args:
        function: of a polars frame of the features.
    """

    type: Literal["python"] = "python"
    function: Callable[[pl.DataFrame], Any]

    @field_validator("function", mode="before")
    @classmethod
    def _from_json(cls, value: Any) -> Any:
        found = imported(value) if isinstance(value, str) else value
        if not callable(found):
            raise ConfigurationError(f"ExposedModel.python takes a function, and got {value!r}.")
        if inspect.iscoroutinefunction(found):
            raise ConfigurationError(
                f"{qualified_name(found)} is async. ExposedModel.python takes a plain function."
            )
        return found

    @field_serializer("function")
    def _to_json(self, function: Callable[[pl.DataFrame], Any]) -> str:
        return import_path(function)

    __hash__ = ExposedModel.__hash__

    @property
    def uri(self) -> str:
        """The module and name of the function."""
        module = getattr(self.function, "__module__", None) or type(self.function).__module__
        return f"python://{module}.{qualified_name(self.function)}"

    @property
    def kind(self) -> str:
        """function."""
        return "function"

    @property
    def label(self) -> str:
        """The name of the function."""
        return qualified_name(self.function)

    def version(self) -> str:
        """See `ExposedModel.version`.

        The digest is of the function's byte code and constants, which also change with the version of Python; not of
        what it calls, nor of values that it closes over: name the version where it depends on these.
        """
        return self.version_name or short_digest(f"{self.uri} {_code_text(self.function)}".encode())

    def fingerprint(self) -> Fingerprint:
        """See `ExposedModel.fingerprint`. What is known of a function is its code."""
        return Fingerprint(self.version())

    @contextmanager
    def opened(self) -> Iterator[Predictor]:
        """See `ExposedModel.opened`."""

        def answer(features: pl.DataFrame, outputs: Outputs) -> pl.DataFrame:
            return answer_frame(self.function(features), outputs, self.label)

        yield Predictor(answer, self.version())


def _code_text(function: Callable[..., Any]) -> str:
    unwrapped = inspect.unwrap(function)
    if not inspect.isroutine(unwrapped):
        unwrapped = type(unwrapped).__call__  # of an object that can be called
    code = getattr(unwrapped, "__code__", None)
    defaults = repr(getattr(unwrapped, "__defaults__", None))
    return defaults if code is None else f"{_told(code)} {defaults}"


def _told(value: Any) -> str:
    """Code and constants as a text that is the same in every process."""
    if isinstance(value, CodeType):
        constants = ",".join(_told(constant) for constant in value.co_consts)
        return f"{value.co_code.hex()} {value.co_names!r} [{constants}]"
    if isinstance(value, frozenset):
        return repr(sorted(map(repr, value)))
    return repr(value)
