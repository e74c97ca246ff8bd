"""A function as a source: for an API, a library, anything that no other source reads."""

from __future__ import annotations

import contextvars
import hashlib
import inspect
import threading
from collections.abc import Callable, Iterable, Mapping
from datetime import date
from typing import Any, Literal

import polars as pl
from pydantic import field_serializer, field_validator

from aligned_dagster.errors import ConfigurationError, SourceError, UnsupportedError
from aligned_dagster.request.retrieval_request import RetrievalRequest
from aligned_dagster.sources.conform import conform
from aligned_dagster.sources.docker_config import DockerConfig
from aligned_dagster.sources.import_path import import_path, imported, qualified_name
from aligned_dagster.sources.source import DataSource, Fingerprint

Function = Callable[..., Any]
"""A function, plain or async, that returns a polars frame, a pandas frame, a dict of columns or a list of rows."""


class CustomMethodDataSource(DataSource):
    """Functions as a source. Make it with `from_methods` or `from_load`.

    A function is called when rows are asked for, with as many of its arguments as it takes. What it
    returns is held
    to the contract like the rows of any other source.

    Args:
        all_data_method: called with the request and the limit (None, or a number of rows).
        all_between_dates_method: called with the request, the first and the last moment.
        features_for_method: called with the facts as a lazy frame, and the request.
        depends_on_sources: names of the views that the functions read, for the lineage.
        docker_config: the image in which the functions run on Kubernetes: its name, or more about it.

    >>> def load() -> dict[str, list[int]]:
    ...     return {"id": [1, 2]}
    >>> CustomMethodDataSource.from_load(load).label
    'load'
    """

    type: Literal["custom"] = "custom"
    all_data_method: Function | None = None
    all_between_dates_method: Function | None = None
    features_for_method: Function | None = None
    depends_on_sources: frozenset[str] = frozenset()
    docker_config: DockerConfig | None = None

    @staticmethod
    def from_methods(
        all_data: Function | None = None,
        all_between_dates: Function | None = None,
        features_for: Function | None = None,
        depends_on_sources: Iterable[Any] | None = None,
        docker_config: DockerConfig | str | None = None,
    ) -> CustomMethodDataSource:
        """A source of up to three functions; what is not given is made from `all_data`.

        Args:
            all_data: of the request and the limit.
            all_between_dates: of the request, the first and the last moment.
            features_for: of the facts and the request.
            depends_on_sources: the views, or their names, that the functions read.
            docker_config: the image in which the functions run on Kubernetes: its name, or more about it.

        Raises:
            ConfigurationError: no function is given, one cannot be called, or the image is none.
        """
        functions = (all_data, all_between_dates, features_for)
        if all(function is None for function in functions):
            raise ConfigurationError("A custom source needs a function, at best all_data=... .")
        return CustomMethodDataSource(
            all_data_method=all_data,
            all_between_dates_method=all_between_dates,
            features_for_method=features_for,
            depends_on_sources=frozenset(_name(source) for source in depends_on_sources or ()),
            docker_config=_image(docker_config),
        )

    @staticmethod
    def from_load(
        method: Function,
        depends_on: Iterable[Any] | None = None,
        docker_config: DockerConfig | str | None = None,
    ) -> CustomMethodDataSource:
        """A source of one function, which loads all rows.

        Args:
            method: of the request and the limit, or of less.
            depends_on: the views, or their names, that the function reads.
            docker_config: the image in which the function runs on Kubernetes: its name, or more about it.
        """
        return CustomMethodDataSource.from_methods(
            all_data=method, depends_on_sources=depends_on, docker_config=docker_config
        )

    @field_validator("all_data_method", "all_between_dates_method", "features_for_method", mode="before")
    @classmethod
    def _from_json(cls, value: Any) -> Any:
        if isinstance(value, str):
            return imported(value)
        if value is not None and not callable(value):
            raise ConfigurationError(f"A custom source needs a function, and got {value!r}.")
        return value

    @field_validator("docker_config", mode="before")
    @classmethod
    def _named_image(cls, value: Any) -> Any:
        return _image(value)

    @field_serializer("all_data_method", "all_between_dates_method", "features_for_method")
    def _to_json(self, function: Function | None) -> str | None:
        return None if function is None else import_path(function)

    @field_serializer("depends_on_sources")
    def _sorted(self, names: frozenset[str]) -> list[str]:
        return sorted(names)

    __hash__ = DataSource.__hash__

    @property
    def uri(self) -> str:
        """The module and name of the first function."""
        function = self._first
        return f"python://{function.__module__}.{qualified_name(function)}"

    @property
    def kind(self) -> str:
        """function."""
        return "function"

    @property
    def label(self) -> str:
        """The name of the first function."""
        return qualified_name(self._first)

    def all_data(self, request: RetrievalRequest, limit: int | None = None) -> pl.LazyFrame:
        """See `DataSource.all_data`. The function is called now; a lazy frame that it returns stays lazy.

        Raises:
            UnsupportedError: there is no function for all rows.
            SourceError: the function failed, or returned something that is no frame.
        """
        if self.all_data_method is None:
            raise UnsupportedError(
                f"{self.label}, the source of {request.name!r}, cannot load all rows: "
                "CustomMethodDataSource.from_methods got no all_data=... ."
            )
        rows = self._rows(self.all_data_method, request, (request, limit))
        return rows if limit is None else rows.head(limit)

    def all_between_dates(self, request: RetrievalRequest, start_date: date, end_date: date) -> pl.LazyFrame:
        """See `DataSource.all_between_dates`. Without a function for it, all rows are filtered."""
        if self.all_between_dates_method is None:
            return super().all_between_dates(request, start_date, end_date)
        return self._rows(self.all_between_dates_method, request, (request, start_date, end_date))

    @property
    def tells_times(self) -> bool:
        """See `DataSource.tells_times`. What a function joins by is its own."""
        return self.features_for_method is None

    def features_for(
        self, facts: pl.LazyFrame, request: RetrievalRequest, *, fact_timestamp: str | None = None
    ) -> pl.LazyFrame:
        """See `DataSource.features_for`. A function for it must return the rows of the facts, in their order."""
        if self.features_for_method is None:
            return super().features_for(facts, request, fact_timestamp=fact_timestamp)
        added = self._rows(self.features_for_method, request, (facts, request)).collect()
        asked = facts.collect()
        if added.height != asked.height:
            raise SourceError(
                f"{self.label}, the features_for of {request.name!r}, returned {added.height} rows for "
                f"{asked.height} facts. It must return one row a fact, in the order of the facts."
            )
        new = [name for name in added.columns if name not in asked.columns]
        return asked.hstack(added.select(new)).lazy()

    def fingerprint(self) -> Fingerprint:
        """See `DataSource.fingerprint`. What is known of a function is its code, not its rows."""
        digest = hashlib.sha256(self.uri.encode())
        for function in (self.all_data_method, self.all_between_dates_method, self.features_for_method):
            code = getattr(inspect.unwrap(function), "__code__", None) if function is not None else None
            if code is not None:
                digest.update(code.co_code + repr(code.co_names).encode())
        return Fingerprint(digest.hexdigest()[:32])

    def depends_on(self) -> frozenset[str]:
        """Names of the views that the functions read."""
        return self.depends_on_sources

    @property
    def _first(self) -> Function:
        for function in (self.all_data_method, self.all_between_dates_method, self.features_for_method):
            if function is not None:
                return function
        raise ConfigurationError("A custom source needs a function, at best all_data=... .")

    def _rows(
        self, function: Function, request: RetrievalRequest, arguments: tuple[Any, ...]
    ) -> pl.LazyFrame:
        name = qualified_name(function)
        try:
            result = _call(function, arguments)
        except Exception as error:
            raise SourceError(
                f"{name}, the source of {request.name!r}, failed: {type(error).__name__}: {error}"
            ) from error
        return conform(_frame(result, name, request), request, source_label=f"what {name} returned")


