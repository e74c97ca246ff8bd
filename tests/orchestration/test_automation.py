from __future__ import annotations

import datetime as dt

import dagster as dg
import pytest

from aligned_dagster import ContractStore, FileSource, Int32, feature_view
from aligned_dagster.orchestration import ContractTranslator, TranslatorSettings, build_definitions
from aligned_dagster.orchestration.automation import SENSOR

pytestmark = pytest.mark.filterwarnings(
    "ignore::dagster.BetaWarning"
)  # evaluate_automation_conditions is stable


class Weekdays(dg.AutomationCondition):
    """A condition in a class of the user's own."""

    def evaluate(self, context):
        return dg.AutomationResult(context, context.candidate_subset)


@pytest.fixture
def make(tmp_path):
    (tmp_path / "ids.csv").write_text("id\n1\n", "utf-8")

    def view(name, source=None, stored=True, **options):
        if stored:
            options["materialized_source"] = FileSource.parquet_at(str(tmp_path / f"{name}.parquet"))

        @feature_view(name=name, source=source or FileSource.csv_at(str(tmp_path / "ids.csv")), **options)
        class Ids:
            id = Int32().as_entity()

        return Ids

    return view


def automation_sensor(defs):
    return next((sensor for sensor in defs.sensors if sensor.name == SENSOR), None)


def requested(result) -> set[str]:
    return {key.to_user_string() for key in result._requested_partitions_by_asset_key}


def test_without_automation_there_is_no_sensor(make):
    assert automation_sensor(build_definitions(ContractStore([make("one")]))) is None


def test_one_sensor_is_over_all_that_has_a_condition(make):
    @dg.asset(automation_condition=dg.AutomationCondition.eager())
    def given(): ...

    @dg.asset
    def by_hand(): ...

    spec = dg.AssetSpec("plain")
    translator = ContractTranslator(TranslatorSettings(automation_running=True))
    store = ContractStore([make("one", automation="eager"), make("two")])
    defs = build_definitions(store, translator, assets=[given, by_hand, spec])

    sensor = automation_sensor(defs)
    selected = sensor.asset_selection.resolve(defs.resolve_asset_graph())
    assert {key.to_user_string() for key in selected} == {"one", "given"}
    assert sensor.default_status == dg.DefaultSensorStatus.RUNNING
    names = [found.name for found in defs.get_repository_def().sensor_defs]
    assert "default_automation_condition_sensor" not in names


def test_a_condition_in_a_class_of_the_users_own_is_evaluated_where_its_code_is(make):
    plain = build_definitions(ContractStore([make("one", automation="eager")]))
    own = build_definitions(ContractStore([make("one", automation=Weekdays())]))
    assert automation_sensor(plain).sensor_type.value == "AUTO_MATERIALIZE"
    assert automation_sensor(own).sensor_type.value == "AUTOMATION"


def test_on_cron_runs_at_the_tick_though_the_raw_source_is_as_it_was(make, run, instance):
    defs = build_definitions(ContractStore([make("one", automation="on_cron(0 6 * * *)")]))
    run(defs)
    at = dt.datetime(2024, 1, 10, 5, 0, tzinfo=dt.UTC)
    seen = dg.evaluate_automation_conditions(defs, instance, evaluation_time=at)
    assert requested(seen) == set()
    seen = dg.evaluate_automation_conditions(
        defs, instance, cursor=seen.cursor, evaluation_time=at + dt.timedelta(minutes=59)
    )
    assert requested(seen) == set()
    seen = dg.evaluate_automation_conditions(
        defs, instance, cursor=seen.cursor, evaluation_time=at + dt.timedelta(minutes=61)
    )
    assert requested(seen) == {"one"}


def test_on_cron_is_read_in_the_zone_of_the_contract(make, instance):
    view = make("one", automation="on_cron(0 6 * * *)", time_zone="Europe/Oslo")
    defs = build_definitions(ContractStore([view]))
    at = dt.datetime(2024, 7, 10, 3, 59, tzinfo=dt.UTC)
    seen = dg.evaluate_automation_conditions(defs, instance, evaluation_time=at)
    seen = dg.evaluate_automation_conditions(
        defs, instance, cursor=seen.cursor, evaluation_time=at + dt.timedelta(minutes=2)
    )
    assert requested(seen) == {"one"}


def test_on_cron_waits_for_the_contracts_upstream_through_virtual_ones(make, run, instance):
    up = make("up")
    between = make("between", source=up, stored=False)
    down = make("down", source=between, automation="on_cron(0 6 * * *)")
    defs = build_definitions(ContractStore([up, between, down]))
    run(defs)
    now = dt.datetime.now(dt.UTC)
    six = (now + dt.timedelta(days=1)).replace(hour=6, minute=0, second=0, microsecond=0)
    seen = dg.evaluate_automation_conditions(defs, instance, evaluation_time=six - dt.timedelta(minutes=1))
    seen = dg.evaluate_automation_conditions(
        defs, instance, cursor=seen.cursor, evaluation_time=six + dt.timedelta(minutes=1)
    )
    assert requested(seen) == set()
    run(defs, "up")
    seen = dg.evaluate_automation_conditions(
        defs, instance, cursor=seen.cursor, evaluation_time=six + dt.timedelta(minutes=2)
    )
    assert requested(seen) == {"down"}


def test_eager_contracts_downstream_of_each_other_are_asked_for_at_once(make, run, instance, tmp_path):
    one = make("one", automation="eager")
    two = make("two", source=one, automation="eager")
    three = make("three", source=one)
    defs = build_definitions(ContractStore([one, two, three]))
    run(defs)
    seen = dg.evaluate_automation_conditions(defs, instance)
    (tmp_path / "ids.csv").write_text("id\n1\n2\n", "utf-8")
    run(defs, "raw/ids.csv")
    seen = dg.evaluate_automation_conditions(defs, instance, cursor=seen.cursor)
    assert requested(seen) == {"one", "two"}
