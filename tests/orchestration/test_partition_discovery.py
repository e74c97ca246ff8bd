from __future__ import annotations

import datetime as dt

import dagster as dg
import polars as pl
import pytest

from aligned_dagster import ContractStore, EventTimestamp, FileSource, Int32, String, feature_view
from aligned_dagster.contracts.lock import ContractsLock
from aligned_dagster.orchestration import build_definitions
from aligned_dagster.orchestration.discovery import SENSOR

ROWS = pl.DataFrame({"id": [1, 2, 3], "country": ["no", "dk/fo", None], "year": [2024, 2024, 2023]})
FLIGHT = dg.AssetKey("flight")


@pytest.fixture
def look(instance):
    """One tick of the sensor, carried out as the daemon does it."""

    def tick(defs: dg.Definitions) -> dg.SensorResult | dg.SkipReason:
        [sensor] = [one for one in defs.sensors if one.name == SENSOR]
        with dg.build_sensor_context(instance=instance, repository_def=defs.get_repository_def()) as context:
            result = sensor(context)
        if isinstance(result, dg.SensorResult):
            for request in result.dynamic_partitions_requests or ():
                instance.add_dynamic_partitions(request.partitions_def_name, list(request.partition_keys))
            for event in result.asset_events:
                instance.report_runless_asset_event(event)
        return result

    return tick


@pytest.fixture
def make(tmp_path):
    def view(keys, name="flight", source=None, **options):
        ROWS.write_parquet(tmp_path / "flights.parquet")

        @feature_view(
            name=name,
            source=source or FileSource.parquet_at(str(tmp_path / "flights.parquet")),
            materialized_source=FileSource.partitioned_parquet_at(str(tmp_path / name), partition_keys=keys),
            **options,
        )
        class Flight:
            id = Int32().as_entity()
            country = String().is_optional()
            year = Int32()

        return Flight

    view.root = tmp_path
    return view


def write(root, *directories):
    for number, directory in enumerate(directories):
        (root / directory).mkdir(parents=True)
        pl.DataFrame({"id": [number]}, schema={"id": pl.Int32}).write_parquet(root / directory / "a.parquet")


def test_directories_of_others_are_registered_in_order_and_shown_as_materialised(make, look, instance):
    defs = build_definitions(ContractStore([make(["country"])]))
    write(make.root / "flight", "country=no", "country=dk%2Ffo", "country=__HIVE_DEFAULT_PARTITION__")

    look(defs)

    keys = ["__HIVE_DEFAULT_PARTITION__", "dk%2Ffo", "no"]
    assert list(instance.get_dynamic_partitions("flight__country")) == keys
    assert instance.get_materialized_partitions(FLIGHT) == set(keys)
    assert isinstance(look(defs), dg.SkipReason)

    write(make.root / "flight", "country=se")
    result = look(defs)
    assert [event.partition for event in result.asset_events] == ["se"]


def test_what_a_run_of_its_own_wrote_is_not_reported_again(make, look, run, instance):
    defs = build_definitions(ContractStore([make(["country"])]))
    instance.add_dynamic_partitions("flight__country", ["no"])
    assert run(defs, "flight", partition="no").success

    assert isinstance(look(defs), dg.SkipReason)


def test_several_keys_are_one_composite_key(make, look, instance):
    defs = build_definitions(ContractStore([make(["country", "year", "id"])]))
    write(make.root / "flight", "country=a%7Cb/year=2024/id=07")

    look(defs)

    [key] = instance.get_dynamic_partitions("flight__country_year_id")
    assert key == "country=a%7Cb/year=2024/id=7"


def test_partitions_of_a_fixed_set_and_windows_are_shown_as_materialised(make, look, instance):
    @feature_view(
        source=FileSource.parquet_at(str(make.root / "flights.parquet")),
        materialized_source=FileSource.partitioned_parquet_at(
            str(make.root / "grid"), partition_keys=["day", "country"]
        ),
        materialize_from=dt.date(2024, 1, 1),
        materialize_until=dt.date(2024, 3, 1),
        every="monthly",
    )
    class Grid:
        id = Int32().as_entity()
        departed = EventTimestamp()
        country = String().accepted_values(["no", "dk"])
        day = departed.date()

    root = make.root / "grid"
    write(root, "day=2024-01-05/country=no", "day=2024-01-06/country=no", "day=2024-02-01/country=dk")
    write(root, "day=2024-02-01/country=xx", "day=2025-02-01/country=no")  # no partition of this contract

    defs = build_definitions(ContractStore([Grid]))
    look(defs)

    found = instance.get_materialized_partitions(dg.AssetKey("grid"))
    assert found == {"no|2024-01-01", "dk|2024-02-01"}


def test_keys_of_the_contract_upstream_and_of_a_partitioned_source_are_registered(make, look, instance):
    up = make(["country"], name="up")
    down = make(["country"], name="down", source=up)
    raw = FileSource.partitioned_parquet_at(str(make.root / "raw"), partition_keys=["country"])
    direct = make(["country"], name="direct", source=raw)
    write(make.root / "up", "country=no")
    write(make.root / "raw", "country=se")

    look(build_definitions(ContractStore([up, down, direct])))

    assert list(instance.get_dynamic_partitions("down__country")) == ["no"]
    assert list(instance.get_dynamic_partitions("direct__country")) == ["se"]
    assert instance.get_materialized_partitions(dg.AssetKey("down")) == set()


def test_storage_that_cannot_be_listed_is_told_and_the_others_are_looked_at(make, look, instance):
    good, bad = make(["country"], name="good"), make(["country"], name="bad")
    write(make.root / "good", "country=no")
    write(make.root / "bad", "elsewhere")

    look(build_definitions(ContractStore([good, bad])))

    assert instance.get_materialized_partitions(dg.AssetKey("good")) == {"no"}


def test_stored_schema_versions_are_shown_as_materialised(make, look, instance):
    ROWS.write_parquet(make.root / "flights.parquet")
    source = FileSource.parquet_at(str(make.root / "flights.parquet"))
    versions = FileSource.directory(str(make.root)).with_schema_version("towns").parquet_at("towns.parquet")

    @feature_view(name="town", source=source, materialized_source=versions)
    class Before:
        id = Int32().as_entity()

    @feature_view(name="town", source=source, materialized_source=versions)
    class Town:
        id = Int32().as_entity()
        year = Int32()

    (make.root / "towns" / Before.version).mkdir(parents=True)
    ROWS.select("id").write_parquet(make.root / "towns" / Before.version / "towns.parquet")

    look(build_definitions(ContractStore([Town]), lock=ContractsLock().with_contracts([Before])))

    assert instance.get_materialized_partitions(dg.AssetKey("town")) == {Before.version}
