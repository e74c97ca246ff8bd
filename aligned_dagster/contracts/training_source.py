"""The rows of a training set: facts with their features, what became of them, and the part each is in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING, Any, Literal, Self

import polars as pl

from aligned_dagster.contracts.retrieval import Wanted, with_features
from aligned_dagster.contracts.splits import SPLIT, Split
from aligned_dagster.contracts.truth import Truth
from aligned_dagster.contracts.view_source import ContractSource, Origins, ReplaceView, ViewSource, at_hand
from aligned_dagster.features.dtypes import DataType
from aligned_dagster.features.schema import Schema
from aligned_dagster.request.features_report import Provenance
from aligned_dagster.request.retrieval_request import RetrievalRequest
from aligned_dagster.sources.conform import conform
from aligned_dagster.sources.source import DataSource, Fingerprint

if TYPE_CHECKING:
    from aligned_dagster.contracts.feature_view import FeatureView


class FactsSource(ContractSource):
    """Facts that are no contract: a frame, values, or a function that is called whenever they are read.

    Args:
        source: where they are.
        schema: their columns.
    """

    type: Literal["facts"] = "facts"
    source: DataSource
    stated: Any
    """The `Schema`."""

    def columns(self) -> dict[str, DataType]:
        """Name to type of every column."""
        return {column.name: column.dtype for column in self.stated.columns}

    def rows(self, names: tuple[str, ...]) -> pl.LazyFrame:
        """The named columns."""
        return self.source.all_data(RetrievalRequest("the facts", self.stated).project(names))

    def fingerprint(self) -> Fingerprint:
        """That of the source."""
        return self.source.fingerprint()

    def depends_on(self) -> frozenset[str]:
        """Names of the views that the source reads."""
        return self.source.depends_on()

    def over(self, replace_view: ReplaceView) -> Self:
        """The same facts."""
        return self

    def origins(self, column: str) -> Origins:
        """The column of the source."""
        return ((self.source.uri, column),)

    @property
    def uri(self) -> str:
        """That of the source."""
        return self.source.uri

    @property
    def label(self) -> str:
        """That of the source."""
        return self.source.label

    @property
    def kind(self) -> str:
        """That of the source."""
        return self.source.kind


class TrainingSource(ContractSource):
    """Facts with features as they were known at the time, the target, the split, and whence the features are.

    Args:
        name: of the training set.
        facts: the rows that are asked about.
        keys: the columns of the facts that the set or its joins need, with their roles.
        stated: the columns of the set.
        wanted: the features, of each view.
        truth: the target, if there is one.
        split: the parts, if there are any.
        provenance: of each view, under the names in the set.
    """

    type: Literal["training_set"] = "training_set"
    name: str
    facts: ContractSource
    keys: Any
    stated: Any
    wanted: tuple[Any, ...]
    truth: Any = None
    split: Any = None
    provenance: tuple[Any, ...] = ()

    @property
    def time(self) -> str | None:
        """The facts' column with the time."""
        keys: Schema = self.keys
        return keys.event_timestamp

    def columns(self) -> dict[str, DataType]:
        """Name to type of every column that the set stores."""
        return {column.name: column.dtype for column in self.stated.stored}

    def rows(self, names: tuple[str, ...]) -> pl.LazyFrame:
        """The named columns of all rows."""
        return self._made(self.facts.rows(self.keys.names), names)

    def all_between_dates(self, request: RetrievalRequest, start_date: date, end_date: date) -> pl.LazyFrame:
        """The rows of the facts of a period, with features of whenever they were known."""
        names = tuple(name for name in request.columns if name in self.columns())
        asked = RetrievalRequest(self.name, self.keys)
        own = not isinstance(self.facts, ViewSource) or self.facts.view.schema.event_timestamp == self.time
        if own:
            facts = self.facts.all_between_dates(asked, start_date, end_date)
        else:  # the facts ask at other times than those that their view divides them by
            facts = DataSource.all_between_dates(self.facts, asked, start_date, end_date)
        rows = self._made(facts, names)
        stored = {name: self.columns()[name].polars for name in names}
        return conform(rows, request, source_label=self.uri, stored=stored)

    def _made(self, facts: pl.LazyFrame, names: tuple[str, ...]) -> pl.LazyFrame:
        """The named columns for these facts; views of which none is named are not read."""
        told = zip(self.wanted, self.provenance, strict=True)
        asked = [(want, one) for want, one in told if {*want.columns, *one.columns} & set(names)]
        rows = with_features(
            facts, [want for want, _ in asked], self.time, [provenance for _, provenance in asked]
        )
        truth: Truth | None = self.truth
        if truth is not None and truth.name in names:
            rows = truth.beside(rows, self.time)
        split: Split | None = self.split
        if split is not None and SPLIT in names:
            rows = rows.with_columns(split.expression(self.stated).alias(SPLIT))
        return rows.select(names)

    # --- what it is made of -----------------------------------------------------------------------------

    def parts(self) -> tuple[ContractSource, ...]:
        """The facts, and every other view that features or the target are taken from."""
        views = {source.view.name: source for source in self._views()}
        if isinstance(self.facts, ViewSource):
            views.pop(self.facts.view.name, None)
        return (self.facts, *views.values())

    def _views(self) -> Iterator[ViewSource]:
        for want in self.wanted:
            yield ViewSource(view=want.view)
        if self.truth is not None and self.truth.of != "row":
            yield ViewSource(view=self.truth.view)

    def over(self, replace_view: ReplaceView) -> Self:
        """The same rows from other views."""
        return self._with(self.facts.over(replace_view), replace_view)

    def bind(self, frames: Mapping[str, pl.LazyFrame]) -> DataSource:
        """The same rows from frames that are at hand."""
        return self._with(self.facts.bind(frames), lambda view: at_hand(view, frames))

    def _with(self, facts: DataSource, replace_view: ReplaceView) -> Self:
        wanted = tuple(replace(want, view=replace_view(want.view)) for want in self.wanted)
        truth: Truth | None = self.truth
        if truth is not None and truth.view is not None:
            truth = replace(truth, view=replace_view(truth.view))
        return self.model_copy(update={"facts": facts, "wanted": wanted, "truth": truth})

    def origins(self, column: str) -> Origins:
        """The columns of facts and views that a column is made of."""
        truth: Truth | None = self.truth
        if truth is not None and column == truth.name:
            if truth.of == "row" or truth.view is None:
                return self.facts.origins(truth.column)
            return ((truth.view.name, truth.column),)
        if column == SPLIT and self.split is not None:
            return tuple(o for name in self.split.columns(self.stated) for o in self.facts.origins(name))
        for want, told in zip(self.wanted, self.provenance, strict=True):
            view: FeatureView[Any] = want.view
            made_of = {
                **dict(want.columns),
                told.event: view.schema.event_timestamp,
                told.created: view.schema.created_timestamp,
                told.found: view.schema.entities[0],
            }
            if made_of.get(column) is not None:
                return ((view.name, str(made_of[column])),)
        return self.facts.origins(column)

    @property
    def uri(self) -> str:
        """The facts and the views of the features."""
        views = ", ".join(want.view.name for want in self.wanted)
        return f"{self.facts.uri} with features of {views}"

    @property
    def label(self) -> str:
        """The facts and the views of the features."""
        views = ", ".join(want.view.name for want in self.wanted)
        return f"{self.facts.label} with features of {views}"

    @property
    def kind(self) -> str:
        """The word for it in the UI."""
        return "training set"


def provenance_of(want: Wanted, number: int) -> Provenance:
    """The columns of a training set that say which row of a view a fact got.

    Args:
        want: what is asked of the view.
        number: of the view in the request.
    """
    told, name = want.provenance(number), want.view.name
    return replace(
        told,
        found=f"{name}__found",
        event=None if told.event is None else f"{name}__event_timestamp",
        created=None if told.created is None else f"{name}__created_timestamp",
    )
