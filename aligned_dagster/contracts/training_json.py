"""Training sets as JSON and back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

from aligned_dagster.contracts.feature_view import FeatureView
from aligned_dagster.contracts.model_json import wanted_from_json, wanted_to_json
from aligned_dagster.contracts.splits import split_from_json
from aligned_dagster.contracts.training_facts import read_each_time
from aligned_dagster.contracts.training_set import TrainingSet
from aligned_dagster.contracts.training_source import FactsSource, TrainingSource
from aligned_dagster.contracts.truth import Truth
from aligned_dagster.contracts.view_source import ContractSource
from aligned_dagster.errors import ConfigurationError, UnsupportedError
from aligned_dagster.features.schema import Schema
from aligned_dagster.request.features_report import Provenance
from aligned_dagster.sources.custom import CustomMethodDataSource
from aligned_dagster.sources.import_path import imported
from aligned_dagster.sources.source import DataSource, source_from_json

FACTS, TRAINING_SET = "facts", "training_set"
"""The types of sources in JSON that this module reads."""

Views = Callable[[str], FeatureView[Any]]
"""Finds a view by its name, and raises for one that is not there."""


def set_to_json(view: TrainingSet[Any]) -> dict[str, Any]:
    """What a training set says beside what any contract does."""
    return {
        "target": view.target,
        "split": None if view.splits is None else view.splits.to_json(),
        "provenance": [asdict(one) for one in view.provenance],
    }


def set_from_json(view: FeatureView[Any], form: Mapping[str, Any]) -> TrainingSet[Any]:
    """Read what `set_to_json` wrote, into a training set.

    Args:
        view: everything else that is known of the contract.
        form: the JSON form.
    """
    known = {name: vars(view)[name] for name in FeatureView.__dataclass_fields__}
    split = form["split"]
    return TrainingSet(
        **known,
        target=form["target"],
        splits=None if split is None else split_from_json(split),
        provenance=tuple(Provenance(**one) for one in form["provenance"]),
    )


def training_to_json(source: TrainingSource, to_json: Callable[[DataSource], Any]) -> dict[str, Any]:
    """The JSON form of the source of a training set; of columns and split the contract tells.

    Args:
        source: the source.
        to_json: gives the form of any other source.
    """
    truth: Truth | None = source.truth
    return {
        "type": TRAINING_SET,
        "facts": to_json(source.facts),
        "keys": source.keys.to_json(),
        "wanted": [wanted_to_json(want) for want in source.wanted],
        "truth": None if truth is None else _truth_to_json(truth),
    }


def training_from_json(
    form: Mapping[str, Any],
    contract: Mapping[str, Any],
    facts: ContractSource,
    view_called: Views,
) -> TrainingSource:
    """Read what `training_to_json` wrote.

    Args:
        form: the JSON form of the source.
        contract: that of the contract.
        facts: the facts, already read.
        view_called: finds a view by its name.
    """
    told = contract[TRAINING_SET]
    return TrainingSource(
        name=contract["name"],
        facts=facts,
        keys=Schema.from_json(form["keys"]),
        stated=Schema.from_json(contract["schema"]),
        wanted=tuple(wanted_from_json(item, view_called) for item in form["wanted"]),
        truth=None if form["truth"] is None else _truth_from_json(form["truth"], view_called),
        split=None if told["split"] is None else split_from_json(told["split"]),
        provenance=tuple(Provenance(**one) for one in told["provenance"]),
    )


def facts_to_json(source: FactsSource, to_json: Callable[[DataSource], Any], strict: bool) -> dict[str, Any]:
    """The JSON form of facts that are no contract.

    Args:
        source: the facts.
        to_json: gives the form of any other source.
        strict: whether a function that no other process could import is an error.

    Raises:
        UnsupportedError: strict, and the facts have none.
    """
    form = {"type": FACTS, "stated": source.stated.to_json()}
    held = source.source
    function = (
        getattr(held.all_data_method, "__wrapped__", None)
        if isinstance(held, CustomMethodDataSource)
        else None
    )
    if function is None:
        return {**form, "source": to_json(held)}
    path = f"{function.__module__}:{function.__qualname__}"
    if strict and (function.__module__ == "__main__" or _function_at(path) is not function):
        raise UnsupportedError(
            f"The facts of {path!r} have no JSON form, because no other process could import the function. Define it "
            "with def at the top level of a module."
        )
    return {**form, "function": path}


def facts_from_json(form: Mapping[str, Any]) -> FactsSource:
    """Read what `facts_to_json` wrote.

    Raises:
        ConfigurationError: a function is not there any more.
    """
    stated = Schema.from_json(form["stated"])
    if "function" in form:
        function = _function_at(form["function"]) or imported(form["function"])
        return FactsSource(source=read_each_time(function), stated=stated)
    return FactsSource(source=source_from_json(form["source"]), stated=stated)


def _function_at(path: str) -> Any:
    """The function of that import path, also where the decorator put a training set in its place; None if none is."""
    try:
        found: Any = imported(path)
    except ConfigurationError:
        return None
    if not isinstance(found, TrainingSet):
        return found
    facts = getattr(found.source, "facts", None)
    method = getattr(getattr(facts, "source", None), "all_data_method", None)
    return getattr(method, "__wrapped__", None)


def _truth_to_json(truth: Truth) -> dict[str, Any]:
    view = None if truth.view is None else {"type": "view", "view": truth.view.name}
    if truth.of == "row":  # the facts have it; the view that it was named by is not read
        view = None
    entities = None if truth.entities is None else dict(truth.entities)
    return {"name": truth.name, "column": truth.column, "of": truth.of, "in": view, "entities": entities}


def _truth_from_json(form: Mapping[str, Any], view_called: Views) -> Truth:
    view = None if form["in"] is None else view_called(form["in"]["view"])
    return Truth(form["name"], form["column"], form["of"], view, form["entities"])
