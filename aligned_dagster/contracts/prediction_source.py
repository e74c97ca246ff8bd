"""Predictions as the rows of a source: features of the facts, given to a model in batches."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Literal, Self

import polars as pl
from polars.io.plugins import register_io_source
from pydantic import InstanceOf

from aligned_dagster.contracts.retrieval import Wanted, with_features
from aligned_dagster.contracts.view_source import ContractSource, Origins, ReplaceView, ViewSource, at_hand
from aligned_dagster.errors import RequestError
from aligned_dagster.features.dtypes import DataType
from aligned_dagster.request.explain import explained
from aligned_dagster.request.progress import told
from aligned_dagster.request.retrieval_request import RetrievalRequest
from aligned_dagster.sources.conform import conform
from aligned_dagster.sources.exposed.base import ExposedModel, Outputs
from aligned_dagster.sources.source import DataSource, Fingerprint

_LOG = logging.getLogger("aligned_dagster.models")


class PredictionSource(ContractSource):
    """What a model predicts for the rows of a view.

    Args:
        model: name of the model contract.
        wanted: the features that the model takes, of each view.
        facts: the rows that are predicted over; None where they are always given.
        exposed: the model; None where predictions are only stored.
        outputs: what the model gives.
        entities: name to type of the entity columns of the contract.
        time: the contract's column for the time of the prediction, with its type, if it has one.
        predicted: name to type of the columns that the model fills.
    """

    type: Literal["predictions"] = "predictions"
    model: str
    wanted: tuple[InstanceOf[Wanted], ...]
    facts: ViewSource | None = None
    exposed: InstanceOf[ExposedModel] | None = None
    outputs: InstanceOf[Outputs]
    entities: dict[str, InstanceOf[DataType]]
    time: tuple[str, InstanceOf[DataType]] | None = None
    predicted: dict[str, InstanceOf[DataType]]

    # --- what it is made of -----------------------------------------------------------------------------

    def columns(self) -> dict[str, DataType]:
        """Name to type of every stored column of the model contract."""
        return {**self.entities, **(dict([self.time]) if self.time else {}), **self.predicted}

    def parts(self) -> tuple[ContractSource, ...]:
        """The views of its facts and of its features."""
        views = {part.view.name: part for part in self._views()}
        return tuple(views.values())

    def _views(self) -> Iterator[ViewSource]:
        if self.facts is not None:
            yield self.facts
        for want in self.wanted:
            yield ViewSource(view=want.view)

    def over(self, replace_view: ReplaceView) -> Self:
        """The same predictions from other views."""
        wanted = tuple(replace(want, view=replace_view(want.view)) for want in self.wanted)
        facts = None if self.facts is None else self.facts.over(replace_view)
        return self.model_copy(update={"wanted": wanted, "facts": facts})

    def bind(self, frames: Mapping[str, pl.LazyFrame]) -> DataSource:
        """The same predictions from rows that are at hand."""
        facts = None if self.facts is None else self.facts.bind(frames)
        wanted = tuple(replace(want, view=at_hand(want.view, frames)) for want in self.wanted)
        return self.model_copy(update={"wanted": wanted, "facts": facts})

    def origins(self, column: str) -> Origins:
        """Of a prediction every feature that the model takes; of a key the facts."""
        if column in self.predicted:
            return tuple(
                dict.fromkeys(
                    (want.view.name, name) for want in self.wanted for name in want.columns.values()
                )
            )
        if self.facts is None:
            return ()
        time = self.facts.view.schema.event_timestamp
        if self.time is not None and column == self.time[0]:
            return self.facts.origins(time) if time else ()
        return self.facts.origins(column)

    @property
    def features(self) -> tuple[str, ...]:
        """Names of the features in the order in which the model takes them."""
        return tuple(name for want in self.wanted for name in want.columns)

    @property
    def facts_columns(self) -> tuple[str, ...]:
        """Columns that facts must have besides their time."""
        mapped = [column for want in self.wanted for column in want.entities.values()]
        return tuple(dict.fromkeys([*self.entities, *mapped]))

    @property
    def uri(self) -> str:
        """The model's place, or the contract's name."""
        return f"model://{self.model}"

    @property
    def kind(self) -> str:
        """The word for it in the UI."""
        return "model"

    def fingerprint(self) -> Fingerprint:
        """The fingerprints of the views and of the model in one."""
        found = super().fingerprint()
        if self.exposed is None:
            return found
        both = f"{found.data_version}\n{self.exposed.fingerprint().data_version}"
        return Fingerprint(hashlib.sha256(both.encode()).hexdigest()[:32], modified=found.modified)

    # --- rows -------------------------------------------------------------------------------------------

    def rows(self, names: tuple[str, ...]) -> pl.LazyFrame:
        """The named columns of the predictions for all rows of the facts' view."""
        facts = self._need_facts()
        return self.predictions(facts.rows(self.facts_names(facts)), self._time_of(facts)).select(names)

    def all_between_dates(self, request: RetrievalRequest, start_date: date, end_date: date) -> pl.LazyFrame:
        """The predictions for the facts whose event timestamp lies between two times, both included."""
        facts = self._need_facts()
        if self._time_of(facts) is None:
            return super().all_between_dates(request, start_date, end_date)
        asked = RetrievalRequest(facts.view.name, facts.view.schema.as_stored())
        given = facts.all_between_dates(asked.project(self.facts_names(facts)), start_date, end_date)
        rows = self.predictions(given, self._time_of(facts))
        stored = {name: dtype.polars for name, dtype in self.columns().items()}
        return conform(rows, request, source_label=self.uri, stored=stored)

    def input_features(self, facts: pl.LazyFrame, time: str | None) -> pl.LazyFrame:
        """The facts with the features that the model takes.

        Args:
            facts: rows that have `facts_columns`.
            time: their column with the time; None for the latest features.
        """
        return with_features(facts, self.wanted, time)

    def predictions(self, facts: pl.LazyFrame, time: str | None) -> pl.LazyFrame:
        """What the model predicts for facts, in their order, computed in batches when it is collected.

        Args:
            facts: rows that have `facts_columns`.
            time: their column with the time; None for the latest features, and now as the time of the prediction.

        Raises:
            RequestError: the contract has no exposed model.
        """
        from aligned_dagster.sources.exposed.batches import predicted

        exposed = self.exposed
        if exposed is None:
            raise RequestError(
                f"{self.model!r} has no exposed_model, so it can only be asked for stored predictions. "
                "Name one, as in @model_contract(exposed_model=ExposedModel.python(predict))."
            )
        given, keys = self.input_features(facts, time), list(self.entities)
        columns = [pl.col(name).cast(dtype.polars) for name, dtype in self.entities.items()]
        if self.time is not None:
            name, dtype = self.time
            now = pl.lit(datetime.now(UTC)) if time is None else pl.col(time)
            columns.append(
                as_time(now, None if time is None else facts.collect_schema()[time], dtype).alias(name)
            )
            keys.append(name)
        kept = {name: f"__kept {number}" for number, name in enumerate(keys)}
        asked = given.with_columns(
            column.alias(kept[name]) for name, column in zip(keys, columns, strict=True)
        )
        back = {old: name for name, old in kept.items()}
        schema = {name: dtype.polars for name, dtype in self.columns().items()}

        def read(
            wanted: list[str] | None, condition: pl.Expr | None, limit: int | None, _size: int | None
        ) -> Iterator[pl.DataFrame]:
            rows = asked if limit is None else asked.head(limit)
            done = 0
            with explained(self.model, self.uri):
                for batch in predicted(
                    exposed, rows, self.features, list(back), self.outputs, contract=self.model, log=_LOG.info
                ):
                    done += batch.height
                    told(f"{done:,} rows predicted")
                    found = batch.rename(back).select(*schema)
                    found = found if condition is None else found.filter(condition)
                    yield found if wanted is None else found.select(wanted)

        return register_io_source(read, schema=schema, explain_name=f"PREDICT {self.model}")

    def _need_facts(self) -> ViewSource:
        if self.facts is None:
            raise RequestError(
                f"{self.model!r} does not know the rows to predict over: none of its input views has its entities "
                f"{', '.join(self.entities)}. Name one with @model_contract(predict_over=TheView), or give the rows: "
                "query().predict_over(facts)."
            )
        return self.facts

    def facts_names(self, facts: ViewSource) -> tuple[str, ...]:
        """The columns that are read of the facts, their time included."""
        time = self._time_of(facts)
        return tuple(dict.fromkeys([*self.facts_columns, *([time] if time else [])]))

    def _time_of(self, facts: ViewSource) -> str | None:
        time: str | None = facts.view.schema.event_timestamp
        return time


def as_time(value: pl.Expr, given: pl.DataType | None, wanted: DataType) -> pl.Expr:
    """A time in the type of a contract's column; a naive time is one of UTC."""
    dtype = wanted.polars
    if not isinstance(dtype, pl.Datetime):
        return value.cast(dtype)
    if (isinstance(given, pl.Datetime) and given.time_zone is None) or given == pl.Date:
        value = value.cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
    zoned = value.dt.convert_time_zone(dtype.time_zone or "UTC")
    return zoned.cast(dtype) if dtype.time_zone else zoned.dt.replace_time_zone(None).cast(dtype)
