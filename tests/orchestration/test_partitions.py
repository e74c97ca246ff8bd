from __future__ import annotations

import datetime as dt

import dagster as dg
import polars as pl
import pytest

from aligned_dagster import (
    ContractStore,
    CustomMethodDataSource,
    EventTimestamp,
    FileSource,
    Float,
    Int32,
    String,
    feature_view,
)
from aligned_dagster.orchestration import ContractTranslator, TranslatorSettings, build_definitions, produces

FLIGHTS = """id,origin,country,departed,delay
1,OSL,no,2024-01-01T08:00:00Z,5
2,BGO,no,2024-01-02T09:00:00Z,2
3,OSL,no,2024-01-02T23:30:00Z,
4,CPH,dk,2024-01-03T08:00:00Z,4
"""
DAYS = {
    "materialize_from": dt.date(2024, 1, 1),
    "materialize_until": dt.date(2024, 1, 4),
    "every": "daily",
}


class Recorded:
    """A source that writes down what it is asked for."""

    def __init__(self, path):
        self.path, self.calls = path, []

    def all_data(self, request, limit=None):
        self.calls.append("all")
        return pl.read_csv(self.path, try_parse_dates=True)

    def between(self, request, start, end):
        self.calls.append((start, end))
        rows = pl.read_csv(self.path, try_parse_dates=True)
        return rows.filter(pl.col("departed").is_between(start, end))


@pytest.fixture
def project(tmp_path):
    class Project:
        root = tmp_path
        recorded = Recorded(tmp_path / "flights.csv")

        def write(self, text=FLIGHTS):
            (tmp_path / "flights.csv").write_text(text, "utf-8")

        def view(self, name="flight", keys=(), source=None, accepted=None, **options):
            stored = (
                FileSource.partitioned_parquet_at(str(tmp_path / name), partition_keys=list(keys))
                if keys
                else FileSource.parquet_at(str(tmp_path / f"{name}.parquet"))
            )
            source = source or FileSource.csv_at(str(tmp_path / "flights.csv"))
            delays = options.pop("delays", lambda delay: delay)
            place = String() if accepted is None else String().accepted_values(accepted)

            @feature_view(name=name, source=source, materialized_source=stored, **options)
            class Flight:
                id = Int32().as_entity()
                departed = EventTimestamp()
                origin = place
                country = String()
                delay = delays(Float().is_optional())
                day = departed.date()

            return Flight

        def source(self):
            return CustomMethodDataSource.from_methods(
                all_data=self.recorded.all_data, all_between_dates=self.recorded.between
            )

        def defs(self, *views, **options):
            return build_definitions(ContractStore(list(views)), **options)

        def stored(self, view):
            return sorted(view.read().select("id").collect()["id"].to_list())

    made = Project()
    made.write()
    return made


def definition(defs, key):
    return defs.resolve_asset_graph().get(dg.AssetKey(key)).partitions_def


def test_a_key_with_accepted_values_is_a_static_set(project):
    defs = project.defs(project.view(keys=["origin"], accepted=["OSL", "BGO", "CPH"]))

    assert definition(defs, "flight") == dg.StaticPartitionsDefinition(["OSL", "BGO", "CPH"])
    node = defs.resolve_asset_graph().get(dg.AssetKey("flight"))
    assert node.backfill_policy == dg.BackfillPolicy.single_run()
    assert "contracts_discover_partitions" in [sensor.name for sensor in defs.sensors]


def test_a_key_without_accepted_values_is_a_dynamic_set_named_by_asset_and_column(project):
    defs = project.defs(
        project.view(keys=["origin"]),
        translator=ContractTranslator(TranslatorSettings(key_prefix=("north",))),
    )
    node = defs.resolve_asset_graph().get(dg.AssetKey(["north", "flight"]))
    assert node.partitions_def == dg.DynamicPartitionsDefinition(name="north/flight__origin")


