"""A model contract: what a model takes, what it predicts, and where the predictions are kept."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Self, TypeVar

from aligned_dagster.contracts.feature_view import FeatureView
from aligned_dagster.contracts.prediction_source import PredictionSource
from aligned_dagster.contracts.retrieval import EntityColumns, FeatureRefs, Wanted, check_wanted, wanted_of
from aligned_dagster.errors import ContractError, UnknownContractError, did_you_mean
from aligned_dagster.features.location import at, caller
from aligned_dagster.features.schema import Column, Schema
from aligned_dagster.sources.exposed.base import Outputs

if TYPE_CHECKING:
    from aligned_dagster.contracts.model_query import ModelQuery
    from aligned_dagster.contracts.view_source import ReplaceView, ViewSource
    from aligned_dagster.quality.evaluation import Task
    from aligned_dagster.sources.exposed.base import ExposedModel

T = TypeVar("T")

ACCEPTABLE_DRIFT = 0.2
"""The population stability index that is taken for no drift, if a contract says nothing."""


@dataclass(frozen=True)
class FeatureInputVersions:
    """Several sets of features for one model contract, by name.

    Args:
        default: the set that is used unless another is asked for.
        versions: name to features.

    Raises:
        ContractError: there is no set of the default's name.
    """

    default: str
    versions: Mapping[str, FeatureRefs]

    def __post_init__(self) -> None:
        if self.default not in self.versions:
            raise ContractError(
                f"There is no version {self.default!r} of the input features."
                f"{did_you_mean(self.default, self.versions)} Versions: {', '.join(self.versions)}.{at(caller())}"
            )


@dataclass(frozen=True, eq=False)
class ModelContract(FeatureView[T]):
    """A contract on the predictions of a model. Made by `@model_contract`; a feature view in all else.

    Args:
        input_versions: name to what is asked of each view for that set of features.
        input_version: the set that is in use.
        truth: the view with the ground truth of the label, where it has one.
        dataset_store: where training sets of the model are kept.
        acceptable_metrics: metric of its evaluation to the worst value that is acceptable.
        acceptable_drift: the population stability index up to which a feature has not moved from the training set.
    """

    input_versions: Mapping[str, tuple[Wanted, ...]] = None  # type: ignore[assignment]  # fields after those with defaults need one
    input_version: str = "default"
    truth: FeatureView[Any] | None = None
    dataset_store: Any = None
    acceptable_metrics: Mapping[str, float] = field(default_factory=dict)
    acceptable_drift: float = ACCEPTABLE_DRIFT

    def __repr__(self) -> str:
        return f"<model contract {self.name}: predicts {self.label.name if self.label else 'features'}>"

    @property
    def may_have_engine(self) -> bool:
        """False: models predict in Python."""
        return False

    @property
    def predictions(self) -> PredictionSource:
        """The source of its rows: the model over features of its facts."""
        assert isinstance(self.source, PredictionSource)
        return self.source

    @property
    def wanted(self) -> tuple[Wanted, ...]:
        """The features that it takes, of each view."""
        return self.predictions.wanted

    @property
    def exposed_model(self) -> ExposedModel | None:
        """What predicts."""
        return self.predictions.exposed

    @property
    def outputs(self) -> Outputs:
        """What the model gives."""
        return self.predictions.outputs

    @property
    def facts_view(self) -> FeatureView[Any] | None:
        """The view whose rows are predicted over when it is materialised."""
        facts = self.predictions.facts
        return None if facts is None else facts.view

    @property
    def label(self) -> Column | None:
        """The column with what is predicted, where it is marked as a target or a label."""
        return next((c for c in self.schema.columns if is_label(c)), None)

    @property
    def task(self) -> Task | None:
        """What it can be evaluated as; None where it predicts nothing that has a ground truth."""
        told = None if self.label is None else self.label.prediction
        if told is None or self.truth is None or told.kind not in ("classification", "regression"):
            return None
        return told.kind

    @property
    def target(self) -> tuple[FeatureView[Any], str] | None:
        """The view and column with the ground truth, where the label has one."""
        told = None if self.label is None else self.label.prediction
        return None if told is None or self.truth is None else (self.truth, told.column)

    @property
    def upstream_views(self) -> Mapping[str, FeatureView[Any]]:
        """The views that it reads or refers to, the one with the ground truth included."""
        truth = {} if self.truth is None else {self.truth.name: self.truth}
        return {**truth, **super().upstream_views}

    def reading(self, replace_view: ReplaceView) -> Self:
        """The same contract over other views, in every set of input features."""
        made = super().reading(replace_view)
        versions = {
            version: tuple(replace(want, view=replace_view(want.view)) for want in wanted)
            for version, wanted in self.input_versions.items()
        }
        truth = None if self.truth is None else replace_view(self.truth)
        return replace(made, input_versions=versions, truth=truth)

    def using_version(self, version: str) -> ModelContract[T]:
        """The same contract with another set of input features.

        Raises:
            UnknownContractError: there is no such set.
        """
        if version not in self.input_versions:
            raise UnknownContractError(
                f"{self.name} has no input features {version!r}.{did_you_mean(version, self.input_versions)} "
                f"Versions: {', '.join(self.input_versions)}."
            )
        source = self.predictions.model_copy(update={"wanted": self.input_versions[version]})
        return replace(self, source=source, input_version=version)

    def with_model(self, exposed: ExposedModel) -> ModelContract[T]:
        """The same contract with another model behind it."""
        return replace(self, source=self.predictions.model_copy(update={"exposed": exposed}))

    def query(self) -> ModelQuery:
        """Ask for predictions and for the features that they are made of."""
        from aligned_dagster.contracts.model_query import ModelQuery

        return ModelQuery(self)


def prediction_source(
    name: str,
    schema: Schema,
    features: FeatureRefs,
    *,
    predict_over: ViewSource | None,
    exposed: ExposedModel | None,
    entity_columns: EntityColumns | None,
    max_age: timedelta | Mapping[str, timedelta] | None,
    others: Iterable[FeatureView[Any]] = (),
) -> PredictionSource:
    """The source of a model contract's rows.

    Args:
        name: of the contract.
        schema: its columns.
        features: what the model takes.
        predict_over: the view whose rows are predicted over; the first input view that has all entities if not given.
        exposed: the model.
        entity_columns: entity of an input view to the column of the facts.
        max_age: the greatest age of a feature, for all views or by the view's name.
        others: the views of other sets of features, which `entity_columns` and `max_age` may name.

    Raises:
        ContractError: the contract has no entity or predicts nothing, or the facts' view lacks a column.
    """
    wanted = wanted_of(features, not_by_name, entity_columns, max_age, others)
    made = source_of(name, schema, wanted, exposed=exposed)
    facts = predict_over or _first_with(made.entities, wanted)
    columns = made.facts_columns
    if facts is not None:
        missing = [column for column in columns if column not in facts.columns()]
        if missing:
            raise ContractError(
                f"{name} predicts over {facts.label}, which lacks {', '.join(map(repr, missing))}."
                f"{did_you_mean(missing[0], facts.columns())} Columns there: {', '.join(facts.columns())}. "
                "Where an entity of a feature's view is called otherwise: entity_columns={'entity': 'column'}."
            )
        columns = (
            *columns,
            *([facts.view.schema.event_timestamp] if facts.view.schema.event_timestamp else []),
        )
    check_wanted(columns, wanted)
    return made.model_copy(update={"facts": facts})


def source_of(
    name: str,
    schema: Schema,
    wanted: tuple[Wanted, ...],
    *,
    facts: ViewSource | None = None,
    exposed: ExposedModel | None = None,
) -> PredictionSource:
    """The predictions that the columns of a contract describe.

    Args:
        name: of the contract.
        schema: its columns.
        wanted: the features that the model takes.
        facts: the rows that are predicted over.
        exposed: the model.

    Raises:
        ContractError: the contract has no entity or predicts nothing.
    """
    entities = {column: schema.column(column).dtype for column in schema.entities}
    if not entities:
        raise ContractError(
            f"{name} has no entity, so nobody could say what a prediction is about. Mark one with as_entity()."
        )
    keys = {*schema.key, schema.created_timestamp}
    filled = {c.name: c.dtype for c in schema.stored if c.name not in keys}
    if not filled:
        raise ContractError(
            f"{name} predicts nothing. Write what it predicts, as in label = View().column.as_classification_target()."
        )
    time = schema.event_timestamp
    return PredictionSource(
        model=name,
        wanted=wanted,
        facts=facts,
        exposed=exposed,
        outputs=_outputs(schema, filled),
        entities=entities,
        time=None if time is None else (time, schema.column(time).dtype),
        predicted=filled,
    )


def _outputs(schema: Schema, filled: Iterable[str]) -> Outputs:
    columns = [schema.column(name) for name in filled]
    label = next((c for c in columns if is_label(c)), columns[0] if len(columns) == 1 else None)
    told = {c.name: c.prediction for c in columns if c.prediction is not None}
    return Outputs(
        label=None if label is None else label.name,
        dtype=None if label is None else label.dtype.polars,
        probabilities={name: p.value for name, p in told.items() if p.kind == "probability"},
        version=next((name for name, p in told.items() if p.kind == "version"), None),
        others={
            c.name: c.dtype.polars
            for c in columns
            if c is not label
            and (c.prediction is None or c.prediction.kind not in ("probability", "version"))
        },
    )


def is_label(column: Column) -> bool:
    """Whether a column holds what is predicted."""
    return column.prediction is not None and column.prediction.kind in ("classification", "regression")


def _first_with(columns: Iterable[str], wanted: Iterable[Wanted]) -> ViewSource | None:
    needed = set(columns)
    return next((w.view.as_source() for w in wanted if needed <= set(w.view.schema.names)), None)


def not_by_name(name: str) -> FeatureView[Any]:
    """Refuse a view that is named by a text, where there is no store to find it in.

    Raises:
        UnknownContractError: always.
    """
    raise UnknownContractError(
        f"A model contract cannot find the view {name!r} by its name alone. Write View().feature."
    )
