"""Contracts as sources: a view, filtered or under other names."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING, Any, Literal, Self

import polars as pl
from pydantic import ConfigDict

from aligned_dagster.features.dtypes import DataType
from aligned_dagster.features.expression import Expression, inputs, replay, text
from aligned_dagster.request.retrieval_request import RetrievalRequest
from aligned_dagster.sources.conform import conform
from aligned_dagster.sources.frame import FrameSource
from aligned_dagster.sources.source import DataSource, Fingerprint

if TYPE_CHECKING:
    from aligned_dagster.contracts.feature_view import FeatureView

Origins = tuple[tuple[str, str], ...]
"""Where a column comes from: names of views (or URIs of raw sources) with the column's name there."""

ReplaceView = Callable[["FeatureView[Any]"], "FeatureView[Any]"]
"""Gives for a view the one that is to be read in its place."""


class ContractSource(DataSource):
    """A source that is made of contracts; its columns and their dtypes are known before it is read."""

    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=True, extra="forbid")

    def columns(self) -> dict[str, DataType]:
        """Name to type of every column."""
        raise TypeError(f"{type(self).__name__} does not tell its columns.")

    def rows(self, names: tuple[str, ...]) -> pl.LazyFrame:
        """The named columns."""
        raise TypeError(f"{type(self).__name__} does not tell its rows.")

    def origins(self, column: str) -> Origins:
        """Where a column comes from."""
        raise TypeError(f"{type(self).__name__} does not tell where its columns come from.")

    def parts(self) -> tuple[ContractSource, ...]:
        """The sources that it is made of."""
        return ()

    def over(self, replace_view: ReplaceView) -> Self:
        """The same source over other views."""
        raise TypeError(f"{type(self).__name__} does not tell which views it reads.")

    def all_data(self, request: RetrievalRequest, limit: int | None = None) -> pl.LazyFrame:
        """The wanted columns, cast to the types of the contract that asks."""
        known = self.columns()
        # at least one, for a frame without columns would have lost its rows
        names = tuple(name for name in request.columns if name in known) or tuple(known)[:1]
        stored = {name: known[name].polars for name in names}
        frame = conform(self.rows(names), request, source_label=self.uri, stored=stored)
        return frame if limit is None else frame.limit(limit)

    def fingerprint(self) -> Fingerprint:
        """The fingerprints of all parts in one."""
        parts = [part.fingerprint() for part in self.parts()]
        changed = [part.modified for part in parts if part.modified is not None]
        version = hashlib.sha256("\n".join(part.data_version for part in parts).encode()).hexdigest()[:32]
        return Fingerprint(version, modified=max(changed, default=None))

    def depends_on(self) -> frozenset[str]:
        """Names of the views that it reads."""
        return frozenset[str]().union(*(part.depends_on() for part in self.parts()))

    @property
    def kind(self) -> str:
        """The word for it in the UI."""
        return "view"


class ViewSource(ContractSource):
    """The rows of another contract."""

    type: Literal["view"] = "view"
    view: Any
    """The `FeatureView`."""

    def columns(self) -> dict[str, DataType]:
        """Name to type of every column of the view."""
        return {column.name: column.dtype for column in self.view.schema.columns}

    def rows(self, names: tuple[str, ...]) -> pl.LazyFrame:
        """The named columns of the view."""
        frame: pl.LazyFrame = self.view.read(columns=names or self.view.schema.names[:1])
        return frame

    def all_between_dates(self, request: RetrievalRequest, start_date: date, end_date: date) -> pl.LazyFrame:
        """The rows whose event timestamp lies between two times, both included."""
        if self.view.schema.event_timestamp is None or request.event_timestamp is None:
            return super().all_between_dates(request, start_date, end_date)
        window: pl.LazyFrame = self.view.read_between(start_date, end_date)
        return FrameSource.of(window, self.uri).all_between_dates(request, start_date, end_date)

    def fingerprint(self) -> Fingerprint:
        """The fingerprint of the view's storage."""
        found: Fingerprint = self.view.storage.fingerprint()
        return found

    def depends_on(self) -> frozenset[str]:
        """The view's name."""
        return frozenset({self.view.name})

    def bind(self, frames: Mapping[str, pl.LazyFrame]) -> DataSource:
        """The frame of that name, where there is one."""
        if self.view.name in frames:
            return BoundView(view=self.view, frame=frames[self.view.name])
        return self

    def over(self, replace_view: ReplaceView) -> Self:
        """The view that takes the place of this one."""
        return self.model_copy(update={"view": replace_view(self.view)})

    def origins(self, column: str) -> Origins:
        """The column of the view."""
        return ((self.view.name, column),)

    @property
    def uri(self) -> str:
        """The name of the view."""
        return f"view://{self.view.name}"

    @property
    def label(self) -> str:
        """The name of the view."""
        return str(self.view.name)


