"""What a model is asked about when its contract is materialised, and what it was trained on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import polars as pl

from aligned_dagster.contracts.facts import facts_frame
from aligned_dagster.contracts.prediction_source import PredictionSource, as_time
from aligned_dagster.contracts.retrieval import FeaturesJob, features_job
from aligned_dagster.contracts.training_set import TrainingSet
from aligned_dagster.contracts.training_source import TrainingSource
from aligned_dagster.request.partition import PartitionSlice

if TYPE_CHECKING:
    from aligned_dagster.contracts.feature_view import FeatureView
    from aligned_dagster.contracts.model import ModelContract

_TIME = "__time"


@dataclass(frozen=True)
class TrainedOn:
    """A training set of a model.

    Args:
        rows: the set.
        columns: feature of the model to the set's column for it.
    """

    rows: TrainingSet[Any]
    columns: Mapping[str, str]

    def read(self) -> pl.LazyFrame:
        """The features that were trained on: of the rows to train on, where the set is split."""
        found = self.rows.read() if self.rows.splits is None else facts_frame(self.rows.split("train"))
        return found.select(pl.col(column).alias(name) for name, column in self.columns.items())


def input_rows(
    model: ModelContract[Any],
    frames: Mapping[str, pl.LazyFrame] | None = None,
    part: PartitionSlice | None = None,
    *,
    every: int = 1,
) -> FeaturesJob | None:
    """The facts that a model contract predicts over, with the features that its model takes.

    None where the contract does not know its facts, or where the partitions are of what is predicted, so that they say
    nothing of the facts.

    Args:
        model: the contract.
        frames: rows of views that are at hand, by name.
        part: the partitions that are predicted; all facts if not given.
        every: 1 takes every fact, 10 every tenth one.
    """
    source = model.predictions.bind(frames or {})
    assert isinstance(source, PredictionSource)
    facts = source.facts
    if facts is None:
        return None
    time: str | None = facts.view.schema.event_timestamp
    rows = facts.rows(source.facts_names(facts))
    if part is not None and part != PartitionSlice():
        own = source.time
        if not set(part.columns(model.schema)) <= {*source.entities, *([own[0]] if own and time else [])}:
            return None
        rows = _within(rows, model, part, time)
    rows = rows if every == 1 else rows.gather_every(every)
    return features_job(model.name, rows, source.wanted, time)


def _within(
    rows: pl.LazyFrame, model: ModelContract[Any], part: PartitionSlice, time: str | None
) -> pl.LazyFrame:
    """The facts of some partitions, which are told by the times of the predictions."""
    own, condition = model.predictions.time, part.predicate(model.schema)
    if own is None or time is None:
        return rows.filter(condition)
    name, dtype = own
    schema = rows.collect_schema()
    given = rows.with_columns(pl.col(name).alias(_TIME)) if name in schema else rows
    there = given.with_columns(as_time(pl.col(time), schema[time], dtype).alias(name)).filter(condition)
    return (
        there.with_columns(pl.col(_TIME).alias(name)).select(schema.names())
        if name in schema
        else there.drop(name)
    )


def training_sets_of(model: ModelContract[Any], views: Iterable[FeatureView[Any]]) -> tuple[TrainedOn, ...]:
    """The training sets that have every feature of a model, and its target where both name one.

    Args:
        model: the contract.
        views: where training sets are looked for.
    """
    found = []
    for view in views:
        if not isinstance(view, TrainingSet) or not isinstance(view.source, TrainingSource):
            continue
        if model.target is not None and view.target not in (None, model.target[1]):
            continue
        there = {
            (want.view.name, column): name
            for want in view.source.wanted
            for name, column in want.columns.items()
        }
        needed = {
            name: (want.view.name, column) for want in model.wanted for name, column in want.columns.items()
        }
        if set(needed.values()) <= set(there):
            found.append(TrainedOn(view, {name: there[origin] for name, origin in needed.items()}))
    return tuple(found)
