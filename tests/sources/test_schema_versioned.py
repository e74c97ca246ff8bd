from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from aligned_dagster import (
    EventTimestamp,
    FeatureView,
    FileSource,
    Float,
    InMemorySource,
    Int32,
    Int64,
    String,
    feature_view,
    publish,
)
from aligned_dagster.errors import (
    ConfigurationError,
    MissingColumnError,
    PublishError,
    SchemaVersionError,
    SourceNotFoundError,
    UnreadableSourceError,
)
from aligned_dagster.features.schema import Schema
from aligned_dagster.request.retrieval_request import RetrievalRequest
from aligned_dagster.sources.schema_versioned import SchemaVersionedSource
from aligned_dagster.sources.source import source_from_json, source_to_json

from .behaviours import Stored, Writes
from .conftest import column
from .test_file_sources import RENAMED, filled

VENDORS = {"vendor_id": [1, 2], "number_of_passengers": ["3", "4"]}


class OtherVersions:
    """Where the suite asks for columns of another type or number, it asks for another schema version."""

    def test_missing_column(self, stored: Stored, rows: pl.DataFrame, schema: Schema) -> None:
        wider = RetrievalRequest("readings", Schema((*schema.columns, column("levels", "int32"))))
        with pytest.raises(
            SchemaVersionError, match=r"levels, int32, is missing there. Did you mean 'level'\?"
        ):
            stored(rows).all_data(wider)

    @pytest.mark.parametrize("engine", ["in-memory"])
    def test_value_that_does_not_fit(
        self, stored: Stored, rows: pl.DataFrame, schema: Schema, engine: Any
    ) -> None:
        changed = [column("region", "int16") if c.name == "region" else c for c in schema.columns]
        with pytest.raises(
            SchemaVersionError, match=r"region( \(.*\))? is string there and cannot become int16"
        ):
            stored(rows).all_data(RetrievalRequest("readings", Schema(tuple(changed))))


class TestVersionedParquet(OtherVersions, Writes):
    @pytest.fixture
    def stored(self, tmp_path: Path, request_for: RetrievalRequest) -> Stored:
        directory = FileSource.directory(tmp_path / "new").with_schema_version("rows")
        return filled(directory.parquet_at("rows.parquet", RENAMED), request_for)


class TestVersionedCsv(OtherVersions, Writes):
    @pytest.fixture
    def stored(self, tmp_path: Path, request_for: RetrievalRequest) -> Stored:
        directory = FileSource.directory(tmp_path).with_schema_version()
        return filled(directory.csv_at("deep/rows.csv.gz", RENAMED), request_for)


class TestVersionedPartitions(OtherVersions, Writes):
    @pytest.fixture
    def stored(self, tmp_path: Path, request_for: RetrievalRequest) -> Stored:
        directory = FileSource.directory(tmp_path / "new").with_schema_version("rows")
        renamed = {**RENAMED, "Region": "region"}
        return filled(directory.partitioned_parquet_at("parts", ["region"], renamed), request_for)


@pytest.fixture
def vendors(tmp_path: Path) -> SchemaVersionedSource:
    return FileSource.directory(tmp_path / "taxi").with_schema_version("vendors").parquet_at("data.parquet")


def old_contract(source: Any) -> FeatureView[Any]:
    @feature_view(name="vendors", source=source)
    class Vendors:
        vendor_id = Int32().as_entity()
        number_of_passengers = String()

    return Vendors


def newer_contract(source: Any) -> FeatureView[Any]:
    @feature_view(name="vendors", source=source)
    class Vendors:
        vendor_id = Int64().as_entity()  # wider than before
        number_of_passengers = String()
        city = String().is_optional()
        rating = Float().default_value(2.5)
        is_large = number_of_passengers == "4"

    return Vendors


def breaking_contract(source: Any) -> FeatureView[Any]:
    @feature_view(name="vendors", source=source)
    class Vendors:
        vendor_id = Int32().as_entity()
        number_of_passengers = Int32()
        rating = Float()

    return Vendors


def test_old_and_new_readers_side_by_side(vendors: SchemaVersionedSource) -> None:
    old, new, breaking = old_contract(vendors), newer_contract(vendors), breaking_contract(vendors)
    old.query().insert(VENDORS)
    assert [one.version for one in vendors.versions()] == [old.version]
    # The new contract reads the old file until its own version is written.
    assert vendors.version_read(new.request) == old.version
    assert new.read().collect().rows() == [(1, "3", None, 2.5, False), (2, "4", None, 2.5, True)]
    new.query().insert({"vendor_id": [7], "number_of_passengers": ["1"], "city": ["Oslo"]})
    breaking.query().insert({"vendor_id": [8], "number_of_passengers": [1], "rating": [1.0]})
    assert old.read().collect().rows() == [(1, "3"), (2, "4")]
    assert new.read().collect().rows() == [(7, "1", "Oslo", 2.5, False)]
    assert breaking.read().collect().rows() == [(8, 1, 1.0)]
    assert {one.version for one in vendors.versions()} == {old.version, new.version, breaking.version}
    # An older one is read by its name, also through a newer contract that it fits.
    at_old = new.with_source(vendors.at_version(old.version))
    assert at_old.read(columns=["vendor_id"]).collect()["vendor_id"].to_list() == [1, 2]


