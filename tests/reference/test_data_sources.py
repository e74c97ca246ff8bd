"""Every snippet of the contract language's documentation that needs no server, with its ellipses filled in.

The snippets stand as they are printed there; only the import root differs, and data is put where they look for it.
"""

from __future__ import annotations

import gzip
import os
import re
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest

from aligned_dagster import (
    ContractStore,
    EventTimestamp,
    Float,
    Int32,
    Int64,
    String,
    Timestamp,
    feature_view,
)
from aligned_dagster.request.retrieval_request import RetrievalRequest

TAXI = "ID;Duration\n007;12.5\n8;3\n"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path) -> Iterator[Path]:
    before = os.getcwd()
    os.chdir(tmp_path)
    yield tmp_path
    os.chdir(before)


async def test_setting_data_sources(folder: Path) -> None:
    (folder / "contract.py").write_text(
        "from aligned_dagster import FileSource, Float, Int32, feature_view\n"
        "@feature_view(source=FileSource.csv_at('titanic.csv'))\n"
        "class Titanic:\n"
        "    passenger_id = Int32().as_entity()\n"
        "    age = Float()\n"
    )
    from aligned_dagster import ContractStore, InMemorySource

    store = await ContractStore.from_glob("**/contract.py")
    Titanic = store.view("titanic")  # noqa: N806  # the documentation names the contract's class
    store = store.update_source_for(
        Titanic,
        InMemorySource.from_values(
            {
                "passenger_id": [1, 2, 3],
                "age": [1, 2, 3],
            }
        ),
    )
    df = await store.feature_view("titanic").all().to_polars()
    assert df.rows() == [(1, 1.0), (2, 2.0), (3, 3.0)]


async def test_csv_file(folder: Path) -> None:
    (folder / "taxi_data.csv").write_text("taxi_id,duration\n007,12.5\n")
    from aligned_dagster import FileSource

    taxi_file = FileSource.csv_at("taxi_data.csv")

    @feature_view(name="taxi", source=taxi_file)
    class Taxi:
        taxi_id = String().as_entity()
        duration = Float()

    assert (await Taxi.query().all().to_polars()).rows() == [("007", 12.5)]


async def test_csv_config(folder: Path) -> None:
    (folder / "gzip_taxi_data.csv").write_bytes(gzip.compress(TAXI.encode()))
    from aligned_dagster import FileSource
    from aligned_dagster.sources.local import CsvConfig

    taxi_file_config = CsvConfig(seperator=";", compression="gzip")

    compressed_taxi_data = FileSource.csv_at(
        "gzip_taxi_data.csv",
        mapping_keys={
            "ID": "taxi_id",
            "Duration": "duration",
        },
        csv_config=taxi_file_config,
    )

    @feature_view(name="taxi", source=compressed_taxi_data)
    class Taxi:
        taxi_id = String().as_entity()
        duration = Float()

    assert (await Taxi.query().all().to_polars()).rows() == [("007", 12.5), ("8", 3.0)]


async def test_parquet_file(folder: Path) -> None:
    pl.DataFrame({"taxi_id": [1], "duration": [2.0]}).write_parquet("taxi_data.parquet")
    from aligned_dagster import FileSource

    taxi_file = FileSource.parquet_at("taxi_data.parquet")

    @feature_view(name="taxi", source=taxi_file)
    class Taxi:
        taxi_id = Int32().as_entity()
        duration = Float()

    assert (await Taxi.query().all().to_polars()).rows() == [(1, 2.0)]


async def test_parquet_config(folder: Path) -> None:
    from aligned_dagster import FileSource
    from aligned_dagster.sources.local import ParquetConfig

    taxi_file_config = ParquetConfig(compression="gzip")

    compressed_taxi_data = FileSource.parquet_at(
        "gzip_taxi_data.parquet",
        mapping_keys={
            "ID": "taxi_id",
            "Duration": "duration",
        },
        config=taxi_file_config,
    )

    @feature_view(name="taxi", source=compressed_taxi_data)
    class Taxi:
        taxi_id = Int32().as_entity()
        duration = Float()

    Taxi.query().insert({"taxi_id": [1], "duration": [2.0]})
    assert pl.read_parquet_schema("gzip_taxi_data.parquet").names() == ["ID", "Duration"]
    assert (await Taxi.query().all().to_polars()).rows() == [(1, 2.0)]