@pytest.mark.parametrize(
    ("every", "keys"),
    [
        ("daily", ["2024-02-27", "2024-02-28", "2024-02-29", "2024-03-01", "2024-03-02"]),
        ("weekly", ["2024-02-26"]),
        ("monthly", ["2024-02-01", "2024-03-01"]),
    ],
)
def test_windows_are_those_of_the_zone_and_weeks_begin_on_monday(project, every, keys):
    view = project.view(
        materialize_from=dt.date(2024, 2, 27),
        materialize_until=dt.date(2024, 3, 3),
        every=every,
        time_zone="Europe/Oslo",
    )
    found = definition(project.defs(view), "flight")

    assert found.get_partition_keys() == keys
    assert found.timezone == "Europe/Oslo"
    assert found.time_window_for_partition_key(keys[0]).start.utcoffset() == dt.timedelta(hours=1)


def test_windows_without_an_end_go_on_to_the_last_one_that_is_over(project):
    view = project.view(materialize_from=dt.date(2024, 1, 1), every="monthly")
    found = definition(project.defs(view), "flight").get_partition_keys()

    assert found[0] == "2024-01-01"
    assert found[-1] < dt.datetime.now(dt.UTC).strftime("%Y-%m-01")


def test_two_dimensions_are_a_grid_and_three_keys_one_set(project):
    grid = project.view("grid", keys=["origin"], accepted=["OSL"], **DAYS)
    deep = project.view("deep", keys=["origin", "country", "day"])
    defs = project.defs(grid, deep)

    found = definition(defs, "grid")
    assert {d.name: type(d.partitions_def) for d in found.partitions_defs} == {
        "departed": dg.DailyPartitionsDefinition,
        "origin": dg.StaticPartitionsDefinition,
    }
    assert definition(defs, "deep") == dg.DynamicPartitionsDefinition(name="deep__origin_country_day")


def test_a_date_that_follows_from_the_window_is_no_dimension_of_its_own(project):
    defs = project.defs(project.view(keys=["day"], **DAYS))
    assert isinstance(definition(defs, "flight"), dg.DailyPartitionsDefinition)


def test_the_translator_may_want_other_partitions_or_none(project, run):
    class Whole(ContractTranslator):
        def get_partitions_def(self, view, scheme):
            return None

    view = project.view(keys=["origin"])
    defs = project.defs(view, translator=Whole())

    assert definition(defs, "flight") is None
    assert "contracts_discover_partitions" not in [sensor.name for sensor in defs.sensors]
    assert run(defs, "flight").success
    assert project.stored(view) == [1, 2, 3, 4]


def test_a_run_of_one_partition_replaces_its_rows_and_leaves_the_others(project, run):
    view = project.view(keys=["origin"], accepted=["OSL", "BGO", "CPH"])
    defs = project.defs(view)
    assert run(defs, "flight", span=("OSL", "CPH")).success
    project.write(FLIGHTS.replace("1,OSL", "11,OSL").replace("4,CPH", "14,CPH"))

    ran = run(defs, "flight", partition="OSL")

    assert ran.success
    assert project.stored(view) == [2, 3, 4, 11]
    assert ran.partitions("flight")["OSL"]["dagster/partition_row_count"] == 2
    told = ran.partitions("flight")["OSL"]
    assert told["dagster/row_count"] == 4
    assert told["delay.mean"] == 5
    assert "preview" in told
    assert ran.checks("flight")["schema"].passed


