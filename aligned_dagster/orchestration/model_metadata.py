"""What the Dagster UI shows of a model contract and of a training set beside what it shows of any contract."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import polars as pl

from aligned_dagster.contracts.model import ModelContract
from aligned_dagster.contracts.training_set import TrainingSet
from aligned_dagster.orchestration.age_pictures import ages_picture
from aligned_dagster.orchestration.tables import table_value

if TYPE_CHECKING:
    from aligned_dagster.contracts.feature_view import FeatureView
    from aligned_dagster.request.features_report import FeaturesReport, ViewFound
    from aligned_dagster.request.partition import PartitionSlice

_HOUR = dt.timedelta(hours=1)


def learning_definition_metadata(view: FeatureView[Any]) -> dict[str, Any]:
    """What a definition tells of a model contract or a training set; nothing of other contracts.

    The model itself is not read for it: its version is told by the runs.

    Args:
        view: the contract.
    """
    if isinstance(view, TrainingSet):
        return {"built_from": table_value(_built_from(view)), **_split_words(view)}
    if not isinstance(view, ModelContract):
        return {}
    metadata: dict[str, Any] = {
        "features": table_value(_features(view)),
        "input_version": view.input_version,
    }
    exposed = view.exposed_model
    if exposed is not None:
        metadata |= {"model_uri": exposed.uri, "model_kind": exposed.kind}
    if view.facts_view is not None:
        metadata["predicts_over"] = view.facts_view.name
    if view.target is not None:
        metadata["ground_truth"] = f"{view.target[0].name}.{view.target[1]}"
    if view.acceptable_metrics:
        from aligned_dagster.quality.evaluation import METRICS

        bounds = view.acceptable_metrics.items()
        metadata["acceptable_metrics"] = ", ".join(METRICS[name].promise(worst) for name, worst in bounds)
    return metadata


def model_run_metadata(
    model: ModelContract[Any],
    frames: Mapping[str, pl.LazyFrame],
    part: PartitionSlice | None,
    *,
    report: bool,
    several: bool = False,
) -> dict[str, Any]:
    """What a run tells of a model contract: the model's version, and how well the features were found.

    Args:
        model: the contract.
        frames: rows of the views that it reads, by name.
        part: the partitions that were predicted; all if not given.
        report: whether it is told how well features were found, for which they are joined once more.
        several: whether the run is about several partitions, each of which records it.

    Raises:
        SourceError: the model or a source cannot be read.
    """
    exposed = model.exposed_model
    metadata: dict[str, Any] = {
        "input_version": model.input_version,
        "features": table_value(_features(model)),
    }
    if exposed is not None:
        metadata |= {"model_version": exposed.version(), "model_uri": exposed.uri}
    if not report:
        return metadata
    from aligned_dagster.contracts.model_inputs import input_rows

    job = input_rows(model, frames, part)
    return metadata if job is None else metadata | report_metadata(job.report(), several)


def training_run_metadata(
    rows: TrainingSet[Any], part: PartitionSlice | None, *, several: bool = False
) -> dict[str, Any]:
    """What a run tells of a training set: the versions it was made from, its parts, and how features were found.

    Args:
        rows: the set, which is stored or computed.
        part: the partitions that were published; all if not given.
        several: whether the run is about several partitions, each of which records it.

    Raises:
        SourceError: its rows cannot be read.
    """
    metadata: dict[str, Any] = {"built_from": table_value(_built_from(rows)), **_split_words(rows)}
    if rows.splits is not None:
        run = "run_" if several else ""
        counted = rows.read(columns=["split"]) if part is None else rows.read(part=part)
        sizes = counted.group_by("split").agg(pl.len()).collect(engine="streaming")
        found = dict(sizes.rows())
        metadata |= {f"{run}rows.{name}": found.get(name, 0) for name in ("train", "validate", "test")}
    if not rows.provenance:
        return metadata
    return metadata | report_metadata(rows.report(part=part), several)


def report_metadata(report: FeaturesReport, several: bool = False) -> dict[str, Any]:
    """How well features were found: a table, and figures that the UI plots over time.

    Args:
        report: of the join.
        several: whether it is of several partitions; the figures would then be taken for those of each.
    """
    run = "run_" if several else ""
    metadata: dict[str, Any] = {
        f"{run}features_report": table_value(pl.DataFrame([_found(found) for found in report.views])),
        f"{run}leaked_rows": report.leaked,
    }
    drawn = ages_picture(report)
    if drawn is not None:
        metadata[f"{run}feature_ages"] = drawn
    if several:
        return metadata
    for found in report.views:
        metadata[f"{found.view}.match_rate"] = float(f"{found.match_rate:.6g}")
        ages = dict(found.ages)
        if 0.5 in ages:
            metadata[f"{found.view}.median_age_hours"] = float(f"{ages[0.5] / _HOUR:.6g}")
    return metadata


def _found(found: ViewFound) -> dict[str, str | int | float]:
    ages = dict(found.ages)
    return {
        "view": found.view,
        "facts": found.facts,
        "matched": found.matched,
        "match rate": f"{found.match_rate:.2%}",
        "leaked": "no times" if found.leaked is None else found.leaked,
        **{
            name: str(ages[at]) if at in ages else ""
            for at, name in ((0.5, "median age"), (0.95, "95 % of ages below"), (1.0, "greatest age"))
        },
    }


def _features(model: ModelContract[Any]) -> pl.DataFrame:
    rows = [
        {
            "view": want.view.name,
            "column": column,
            "feature": name,
            "type": want.view.schema.column(column).dtype.text,
            "found by": ", ".join(
                column if column == entity else f"{entity} = {column}"
                for entity, column in want.entities.items()
            ),
            "greatest age": "" if want.max_age is None else str(want.max_age),
        }
        for want in model.wanted
        for name, column in want.columns.items()
    ]
    return pl.DataFrame(rows)


def _built_from(rows: TrainingSet[Any]) -> pl.DataFrame:
    versions = rows.built_from()
    return pl.DataFrame({"view": list(versions), "schema version": list(versions.values())}, schema=_VERSIONS)


_VERSIONS: dict[str, type[pl.DataType]] = {"view": pl.String, "schema version": pl.String}


def _split_words(rows: TrainingSet[Any]) -> dict[str, Any]:
    told: dict[str, Any] = {} if rows.splits is None else {"split_by": rows.splits.words()}
    return told if rows.target is None else {**told, "target": rows.target}