async def test_hive_partitioned_parquet(folder: Path) -> None:
    for country in ("norway", "danmark", "uk"):
        (folder / "credit_scoring" / f"country={country}").mkdir(parents=True)
        pl.DataFrame({"ID": [len(country)]}).write_parquet(f"credit_scoring/country={country}/data.parquet")
    from aligned_dagster import FileSource

    partitioned_credits = FileSource.partitioned_parquet_at(
        directory="credit_scoring",
        partition_keys=["country"],
        mapping_keys={"ID": "credit_id"},
        config=None,  # A parquet config
        date_formatter=None,
    )

    @feature_view(name="credits", source=partitioned_credits)
    class Credits:
        credit_id = Int32().as_entity()
        country = String()

    df = await Credits.query().filter(Credits().country == "uk").to_polars()
    assert df.rows() == [(2, "uk")]


async def test_schema_versioned_source(folder: Path) -> None:
    from aligned_dagster import FileSource

    taxi_dir = FileSource.directory("taxi_data")

    vendors_data = taxi_dir.with_schema_version(
        sub_directory="vendors",
    ).parquet_at("data.parquet")

    @feature_view(name="vendors", source=vendors_data)
    class VendorSchema:
        vendor_id = Int32().as_entity()
        number_of_passengers = String()

    VendorSchema.query().insert({"vendor_id": [1], "number_of_passengers": ["3"]})
    (written,) = Path("taxi_data").rglob("*.parquet")
    assert re.fullmatch(r"taxi_data/vendors/[0-9a-f]{32}/data\.parquet", written.as_posix())
    assert (await VendorSchema.query().all().to_polars()).rows() == [(1, "3")]

    # Adding new derived features and computations will not effect the schema version.
    @feature_view(name="vendors", source=vendors_data)
    class WithDerived:
        vendor_id = Int32().as_entity()
        number_of_passengers = String()
        is_three = number_of_passengers == "3"

    assert WithDerived.version == VendorSchema.version == written.parent.name
    assert (await WithDerived.query().all().to_polars()).rows() == [(1, "3", True)]


async def test_in_memory_source() -> None:
    # An import by the documented path.
    from aligned_dagster.sources.in_memory_source import InMemorySource

    # Empty in-memory source (for future inserts, upserts, or overwrites)
    empty_source = InMemorySource.empty()

    # Hardcoded values (must match full schema)
    with_values = InMemorySource.from_values(
        {
            "passenger_id": [1, 2, 3],
            "age": [1, 2, 3],
        }
    )

    # Using a Polars DataFrame
    with_polars_df = InMemorySource(pl.DataFrame({"passenger_id": [1], "age": [2]}))

    for source, rows in ((empty_source, 0), (with_values, 3), (with_polars_df, 1)):

        @feature_view(name="titanic", source=source)
        class Titanic:
            passenger_id = Int32().as_entity()
            age = Float()

        assert (await Titanic.query().all().to_polars()).height == rows


async def test_feature_view(folder: Path) -> None:
    import datetime as dt

    moment = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)
    pl.DataFrame(
        {
            "zipcode": [76104],
            "event_timestamp": [moment],
            "created_timestamp": [moment],
            "location_type": ["PRIMARY"],
            "population": [9_534],
        }
    ).write_parquet("zipcode_table.parquet")
    from aligned_dagster import FileSource

    @feature_view(name="zipcode", source=FileSource.parquet_at("zipcode_table.parquet"))
    class Zipcode:
        zipcode = Int64().as_entity()

        event_timestamp = EventTimestamp()
        created_timestamp = Timestamp()

        location_type = String()
        population = Int64()

    @feature_view(name="other", source=Zipcode)
    class Other:
        location_type = String().as_entity()
        population = Int64()

        event_timestamp = EventTimestamp()

    df = await Other.query().all().to_polars()
    assert df.rows() == [("PRIMARY", 9_534, moment)]
    assert ContractStore([Zipcode, Other]).view("other").depends_on() == {"zipcode"}


async def test_custom_source() -> None:
    from aligned_dagster import CustomMethodDataSource

    def load_all_data(request: RetrievalRequest, limit: int | None) -> pl.LazyFrame:
        # My custom method
        return pl.DataFrame({"taxi_id": [1, 2], "extra": ["a", "b"]}).lazy()

    custom_source = CustomMethodDataSource.from_methods(
        all_data=load_all_data,
        all_between_dates=None,
        features_for=None,
        docker_config="my-custom-image:latest",
    )

    @feature_view(name="taxi", source=custom_source)
    class Taxi:
        taxi_id = Int32().as_entity()

    assert (await Taxi.query().all().to_polars()).rows() == [(1,), (2,)]
    assert (await Taxi.query().features_for({"taxi_id": [2, 9]}).to_polars())["taxi_id"].to_list() == [2, 9]
