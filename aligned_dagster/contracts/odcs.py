"""Contracts as documents of the Open Data Contract Standard (ODCS), version 3."""

from __future__ import annotations

import json
from datetime import date, timedelta
from functools import cache
from typing import TYPE_CHECKING, Any

from aligned_dagster.contracts.model import ModelContract
from aligned_dagster.contracts.odcs_rules import constraint_parts, rule_parts
from aligned_dagster.contracts.odcs_servers import physical_name, server
from aligned_dagster.contracts.odcs_types import type_parts
from aligned_dagster.contracts.training_set import TrainingSet
from aligned_dagster.contracts.view_source import ViewSource
from aligned_dagster.errors import ConfigurationError
from aligned_dagster.features.expression import text, to_json
from aligned_dagster.features.literals import value_to_json
from aligned_dagster.features.schema import Column

if TYPE_CHECKING:
    from aligned_dagster.contracts.feature_view import FeatureView

VERSION = "v3.2.0"
"""The version of the standard that is written; version 3 of any minor number is read."""

CLASSIFICATION = "classification:"
"""How a tag begins that is the standard's classification of a column: `with_tag("classification:restricted")`."""

KIND = "alignedKind"
_LONGEST = 1_000_000
_BREAKS = frozenset("\x85\u2028\u2029")


def document(view: FeatureView[Any]) -> dict[str, Any]:
    """A contract as a document of the standard; see `FeatureView.to_odcs`."""
    source = server(view.source, "source")
    storage = server(view.materialized_source, "storage") if view.materialized_source else None
    made: dict[str, Any] = {
        "apiVersion": VERSION,
        "kind": "DataContract",
        "id": view.name,
        "name": view.name,
        "version": view.version,
        "status": "active",
    }
    made |= _said(
        description={"purpose": view.description} if view.description else None,
        tags=list(view.tags),
        servers=[one for one in (source, storage) if one],
        schema=[_object(view)],
        slaProperties=_service_levels(view),
        team={"members": [{"username": contact} for contact in view.contacts]} if view.contacts else None,
        customProperties=_custom(**_settings(view)),
    )
    return made


def to_yaml(documents: list[dict[str, Any]]) -> str:
    """Documents as YAML, one after another."""
    import yaml

    return "---\n".join(
        yaml.dump(one, Dumper=_dumper(), sort_keys=False, allow_unicode=True, width=110) for one in documents
    )


@cache
def _dumper() -> Any:
    """YAML's safe writer, which escapes the rarer line breaks: plain, a reader would take them for a space."""
    import yaml

    class Dumper(yaml.SafeDumper):  # type: ignore[misc]  # it has no types
        def ignore_aliases(self, data: Any) -> bool:
            return True

    def text_node(dumper: Any, text: str) -> Any:
        style = '"' if _BREAKS.intersection(text) else None
        return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)

    Dumper.add_representer(str, text_node)
    return Dumper


def problems(form: Any) -> list[str]:
    """What the standard's own JSON Schema says against a document, each with its path; nothing if it is valid.

    Raises:
        ConfigurationError: the packages that know the standard are not installed.
    """
    try:
        from jsonschema import Draft201909Validator
        from open_data_contract_standard.model import OpenDataContractStandard
    except ImportError as error:
        raise missing_packages() from error
    from importlib.resources import files

    package = OpenDataContractStandard.__module__.partition(".")[0]
    schema = json.loads(files(package).joinpath("schema.json").read_text("utf-8"))
    errors = Draft201909Validator(schema).iter_errors(form)
    found = {f"{_path(error.absolute_path)}: {error.message.splitlines()[0][:200]}" for error in errors}
    return sorted(found)


def missing_packages() -> ConfigurationError:
    """The error where what reads and writes the standard is not installed."""
    return ConfigurationError(
        "The Open Data Contract Standard needs the packages open-data-contract-standard and jsonschema. "
        "Install them: pip install 'aligned-dagster[odcs]'."
    )


def _path(parts: Any) -> str:
    said = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in parts)
    return said.removeprefix(".") or "the document"


def _said(**parts: Any) -> dict[str, Any]:
    return {name: value for name, value in parts.items() if value not in (None, [], {}, "")}


def _custom(**values: Any) -> list[dict[str, Any]]:
    return [{"property": name, "value": value} for name, value in values.items() if value is not None]


