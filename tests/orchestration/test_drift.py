from __future__ import annotations

import dagster as dg

from aligned_dagster import ContractStore
from aligned_dagster.orchestration import ContractTranslator, TranslatorSettings, build_definitions

from .model_project import daily, records


def by_feature(found):
    return {row["feature"]: row for row in records(found.metadata["drift"])}


def test_features_as_in_training_do_not_drift(flying, run):
    found = run(build_definitions(flying.store())).checks("delay")["drift"]

    assert found.passed and found.severity == dg.AssetCheckSeverity.WARN
    told = found.metadata
    assert (told["training_rows"].value, told["compared_rows"].value) == (240, 400)  # those to train on
    assert told["training_set"].value == "delays_to_learn"
    assert set(by_feature(found)) == {"distance", "wind"}
    assert 0 <= told["wind.psi"].value < 0.1 and len(by_feature(found)["wind"]["training"]) == 10


def test_a_feature_that_moved_is_told_and_blocks_nothing(flying, run):
    flying.write(wind=15.0)
    defs = build_definitions(daily(flying))
    run(defs, "flights", "delays_to_learn")
    calm = run(defs, "delay", partition="2026-01-07").checks("delay")["drift"]
    assert calm.passed and calm.metadata["compared_rows"].value == 40

    ran = run(defs, "delay", partition="2026-01-10")
    stormy = ran.checks("delay")["drift"]
    assert ran.success and not stormy.passed and stormy.severity == dg.AssetCheckSeverity.WARN
    assert by_feature(stormy)["wind"]["moved"] == "yes" and by_feature(stormy)["distance"]["moved"] == "no"
    assert "1 moved, by a population stability index of wind (" in stormy.description
    assert stormy.metadata["wind.psi"].value > 0.2


def test_a_contract_says_how_much_is_accepted(flying, run):
    flying.write(wind=15.0)
    found = run(build_definitions(flying.store(acceptable_drift=1.0))).checks("delay")["drift"]
    assert found.passed and found.metadata["acceptable_drift"].value == "1"
    assert found.metadata["wind.psi"].value > 0.2


def test_of_many_rows_every_nth_is_compared(flying, run):
    few = ContractTranslator(TranslatorSettings(max_drift_rows=100))
    found = run(build_definitions(flying.store(), translator=few)).checks("delay")["drift"]
    assert found.metadata["compared_rows"].value == 400
    whole = run(build_definitions(flying.store())).checks("delay")["drift"]
    assert found.metadata["wind.psi"].value != whole.metadata["wind.psi"].value


def test_a_training_set_that_is_not_there_yet_warns(flying, run):
    defs = build_definitions(flying.store())
    run(defs, "flights")
    found = run(defs, "delay").checks("delay")["drift"]
    assert not found.passed and "delays_to_learn" in found.description


def test_every_training_set_of_a_model_has_a_check(flying):
    views = flying.views()
    sets = [flying.learning(views["delay"], name) for name in ("winter", "summer")]
    graph = build_definitions(ContractStore([*views.values(), *sets])).resolve_asset_graph()
    mine = {key.name for key in graph.asset_check_keys if key.asset_key == dg.AssetKey("delay")}
    assert {"drift_winter", "drift_summer", "evaluation"} <= mine and "drift" not in mine


def test_without_a_training_set_there_is_nothing_to_drift_from(flying):
    graph = build_definitions(flying.store(learning=False)).resolve_asset_graph()
    assert dg.AssetCheckKey(dg.AssetKey("delay"), "drift") not in graph.asset_check_keys
