"""The check of how old the data are: what it tells, that it blocks nothing, and that it can be run alone."""

from __future__ import annotations

import datetime as dt
from typing import Any

import dagster as dg
import pytest

from aligned_dagster import ContractStore, FileSource, InMemorySource, Int32, feature_view, rule
from aligned_dagster.errors import ContractError
from aligned_dagster.features.durations import in_words
from aligned_dagster.orchestration import build_definitions
from aligned_dagster.orchestration.freshness_checks import freshness_checks, how_often
from aligned_dagster.orchestration.registry import ContractRegistry
from aligned_dagster.orchestration.summary import RunSummary
from aligned_dagster.orchestration.translator import ContractTranslator

CHECK = dg.AssetCheckKey(dg.AssetKey("flight"), "freshness")
NEWEST = dt.datetime(2024, 1, 2, 8, tzinfo=dt.UTC)
DAY = dt.timedelta(days=1)


def alone(defs: dg.Definitions, instance: dg.DagsterInstance) -> Any:
    """The outcome of the check in a run of its own."""
    job = dg.define_asset_job("look", selection=dg.AssetSelection.checks(CHECK))
    resolved = dg.Definitions.merge(defs, dg.Definitions(jobs=[job])).resolve_job_def("look")
    [evaluation] = resolved.execute_in_process(instance=instance).get_asset_check_evaluations()
    return evaluation


def at_moment(store: ContractStore, now: dt.datetime) -> dg.Definitions:
    """The check alone, beside an asset of another's, at a moment that stands still."""
    translator = ContractTranslator()
    registry = ContractRegistry.of(store.views.values(), translator)
    checks = freshness_checks(store.views.values(), registry, translator, lambda: now)
    return dg.Definitions(assets=[dg.AssetSpec("flight")], asset_checks=checks)


@pytest.mark.parametrize(
    ("age", "passed", "severity"),
    [(1, True, "WARN"), (2, False, "WARN"), (4, False, "ERROR")],
)
def test_it_warns_and_then_fails_by_the_age_of_the_rows(airline, run, instance, age, passed, severity):
    store = airline.store(acceptable_freshness=DAY, unacceptable_freshness=3 * DAY)
    run(build_definitions(store))
    found = alone(at_moment(store, NEWEST + age * DAY), instance)
    assert (found.passed, found.severity.value) == (passed, severity)
    told = {name: value.value for name, value in found.metadata.items()}
    assert told == {
        "newest": NEWEST.timestamp(),
        "age_seconds": age * 86_400,
        "measured": "event timestamp",
        "acceptable_seconds": 86_400,
        "unacceptable_seconds": 3 * 86_400,
    }
    assert found.description == (
        f"The newest event timestamp is 2024-01-02 08:00:00 UTC, {in_words(age * DAY)} ago. "
        "Acceptable is an age of up to 1 day, unacceptable is an age of more than 3 days."
    )


def test_old_rows_fail_after_a_run_of_now_and_stop_nothing(airline, run, instance):
    defs = build_definitions(airline.store(unacceptable_freshness=DAY))
    ran = run(defs)
    found = ran.checks("flight")["freshness"]
    assert not found.passed and found.severity == dg.AssetCheckSeverity.ERROR
    assert ran.success and {"flight", "delay"} <= ran.materialized()
    summary = RunSummary()
    for event in ran.result.all_events:
        summary.record(event)
    assert [(check.check, check.blocks) for check in summary.checks] == [("freshness", False)]
    assert not alone(defs, instance).passed

    airline.add_flight(f"4,OSL,{dt.datetime.now(dt.UTC):%Y-%m-%dT%H:%M:%SZ},1,300")
    assert run(defs).checks("flight")["freshness"].passed
    assert alone(defs, instance).passed


def test_nothing_stored_is_a_warning_and_so_is_what_cannot_be_read(airline, instance):
    store = airline.store(unacceptable_freshness=DAY)
    found = alone(at_moment(store, NEWEST), instance)
    assert (found.passed, found.severity.value) == (False, "WARN")
    assert "not known: no row is stored" in found.description and "newest" not in found.metadata
    airline.flights_file.parent.mkdir()
    airline.flights_file.write_text("no parquet")
    found = alone(at_moment(store, NEWEST), instance)
    assert (found.passed, found.severity.value) == (False, "WARN")
    assert found.description.startswith("The age is not known: ") and "flights.parquet" in found.description


