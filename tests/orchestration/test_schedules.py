from __future__ import annotations

import datetime as dt

import dagster as dg
import pytest

from aligned_dagster import ContractStore, EventTimestamp, FileSource, Int32, String, feature_view
from aligned_dagster.orchestration import ContractTranslator, TranslatorSettings, build_definitions

START, END = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"
JANUARY = {"materialize_from": dt.date(2024, 1, 1), "every": "daily"}


@pytest.fixture
def make(tmp_path):
    (tmp_path / "flights.csv").write_text(
        "id,origin,departed\n1,OSL,2024-01-01T08:00:00Z\n2,BGO,2024-01-02T09:00:00Z\n", "utf-8"
    )

    def view(name, source=None, keys=(), stored=True, **options):
        place = str(tmp_path / name)
        if stored:
            options["materialized_source"] = (
                FileSource.partitioned_parquet_at(place, partition_keys=list(keys))
                if keys
                else FileSource.parquet_at(f"{place}.parquet")
            )

        @feature_view(name=name, source=source or FileSource.csv_at(str(tmp_path / "flights.csv")), **options)
        class Flight:
            id = Int32().as_entity()
            departed = EventTimestamp()
            origin = String().accepted_values(["OSL", "BGO"])

        return Flight

    return view


@pytest.fixture
def persistent(tmp_path):
    """An instance whose reference a schedule's context can take."""
    (tmp_path / "home").mkdir()
    with dg.DagsterInstance.local_temp(str(tmp_path / "home")) as made:
        yield made


def build(*views, running=False) -> dg.Definitions:
    translator = ContractTranslator(TranslatorSettings(automation_running=running))
    return build_definitions(ContractStore(list(views)), translator)


def ticked(schedule, instance, moment: str):
    now = dt.datetime.fromisoformat(moment)
    return schedule.evaluate_tick(dg.build_schedule_context(instance, scheduled_execution_time=now))


def jobs(defs) -> dict[str, set[str]]:
    """Name of a schedule's job to the assets that it materialises."""
    repository = defs.get_repository_def()
    return {
        schedule.job_name: {
            key.to_user_string()
            for key in repository.get_job(schedule.job_name).asset_layer.selected_asset_keys
        }
        for schedule in defs.schedules
    }


def test_a_schedule_and_its_job_have_a_name_that_tells_when(make):
    one = make("one", schedule="0 6 * * *")
    two = make("two", schedule="0 6 * * *", time_zone="Europe/Oslo")
    three = make("three", schedule="*/15 * * * *")
    defs = build(one, two, three)

    assert jobs(defs) == {
        "contracts_daily_at_06_00": {"one"},
        "contracts_daily_at_06_00_europe_oslo": {"two"},
        "contracts_every_15_minutes": {"three"},
    }
    assert {schedule.name for schedule in defs.schedules} == jobs(defs).keys()
    zones = {schedule.name: schedule.execution_timezone for schedule in defs.schedules}
    assert zones["contracts_daily_at_06_00_europe_oslo"] == "Europe/Oslo"
    assert zones["contracts_daily_at_06_00"] == "UTC"
    assert defs.get_repository_def().has_job("contracts_every_15_minutes")


@pytest.mark.parametrize(("running", "status"), [(True, "RUNNING"), (False, "STOPPED")])
def test_one_setting_turns_everything_on(make, running, status):
    view = make("one", schedule="0 6 * * *", automation="eager", keys=["origin"])
    defs = build(view, running=running)
    assert [schedule.default_status.value for schedule in defs.schedules] == [status]
    assert {sensor.name: sensor.default_status.value for sensor in defs.sensors} == {
        "contracts_automation": status,
        "observe_sources": status,
        "contracts_discover_partitions": "RUNNING",
    }


def test_contracts_go_in_the_order_of_the_lineage_whole_ones_and_one_kind_of_partitions_in_one_run(
    make, persistent
):
    first = make("zebra", schedule="0 6 * * *")
    between = make("between", source=first, stored=False)
    daily = make("middle", source=between, schedule="0 6 * * *", **JANUARY)
    last = make("ant", source=daily, schedule="0 6 * * *")
    defs = build(last, daily, between, first)

    [schedule] = defs.schedules
    assert jobs(defs) == {"contracts_daily_at_06_00": {"zebra", "middle", "ant"}}
    assert schedule.description.startswith("Materialises zebra, middle, ant, in this order.")
    job = defs.get_repository_def().get_job(schedule.job_name)
    assert job.description == "Materialises zebra, middle, ant, in this order."

    [request] = ticked(schedule, persistent, "2024-01-02T06:00:00+00:00").run_requests
    assert (request.tags[START], request.tags[END]) == ("2024-01-01", "2024-01-01")
    ran = job.execute_in_process(instance=persistent, tags=dict(request.tags))
    assert ran.success
    events = [(e.asset_key.to_user_string(), e.partition) for e in ran.get_asset_materialization_events()]
    assert events == [("zebra", None), ("middle", "2024-01-01"), ("ant", None)]