def test_incompatible(vendors: SchemaVersionedSource) -> None:
    old, breaking = old_contract(vendors), breaking_contract(vendors)
    old.query().insert(VENDORS)
    for ask in (breaking.read, lambda: breaking.read(columns=["vendor_id"])):
        with pytest.raises(SchemaVersionError) as error:
            ask()
        assert breaking.version in str(error.value)
        assert re.search(rf"{old.version}, written \d{{4}}-\d\d-\d\d \d\d:\d\d UTC", str(error.value))
        assert "number_of_passengers is string there and cannot become int32" in str(error.value)
        assert "rating, float64, is missing there" in str(error.value)
        assert "Materialise it" in str(error.value)
    pinned = breaking.with_source(vendors.at_version(old.version))
    with pytest.raises(SchemaVersionError, match=rf"{old.version} does not fit(.|\n)*rating"):
        pinned.read()


def test_the_newest_that_fits_is_read(vendors: SchemaVersionedSource) -> None:
    old, breaking, new = old_contract(vendors), breaking_contract(vendors), newer_contract(vendors)
    old.query().insert(VENDORS)
    breaking.query().insert({"vendor_id": [8], "number_of_passengers": [1], "rating": [1.0]})
    # An int32 becomes a string, so both fit: the one that was written last is read.
    path = vendors.at(breaking.version).uri
    os.utime(path, (2e9, 2e9))
    assert vendors.version_read(new.request) == breaking.version
    os.utime(path, (1e9, 1e9))
    assert vendors.version_read(new.request) == old.version
    Path(vendors.at(old.version).uri).write_bytes(b"damaged")
    with pytest.raises(UnreadableSourceError, match="no readable Parquet file"):
        new.read()


def test_nothing_stored(vendors: SchemaVersionedSource) -> None:
    view = old_contract(vendors)
    with pytest.raises(SourceNotFoundError, match=rf"{view.version}/data.parquet.*does not exist"):
        view.read()
    with pytest.raises(SourceNotFoundError, match="does not exist"):
        vendors.fingerprint()
    assert vendors.versions() == ()
    assert vendors.read_quarantine() is None


def test_a_version_that_is_not_stored(vendors: SchemaVersionedSource) -> None:
    view = old_contract(vendors)
    pinned = view.with_source(vendors.at_version("0" * 32))
    with pytest.raises(SourceNotFoundError, match=r"0000/data\.parquet"):
        pinned.read()
    view.query().insert(VENDORS)
    with pytest.raises(SchemaVersionError, match=rf"0000 is not stored. On disk:\n  {view.version}"):
        pinned.read()
    with pytest.raises(PublishError, match=view.version):
        pinned.query().insert(VENDORS)
    for wrong in ("latest", "../../etc", "0" * 31):
        with pytest.raises(ConfigurationError, match="no schema version"):
            vendors.at_version(wrong)


def test_rows_of_another_entity_do_not_fit(vendors: SchemaVersionedSource) -> None:
    old_contract(vendors).query().insert(VENDORS)

    @feature_view(name="vendors", source=vendors)
    class Passengers:
        vendor_id = Int32()
        number_of_passengers = String().as_entity()

    with pytest.raises(SchemaVersionError, match="told apart by vendor_id, not by number_of_passengers"):
        Passengers.read()

    @feature_view(name="vendors", source=vendors)
    class Times:
        vendor_id = Int32().as_entity()
        number_of_passengers = EventTimestamp().is_optional()

    with pytest.raises(SchemaVersionError, match="event timestamp is none, not number_of_passengers"):
        Times.read()


def test_files_that_others_wrote(vendors: SchemaVersionedSource, tmp_path: Path) -> None:
    directory = tmp_path / "taxi" / "vendors" / ("a" * 32)
    directory.mkdir(parents=True)
    (tmp_path / "taxi" / "vendors" / "not a version").mkdir()
    pl.DataFrame(VENDORS).write_parquet(directory / "data.parquet")
    assert newer_contract(vendors).read().collect().height == 2


@pytest.mark.parametrize("partitioned", [False, True])
def test_csv_and_partitions_fall_back(tmp_path: Path, partitioned: bool) -> None:
    directory = FileSource.directory(tmp_path).with_schema_version()
    make: Callable[[], SchemaVersionedSource] = (
        (lambda: directory.partitioned_parquet_at("rows", ["number_of_passengers"]))
        if partitioned
        else (lambda: directory.csv_at("rows.csv"))
    )
    source = make()
    old, new, breaking = old_contract(source), newer_contract(source), breaking_contract(source)
    assert source.partition_keys == (("number_of_passengers",) if partitioned else ())
    old.query().insert(VENDORS)
    assert new.read().sort("vendor_id").collect()["is_large"].to_list() == [False, True]
    with pytest.raises(SchemaVersionError, match="number_of_passengers is string there"):
        breaking.read()