class BoundView(ViewSource):
    """The rows of another contract, already at hand as a lazy frame."""

    frame: pl.LazyFrame

    def rows(self, names: tuple[str, ...]) -> pl.LazyFrame:
        """The named columns of the frame."""
        return self.frame.select(names or self.view.schema.names[:1])

    def all_between_dates(self, request: RetrievalRequest, start_date: date, end_date: date) -> pl.LazyFrame:
        """The rows whose event timestamp lies between two times, both included."""
        return DataSource.all_between_dates(self, request, start_date, end_date)


class FilterSource(ContractSource):
    """The rows of a source for which a condition holds."""

    type: Literal["filter"] = "filter"
    source: ContractSource
    condition: Expression

    def columns(self) -> dict[str, DataType]:
        """Those of the source."""
        return self.source.columns()

    def rows(self, names: tuple[str, ...]) -> pl.LazyFrame:
        """The named columns of the rows that are kept."""
        wanted = dict.fromkeys((*names, *sorted(inputs(self.condition))))
        return self.source.rows(tuple(wanted)).filter(replay(self.condition)).select(names)

    def parts(self) -> tuple[ContractSource, ...]:
        """The source."""
        return (self.source,)

    def over(self, replace_view: ReplaceView) -> Self:
        """The same filter over other views."""
        return self.model_copy(update={"source": self.source.over(replace_view)})

    def bind(self, frames: Mapping[str, pl.LazyFrame]) -> DataSource:
        """The same filter over the bound source."""
        return self.model_copy(update={"source": self.source.bind(frames)})

    def origins(self, column: str) -> Origins:
        """Those of the source."""
        return self.source.origins(column)

    @property
    def uri(self) -> str:
        """The source and the condition."""
        return f"{self.source.uri} where {text(self.condition)}"

    @property
    def label(self) -> str:
        """The source and the condition."""
        return f"{self.source.label} where {text(self.condition, 60)}"


class RenameSource(ContractSource):
    """A source with columns under other names.

    Args:
        source: where the rows are.
        names: name in the source to new name.
    """

    type: Literal["rename"] = "rename"
    source: ContractSource
    names: dict[str, str]

    def columns(self) -> dict[str, DataType]:
        """Those of the source, renamed."""
        return {self.names.get(name, name): dtype for name, dtype in self.source.columns().items()}

    def _old(self, name: str) -> str:
        return next((old for old, new in self.names.items() if new == name), name)

    def rows(self, names: tuple[str, ...]) -> pl.LazyFrame:
        """The named columns."""
        old = [self._old(name) for name in names]
        return self.source.rows(tuple(old)).rename(dict(zip(old, names, strict=True)))

    def parts(self) -> tuple[ContractSource, ...]:
        """The source."""
        return (self.source,)

    def over(self, replace_view: ReplaceView) -> Self:
        """The same names over other views."""
        return self.model_copy(update={"source": self.source.over(replace_view)})

    def bind(self, frames: Mapping[str, pl.LazyFrame]) -> DataSource:
        """The same names over the bound source."""
        return self.model_copy(update={"source": self.source.bind(frames)})

    def origins(self, column: str) -> Origins:
        """Those of the source's column."""
        return self.source.origins(self._old(column))

    @property
    def uri(self) -> str:
        """That of the source."""
        return self.source.uri

    @property
    def label(self) -> str:
        """That of the source."""
        return self.source.label


def at_hand(view: FeatureView[Any], frames: Mapping[str, pl.LazyFrame]) -> FeatureView[Any]:
    """The view over rows that are at hand; itself where it finds features in a way of its own.

    Args:
        view: the view.
        frames: rows of views, by name.
    """
    own = type(view.storage).features_for is not DataSource.features_for
    if view.name not in frames or own or (view.is_virtual and view.compiled.groupings):
        return view
    return replace(view, materialized_source=FrameSource.of(frames[view.name], view.name))


def leaves(source: DataSource) -> Iterator[DataSource]:
    """The sources that a source is made of and that are made of nothing else: raw ones and views."""
    if isinstance(source, ContractSource) and source.parts():
        for part in source.parts():
            yield from leaves(part)
    else:
        yield source
