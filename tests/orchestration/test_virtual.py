from __future__ import annotations

import dagster as dg
import polars as pl

from aligned_dagster import ContractStore, FileSource, Int32, String, feature_view
from aligned_dagster.orchestration import build_definitions


def test_a_contract_that_stores_nothing_is_a_virtual_asset_of_kind_view(airline):
    graph = build_definitions(airline.store()).resolve_asset_graph()

    node = graph.get(dg.AssetKey("delay"))
    assert node.is_virtual
    assert node.kinds == {"polars", "view"}
    assert node.parent_keys == {dg.AssetKey("flight")}
    assert not graph.get(dg.AssetKey("flight")).is_virtual


def test_materialising_it_records_rows_and_checks_and_writes_nothing(airline, run):
    before = sorted(path.name for path in airline.root.iterdir())
    store = ContractStore([_readings(airline, "block")])

    ran = run(build_definitions(store))

    assert ran.success
    assert ran.metadata("reading")["dagster/row_count"] == 3
    assert "dagster/size_bytes" not in ran.metadata("reading")
    assert sorted(path.name for path in airline.root.iterdir()) == before


def test_a_broken_rule_of_a_virtual_contract_blocks_what_is_downstream(airline, run):
    @dg.asset
    def consumer(reading) -> None: ...

    airline.write("airports.csv", "code,name,height\nOSL,Oslo,-1\n")
    ran = run(build_definitions(ContractStore([_readings(airline, "block")]), assets=[consumer]))

    assert not ran.success
    assert ran.checks("reading")["height__lower_bound"].passed is False
    assert ran.materialized() == set()


def test_a_rule_that_warns_lets_it_pass(airline, run):
    airline.write("airports.csv", "code,name,height\nOSL,Oslo,-1\n")
    ran = run(build_definitions(ContractStore([_readings(airline, "warn")])))

    assert ran.success
    assert ran.checks("reading")["height__lower_bound"].passed is False


def test_a_filtered_view_between_two_contracts_keeps_their_order_and_lineage(airline, run):
    flight = airline.store().views["flight"]

    @feature_view(
        source=flight.filter("late", lambda columns: columns.is_late),
        materialized_source=FileSource.parquet_at(str(airline.root / "stored" / "late.parquet")),
    )
    class LateFlight:
        id = Int32().as_entity()
        distance = Int32()

    store = ContractStore([LateFlight, flight, airline.store().views["airport"]])
    defs = build_definitions(store)
    ran = run(defs)

    assert ran.success
    steps = [event.step_key for event in ran.result.all_events if event.event_type_value == "STEP_SUCCESS"]
    assert steps.index("flight") < steps.index("late_flight")
    between = defs.resolve_asset_graph().get(dg.AssetKey("late"))
    assert between.is_virtual
    assert between.parent_keys == {dg.AssetKey("flight")}
    assert between.child_keys == {dg.AssetKey("late_flight")}
    assert pl.read_parquet(airline.root / "stored" / "late.parquet").to_dicts() == [
        {"id": 1, "distance": 300}
    ]


def test_a_stored_contract_outside_the_store_is_read_and_not_defined(airline, run):
    store = airline.store()
    run(build_definitions(store))

    alone = build_definitions(ContractStore([store.views["delay"]]))
    graph = alone.resolve_asset_graph()

    assert graph.get(dg.AssetKey("flight")).is_external
    assert not graph.get(dg.AssetKey("flight")).is_virtual
    assert not graph.observable_asset_keys
    ran = run(alone, "delay")
    assert ran.metadata("delay")["dagster/row_count"] == 3


def _readings(airline, on_violation):
    @feature_view(source=FileSource.csv_at(str(airline.root / "airports.csv")), on_violation=on_violation)
    class Reading:
        code = String().as_entity()
        height = Int32().lower_bound(0)

    return Reading