def _call(function: Function, arguments: tuple[Any, ...]) -> Any:
    """Call a function with as many of the arguments as it takes, and wait for it where it is async."""
    parameters = inspect.signature(function).parameters.values()
    positional = [
        p
        for p in parameters
        if p.kind in {inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD}
    ]
    if not any(p.kind is inspect.Parameter.VAR_POSITIONAL for p in parameters):
        arguments = arguments[: len(positional)]
    result = function(*arguments)
    return _awaited(result) if inspect.isawaitable(result) else result


def _awaited(awaitable: Any) -> Any:
    """The result of an awaitable, also where an event loop is running in this thread already."""
    import asyncio

    async def wait() -> Any:
        return await awaitable

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(wait())
    outcome: list[Any] = []
    failure: list[BaseException] = []

    def run() -> None:
        try:
            outcome.append(asyncio.run(wait()))
        except BaseException as error:
            failure.append(error)

    thread = threading.Thread(
        target=contextvars.copy_context().run, args=(run,), name="aligned-custom-source"
    )
    thread.start()
    thread.join()
    if failure:
        raise failure[0]
    return outcome[0]


def _frame(result: Any, name: str, request: RetrievalRequest) -> pl.LazyFrame:
    if isinstance(result, pl.LazyFrame):
        return result
    if isinstance(result, pl.DataFrame):
        return result.lazy()
    try:
        if isinstance(result, Mapping):
            return pl.LazyFrame(dict(result), strict=True)
        if isinstance(result, list) and all(isinstance(row, Mapping) for row in result):
            if not result:
                return pl.LazyFrame(schema=request.polars)
            return pl.from_dicts(result, infer_schema_length=None, strict=True).lazy()
        if type(result).__module__.split(".")[0] == "pandas":
            return pl.from_pandas(result).lazy()
        if hasattr(result, "__arrow_c_stream__"):
            return pl.DataFrame(result).lazy()
    except (TypeError, ValueError, pl.exceptions.PolarsError) as error:
        raise SourceError(f"What {name} returned for {request.name!r} is no table: {error}") from error
    raise SourceError(
        f"{name}, the source of {request.name!r}, returned {type(result).__name__}. It should return a polars or "
        "pandas frame, a dict of columns, or a list of dicts."
    )


def _name(source: Any) -> str:
    if isinstance(source, str):
        return source
    name = getattr(source, "name", None)
    if isinstance(name, str):
        return name
    raise ConfigurationError(f"depends_on_sources takes views or their names, and got {source!r}.")


def _image(value: DockerConfig | str | Any) -> Any:
    return DockerConfig(value) if isinstance(value, str) else value