def test_a_partition_is_run_and_all_rows_are_measured(airline, run):
    store = airline.store(unacceptable_freshness=DAY, materialize_from=dt.date(2024, 1, 1), every="daily")
    defs = build_definitions(store)
    run(defs, "airport")
    run(defs, "flight", partition="2024-01-02")
    told = run(defs, "flight", partition="2024-01-01").checks("flight")["freshness"].metadata
    assert told["newest"].value == NEWEST.timestamp()


def test_only_what_is_promised_is_checked(airline):
    checks = build_definitions(airline.store()).resolve_asset_graph().asset_check_keys
    assert "freshness" not in {key.name for key in checks}


def test_a_rule_of_the_same_name_is_refused(tmp_path):
    @feature_view(
        source=InMemorySource.from_values({"id": [1]}),
        materialized_source=FileSource.parquet_at(str(tmp_path / "rows.parquet")),
        acceptable_freshness=DAY,
    )
    class Row:
        id = Int32().as_entity()
        freshness = rule(id > 0)

    class Bare(ContractTranslator):
        def get_check_name(self, view, check):
            return check.name.removeprefix("rule__")

    with pytest.raises(ContractError, match="Give the rule another name"):
        build_definitions(ContractStore([Row]), Bare())


class Ticks:
    """What the automation asks for, tick by tick, from the present on: events have the time at which they are recorded."""

    def __init__(self, defs: dg.Definitions, instance: dg.DagsterInstance) -> None:
        self.defs, self.instance = defs, instance
        self.cursor: Any = None

    def after(self, hours: int = 0) -> set[str]:
        """What is asked for now, or so much later."""
        result = dg.evaluate_automation_conditions(
            self.defs,
            self.instance,
            dg.AssetSelection.assets("flight"),  # with its checks
            cursor=self.cursor,
            evaluation_time=dt.datetime.now(dt.UTC) + dt.timedelta(hours=hours),
        )
        self.cursor = result.cursor
        return {one.key.to_user_string() for one in result.results if one.true_subset.size}


def test_it_is_made_after_each_materialisation_and_when_time_has_passed(airline, run, instance):
    defs = build_definitions(airline.store(acceptable_freshness=3 * DAY))
    ticks = Ticks(defs, instance)
    run(defs)
    ticks.after()
    assert ticks.after() == set()

    instance.report_runless_asset_event(dg.AssetMaterialization("flight"))
    assert ticks.after() == {"flight:freshness"}

    run(defs, "flight")  # in which it is made as well
    assert ticks.after() == set()
    assert ticks.after(hours=6) == {"flight:freshness"}


def test_it_runs_with_the_asset_that_the_automation_materialises(airline, run, instance):
    defs = build_definitions(airline.store(acceptable_freshness=3 * DAY, automation="eager"))
    ticks = Ticks(defs, instance)
    run(defs)
    ticks.after()

    run(defs, "airport")

    assert ticks.after() == {"flight", "flight:freshness"}


def test_one_sensor_starts_them_also_where_no_contract_has_an_automation(airline):
    defs = build_definitions(airline.store(acceptable_freshness=DAY))
    [sensor] = [one for one in defs.sensors if one.name == "contracts_automation"]
    assert CHECK in sensor.asset_selection.resolve_checks(defs.resolve_asset_graph())


@pytest.mark.parametrize(
    ("limit", "cron"),
    [
        (dt.timedelta(hours=1), "*/10 * * * *"),
        (dt.timedelta(hours=6), "0 * * * *"),
        (dt.timedelta(days=2), "0 */6 * * *"),
    ],
)
def test_how_often_it_is_made_goes_by_the_limit(airline, limit, cron):
    view = airline.store(acceptable_freshness=limit).view("flight")
    assert how_often(view) == cron


def test_limits_of_seconds_are_checked_and_have_no_policy(airline, run, instance):
    defs = build_definitions(airline.store(acceptable_freshness=dt.timedelta(seconds=30)))
    assert run(defs).success
    node = defs.resolve_asset_graph().get(dg.AssetKey("flight"))
    assert node.freshness_policy is None
    assert not alone(defs, instance).passed
