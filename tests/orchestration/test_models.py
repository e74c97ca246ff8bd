from __future__ import annotations

import logging

import dagster as dg
import polars as pl
import pytest
from dagster._core.definitions.data_version import CachingStaleStatusResolver, StaleStatus
from dagster._core.loader import LoadingContextForTest

from aligned_dagster import ExposedModel
from aligned_dagster.errors import UnknownContractError
from aligned_dagster.orchestration import ContractTranslator, build_definitions, model_key
from aligned_dagster.orchestration.registry import ContractRegistry

from .model_project import daily, records

MODEL = "models/delay/delay.joblib"


@pytest.fixture
def stale(instance):
    def names(defs: dg.Definitions) -> set[str]:
        graph = defs.resolve_asset_graph()
        resolver = CachingStaleStatusResolver(instance, graph, LoadingContextForTest(instance))
        keys = graph.materializable_asset_keys
        return {key.to_user_string() for key in keys if resolver.get_status(key) == StaleStatus.STALE}

    return names


def test_a_model_contract_tells_what_it_is_made_of(flying):
    defs = build_definitions(flying.store(acceptable_metrics={"roc_auc": 0.6, "brier": 0.25}))
    spec = defs.resolve_asset_graph().get(dg.AssetKey("delay"))

    assert spec.kinds == {"model", "scikitlearn", "parquet"}
    assert spec.metadata["model_uri"] == str(flying.model_file)
    assert spec.metadata["ground_truth"] == "flights.delayed"
    assert spec.metadata["predicts_over"] == "flights"
    assert spec.metadata["acceptable_metrics"] == "roc_auc of at least 0.6, brier of at most 0.25"
    assert [(row["view"], row["feature"], row["found by"]) for row in records(spec.metadata["features"])] == [
        ("flights", "distance", "flight"),
        ("weather", "wind", "airport = origin"),
    ]


def test_a_missing_model_does_not_keep_the_project_from_loading(flying, run):
    flying.model_file.unlink()
    defs = build_definitions(flying.store())
    ran = run(defs, "flights", "delay", "late_flights")

    assert not ran.success
    assert "flights" in ran.materialized() and "delay" not in ran.materialized()
    assert "delay.joblib" in ran.failure("delay").error.message


def test_a_run_tells_the_model_and_how_well_the_features_were_found(flying, run):
    weather = pl.read_parquet(flying.root / "weather.parquet")
    weather.filter(pl.col("airport") != "TRD").write_parquet(flying.root / "weather.parquet")
    flights = pl.read_parquet(flying.root / "flights.parquet")
    rate = (flights["origin"] != "TRD").mean()
    filled = ExposedModel.python(
        lambda rows: rows.select(chance=rows["wind"].fill_null(0) / 50, is_delayed=False)
    )
    ran = run(build_definitions(flying.store(exposed_model=filled)))
    told = ran.metadata("delay")

    assert ran.success
    assert told["weather.match_rate"] == pytest.approx(rate, rel=1e-5) and told["flights.match_rate"] == 1.0
    assert told["leaked_rows"] == 0 and 0 < told["weather.median_age_hours"] < 1
    assert told["model_version"] == filled.version() and told["input_version"] == "default"
    found = ran.result.asset_materializations_for_node("delay")[-1].metadata["features_report"]
    assert [row["view"] for row in records(found)] == ["flights", "weather"]
    assert records(found)[1]["match rate"] == f"{rate:.2%}"


def test_the_batches_of_a_model_are_in_the_log_of_the_run(flying, run, instance):
    ran = run(build_definitions(flying.store()))
    said = [entry.user_message for entry in instance.all_logs(ran.result.run_id) if entry.step_key == "delay"]

    assert any("400" in line for line in said), said
    assert logging.getLogger("aligned_dagster.models").handlers == []


def test_a_changed_model_file_makes_the_predictions_stale_once_it_is_observed(flying, run, stale):
    defs = build_definitions(flying.store())
    run(defs)
    run(defs, MODEL)
    assert stale(defs) == set()

    flying.train(strength=0.01)
    run(defs, MODEL)
    assert "delay" in stale(defs)

    run(defs, "delay", "late_flights")
    assert stale(defs) == set()


