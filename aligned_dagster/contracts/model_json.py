"""Model contracts as JSON and back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

from aligned_dagster.contracts.feature_view import FeatureView
from aligned_dagster.contracts.model import ACCEPTABLE_DRIFT, ModelContract, source_of
from aligned_dagster.contracts.retrieval import Wanted
from aligned_dagster.errors import UnsupportedError
from aligned_dagster.sources.exposed import ExposedModel, exposed_from_json, exposed_to_json

KIND = "model"


def predictions_to_json(model: ModelContract[Any], strict: bool) -> dict[str, Any]:
    """The JSON form of what a model contract reads: its features, its facts and its model.

    Args:
        model: the contract.
        strict: whether a model that has no JSON form is an error; it is named by its URI otherwise.

    Raises:
        UnsupportedError: strict, and the model has none.
    """
    return {
        "type": "predictions",
        "versions": {
            version: [wanted_to_json(want) for want in wanted]
            for version, wanted in model.input_versions.items()
        },
        "version": model.input_version,
        "facts": _view(model.facts_view),
        "truth": _view(model.truth),
        "exposed": _exposed(model.exposed_model, strict),
        "acceptable": {"metrics": dict(model.acceptable_metrics), "drift": model.acceptable_drift},
    }


def model_from_json(
    view: FeatureView[Any], form: Mapping[str, Any], view_called: Callable[[str], FeatureView[Any]]
) -> ModelContract[Any]:
    """Read what `predictions_to_json` wrote, into a model contract.

    Args:
        view: everything else that is known of the contract.
        form: the JSON form.
        view_called: finds a view by its name, and raises for one that is not there.
    """
    versions = {
        version: tuple(wanted_from_json(item, view_called) for item in items)
        for version, items in form["versions"].items()
    }
    facts, truth, exposed = form["facts"], form["truth"], form["exposed"]
    acceptable = form.get("acceptable", {})
    source = source_of(
        view.name,
        view.compiled.inputs,
        versions[form["version"]],
        facts=None if facts is None else view_called(facts["view"]).as_source(),
        exposed=None if exposed is None else exposed_from_json(exposed),
    )
    fields = {**vars(view), "source": source}
    known = {name: fields[name] for name in FeatureView.__dataclass_fields__}
    return ModelContract(
        **known,
        input_versions=versions,
        input_version=form["version"],
        truth=None if truth is None else view_called(truth["view"]),
        acceptable_metrics=acceptable.get("metrics", {}),
        acceptable_drift=acceptable.get("drift", ACCEPTABLE_DRIFT),
    )


def _view(view: FeatureView[Any] | None) -> dict[str, str] | None:
    return None if view is None else {"type": "view", "view": view.name}


def _exposed(exposed: ExposedModel | None, strict: bool) -> dict[str, Any] | None:
    if exposed is None:
        return None
    try:
        return exposed_to_json(exposed)
    except UnsupportedError:
        if strict:
            raise
        return {"type": exposed.type, "uri": exposed.uri}


def wanted_to_json(want: Wanted) -> dict[str, Any]:
    """The JSON form of what is asked of one view."""
    return {
        "type": "view",
        "view": want.view.name,
        "columns": dict(want.columns),
        "entities": dict(want.entities),
        "max_age": None if want.max_age is None else want.max_age.total_seconds(),
    }


def wanted_from_json(form: Mapping[str, Any], view_called: Callable[[str], FeatureView[Any]]) -> Wanted:
    """Read what `wanted_to_json` wrote."""
    age = form["max_age"]
    return Wanted(
        view_called(form["view"]),
        form["columns"],
        form["entities"],
        None if age is None else timedelta(seconds=age),
    )
