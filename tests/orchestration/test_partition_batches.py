from __future__ import annotations

from pathlib import Path

import dagster as dg
import polars as pl
import pytest

from aligned_dagster import ContractStore, EventTimestamp, FileSource, Int32, String, feature_view
from aligned_dagster.orchestration import build_definitions
from aligned_dagster.orchestration.batches import in_batches
from tests.orchestration.test_cli import Project, project

CONTRACTS = """
import datetime as dt
from aligned_dagster import EventTimestamp, FileSource, Int32, String, feature_view

@feature_view(source=FileSource.csv_at("flights.csv"), materialized_source=FileSource.parquet_at("s/flight.parquet"))
class Flight:
    id = Int32().as_entity()
    departed = EventTimestamp()
    origin = String()

@feature_view(source=Flight, materialized_source=FileSource.partitioned_parquet_at("s/place", partition_keys=["origin"]))
class Place:
    id = Int32().as_entity()
    departed = EventTimestamp()
    origin = String()

@feature_view(
    source=Place, materialized_source=FileSource.parquet_at("s/month.parquet"),
    materialize_from=dt.date(2024, 1, 1), materialize_until=dt.date(2024, 4, 1), every="monthly",
)
class Month:
    id = Int32().as_entity().lower_bound(1)
    departed = EventTimestamp()
    origin = String()

@feature_view(source=Month, materialized_source=FileSource.parquet_at("s/last.parquet"))
class Last:
    id = Int32().as_entity()
    departed = EventTimestamp()
"""
FLIGHTS = """id,origin,departed
1,OSL,2024-01-01T08:00:00Z
2,BGO,2024-02-02T09:00:00Z
3,OSL,2024-02-03T09:00:00Z
"""
"""Used by the tests of the command line."""

assert project


def cells(output: str, asset: str) -> list[str]:
    row = next(line for line in output.splitlines() if line.startswith(f"│ {asset} "))
    return [cell.strip() for cell in row.strip("│").split("│")]


@pytest.fixture
def flights(project: Project) -> Project:
    project.write("contracts/towns.py", CONTRACTS)
    project.write("flights.csv", FLIGHTS)
    return project


def test_materialize_runs_every_kind_of_partition_after_what_it_reads(flights: Project) -> None:
    code, output = flights.call("materialize")

    assert code == 0, output
    assert output.count("Materialising 5 steps") == 1
    assert cells(output, "flight")[:4] == ["flight", "published", "3", ""]
    assert cells(output, "place")[:4] == ["place", "published", "3", "2"]
    assert cells(output, "month")[:4] == ["month", "published", "3", "3"]
    assert cells(output, "last")[:4] == ["last", "published", "3", ""]
    assert output.count("│ Asset") + output.count("┃ Asset") == 1  # one table
    assert pl.read_parquet(flights.root / "s" / "last.parquet").height == 3

    flights.write("flights.csv", FLIGHTS + "4,TRD,2024-03-03T09:00:00Z\n")
    code, output = flights.call("materialize")
    assert cells(output, "place")[2:4] == ["4", "3"]  # a key that was never seen before

    code, output = flights.call("materialize", "--select", "month")
    assert code == 0, output
    assert "place" not in output


def test_what_reads_a_failed_partition_is_left_out(flights: Project) -> None:
    flights.write("flights.csv", FLIGHTS.replace("3,", "-3,"))
    code, output = flights.call("materialize")

    assert code == 1
    assert cells(output, "place")[1] == "published"
    assert cells(output, "month")[1] == "failed"
    assert cells(output, "last")[1] == "not run"
    assert "id must be at least 1: 1 of 3 rows break it" in output


def test_a_contract_without_any_partition_yet_is_empty(flights: Project) -> None:
    flights.write("flights.csv", "id,origin,departed\n")
    code, output = flights.call("materialize", "--select", "flight,place")

    assert code == 0, output
    assert cells(output, "place")[1] == "empty"


def test_batches_follow_the_lineage_and_share_what_has_the_same_partitions(tmp_path: Path) -> None:
    def make(name, source, key=None):
        stored = FileSource.parquet_at(str(tmp_path / f"{name}.parquet"))
        if key:
            stored = FileSource.partitioned_parquet_at(str(tmp_path / name), partition_keys=[key])

        @feature_view(name=name, source=source, materialized_source=stored)
        class View:
            id = Int32().as_entity()
            departed = EventTimestamp()
            origin = String().accepted_values(["OSL", "BGO"])

        return View

    first = make("first", FileSource.csv_at(str(tmp_path / "f.csv")))
    one = make("one", first, "origin")
    two = make("two", one, "origin")
    last = make("last", two)
    aside = make("aside", FileSource.csv_at(str(tmp_path / "g.csv")))

    @dg.asset(partitions_def=dg.StaticPartitionsDefinition(["a", "b", "c"]))
    def plain() -> None: ...

    defs = build_definitions(ContractStore([first, one, two, last, aside]), assets=[plain])
    graph = defs.resolve_asset_graph()
    names = {dg.AssetKey(name) for name in ("first", "one", "two", "last", "aside", "plain")}
    batches = in_batches(graph, names)

    found = [{key.to_user_string() for key in batch.keys} for batch in batches]
    assert sorted(map(sorted, found[:2])) == [["aside", "first"], ["plain"]]
    assert found[2:] == [{"one", "two"}, {"last"}]
    with dg.DagsterInstance.ephemeral() as instance:
        spans = {
            batch.keys[0].path[0]: [r and (r.start, r.end) for r in batch.ranges(None, instance)]
            for batch in batches
        }
    assert spans["plain"] == [("a", "a"), ("b", "b"), ("c", "c")]
    assert spans["one"] == [("OSL", "BGO")]
    assert spans["last"] == [None]
