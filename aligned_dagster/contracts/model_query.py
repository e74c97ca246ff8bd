"""Asking a model contract for features, predictions and what became of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any, Unpack

import polars as pl

from aligned_dagster.contracts.facts import Facts, facts_frame
from aligned_dagster.contracts.query import FeatureViewQuery
from aligned_dagster.contracts.retrieval import FeaturesJob, fact_time, features_job
from aligned_dagster.contracts.truth import Truth
from aligned_dagster.errors import ContractError, RequestError, did_you_mean
from aligned_dagster.features.location import at
from aligned_dagster.features.schema import Column, Schema
from aligned_dagster.request.job import RetrievalJob

if TYPE_CHECKING:
    from aligned_dagster.contracts.defining_training_sets import TrainingOptions
    from aligned_dagster.contracts.model import ModelContract
    from aligned_dagster.contracts.publish import Publication
    from aligned_dagster.contracts.training_set import TrainingSet
    from aligned_dagster.sources.exposed.base import ExposedModel


@dataclass(frozen=True)
class ModelQuery(FeatureViewQuery):
    """Questions to one model contract. Nothing is read and nothing is predicted before a job is collected.

    Args:
        view: the model contract.
    """

    view: ModelContract[Any]

    # --- what goes in -----------------------------------------------------------------------------------

    def features_for(
        self,
        facts: Facts,
        event_timestamp_column: str | None = None,
        *,
        entity_columns: Mapping[str, str] | None = None,
        max_age: timedelta | None = None,
    ) -> FeaturesJob:
        """The features that the model takes, for the entities in the facts, each as it was known at the fact's time.

        Args:
            facts: rows with the columns of `needed_entities`: a dict of lists, a frame (polars, pandas, Arrow) or a job.
            event_timestamp_column: the facts' column with the time; a view's own name for it if the facts have it.
            entity_columns: the facts' columns in place of those that the contract names.
            max_age: the greatest age of a feature, inclusive.

        Raises:
            RequestError: the facts lack a column, or their times cannot be compared.
        """
        given = facts_frame(facts)
        renamed = entity_columns or {}
        wanted = [
            replace(
                want,
                entities={e: renamed.get(column, column) for e, column in want.entities.items()},
                max_age=want.max_age if max_age is None else max_age,
            )
            for want in self.view.wanted
        ]
        time = self._time_in(given.collect_schema().names(), event_timestamp_column)
        return features_job(self.view.name, given, wanted, time)

    input_features_for = features_for

    def needed_entities(self) -> Schema:
        """The columns that facts must have to be predicted over, with their types; the time need not be there."""
        source = self.view.predictions
        types = dict(source.entities)
        for want in source.wanted:
            for entity, column in want.entities.items():
                types.setdefault(column, want.view.schema.column(entity).dtype)
        return Schema(tuple(Column(name, dtype, "entity") for name, dtype in types.items()))

    def using_version(self, version: str) -> ModelQuery:
        """The same questions with another set of input features.

        Raises:
            UnknownContractError: there is no such set.
        """
        return replace(self, view=self.view.using_version(version))

    def using_model(self, exposed: ExposedModel) -> ModelQuery:
        """The same questions to another model."""
        return replace(self, view=self.view.with_model(exposed))

    # --- what comes out ---------------------------------------------------------------------------------

    def predict_over(self, facts: Facts, event_timestamp_column: str | None = None) -> PredictionsJob:
        """What the model predicts for facts, in their order: the columns of the contract.

        Args:
            facts: rows with the columns of `needed_entities`; others are not looked at.
            event_timestamp_column: the facts' column with the time, which is also the time of the prediction; without
                one the features are the latest and the predictions are of now.

        Raises:
            RequestError: the contract has no exposed model, or the facts lack a column.
        """
        view = self.view
        given = facts_frame(facts)
        names = given.collect_schema().names()
        time = self._time_in(names, event_timestamp_column)
        source = view.predictions
        asked = {*source.facts_columns, time}
        given = given.select(name for name in names if name in asked)
        features_job(view.name, given, view.wanted, time)  # told now what is missing

        def load() -> pl.LazyFrame:
            from aligned_dagster.contracts.publish import completed

            return completed(view, source.predictions(given, time))

        return PredictionsJob(view.name, view.schema, load, self._references, view.on_violation, model=view)

    def predictions_for(self, facts: Facts, event_timestamp_column: str | None = None) -> FeaturesJob:
        """The stored predictions of the entities in the facts, as they were known at each fact's time."""
        return FeatureViewQuery.features_for(self, facts, event_timestamp_column)

    def all_predictions(self, limit: int | None = None) -> RetrievalJob:
        """All stored predictions; computed for all facts where none are stored.

        Args:
            limit: rows at most.
        """
        return self.all(limit)

    def predictions_between(self, start_date: date, end_date: date) -> RetrievalJob:
        """The stored predictions whose time lies between two times, both included.

        Raises:
            ContractError: the contract has no event timestamp.
        """
        return self.between_dates(start_date, end_date)

    # --- what became of it ------------------------------------------------------------------------------

    def with_target(self, predictions: RetrievalJob | Facts | None = None) -> RetrievalJob:
        """Predictions beside the ground truth, in the column `actual_<label>`; null where it is not known yet.

        Where the model predicts over rows of the view that has the truth, it is that of the row of the same entity and
        time; otherwise the latest that is known of the entity.

        Args:
            predictions: all stored ones if not given.

        Raises:
            ContractError: the label has no ground truth.
            RequestError: the predictions lack an entity of the view that has it.
        """
        view, label = self.view, self.view.label
        target = view.target
        if label is None or target is None:
            raise ContractError(
                f"{view.name} predicts nothing that has a ground truth. Take the label from the view that has it, as in "
                f"label = View().column.as_classification_target().{at(view.location)}"
            )
        job = self.all() if predictions is None else predictions
        rows = facts_frame(job)
        time = view.schema.event_timestamp
        name = f"actual_{label.name}"
        facts_view = view.facts_view

        given = rows.collect_schema().names()
        view_of_truth, column = target
        missing = [entity for entity in view_of_truth.schema.entities if entity not in given]
        if missing:
            raise RequestError(
                f"The ground truth {view_of_truth.name}.{column} is found by {', '.join(view_of_truth.schema.entities)}, and "
                f"the predictions lack {missing[0]!r}.{did_you_mean(missing[0], given)} Columns: {', '.join(given)}."
            )
        same_rows = facts_view is not None and facts_view.name == view_of_truth.name
        exact = same_rows and time is not None and view_of_truth.schema.event_timestamp is not None
        entities = {entity: entity for entity in view_of_truth.schema.entities}
        truth = Truth(name, column, "time" if exact else "entity", view_of_truth, entities)

        columns = job.schema.columns if isinstance(job, RetrievalJob) else view.schema.columns
        known = replace(
            view_of_truth.schema.column(column),
            name=name,
            optional=True,
            constraints=(),
            derivation=None,
            role="feature",
        )
        return RetrievalJob(view.name, Schema((*columns, known)), lambda: truth.beside(rows, time))

    with_labels = with_target

    def training_set(
        self, name: str | None = None, facts: Facts | None = None, **options: Unpack[TrainingOptions]
    ) -> TrainingSet[Any]:
        """A set to train the model on: facts with its features, as they were known at the time, and its target.

        Args:
            name: `<model>_training` if not given.
            facts: the view that it predicts over if not given.
            options: as of `aligned_dagster.training_set`.

        Raises:
            ContractError: no facts are given and the model predicts over no view, or something does not go together.
        """
        from aligned_dagster.contracts.defining_training_sets import training_set

        view = self.view
        rows = view.facts_view if facts is None else facts
        if rows is None:
            raise ContractError(
                f"{view.name} predicts over no view, so name the facts to train on: "
                f".training_set(facts=...).{at(view.location)}"
            )
        options.setdefault("dataset_store", view.dataset_store)
        options.setdefault("model", view)
        return training_set(name or f"{view.name}_training", rows, **options)

    def insert_into_output_source(self, predictions: Any) -> Publication:
        """Add predictions to the stored ones, after an audit."""
        return self.insert(predictions)

    def upsert_into_output_source(self, predictions: Any) -> Publication:
        """Add predictions, or replace those of the same entity and time, after an audit."""
        return self.upsert(predictions)

    def overwrite_output_source(self, predictions: Any) -> Publication:
        """Put predictions in place of all stored ones, after an audit."""
        return self.overwrite(predictions)

    def _time_in(self, names: list[str], named: str | None) -> str | None:
        if named is not None:
            return named
        own = self.view.schema.event_timestamp
        if own in names:
            return own
        facts = self.view.facts_view
        if facts is not None and facts.schema.event_timestamp in names:
            return facts.schema.event_timestamp
        return fact_time(names, self.view.wanted, None)


@dataclass(frozen=True, repr=False, kw_only=True)
class PredictionsJob(RetrievalJob):
    """Predictions that can be kept.

    Args:
        model: the contract of the predictions.
    """

    model: ModelContract[Any]

    def insert_into_output_source(self) -> Publication:
        """Predict, audit, and add the predictions to the stored ones.

        Raises:
            AuditError: a blocking rule of the contract is broken; nothing is published.
            UnsupportedError: the contract has no output_source.
        """
        return self.model.query().insert(self)

    def upsert_into_output_source(self) -> Publication:
        """Predict, audit, and add the predictions or replace those of the same entity and time."""
        return self.model.query().upsert(self)

    def overwrite_output_source(self) -> Publication:
        """Predict, audit, and put the predictions in place of all stored ones."""
        return self.model.query().overwrite(self)
