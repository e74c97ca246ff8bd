from __future__ import annotations

import datetime as dt

import dagster as dg
import pytest

from aligned_dagster import ContractStore, EventTimestamp, FileSource, Int32, String, feature_view
from aligned_dagster.orchestration import build_definitions
from aligned_dagster.orchestration.partition_ranges import partitions_to_refresh
from aligned_dagster.orchestration.registry import ContractRegistry
from aligned_dagster.orchestration.translator import ContractTranslator

START, END = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"


@pytest.fixture
def make(tmp_path):
    (tmp_path / "flights.csv").write_text(
        "id,origin,departed\n1,OSL,2024-01-01T08:00:00Z\n2,BGO,2024-01-02T09:00:00Z\n", "utf-8"
    )

    def view(name="flight", keys=(), places=("OSL", "BGO"), source=None, **options):
        stored = (
            FileSource.partitioned_parquet_at(str(tmp_path / name), partition_keys=list(keys))
            if keys
            else FileSource.parquet_at(str(tmp_path / f"{name}.parquet"))
        )
        place = String().accepted_values(places) if places else String()

        @feature_view(
            name=name,
            source=source or FileSource.csv_at(str(tmp_path / "flights.csv")),
            materialized_source=stored,
            **options,
        )
        class Flight:
            id = Int32().as_entity().lower_bound(0)
            departed = EventTimestamp()
            origin = place

        return Flight

    return view


def at(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC)


def daily(make, **options):
    return make(materialize_from=dt.date(2024, 1, 1), every="daily", **options)


@pytest.mark.parametrize(
    ("lookback", "since", "now", "expected"),
    [
        (None, "2024-01-09 06:00", "2024-01-10 06:00", ["2024-01-09"]),
        (None, "2024-01-07 06:00", "2024-01-10 06:00", ["2024-01-07", "2024-01-08", "2024-01-09"]),
        (None, "2024-01-10 06:00", "2024-01-10 07:00", []),
        (
            dt.timedelta(days=2),
            "2024-01-10 06:00",
            "2024-01-10 07:00",
            ["2024-01-08", "2024-01-09"],
        ),
        (dt.timedelta(days=99), "2024-01-02 06:00", "2024-01-03 06:00", ["2024-01-01", "2024-01-02"]),
    ],
)
def test_windows_are_refreshed_that_ended_or_that_rows_may_still_fall_into(
    make, lookback, since, now, expected
):
    view = daily(make, lookback=lookback)
    partitions = ContractRegistry.of([view], ContractTranslator()).partitions["flight"]
    assert partitions_to_refresh(partitions, since=at(since), now=at(now)) == expected


@pytest.fixture
def persistent(tmp_path):
    """An instance whose reference a schedule's context can take."""
    (tmp_path / "home").mkdir()
    with dg.DagsterInstance.local_temp(str(tmp_path / "home")) as made:
        yield made


def tick(defs, persistent, now):
    [schedule] = defs.schedules
    context = dg.build_schedule_context(persistent, scheduled_execution_time=at(now))
    return schedule, schedule.evaluate_tick(context)


def test_a_schedule_of_windows_materialises_those_within_lookback_in_one_run(make, persistent):
    view = daily(make, lookback=dt.timedelta(days=1), schedule="0 6 * * *", time_zone="Europe/Oslo")
    defs = build_definitions(ContractStore([view]))

    schedule, ticked = tick(defs, persistent, "2024-01-10 05:00")

    [request] = ticked.run_requests
    assert (request.tags[START], request.tags[END]) == ("2024-01-08", "2024-01-09")
    assert schedule.execution_timezone == "Europe/Oslo"
    job = defs.get_repository_def().get_job(schedule.job_name)
    assert job.execute_in_process(instance=persistent, tags=dict(request.tags)).success
    assert persistent.get_materialized_partitions(dg.AssetKey("flight")) == {"2024-01-08", "2024-01-09"}


def test_a_schedule_that_has_nothing_to_do_says_so(make, persistent):
    defs = build_definitions(ContractStore([daily(make, schedule="0 * * * *")]))
    _, ticked = tick(defs, persistent, "2024-01-10 05:00")
    assert ticked.run_requests == []
    assert "No window" in ticked.skip_message


def test_a_schedule_of_a_grid_takes_all_keys_of_the_windows(make, persistent):
    defs = build_definitions(ContractStore([daily(make, keys=["origin"], schedule="0 6 * * *")]))
    _, ticked = tick(defs, persistent, "2024-01-10 06:00")
    [request] = ticked.run_requests
    assert (request.tags[START], request.tags[END]) == ("2024-01-09|OSL", "2024-01-09|BGO")


def test_contracts_with_other_partitions_have_schedules_of_their_own(make, instance):
    whole = make("whole", schedule="0 6 * * *")
    again = make("again", schedule="0 6 * * *")
    places = make("places", keys=["origin"], schedule="0 6 * * *")
    grows = make("grows", keys=["origin"], places=None, schedule="0 6 * * *")
    defs = build_definitions(ContractStore([whole, again, places, grows]))

    jobs = {
        schedule.name: {
            key.to_user_string()
            for key in defs.get_repository_def().get_job(schedule.job_name).asset_layer.selected_asset_keys
        }
        for schedule in defs.schedules
    }
    assert sorted(map(sorted, jobs.values())) == [["again", "whole"], ["grows"], ["places"]]
    assert all(s.default_status == dg.DefaultScheduleStatus.STOPPED for s in defs.schedules)


@pytest.mark.filterwarnings("ignore::dagster.BetaWarning")  # dg.evaluate_automation_conditions is stable
def test_eager_follows_partition_by_partition(make, run, instance):
    up = make("up", keys=["origin"])
    down = make("down", keys=["origin"], source=up, automation="eager")
    defs = build_definitions(ContractStore([up, down]))
    assert run(defs, "up", span=("OSL", "BGO")).success
    assert run(defs, "down", span=("OSL", "BGO")).success
    seen = dg.evaluate_automation_conditions(defs, instance)

    assert run(defs, "up", partition="OSL").success
    seen = dg.evaluate_automation_conditions(defs, instance, cursor=seen.cursor)

    assert seen.get_requested_partitions(dg.AssetKey("down")) == {"OSL"}


def test_the_version_of_what_reads_partitions_changes_with_any_of_them(make, run, instance, tmp_path):
    up = make("up", keys=["origin"])
    down = make("down", source=up)
    defs = build_definitions(ContractStore([up, down]))

    def version() -> str:
        event = instance.get_latest_materialization_event(dg.AssetKey("down"))
        return event.asset_materialization.tags["dagster/data_version"]

    run(defs, "up", span=("OSL", "BGO"))
    run(defs, "down")
    first = version()
    run(defs, "up", partition="BGO")
    run(defs, "down")
    assert version() == first

    with (tmp_path / "flights.csv").open("a") as file:
        file.write("3,OSL,2024-01-03T08:00:00Z\n")
    run(defs, "up", partition="OSL")
    run(defs, "down")
    second = version()
    run(defs, "up", partition="BGO")
    run(defs, "down")
    assert len({first, second, version()}) == 3