def test_a_backfill_of_windows_is_one_request_and_one_publish(project, run):
    view = project.view(source=project.source(), **DAYS)
    ran = run(project.defs(view), "flight", span=("2024-01-01", "2024-01-03"))

    assert ran.success
    [(start, end)] = project.recorded.calls
    assert start == dt.datetime(2024, 1, 1, tzinfo=dt.UTC)
    assert end == dt.datetime(2024, 1, 3, 23, 59, 59, 999_999, tzinfo=dt.UTC)
    found = ran.partitions("flight")
    assert {key: one["dagster/partition_row_count"] for key, one in found.items()} == {
        "2024-01-01": 1,
        "2024-01-02": 2,
        "2024-01-03": 1,
    }
    assert all("dagster/column_schema" in one and "delay.mean" not in one for one in found.values())
    run_wide = {"preview", "audit", "statistics", "dagster/size_bytes"}
    assert all(not run_wide & one.keys() for one in found.values())
    assert all(
        (one["run_partitions"], one["run_row_count"], one["dagster/row_count"]) == (3, 4, 4)
        and {"run_preview", "run_audit", "run_statistics", "table_size_bytes"} <= one.keys()
        for one in found.values()
    )
    assert {str(e.step_materialization_data.materialization.partition) for e in _events(ran)} == set(found)


def _events(ran):
    return ran.result.get_asset_materialization_events()


def test_a_window_is_the_day_of_its_zone_also_when_the_clock_changes(project, run):
    project.write(
        "id,origin,country,departed,delay\n"
        "1,OSL,no,2024-03-30T22:59:59Z,1\n"  # the last second of the 30th
        "2,OSL,no,2024-03-30T23:00:00Z,1\n"  # the 31st begins in winter time
        "3,OSL,no,2024-03-31T21:59:59Z,1\n"  # and ends after 23 hours
        "4,OSL,no,2024-03-31T22:00:00Z,1\n"
    )
    view = project.view(
        source=project.source(), materialize_from=dt.date(2024, 3, 1), every="daily", time_zone="Europe/Oslo"
    )
    assert run(project.defs(view), "flight", partition="2024-03-31").success
    assert project.stored(view) == [2, 3]


def test_the_hour_that_comes_twice_is_two_windows(project, run):
    project.write(
        "id,origin,country,departed,delay\n"
        "1,OSL,no,2024-10-27T00:30:00Z,1\n"
        "2,OSL,no,2024-10-27T01:30:00Z,1\n"
        "3,OSL,no,2024-10-27T02:30:00Z,1\n"
    )
    view = project.view(materialize_from=dt.date(2024, 10, 27), every="hourly", time_zone="Europe/Oslo")
    defs = project.defs(view)
    ran = run(defs, "flight", span=("2024-10-27-02:00", "2024-10-27-03:00"))

    found = ran.partitions("flight")
    assert {key: one["dagster/partition_row_count"] for key, one in found.items()} == {
        "2024-10-27-02:00": 1,
        "2024-10-27-02:00+0100": 1,
        "2024-10-27-03:00": 1,
    }
    assert run(defs, "flight", partition="2024-10-27-02:00+0100").success
    assert project.stored(view) == [1, 2, 3]


def test_a_grid_is_run_by_rectangles(project, run):
    view = project.view(keys=["origin"], accepted=["OSL", "BGO", "CPH"], **DAYS)
    defs = project.defs(view)
    ran = run(defs, "flight", span=("2024-01-01|OSL", "2024-01-02|BGO"))

    assert {key: one["dagster/partition_row_count"] for key, one in ran.partitions("flight").items()} == {
        "2024-01-01|BGO": 0,
        "2024-01-01|OSL": 1,
        "2024-01-02|BGO": 1,
        "2024-01-02|OSL": 1,
    }
    assert project.stored(view) == [1, 2, 3]
    assert run(defs, "flight", partition="2024-01-03|CPH").success
    assert project.stored(view) == [1, 2, 3, 4]


def test_aggregates_of_a_backfill_are_those_of_each_window(project, run):
    @feature_view(
        source=FileSource.csv_at(str(project.root / "flights.csv")),
        materialized_source=FileSource.parquet_at(str(project.root / "daily.parquet")),
        **DAYS,
    )
    class Daily:
        country = String().as_entity()
        departed = EventTimestamp()
        id = Int32()

        flights = id.aggregate().count()

    defs = project.defs(Daily)
    assert run(defs, "daily", span=("2024-01-01", "2024-01-03")).success
    together = Daily.read().select("country", "departed", "flights").collect().sort("departed")
    assert together["flights"].to_list() == [1, 2, 1]

    for day in ("2024-01-01", "2024-01-02", "2024-01-03"):
        assert run(defs, "daily", partition=day).success
    one_by_one = Daily.read().select("country", "departed", "flights").collect().sort("departed")
    assert one_by_one.equals(together)