def _settings(view: FeatureView[Any]) -> dict[str, Any]:
    """What the standard has no words for."""
    model = "model" if isinstance(view, ModelContract) else None
    plain = isinstance(view.source, ViewSource) or server(view.source, "source") is not None
    target = view.materialized_source
    kind = model or ("training set" if isinstance(view, TrainingSet) else "view")
    return {
        KIND: kind,
        "reads": sorted(view.depends_on()) or None,
        "readsAs": None if plain else view.source.label,
        "storedAs": target.label if target and server(target, "storage") is None else None,
        "onViolation": None if view.on_violation == "block" else view.on_violation,
        "automation": view.automation if isinstance(view.automation, str) else None,
        "materializeFrom": _day(view.materialize_from),
        "every": view.every,
        "lookbackSeconds": _seconds(view.lookback),
        "materializeUntil": _day(view.materialize_until),
        "timeZone": None if view.time_zone == "UTC" else view.time_zone,
    }


def _object(view: FeatureView[Any]) -> dict[str, Any]:
    place = view.materialized_source or view.source
    form = server(place, "storage")
    kind = "view" if view.is_virtual else "table" if form and "schema" in form else "file"
    return {"name": view.name, "logicalType": "object", "physicalType": kind} | _said(
        physicalName=physical_name(place),
        properties=[_property(view, column) for column in view.schema.columns],
        quality=rule_parts(view.schema.rules),
    )


def _property(view: FeatureView[Any], column: Column) -> dict[str, Any]:
    entities = view.schema.entities
    keys = getattr(view.materialized_source, "partition_keys", ())
    stored: dict[str, str] = getattr(view.source, "mapping_keys", {})
    types, rules = type_parts(column.dtype), constraint_parts(column)
    options = types.pop("logicalTypeOptions", {}) | rules.pop("logicalTypeOptions", {})
    classes = [tag for tag in column.tags if tag.startswith(CLASSIFICATION)][-1:]
    logical = {"logicalType": types.pop("logicalType")}
    made = _said(
        physicalName=next((old for old, new in stored.items() if new == column.name), None)
        if column.derivation is None
        else None,
        description=column.description,
        **logical,
        logicalTypeOptions=options,
        **types,
        required=None if column.nullable else True,
        primaryKey=True if column.name in entities else None,
        primaryKeyPosition=entities.index(column.name) + 1 if column.name in entities else None,
        partitioned=True if column.name in keys else None,
        partitionKeyPosition=keys.index(column.name) + 1 if column.name in keys else None,
        classification=classes[0].removeprefix(CLASSIFICATION) if classes else None,
        tags=[tag for tag in column.tags if tag not in classes],
        **rules,
        **_derivation(view, column),
        customProperties=_custom(**_roles(column)),
    )
    return {"name": column.name, **made}


def _derivation(view: FeatureView[Any], column: Column) -> dict[str, Any]:
    if column.derivation is None:
        return {}
    origins = view.column_lineage()[column.name]
    return {
        "transformSourceObjects": list(dict.fromkeys(f"{_end(place)}.{name}" for place, name in origins)),
        "transformLogic": text(column.derivation, _LONGEST),
    }


def _end(uri: str) -> str:
    return uri.rstrip("/").rpartition("/")[2]


def _roles(column: Column) -> dict[str, Any]:
    return {
        "role": column.role if column.role.endswith("timestamp") else None,
        "ttlSeconds": _seconds(column.ttl),
        "default": {"value": value_to_json(column.default)} if column.has_default else None,
        "derivation": None if column.derivation is None else to_json(column.derivation),
        "aggregated": True if column.aggregated else None,
        "prediction": None if column.prediction is None else column.prediction.to_json(),
    }


def _service_levels(view: FeatureView[Any]) -> list[dict[str, Any]]:
    time = view.schema.event_timestamp
    element = f"{view.name}.{time}" if time else view.name
    limits = {"acceptable": view.acceptable_freshness, "unacceptable": view.unacceptable_freshness}
    made: list[dict[str, Any]] = [
        {
            "id": name,
            "property": "latency",
            "value": _seconds(limit),
            "unit": "s",
            "element": element,
            "description": f"A newest row older than this is {'tolerated no longer' if name == 'acceptable' else 'a failure'}.",
        }
        for name, limit in limits.items()
        if limit is not None
    ]
    if view.schedule is not None:
        cron = {"value": view.schedule, "scheduler": "cron", "schedule": view.schedule}
        made.append({"property": "frequency", **cron, "element": view.name})
    return made


def _seconds(duration: timedelta | None) -> float | int | None:
    if duration is None:
        return None
    seconds = duration.total_seconds()
    return int(seconds) if seconds.is_integer() else seconds


def _day(day: date | None) -> str | None:
    return None if day is None else day.isoformat()
