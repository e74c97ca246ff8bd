from __future__ import annotations

import dagster as dg
import polars as pl

from aligned_dagster.orchestration import build_definitions


def test_a_run_publishes_every_stored_contract_and_audits_the_virtual_one(airline, run):
    ran = run(build_definitions(airline.store()))

    assert ran.success
    assert ran.materialized() == {"airport", "flight", "delay"}
    stored = pl.read_parquet(airline.flights_file).sort("id")
    assert stored["is_late"].to_list() == [True, False, None]
    assert stored.columns == ["id", "departed", "origin", "delay_minutes", "distance", "is_late"]
    assert not (airline.root / "stored" / "delay.parquet").exists()
    assert all(evaluation.passed for key in ran.materialized() for evaluation in ran.checks(key).values())


def test_a_blocked_publish_leaves_the_old_rows_and_stops_what_is_downstream(airline, run, rows):
    @dg.asset
    def report(flight: pl.LazyFrame) -> int:
        return flight.collect().height

    defs = build_definitions(airline.store(), assets=[report])
    assert run(defs).success
    before = rows(airline.flights_file)
    airline.add_flight("4,OSL,2024-01-03T08:00:00Z,1,-7")

    ran = run(defs)

    assert not ran.success
    assert rows(airline.flights_file) == before
    assert ran.materialized() == {"airport"}
    broken = ran.checks("flight")["distance__lower_bound"]
    assert not broken.passed
    assert broken.blocking
    assert broken.severity == dg.AssetCheckSeverity.ERROR
    assert broken.metadata["broken_rows"].value == 1
    assert broken.metadata["checked_rows"].value == 4
    assert broken.metadata["rule"].value == "distance must be at least 1"
    [row] = broken.metadata["failing_rows"].records
    assert row.data == {
        "id": 4,
        "departed": "2024-01-03 08:00:00+00:00",
        "distance": -7,
        "broken rule": "distance must be at least 1",
    }
    kept = pl.read_parquet(broken.metadata["quarantine"].value)
    assert kept["id"].to_list() == [4]
    failed = ran.failure("flight").user_failure_data
    assert "distance must be at least 1" in failed.description
    assert failed.metadata["blocking_rules"].value == "distance__lower_bound"


def test_a_blocked_check_is_recorded_with_every_check_that_passed(airline, run):
    airline.add_flight("4,OSL,2024-01-03T08:00:00Z,1,-7")
    ran = run(build_definitions(airline.store()))

    outcomes = {name: found.passed for name, found in ran.checks("flight").items()}
    assert outcomes.pop("distance__lower_bound") is False
    assert {"schema", "entity_key", "origin__reference"} <= outcomes.keys()
    assert all(outcomes.values())


def test_a_blocked_run_is_not_tried_again(airline, run, instance):
    airline.add_flight("4,OSL,2024-01-03T08:00:00Z,1,-7")
    ran = run(build_definitions(airline.store()), "flight")

    assert not ran.success
    assert not [event for event in ran.result.all_events if event.event_type_value == "STEP_UP_FOR_RETRY"]


def test_quarantined_rows_are_kept_aside_and_the_others_published(airline, run):
    airline.add_flight("4,OSL,2024-01-03T08:00:00Z,1,-7")
    ran = run(build_definitions(airline.store(on_violation="quarantine")))

    assert ran.success
    assert sorted(pl.read_parquet(airline.flights_file)["id"].to_list()) == [1, 2, 3]
    broken = ran.checks("flight")["distance__lower_bound"]
    assert not broken.passed
    assert not broken.blocking
    assert broken.severity == dg.AssetCheckSeverity.WARN
    assert broken.metadata["quarantined_rows"].value == 1
    kept = pl.read_parquet(broken.metadata["quarantine"].value)
    assert kept["id"].to_list() == [4]
    assert kept["broken_rules"].to_list() == [["distance__lower_bound"]]
    metadata = ran.metadata("flight")
    assert metadata["dagster/row_count"] == 3
    assert metadata["quarantined_rows"] == 1
    header, _, row = metadata["quarantine_preview"].splitlines()
    assert header.startswith("| broken_rules | id | departed | distance |")
    assert row.startswith("| distance__lower_bound | 4 | 2024-01-03 08:00:00+00:00 | -7 |")
    assert metadata["distance.mean"] == 300  # of what is published
    assert "| distance | 0 | 300 | 20 | 280 | 320 |" in metadata["statistics"]


def test_a_warning_is_told_and_published(airline, run):
    airline.write("airports.csv", "code,name,height\nOSL,Oslo,208\nBGO,Bergen,-3\n")
    ran = run(build_definitions(airline.store()), "airport")

    assert ran.success
    low = ran.checks("airport")["height__lower_bound"]
    assert (low.passed, low.blocking, low.severity) == (False, False, dg.AssetCheckSeverity.WARN)
    assert "quarantine" not in low.metadata
    assert pl.read_parquet(airline.root / "stored" / "airports.parquet").height == 2


def test_a_reference_is_checked_against_the_rows_of_the_other_contract(airline, run):
    airline.add_flight("4,XXX,2024-01-03T08:00:00Z,1,7")
    ran = run(build_definitions(airline.store()))

    broken = ran.checks("flight")["origin__reference"]
    assert not broken.passed
    assert broken.metadata["rule"].value == "origin must stand in airport.code"
    assert [record.data["origin"] for record in broken.metadata["failing_rows"].records] == ["XXX"]


def test_a_missing_file_fails_only_what_reads_it_with_the_name_of_the_file(airline, run):
    (airline.root / "flights.csv").unlink()
    ran = run(build_definitions(airline.store()))

    assert not ran.success
    assert ran.materialized() == {"airport"}
    described = ran.failure("observe__raw__flights_csv").user_failure_data.description
    assert str(airline.root / "flights.csv") in described


def test_a_value_that_cannot_be_cast_fails_with_its_column_and_a_sample(airline, run):
    airline.add_flight("4,OSL,2024-01-03T08:00:00Z,1,far")
    ran = run(build_definitions(airline.store()), "airport", "flight")

    described = ran.failure("flight").user_failure_data.description
    assert "distance" in described
    assert "far" in described
    assert "flight" not in ran.materialized()
