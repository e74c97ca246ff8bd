"""Making a class of features a model contract."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from aligned_dagster.contracts.defining import check_materialisation, check_stated, referenced_views
from aligned_dagster.contracts.feature_view import FeatureView, view_of
from aligned_dagster.contracts.model import (
    ACCEPTABLE_DRIFT,
    FeatureInputVersions,
    ModelContract,
    is_label,
    not_by_name,
    prediction_source,
)
from aligned_dagster.contracts.partitioning import Every
from aligned_dagster.contracts.retrieval import EntityColumns, FeatureRefs, wanted_of
from aligned_dagster.contracts.schema_check import check_fit
from aligned_dagster.errors import AlignedError, ContractError
from aligned_dagster.features.arguments import checked_arguments
from aligned_dagster.features.compiling import compile_class
from aligned_dagster.features.constraints import OnViolation, check_on_violation
from aligned_dagster.features.location import at, caller
from aligned_dagster.features.naming import check_name, snake_case
from aligned_dagster.features.temporal import check_zone
from aligned_dagster.sources.source import DataSource

if TYPE_CHECKING:
    from aligned_dagster.sources.exposed.base import ExposedModel

T = TypeVar("T")


@checked_arguments()
def model_contract(
    name: str | None = None,
    input_features: FeatureRefs | FeatureInputVersions = (),
    output_source: DataSource | None = None,
    exposed_model: ExposedModel | Callable[..., Any] | None = None,
    dataset_store: Any = None,
    contacts: Iterable[str] = (),
    tags: Iterable[str] = (),
    description: str | None = None,
    acceptable_freshness: timedelta | None = None,
    unacceptable_freshness: timedelta | None = None,
    *,
    predict_over: Any = None,
    entity_columns: EntityColumns | None = None,
    max_age: timedelta | Mapping[str, timedelta] | None = None,
    acceptable_metrics: Mapping[str, float] | None = None,
    acceptable_drift: float = ACCEPTABLE_DRIFT,
    on_violation: OnViolation = "block",
    schedule: str | None = None,
    automation: Any = None,
    materialize_from: date | None = None,
    every: Every | None = None,
    lookback: timedelta | None = None,
    materialize_until: date | None = None,
    time_zone: str = "UTC",
) -> Callable[[type[T]], ModelContract[T]]:
    """Make a class of features a contract on the predictions of a model.

    The entities say what a prediction is about; an `EventTimestamp` (or `ValidFrom`) is the time of the prediction.
    Materialising it predicts for every row of `predict_over`, audits the predictions by the rules of the class, and
    publishes them to `output_source`.

    Args:
        name: unique in a store; the class's name in snake_case if not given.
        input_features: what the model takes: `View().feature`, `View()` for all of its features, or several sets of
            them; in a mapping under the names that the model knows.
        output_source: where predictions are kept; they are computed when they are read without one.
        exposed_model: what predicts: an `ExposedModel`, or a function from a polars frame to predictions.
        dataset_store: where training sets of the model are kept.
        contacts: who answers for it: email addresses or team names.
        tags: words to find it by.
        description: what is predicted; the class's docstring if not given.
        acceptable_freshness: the newest prediction may be this old without a word.
        unacceptable_freshness: a newest prediction older than this is a failure.
        predict_over: the view whose rows are predicted over, at their event timestamps; the first input view that has
            all entities if not given.
        entity_columns: entity of an input view to the facts' column for it, for all views or by the view's name.
        max_age: the greatest age of a feature, inclusive, for all views or by the view's name.
        acceptable_metrics: the worst value of a metric that raises no warning once the ground truth is known, as in
            {"roc_auc": 0.6} or {"rmse": 10.0}: the least one where more is better, the greatest one where less is. Of a
            classification: accuracy, precision, recall, f1, and of probabilities roc_auc, log_loss and brier; of a
            regression: rmse, mae, r2 and bias, which is bounded on both sides of 0.
        acceptable_drift: the population stability index of a feature, against the training set, that raises no warning.
        on_violation: what a broken rule does that says nothing itself: "block", "quarantine" or "warn".
        schedule: cron of the predictions, as in "0 6 * * *".
        automation: "eager", "on_cron(...)" or a condition of the orchestrator.
        materialize_from: first day of the windows of time in which predictions are made, by the event timestamp.
        every: length of the windows: "hourly", "daily", "weekly" (from Monday) or "monthly".
        lookback: how long after the end of a window facts of it may still arrive.
        materialize_until: the first day after the windows; they go on to the present if not given.
        time_zone: in whose days, weeks and months the windows are.

    Raises:
        ContractError: the class states something that cannot be, or its inputs do not fit together.

    >>> import polars as pl
    >>> from aligned_dagster import Bool, Float, InMemorySource, Int32, feature_view
    >>> people = InMemorySource.from_values({"id": [1, 2], "age": [8.0, 40.0], "survived": [True, False]})
    >>> @feature_view(source=people)
    ... class Passenger:
    ...     id = Int32().as_entity()
    ...     age = Float()
    ...     survived = Bool()
    >>> passenger = Passenger()
    >>> @model_contract(input_features=[passenger.age], exposed_model=lambda rows: rows["age"] < 13)
    ... class Survival:
    ...     id = Int32().as_entity()
    ...     survives = passenger.survived.as_classification_target()
    >>> Survival.query().predict_over({"id": [2, 1]}).collect()["survives"].to_list()
    [False, True]
    >>> Survival.query().with_target().collect()["actual_survives"].to_list()
    [True, False]
    """
    if isinstance(name, type):
        raise ContractError(
            f"Write @model_contract(input_features=[...]) with brackets above {name.__name__}.{at(caller())}"
        )
    location = caller()

    def decorate(cls: type[T]) -> ModelContract[T]:
        title = check_name(name or snake_case(cls.__name__))
        compiled = compile_class(cls, title)
        if compiled.groupings:
            raise ContractError(
                f"{title} aggregates, and a model contract has one row a prediction.{at(location)}"
            )
        check_on_violation(on_violation)
        check_stated(
            title,
            tags=tags,
            contacts=contacts,
            acceptable_freshness=acceptable_freshness,
            unacceptable_freshness=unacceptable_freshness,
            lookback=lookback,
            location=location,
        )
        check_materialisation(
            title,
            compiled,
            output_source,
            materialize_from,
            every,
            lookback,
            materialize_until,
            time_zone,
            location,
        )
        sets = input_features
        if not isinstance(sets, FeatureInputVersions):
            sets = FeatureInputVersions("default", {"default": sets})
        over = None if predict_over is None else view_of(predict_over).as_source()
        try:
            views = [want.view for refs in sets.versions.values() for want in wanted_of(refs, not_by_name)]
            sources = {
                version: prediction_source(
                    title,
                    compiled.inputs,
                    features,
                    predict_over=over,
                    exposed=as_exposed(exposed_model),
                    entity_columns=entity_columns,
                    max_age=max_age,
                    others=views,
                )
                for version, features in sets.versions.items()
            }
        except AlignedError as error:
            raise ContractError(f"{error}{at(location)}") from None
        source = sources[sets.default]
        check_fit(title, compiled.inputs, source, location)
        label = next((c.prediction for c in compiled.schema.columns if is_label(c)), None)
        truth = label.owner if label is not None and isinstance(label.owner, FeatureView) else None
        made = ModelContract(
            name=title,
            compiled=compiled,
            source=source,
            materialized_source=output_source,
            description=description or (cls.__doc__ or "").strip(),
            tags=tuple(tags),
            contacts=tuple(contacts),
            acceptable_freshness=acceptable_freshness,
            unacceptable_freshness=unacceptable_freshness,
            on_violation=on_violation,
            schedule=schedule,
            automation=automation,
            materialize_from=materialize_from,
            every=every,
            lookback=lookback,
            materialize_until=materialize_until,
            time_zone=check_zone(time_zone) or "UTC",
            location=location,
            declaration=cls,
            referenced=referenced_views(compiled.schema),
            input_versions={version: made.wanted for version, made in sources.items()},
            input_version=sets.default,
            truth=truth,
            dataset_store=dataset_store,
            acceptable_metrics=dict(acceptable_metrics or {}),
            acceptable_drift=acceptable_drift,
        )
        _check_acceptable(made)
        return made

    return decorate


def _check_acceptable(model: ModelContract[Any]) -> None:
    """Check what is said to be acceptable of the model.

    Raises:
        ContractError: a bound is such as its predictions cannot keep.
    """
    from aligned_dagster.quality.evaluation import check_metrics

    where = f"{model.name}{at(model.location)}"
    check_metrics(model.acceptable_metrics, model.task, len(model.outputs.probabilities), where)
    bound = model.acceptable_drift
    if isinstance(bound, bool) or not isinstance(bound, int | float) or not 0 < bound < math.inf:
        raise ContractError(f"{where}: acceptable_drift must be a positive number, as in 0.2; got {bound!r}.")


def as_exposed(model: Any) -> ExposedModel | None:
    """What predicts: an exposed model, or a function.

    Raises:
        ContractError: it is neither.
    """
    from aligned_dagster.sources.exposed.base import ExposedModel

    if model is None or isinstance(model, ExposedModel):
        return model
    if callable(model):
        return ExposedModel.python(model)
    raise ContractError(
        f"exposed_model takes an ExposedModel or a function from a frame to predictions; got {model!r}.{at(caller())}"
    )