def test_a_file_without_header_is_read_by_its_own_contract_only(tmp_path: Path) -> None:
    from aligned_dagster import CsvConfig

    directory = FileSource.directory(tmp_path).with_schema_version()
    source = directory.csv_at("rows.csv", csv_config=CsvConfig(header=False))
    old_contract(source).query().insert(VENDORS)
    assert old_contract(source).read().collect().height == 2
    with pytest.raises(SchemaVersionError, match="has no header"):
        newer_contract(source).read()


def test_derived_optional_and_defaulted_columns_keep_the_version(vendors: SchemaVersionedSource) -> None:
    @feature_view(name="vendors", source=vendors)
    class More:
        vendor_id = Int32().as_entity()
        number_of_passengers = String()
        city = String().is_optional()
        rating = Float().default_value(2.5)
        is_large = number_of_passengers == "4"

    assert More.version == old_contract(vendors).version
    old_contract(vendors).query().insert(VENDORS)
    assert More.read().collect()["is_large"].to_list() == [False, True]


def materialized(target: Any, more: bool) -> FeatureView[Any]:
    rows = InMemorySource.from_values({"station": ["a", "b"], "level": [1.0, 2.0]})
    if not more:

        @feature_view(name="level", source=rows, materialized_source=target)
        class Level:
            station = String().as_entity()
            level = Float()
            double = level * 2

        return Level

    @feature_view(name="level", source=rows, materialized_source=target)
    class More:
        station = String().as_entity()
        level = Float()
        unit = String().default_value("m")
        double = level * 2
        quadruple = double * 2
        words = station + "_" + unit

    return More


@pytest.mark.parametrize("kind", ["csv", "parquet", "partitioned", "versioned", "versioned partitions"])
def test_derived_columns_that_an_older_file_lacks_are_computed(tmp_path: Path, kind: str) -> None:
    directory = FileSource.directory(tmp_path)
    target: Any = {
        "csv": directory.csv_at("rows.csv"),
        "parquet": directory.parquet_at("rows.parquet"),
        "partitioned": directory.partitioned_parquet_at("rows", ["station"]),
        "versioned": directory.with_schema_version("v").parquet_at("rows.parquet"),
        "versioned partitions": directory.with_schema_version("v").partitioned_parquet_at(
            "rows", ["station"]
        ),
    }[kind]
    publish(materialized(target, more=False))
    view = materialized(target, more=True)
    assert view.version == materialized(target, more=False).version
    found = view.read().sort("station").collect()
    assert found.rows() == [("a", 1.0, "m", 2.0, 4.0, "a_m"), ("b", 2.0, "m", 4.0, 8.0, "b_m")]
    assert dict(found.schema) == view.schema.polars
    assert view.read(columns=["quadruple"]).collect()["quadruple"].sort().to_list() == [4.0, 8.0]
    kept = view.read().filter(pl.col("words") == "b_m").select("quadruple").collect()
    assert kept["quadruple"].to_list() == [8.0]
    # Old and new files of one directory are read together.
    one = pl.LazyFrame({"station": ["b"], "level": [3.0]})
    publish(view, one, mode="upsert")
    assert view.read(columns=["quadruple"]).collect()["quadruple"].sort().to_list() == [4.0, 12.0]


def test_what_cannot_be_computed_is_missing(tmp_path: Path) -> None:
    target = FileSource.parquet_at(tmp_path / "rows.parquet")
    pl.DataFrame({"station": ["a"]}).write_parquet(tmp_path / "rows.parquet")
    with pytest.raises(MissingColumnError, match="'level'"):
        materialized(target, more=True).read(columns=["quadruple"]).collect()


def test_aggregates_are_not_computed_from_stored_rows(tmp_path: Path) -> None:
    target = FileSource.parquet_at(tmp_path / "rows.parquet")
    rows = InMemorySource.from_values({"station": ["a", "a"], "level": [1.0, 2.0]})

    @feature_view(name="level", source=rows, materialized_source=target)
    class Level:
        station = String().as_entity()
        level = Float()
        total = level.aggregate().sum()
        double = total * 2

    pl.DataFrame({"station": ["a"], "total": [3.0]}).write_parquet(tmp_path / "rows.parquet")
    assert Level.read(columns=["double"]).collect()["double"].to_list() == [6.0]
    pl.DataFrame({"station": ["a"], "level": [3.0]}).write_parquet(tmp_path / "rows.parquet")
    with pytest.raises(MissingColumnError, match="'total'"):
        Level.read(columns=["double"])


def test_json(vendors: SchemaVersionedSource) -> None:
    for source in (vendors, vendors.at_version("0" * 32)):
        assert source_from_json(source_to_json(source)) == source
        assert source_to_json(source)["type"] == "schema_versioned"
    view = newer_contract(vendors)
    assert view.to_json()["source"] == source_to_json(vendors)


@pytest.mark.parametrize("path", ["../data.parquet", "/data.parquet", ".", "~/data.parquet", "a/../../b"])
def test_a_file_outside_of_its_version(tmp_path: Path, path: str) -> None:
    with pytest.raises(ConfigurationError, match="below the directory of a schema version"):
        FileSource.directory(tmp_path).with_schema_version().parquet_at(path)
