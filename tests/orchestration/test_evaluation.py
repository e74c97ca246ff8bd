from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import pytest
from sklearn.metrics import roc_auc_score

from aligned_dagster import (
    ContractStore,
    EventTimestamp,
    ExposedModel,
    FileSource,
    Float,
    InMemorySource,
    Int64,
    String,
    feature_view,
    model_contract,
)
from aligned_dagster.errors import ContractError
from aligned_dagster.orchestration import build_definitions

from .model_project import FIRST, daily, records

EVALUATION = dg.AssetCheckKey(dg.AssetKey("delay"), "evaluation")


def alone(defs: dg.Definitions, instance: dg.DagsterInstance) -> Any:
    """The outcome of the check in a run of its own."""
    job = dg.define_asset_job("evaluate", selection=dg.AssetSelection.checks(EVALUATION))
    resolved = dg.Definitions.merge(defs, dg.Definitions(jobs=[job])).resolve_job_def("evaluate")
    result = resolved.execute_in_process(instance=instance)
    [evaluation] = result.get_asset_check_evaluations()
    return evaluation


def test_predictions_are_held_against_what_became_true(flying, run):
    ran = run(build_definitions(flying.store()))
    found = ran.checks("delay")["evaluation"]
    told = found.metadata

    assert found.passed and found.severity == dg.AssetCheckSeverity.WARN
    assert (told["predictions"].value, told["with_ground_truth"].value) == (400, 320)
    stored = pl.read_parquet(flying.root / "stored" / "delay.parquet").sort("flight")
    known = pl.read_parquet(flying.root / "flights.parquet").sort("flight").head(320)
    area = roc_auc_score(known["delayed"].to_list(), stored["chance"].head(320).to_list())
    assert told["roc_auc"].value == pytest.approx(area, rel=1e-5)
    assert told["accuracy"].value == pytest.approx(
        (stored["is_delayed"].head(320) == known["delayed"]).mean()
    )
    assert told["base_rate"].value == pytest.approx(known["delayed"].mean(), rel=1e-5)
    assert sum(row["rows"] for row in records(told["calibration"])) == 320
    matrix = records(told["confusion_matrix"])
    assert [row[""] for row in matrix] == ["actual False", "actual True"]
    assert sum(row["predicted False"] + row["predicted True"] for row in matrix) == 320
    plot = told["calibration_plot"].value
    assert plot.startswith("```text\n") and plot.count("●") >= 8 and "predicted" in plot


def test_a_metric_below_what_is_accepted_warns_and_blocks_nothing(flying, run):
    ran = run(build_definitions(flying.store(acceptable_metrics={"roc_auc": 0.999, "accuracy": 0.5})))
    found = ran.checks("delay")["evaluation"]

    assert ran.success and {"delay", "late_flights"} <= ran.materialized()
    assert not found.passed and found.severity == dg.AssetCheckSeverity.WARN
    assert (
        found.description.startswith("roc_auc is 0.")
        and "accepted is roc_auc of at least 0.999" in found.description
    )


def test_what_is_accepted_does_not_make_predictions_stale(flying):
    views, others = (
        flying.views(acceptable_metrics={"roc_auc": bound}, acceptable_drift=bound) for bound in (0.5, 0.6)
    )
    assert views["delay"].code_version == others["delay"].code_version
    stored = ContractStore.from_json(ContractStore(views.values()).to_json()).models["delay"]
    assert (stored.acceptable_metrics, stored.acceptable_drift) == ({"roc_auc": 0.5}, 0.5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"acceptable_metrics": {"roc_acu": 0.6}}, "Did you mean 'roc_auc'"),
        ({"acceptable_metrics": {"rmse": 3.0}}, "'rmse' is a metric of a regression"),
        ({"acceptable_drift": -1}, "acceptable_drift must be a positive number"),
    ],
)
def test_what_cannot_be_accepted_is_told_at_the_definition(flying, options, message):
    with pytest.raises(ContractError, match=message) as told:
        flying.views(**options)
    assert "model_project.py" in str(told.value)


def test_it_is_evaluated_again_when_more_of_the_truth_is_known(flying, run, instance):
    flying.write(known=0)
    defs = build_definitions(flying.store(exposed_model=guess, acceptable_metrics={"roc_auc": 0.99}))
    first = run(defs).checks("delay")["evaluation"]
    assert first.passed and "none of 400 predictions is known yet" in first.description

    flying.write(known=4)
    run(defs, "flights")
    found = alone(defs, instance)
    assert found.metadata["with_ground_truth"].value == 160 and not found.passed
    flying.write(known=10)
    run(defs, "flights")
    assert alone(defs, instance).metadata["with_ground_truth"].value == 400