def test_the_version_of_the_predictions_is_also_that_of_the_model(flying, run, instance):
    def version(defs: dg.Definitions) -> str:
        run(defs, "delay")
        event = instance.get_latest_materialization_event(dg.AssetKey("delay"))
        return str(event.asset_materialization.tags["dagster/data_version"])

    defs = build_definitions(flying.store())
    run(defs)
    first = version(defs)
    assert version(defs) == first
    flying.train(strength=0.01)
    assert version(defs) != first

    def one(rows: pl.DataFrame) -> pl.DataFrame:
        return rows.select(chance=rows["wind"] / 40, is_delayed=False)

    named = [
        version(build_definitions(flying.store(exposed_model=ExposedModel.python(one, version=name))))
        for name in ("a", "b")
    ]
    assert len(set(named)) == 2


def test_the_assets_of_a_project_go_through_the_model(flying):
    graph = build_definitions(flying.store()).resolve_asset_graph()
    parents = {
        key.to_user_string(): {parent.to_user_string() for parent in graph.get(key).parent_keys}
        for key in graph.get_all_asset_keys()
    }
    assert parents["delay"] == {"flights", "weather", MODEL}
    assert parents["late_flights"] == {"delay"}
    assert graph.get(dg.AssetKey(MODEL.split("/"))).is_observable
    assert graph.get(dg.AssetKey(MODEL.split("/"))).kinds == {"model", "scikitlearn"}


def test_an_asset_that_trains_takes_the_place_of_the_observed_model(flying, run, stale):
    store = flying.store()

    @dg.asset(key=model_key(store.models["delay"]), deps=["delays_to_learn"])
    def train() -> None:
        flying.train(strength=0.5)

    defs = build_definitions(store, assets=[train])
    graph = defs.resolve_asset_graph()
    node = graph.get(model_key(store.models["delay"]))
    assert node.is_materializable and {key.to_user_string() for key in node.child_keys} == {"delay"}

    assert run(defs).success
    assert stale(defs) == set()
    run(defs, MODEL)
    assert "delay" in stale(defs)


def test_contracts_with_one_model_have_one_asset_for_it(flying):
    one, other = flying.views()["delay"], flying.views("slow")["slow"]
    alone = ContractRegistry.of([one, other], ContractTranslator())
    assert set(alone.model_keys.values()) == {model_key(one)} and list(alone.models) == [model_key(one)]
    trained = ContractRegistry.of([one, other], ContractTranslator(), given=[model_key(other)])
    assert set(trained.model_keys.values()) == {model_key(other)} and not trained.models
    with pytest.raises(UnknownContractError, match="is the model behind delay, slow, which has no rows"):
        alone.view_at(model_key(one))


def test_a_function_is_no_asset_unless_somebody_has_one_for_it(flying):
    def calm(rows: pl.DataFrame) -> pl.DataFrame:
        return rows.select(chance=rows["wind"] / 40, is_delayed=False)

    view = flying.views(exposed_model=calm)["delay"]
    assert not ContractRegistry.of([view], ContractTranslator()).model_keys
    trained = ContractRegistry.of([view], ContractTranslator(), given=[model_key(view)])
    assert trained.model_keys == {"delay": model_key(view)}


def test_partitions_are_predicted_one_by_one(flying, run):
    defs = build_definitions(daily(flying))
    run(defs, "flights", "delays_to_learn")
    ran = run(defs, "delay", partition="2026-01-03")

    assert ran.success, ran.failure("delay")
    told = ran.metadata("delay")
    assert told["features_report"] is not None and told["weather.match_rate"] == 1.0
    report = ran.result.asset_materializations_for_node("delay")[-1].metadata["features_report"]
    assert [row["facts"] for row in records(report)] == [40, 40]
    stored = pl.read_parquet(flying.root / "stored" / "delay.parquet")
    assert stored["flight"].sort().to_list() == list(range(80, 120))


def test_a_run_of_several_partitions_tells_what_is_of_all_of_them(flying, run):
    defs = build_definitions(daily(flying))
    run(defs, "flights", "delays_to_learn")
    ran = run(defs, "delay", span=("2026-01-03", "2026-01-05"))

    assert ran.success, ran.failure("delay")
    told = ran.partitions("delay")["2026-01-04"]
    assert told["run_leaked_rows"] == 0 and "weather.match_rate" not in told


def test_a_training_set_tells_what_it_was_built_from(flying, run):
    store = flying.store()
    ran = run(build_definitions(store))
    told = ran.metadata("delays_to_learn")

    assert (told["rows.train"], told["rows.validate"], told["rows.test"]) == (240, 0, 160)
    assert told["weather.match_rate"] == 1.0 and told["leaked_rows"] == 0 and told["target"] == "delayed"
    built = ran.result.asset_materializations_for_node("delays_to_learn")[-1].metadata["built_from"]
    assert {row["view"]: row["schema version"] for row in records(built)} == {
        name: store.views[name].version for name in ("flights", "weather")
    }