def test_every_partition_of_a_run_has_its_own_outcome_of_each_check(project, run):
    delays = lambda delay: (  # noqa: E731  # shorter than a def
        delay.upper_bound(4, on_violation="quarantine").lower_bound(3, on_violation="warn")
    )
    view = project.view(keys=["origin"], accepted=["OSL", "BGO", "CPH"], delays=delays)
    ran = run(project.defs(view), "flight", span=("OSL", "CPH"))

    assert ran.success
    over = ran.checks("flight")["delay__upper_bound"]
    assert (over.passed, over.metadata["broken_rows"].value) == (False, 1)
    assert (over.metadata["broken_partitions"].value, over.metadata["checked_partitions"].value) == (1, 3)
    assert ran.broken_partitions("flight", "delay__upper_bound") == {"OSL": "OSL: 1 of 2 rows break it"}
    assert ran.broken_partitions("flight", "delay__lower_bound") == {"BGO": "BGO: 1 of 1 rows break it"}
    assert ran.broken_partitions("flight", "schema") == {}
    assert ran.checks("flight")["schema"].passed
    found = ran.partitions("flight")
    assert {key: one["checks_failed"] for key, one in found.items()} == {"BGO": 1, "CPH": 0, "OSL": 1}
    assert found["OSL"]["dagster/partition_row_count"] == found["OSL"]["quarantined_rows"] == 1
    assert "OSL: 1 of 2 rows break it" in found["OSL"]["failed_checks"]
    assert "quarantined_rows" not in found["BGO"]
    assert found["BGO"]["run_quarantined_rows"] == 1


@pytest.mark.parametrize("blocks", [False, True])
def test_the_latest_outcome_of_a_check_is_the_one_over_all_partitions(project, run, instance, blocks):
    delays = lambda delay: delay.lower_bound(3, on_violation="block" if blocks else "warn")  # noqa: E731  # shorter than a def
    view = project.view(keys=["origin"], accepted=["OSL", "BGO", "CPH"], delays=delays)
    ran = run(project.defs(view), "flight", span=("OSL", "CPH"))

    assert ran.success is not blocks
    key = dg.AssetCheckKey(dg.AssetKey("flight"), "delay__lower_bound")
    record = instance.event_log_storage.get_latest_asset_check_execution_by_key([key])[key]
    assert record.status.value == "FAILED"
    assert record.partition is None
    told = record.event.dagster_event.asset_check_evaluation_data
    assert told.description == "delay must be at least 3: 1 of 4 rows break it."


def test_a_range_of_one_partition_is_a_run_of_it(project, run):
    view = project.view(keys=["origin"], accepted=["OSL", "BGO", "CPH"])
    ran = run(project.defs(view), "flight", span=("BGO", "BGO"))

    assert {key: one["dagster/partition_row_count"] for key, one in ran.partitions("flight").items()} == {
        "BGO": 1
    }
    assert "delay.mean" in ran.partitions("flight")["BGO"]


def test_a_broken_partition_blocks_the_run_and_is_named(project, run):
    view = project.view(
        keys=["origin"], accepted=["OSL", "BGO", "CPH"], delays=lambda delay: delay.upper_bound(4)
    )
    defs = project.defs(view)
    ran = run(defs, "flight", span=("OSL", "CPH"))

    assert not ran.success
    assert ran.partitions("flight") == {}
    assert ran.checks("flight")["delay__upper_bound"].blocking
    assert ran.broken_partitions("flight", "delay__upper_bound") == {"OSL": "OSL: 1 row breaks it"}
    assert run(defs, "flight", span=("BGO", "CPH")).success
    assert project.stored(view) == [2, 4]


