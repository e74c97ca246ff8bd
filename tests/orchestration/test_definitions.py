from __future__ import annotations

import dagster as dg
import pytest

from aligned_dagster import ContractStore, FileSource, Int32, String, feature_view
from aligned_dagster.errors import ContractError, DuplicateNameError
from aligned_dagster.orchestration import ContractTranslator, TranslatorSettings, build_definitions


@pytest.fixture
def town(airline):
    def make(name="town", **options):
        @feature_view(name=name, source=FileSource.csv_at(str(airline.root / "airports.csv")), **options)
        class Town:
            code = String().as_entity()
            height = Int32()

        return Town

    return make


def test_the_definitions_load_with_one_asset_a_contract_and_one_a_raw_source(airline):
    defs = build_definitions(airline.store())
    dg.Definitions.validate_loadable(defs)

    keys = {key.to_user_string() for key in defs.resolve_asset_graph().get_all_asset_keys()}
    assert keys == {"airport", "flight", "delay", "raw/airports.csv", "raw/flights.csv"}


def test_every_decision_of_the_translator_can_be_overridden(airline):
    class Ours(ContractTranslator):
        def get_asset_key(self, view):
            return dg.AssetKey(["north", view.name])

        def get_group_name(self, view):
            return "north"

        def get_tags(self, view):
            return {"layer": "gold"}

        def get_kinds(self, view):
            return {"polars", "gold"}

        def get_owners(self, view):
            return ["team:north"]

        def get_metadata(self, view):
            return {"cost": 3}

        def get_io_manager_key(self, view):
            return f"io_{view.name}"

        def get_description(self, view):
            return view.name.upper()

        def get_check_name(self, view, check):
            return f"rule_{check.name}"

        def get_code_version(self, view):
            return "7"

        def get_automation_condition(self, view):
            return dg.AutomationCondition.on_missing()

        def get_freshness_policy(self, view):
            return None

        def get_source_key(self, source):
            return dg.AssetKey(["lake", source.uri.rsplit("/", 1)[-1].removesuffix(".csv")])

        def get_source_group_name(self, source):
            return "lake"

        def get_source_kinds(self, source):
            return {"file"}

    defs = build_definitions(airline.store(), Ours())
    graph = defs.resolve_asset_graph()
    node = graph.get(dg.AssetKey(["north", "flight"]))

    assert (node.group_name, node.owners, node.kinds) == ("north", ["team:north"], {"polars", "gold"})
    assert (node.tags["layer"], node.metadata["cost"], node.description) == ("gold", 3, "FLIGHT")
    assert node.code_version == "7"
    assert node.automation_condition == dg.AutomationCondition.on_missing()
    assert {key.name for key in node.check_keys} >= {"rule_schema", "rule_distance__lower_bound"}
    assert node.parent_keys == {dg.AssetKey(["north", "airport"]), dg.AssetKey(["lake", "flights"])}
    raw = graph.get(dg.AssetKey(["lake", "flights"]))
    assert (raw.group_name, raw.kinds) == ("lake", {"file"})
    assert {"io_airport", "io_flight", "io_delay"} <= defs.resources.keys()
    assert defs.resolve_implicit_global_asset_job_def().execute_in_process().success


def test_settings_cover_the_common_changes(airline):
    translator = ContractTranslator(
        TranslatorSettings(
            key_prefix=("no",), source_prefix=("lake", "in"), group_name="g", definition_lineage=False
        )
    )
    graph = build_definitions(airline.store(), translator).resolve_asset_graph()

    node = graph.get(dg.AssetKey(["no", "airport"]))
    assert node.group_name == "g"
    assert node.parent_keys == {dg.AssetKey(["lake", "in", "airports.csv"])}
    assert "dagster/column_lineage" not in node.metadata


def test_two_contracts_with_one_asset_key_are_an_error_that_names_both_places(airline):
    class Same(ContractTranslator):
        def get_asset_key(self, view):
            return dg.AssetKey("same")

    with pytest.raises(
        DuplicateNameError, match=r"airport.*conftest\.py:\d+.*flight.*conftest\.py:\d+"
    ) as caught:
        build_definitions(airline.store(), Same())
    assert "get_asset_key" in str(caught.value)


def test_one_schedule_for_each_cron_expression_stopped_at_first(town):
    store = ContractStore(
        [
            town("one", schedule="0 6 * * *"),
            town("two", schedule="0  6 * * *"),
            town("three", schedule="@daily"),
        ]
    )
    defs = build_definitions(store)

    found = {s.cron_schedule: s for s in defs.schedules}
    assert set(found) == {"0 6 * * *", "@daily"}
    morning = found["0 6 * * *"]
    assert morning.default_status == dg.DefaultScheduleStatus.STOPPED
    job = defs.get_repository_def().get_job(morning.job_name)
    assert {key.to_user_string() for key in job.asset_layer.selected_asset_keys} == {"one", "two"}


@pytest.mark.parametrize("option", [{"schedule": "six o'clock"}, {"automation": "on_cron(99 6 * * *)"}])
def test_a_wrong_cron_expression_is_an_error_with_the_place_of_the_contract(town, option):
    with pytest.raises(ContractError, match=r"'town'.*five fields.*test_definitions\.py:\d+"):
        build_definitions(ContractStore([town(**option)]))


def test_an_unknown_automation_names_those_that_are_known(town):
    with pytest.raises(ContractError, match=r"'sometimes'.*'eager', 'on_missing' or 'on_cron"):
        build_definitions(ContractStore([town(automation="sometimes")]))


@pytest.mark.parametrize("automation", ["on_missing", "on_cron(0 6 * * *)", dg.AutomationCondition.eager()])
def test_other_automations_are_accepted(town, automation):
    node = (
        build_definitions(ContractStore([town(automation=automation)]))
        .resolve_asset_graph()
        .get(dg.AssetKey("town"))
    )
    assert node.automation_condition is not None


@pytest.mark.filterwarnings("ignore::dagster.BetaWarning")  # dg.evaluate_automation_conditions is stable
def test_eager_follows_an_update_upstream_and_waits_for_blocking_checks(airline, run, instance):
    defs = build_definitions(airline.store(automation="eager"))
    run(defs)
    wanted = dg.evaluate_automation_conditions(defs, instance)
    assert wanted.total_requested == 0

    run(defs, "airport")
    wanted = dg.evaluate_automation_conditions(defs, instance, cursor=wanted.cursor)
    assert wanted.get_num_requested(dg.AssetKey("flight")) == 1

    airline.write("airports.csv", "code,name,height\nOSL,Oslo,208\nOSL,Oslo,208\n")
    assert not run(defs, "airport").success
    run(defs, "raw/flights.csv")
    airline.add_flight("4,OSL,2024-01-03T08:00:00Z,1,7")
    run(defs, "raw/flights.csv")
    wanted = dg.evaluate_automation_conditions(defs, instance, cursor=wanted.cursor)
    assert wanted.get_num_requested(dg.AssetKey("flight")) == 0