def test_whole_contracts_run_while_no_window_has_ended(make, persistent):
    later = {**JANUARY, "materialize_from": dt.date(2024, 6, 1)}
    defs = build(make("whole", schedule="0 6 * * *"), make("daily", schedule="0 6 * * *", **later))
    [schedule] = defs.schedules

    [request] = ticked(schedule, persistent, "2024-05-01T06:00:00+00:00").run_requests

    assert request.asset_selection == [dg.AssetKey("whole")]
    assert START not in request.tags


def test_several_kinds_of_partitions_have_jobs_of_their_own_that_say_so(make):
    whole = make("whole", schedule="0 6 * * *")
    daily = make("daily", source=whole, schedule="0 6 * * *", **JANUARY)
    places = make("places", source=daily, keys=["origin"], schedule="0 6 * * *")
    defs = build(whole, daily, places)

    assert jobs(defs) == {
        "contracts_daily_at_06_00": {"whole"},
        "contracts_daily_at_06_00_daily": {"daily"},
        "contracts_daily_at_06_00_by_origin": {"places"},
    }
    told = {schedule.name: schedule.description for schedule in defs.schedules}
    assert (
        "places reads daily, which the job contracts_daily_at_06_00_daily materialises"
        in told["contracts_daily_at_06_00_by_origin"]
    )
    assert "automation='on_cron(0 6 * * *)'" in told["contracts_daily_at_06_00_by_origin"]
    assert "waits for no other" not in told["contracts_daily_at_06_00"]


def test_two_kinds_by_columns_of_one_name_are_told_apart_by_their_first_contract(make):
    one = make("one", keys=["origin"], schedule="@daily")

    @feature_view(
        name="two",
        source=one,
        materialized_source=FileSource.partitioned_parquet_at("two", partition_keys=["origin"]),
        schedule="@daily",
    )
    class Two:
        id = Int32().as_entity()
        origin = String()

    assert jobs(build(one, Two)) == {
        "contracts_daily_by_origin_one": {"one"},
        "contracts_daily_by_origin_two": {"two"},
    }


def test_of_contracts_with_the_same_windows_the_longest_lookback_counts(make, persistent):
    short = make("short", schedule="0 6 * * *", **JANUARY)
    long = make("long", schedule="0 6 * * *", lookback=dt.timedelta(days=2), **JANUARY)
    [schedule] = build(short, long).schedules
    [request] = ticked(schedule, persistent, "2024-01-10T06:00:00+00:00").run_requests
    assert (request.tags[START], request.tags[END]) == ("2024-01-07", "2024-01-09")


@pytest.mark.parametrize(
    ("moment", "window"),
    [
        ("2024-03-31T00:30:00+01:00", "2024-03-30"),
        ("2024-04-01T00:30:00+02:00", "2024-03-31"),  # a day of 23 hours
        ("2024-10-27T00:30:00+02:00", "2024-10-26"),
        ("2024-10-28T00:30:00+01:00", "2024-10-27"),  # a day of 25 hours
    ],
)
def test_the_window_that_just_ended_is_that_of_the_zone_when_the_clock_is_set(
    make, persistent, moment, window
):
    view = make("local", schedule="30 0 * * *", time_zone="Europe/Oslo", **JANUARY)
    [schedule] = build(view).schedules
    [request] = ticked(schedule, persistent, moment).run_requests
    assert (request.tags[START], request.tags[END]) == (window, window)


def test_an_hourly_schedule_takes_each_hour_once_when_an_hour_comes_twice(make, persistent):
    view = make(
        "local", schedule="5 * * * *", time_zone="Europe/Oslo", materialize_from=dt.date(2024, 10, 1), every="hourly"
    )  # fmt: skip
    [schedule] = build(view).schedules
    start = dt.datetime(2024, 10, 26, 22, 5, tzinfo=dt.UTC)
    taken = []
    for hour in range(6):
        moment = (start + dt.timedelta(hours=hour)).isoformat()
        [request] = ticked(schedule, persistent, moment).run_requests
        assert request.tags[START] == request.tags[END]
        taken.append(request.tags[START])
    assert len(set(taken)) == 6, taken


def test_each_minute_at_a_frozen_time(make, persistent):
    [schedule] = build(make("one", schedule="* * * * *")).schedules
    [request] = ticked(schedule, persistent, "2024-01-10T06:07:00+00:00").run_requests
    assert schedule.name == "contracts_every_minute"
    job = build(make("one", schedule="* * * * *")).get_repository_def().get_job(schedule.job_name)
    assert job.execute_in_process(instance=persistent, tags=dict(request.tags)).success
