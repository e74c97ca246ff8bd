"""Contracts as JSON and back."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from aligned_dagster.contracts.feature_view import FeatureView
from aligned_dagster.contracts.joining import JoinSource
from aligned_dagster.contracts.model import ModelContract
from aligned_dagster.contracts.model_json import model_from_json, predictions_to_json
from aligned_dagster.contracts.training_json import (
    FACTS,
    TRAINING_SET,
    facts_from_json,
    facts_to_json,
    set_from_json,
    set_to_json,
    training_from_json,
    training_to_json,
)
from aligned_dagster.contracts.training_set import TrainingSet
from aligned_dagster.contracts.training_source import FactsSource, TrainingSource
from aligned_dagster.contracts.view_source import (
    ContractSource,
    FilterSource,
    RenameSource,
    ViewSource,
)
from aligned_dagster.errors import ContractError, UnknownContractError, UnsupportedError
from aligned_dagster.features.compiling import Compiled
from aligned_dagster.features.declared import Grouping
from aligned_dagster.features.engines.names import check_engine
from aligned_dagster.features.expression import from_json, to_json
from aligned_dagster.features.literals import value_from_json, value_to_json
from aligned_dagster.features.schema import Schema
from aligned_dagster.sources.in_memory_source import InMemorySource
from aligned_dagster.sources.source import DataSource, source_from_json, source_to_json

Views = Mapping[str, FeatureView[Any]]


def view_to_json(view: FeatureView[Any], strict: bool = True) -> dict[str, Any]:
    """The stable JSON form of a contract.

    Args:
        view: the contract.
        strict: whether a source that has no JSON form is an error; it is named by its URI otherwise.

    Raises:
        UnsupportedError: strict, and a source or the automation has no JSON form.
    """
    if view.automation is not None and not isinstance(view.automation, str) and strict:
        raise UnsupportedError(f"{view.name}: an automation has a JSON form only if it is given as text.")
    windows = {
        n: None if g.window is None else g.window / timedelta(microseconds=1)
        for n, g in view.compiled.groupings
    }
    return {
        "name": view.name,
        "schema": view.schema.to_json(),
        "inputs": view.compiled.inputs.to_json(),
        "groupings": windows,
        "source": (
            predictions_to_json(view, strict)
            if isinstance(view, ModelContract)
            else _source_to_json(view.source, strict)
        ),
        "materialized_source": _raw_to_json(view.materialized_source, strict),
        "description": view.description,
        "tags": list(view.tags),
        "contacts": list(view.contacts),
        "acceptable_freshness": _seconds(view.acceptable_freshness),
        "unacceptable_freshness": _seconds(view.unacceptable_freshness),
        "on_violation": view.on_violation,
        "schedule": view.schedule,
        "automation": view.automation if isinstance(view.automation, str) else None,
        "materialize_from": value_to_json(view.materialize_from),
        "every": view.every,
        "lookback": _seconds(view.lookback),
        "materialize_until": value_to_json(view.materialize_until),
        "time_zone": view.time_zone,
        **({} if view.engine is None else {"engine": view.engine}),
    } | ({TRAINING_SET: set_to_json(view)} if isinstance(view, TrainingSet) else {})


def view_from_json(form: Mapping[str, Any], views: Views) -> FeatureView[Any]:
    """Read what `view_to_json` wrote.

    Args:
        form: the JSON form.
        views: the contracts that it reads or refers to, by name.

    Raises:
        UnknownContractError: one of them is not there.
        ContractError: the form is not one of a contract.
    """
    schema = Schema.from_json(form["schema"])
    groupings = tuple(
        (name, Grouping(None if window is None else timedelta(microseconds=window)))
        for name, window in form["groupings"].items()
    )
    inputs = Schema.from_json(form["inputs"])
    target = form["materialized_source"]
    is_model = form["source"].get("type") == "predictions"
    made: FeatureView[Any] = FeatureView(
        name=form["name"],
        compiled=Compiled(schema if not groupings else inputs, schema, groupings),
        source=InMemorySource.empty() if is_model else _read_source(form, views),
        materialized_source=None if target is None else source_from_json(target),
        description=form["description"],
        tags=tuple(form["tags"]),
        contacts=tuple(form["contacts"]),
        acceptable_freshness=_duration(form["acceptable_freshness"]),
        unacceptable_freshness=_duration(form["unacceptable_freshness"]),
        on_violation=form["on_violation"],
        schedule=form["schedule"],
        automation=form["automation"],
        materialize_from=value_from_json(form["materialize_from"]),
        every=form["every"],
        lookback=_duration(form["lookback"]),
        materialize_until=value_from_json(form.get("materialize_until")),
        time_zone=form["time_zone"],
        engine=check_engine(form["engine"], f"engine of {form['name']}") if "engine" in form else None,
    )
    referenced = {name: _view(name, views, made.name) for name in made.references() if name != made.name}
    object.__setattr__(made, "referenced", referenced)
    if TRAINING_SET in form:
        return set_from_json(made, form[TRAINING_SET])
    if is_model:
        return model_from_json(made, form["source"], lambda name: _view(name, views, made.name))
    return made


def _read_source(form: Mapping[str, Any], views: Views) -> DataSource:
    source, reader = form["source"], form["name"]
    if source.get("type") != TRAINING_SET:
        return _source_from_json(source, views, reader)
    facts = _contract_source(source["facts"], views, reader)
    return training_from_json(source, form, facts, lambda name: _view(name, views, reader))


def needs(form: Mapping[str, Any]) -> frozenset[str]:
    """Names of the contracts that the form of a contract reads or refers to."""
    names: set[str] = set()
    waiting: list[Any] = [form["source"], form["schema"]]
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict):
            if item.get("type") == "view" or item.get("rule") == "reference":
                names.add(item["view"])
            waiting.extend(value for value in item.values() if isinstance(value, dict | list))
        elif isinstance(item, list):
            waiting.extend(item)
    return frozenset(names - {form["name"]})


def _source_to_json(source: DataSource, strict: bool) -> Any:
    if isinstance(source, ViewSource):
        return {"type": "view", "view": source.view.name}
    if isinstance(source, FilterSource):
        inner = _source_to_json(source.source, strict)
        return {"type": "filter", "source": inner, "condition": to_json(source.condition)}
    if isinstance(source, RenameSource):
        return {"type": "rename", "source": _source_to_json(source.source, strict), "names": source.names}
    if isinstance(source, JoinSource):
        sides = {"left": _source_to_json(source.left, strict), "right": _source_to_json(source.right, strict)}
        return {**source.model_dump(exclude={"left", "right"}, mode="json"), **sides}
    if isinstance(source, TrainingSource):
        return training_to_json(source, lambda part: _source_to_json(part, strict))
    if isinstance(source, FactsSource):
        return facts_to_json(source, lambda part: _source_to_json(part, strict), strict)
    return _raw_to_json(source, strict)


def _source_from_json(form: Mapping[str, Any], views: Views, reader: str) -> DataSource:
    kind = form.get("type")
    if kind == "view":
        return _view(form["view"], views, reader).as_source()
    if kind == "filter":
        inner = _contract_source(form["source"], views, reader)
        return FilterSource(source=inner, condition=from_json(form["condition"]))
    if kind == "rename":
        return RenameSource(source=_contract_source(form["source"], views, reader), names=form["names"])
    if kind == "join":
        sides = {side: _contract_source(form[side], views, reader) for side in ("left", "right")}
        return JoinSource.model_validate({**form, **sides})
    if kind == FACTS:
        return facts_from_json(form)
    return source_from_json(form)


def _contract_source(form: Mapping[str, Any], views: Views, reader: str) -> ContractSource:
    source = _source_from_json(form, views, reader)
    if not isinstance(source, ContractSource):
        raise ContractError(f"{reader}: {form!r} is no view and nothing made of views.")
    return source


def _view(name: str, views: Views, reader: str) -> FeatureView[Any]:
    if name not in views:
        raise UnknownContractError(
            f"{reader} needs the contract {name!r}, which is not there. Add it to the store first."
        )
    return views[name]


def _seconds(duration: timedelta | None) -> float | None:
    return None if duration is None else duration.total_seconds()


def _duration(seconds: float | None) -> timedelta | None:
    return None if seconds is None else timedelta(seconds=seconds)


def _raw_to_json(source: DataSource | None, strict: bool) -> Any:
    """The JSON form of a raw source, or its URI where it has none and that will do."""
    if source is None:
        return None
    try:
        return source_to_json(source)
    except UnsupportedError:
        if strict:
            raise
        return {"type": source.type, "uri": source.uri}