def test_of_many_broken_partitions_those_with_most_broken_rows_are_named(project, run):
    view = project.view(
        keys=["origin"],
        accepted=["OSL", "BGO", "CPH"],
        delays=lambda delay: delay.upper_bound(0, on_violation="warn"),
    )
    project.write(FLIGHTS.replace(",\n", ",7\n"))
    few = ContractTranslator(TranslatorSettings(max_broken_partitions=1))
    ran = run(project.defs(view, translator=few), "flight", span=("OSL", "CPH"))

    assert ran.broken_partitions("flight", "delay__upper_bound") == {"OSL": "OSL: 2 of 2 rows break it"}
    assert ran.checks("flight")["delay__upper_bound"].metadata["broken_partitions"].value == 3


def test_a_run_that_names_no_partition_says_what_to_do(project, run):
    ran = run(project.defs(project.view(keys=["origin"], accepted=["OSL"])), "flight")

    assert not ran.success
    assert "names none" in ran.failure("flight").user_failure_data.description


def test_a_range_that_ends_before_it_starts_says_so(project, run):
    view = project.view(keys=["origin"], accepted=["OSL", "BGO"], **DAYS)
    ran = run(project.defs(view), "flight", span=("2024-01-02|OSL", "2024-01-01|BGO"))

    assert "is the end before the start?" in ran.failure("flight").user_failure_data.description


def test_strange_values_are_partitions_that_read_back_equal(project, run, instance):
    strange = ["../../evil", "a/b", "a|b", ".", "...", "a=b", "[x, y]", "æ", "x" * 300]
    rows = "".join(f'{n},"{text}",no,2024-01-01T08:00:00Z,1\n' for n, text in enumerate(strange))
    project.write("id,origin,country,departed,delay\n" + rows)
    view = project.view(keys=["origin"], accepted=strange)
    defs = project.defs(view)
    keys = definition(defs, "flight").get_partition_keys()
    assert len(keys) == len(strange)

    assert run(defs, "flight", span=(keys[0], keys[-1])).success
    assert run(defs, "flight", partition=keys[0]).success
    assert view.read().select("id", "origin").collect().sort("id")["origin"].to_list() == strange
    assert instance.get_materialized_partitions(dg.AssetKey("flight")) == set(keys)
    assert not (project.root.parent / "evil").exists()


def test_a_function_that_produces_a_contract_gives_the_rows_of_its_partitions(project, run):
    view = project.view(keys=["origin"], accepted=["OSL", "BGO", "CPH"])
    raw = project.view("raw_flight", keys=["origin"], accepted=["OSL", "BGO", "CPH"])
    seen = []

    @produces(view, ins={"rows": raw})
    def flight(context: dg.AssetExecutionContext, rows: pl.DataFrame) -> pl.DataFrame:
        seen.append(sorted(rows["id"].to_list()))
        return rows if context.partition_key != "CPH" else rows.with_columns(origin=pl.lit("OSL"))

    defs = build_definitions(ContractStore([raw]), assets=[flight])
    run(defs, "raw_flight", span=("OSL", "CPH"))

    assert run(defs, "flight", partition="OSL").success
    assert seen == [[1, 3]]
    assert project.stored(view) == [1, 3]
    refused = run(defs, "flight", partition="CPH")
    assert "origin" in refused.failure("flight").user_failure_data.description
    assert project.stored(view) == [1, 3]


def test_the_partitions_of_a_contract_are_not_named_twice(project):
    view = project.view(keys=["origin"])

    with pytest.raises(Exception, match="Leave partitions_def away"):

        @produces(view, partitions_def=dg.StaticPartitionsDefinition(["a"]))
        def flight() -> pl.DataFrame:
            return pl.DataFrame()


def test_definitions_load_without_an_instance_and_without_touching_storage(project):
    view = project.view(keys=["origin"], source=project.source())
    dg.Definitions.validate_loadable(project.defs(view))
    assert project.recorded.calls == []
    assert not (project.root / "flight").exists()
