from __future__ import annotations

import os

import dagster as dg

from aligned_dagster import ContractStore, FileSource, Float, Int32, String, feature_view
from aligned_dagster.orchestration import build_definitions


def test_a_raw_source_is_an_external_observable_asset(airline):
    graph = build_definitions(airline.store()).resolve_asset_graph()

    node = graph.get(dg.AssetKey(["raw", "flights.csv"]))
    assert node.is_observable
    assert node.is_external
    assert node.kinds == {"csv", "source"}
    assert node.metadata["dagster/uri"].endswith("flights.csv")
    assert graph.get(dg.AssetKey("flight")).parent_keys == {
        dg.AssetKey(["raw", "flights.csv"]),
        dg.AssetKey("airport"),
    }


def test_its_data_version_is_the_fingerprint_of_the_file(airline, run, instance):
    defs, key = build_definitions(airline.store()), dg.AssetKey(["raw", "airports.csv"])

    def observed():
        assert run(defs, "raw/airports.csv").success
        event = instance.fetch_observations(key, limit=1).records[0].asset_observation
        return event.tags["dagster/data_version"], event.metadata["dagster/size_bytes"].value

    first, size = observed()
    assert observed() == (first, size)
    airline.write("airports.csv", "code,name,height\nOSL,Oslo,208\n")
    second, smaller = observed()
    assert second != first
    assert smaller == os.path.getsize(airline.root / "airports.csv") < size


def test_two_contracts_over_one_file_share_its_asset(airline):
    file = str(airline.root / "airports.csv")

    @feature_view(source=FileSource.csv_at(file))
    class Height:
        code = String().as_entity()
        height = Int32()

    @feature_view(source=FileSource.csv_at(file, mapping_keys={"name": "town"}))
    class Town:
        code = String().as_entity()
        town = String()

    graph = build_definitions(ContractStore([Height, Town])).resolve_asset_graph()

    assert graph.get(dg.AssetKey(["raw", "airports.csv"])).child_keys == {
        dg.AssetKey("height"),
        dg.AssetKey("town"),
    }
    assert len(graph.observable_asset_keys) == 1


def test_two_files_of_one_name_are_two_assets(airline):
    for folder in ("a", "b"):
        (airline.root / folder).mkdir()
        airline.write(f"{folder}/data-1.csv", "id,x\n1,2\n")

    @feature_view(source=FileSource.csv_at(str(airline.root / "a" / "data-1.csv")))
    class One:
        id = Int32().as_entity()
        x = Float()

    @feature_view(source=FileSource.csv_at(str(airline.root / "b" / "data-1.csv")))
    class Two:
        id = Int32().as_entity()
        x = Float()

    graph = build_definitions(ContractStore([One, Two])).resolve_asset_graph()

    assert len(graph.observable_asset_keys) == 2
    assert all(key.path[-1].startswith("data-1.csv_") for key in graph.observable_asset_keys)


def test_a_file_that_another_contract_publishes_is_that_contract(airline):
    @feature_view(source=FileSource.parquet_at(str(airline.flights_file)))
    class Distance:
        id = Int32().as_entity()
        distance = Int32()

    store = airline.store().add(Distance)
    graph = build_definitions(store).resolve_asset_graph()

    assert graph.get(dg.AssetKey("distance")).parent_keys == {dg.AssetKey("flight")}


def test_a_missing_file_fails_the_observation_with_its_name(airline, run):
    (airline.root / "airports.csv").rename(airline.root / "airport.csv")

    ran = run(build_definitions(airline.store()), "raw/airports.csv")

    described = ran.failure("observe__raw__airports_csv").user_failure_data.description
    assert str(airline.root / "airports.csv") in described
    assert "Did you mean" in described