def guess(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.select(chance=pl.col("wind") / 40, is_delayed=pl.col("wind") > 20)


def test_a_run_of_a_partition_is_evaluated_by_itself(flying, run, instance):
    defs = build_definitions(daily(flying))
    run(defs, "flights", "delays_to_learn")
    ran = run(defs, "delay", partition="2026-01-02")
    one = ran.checks("delay")["evaluation"].metadata
    assert (one["predictions"].value, one["partitions"].value) == (40, "2026-01-02")

    ran = run(defs, "delay", span=("2026-01-03", "2026-01-09"))
    several = ran.checks("delay")["evaluation"].metadata
    assert (several["predictions"].value, several["with_ground_truth"].value) == (280, 240)
    assert several["partitions"].value == "7 from 2026-01-03 to 2026-01-09"

    found = alone(defs, instance).metadata
    assert (found["predictions"].value, found["partitions"].value) == (320, "all")


def test_without_scikit_learn_it_warns(flying, run, monkeypatch):
    defs = build_definitions(flying.store(exposed_model=guess))
    for name in ("sklearn", "sklearn.metrics"):
        monkeypatch.setitem(sys.modules, name, None)
    ran = run(defs)
    found = ran.checks("delay")["evaluation"]

    assert ran.success and not found.passed and found.severity == dg.AssetCheckSeverity.WARN
    assert "pip install scikit-learn" in found.description


def test_truth_that_cannot_be_read_warns(flying, run):
    defs = build_definitions(flying.store())
    run(defs)
    (flying.root / "stored" / "flights.parquet").unlink()
    job = dg.define_asset_job("evaluate", selection=dg.AssetSelection.checks(EVALUATION))
    ran = (
        dg.Definitions.merge(defs, dg.Definitions(jobs=[job]))
        .resolve_job_def("evaluate")
        .execute_in_process()
    )
    [found] = ran.get_asset_check_evaluations()
    assert ran.success and not found.passed and "flights.parquet" in found.description


def test_numbers_are_held_against_what_became_true(tmp_path: Path, run):
    prices = {"id": list(range(20)), "at": [FIRST] * 20, "rooms": [float(n) for n in range(20)]}
    known = [10.0 * n + (n % 3) for n in range(15)] + [None] * 5

    @feature_view(source=InMemorySource.from_values({**prices, "price": known}))
    class Houses:
        id = Int64().as_entity()
        at = EventTimestamp()
        rooms = Float()
        price = Float().is_optional()

    houses = Houses()

    @model_contract(
        input_features=[houses.rooms],
        exposed_model=ExposedModel.python(lambda rows: rows["rooms"] * 10, version="1"),
        output_source=FileSource.parquet_at(tmp_path / "prices.parquet"),
        acceptable_metrics={"mae": 2.0, "bias": 0.5},
    )
    class Prices:
        id = Int64().as_entity()
        at = EventTimestamp()
        price = houses.price.as_regression_target()

    ran = run(build_definitions(ContractStore([Houses, Prices])))
    found = ran.checks("prices")["evaluation"]
    told = found.metadata
    assert told["mae"].value == 1.0 and told["rmse"].value == pytest.approx(
        (5 / 3) ** 0.5, rel=1e-5
    )  # of 0, 1 and 2
    assert told["bias"].value == -1.0 and told["r2"].value > 0.99
    assert not found.passed and found.description.startswith(
        "bias is -1; accepted is bias no further from 0 than 0.5"
    )
    assert told["calibration_plot"].value.count("●") >= 8 and "confusion_matrix" not in told


def test_a_model_without_truth_is_not_evaluated(flying):
    @model_contract(
        input_features=[flying.views()["weather"]().wind], exposed_model=lambda rows: rows["wind"]
    )
    class Gusts:
        airport = String().as_entity()
        gust = Float()

    checks = build_definitions(ContractStore([Gusts])).resolve_asset_graph().asset_check_keys
    assert {key.name for key in checks if key.asset_key == dg.AssetKey("gusts")} & {
        "evaluation",
        "drift",
    } == set()
