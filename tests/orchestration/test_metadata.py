from __future__ import annotations

from datetime import timedelta

import dagster as dg
import pytest

from aligned_dagster import ContractStore, FileSource, Float, Int32, String, feature_view
from aligned_dagster.orchestration import ContractTranslator, TranslatorSettings, build_definitions
from aligned_dagster.orchestration.metadata import statistics_metadata, statistics_table
from aligned_dagster.quality.report import ColumnStatistics


@pytest.fixture
def node(airline):
    def of(key: str, **options):
        return (
            build_definitions(airline.store(**options)).resolve_asset_graph().get(dg.AssetKey(key.split("/")))
        )

    return of


def test_the_column_schema_says_types_descriptions_tags_and_constraints(node):
    schema = node("airport").metadata["dagster/column_schema"]

    described = {
        c.name: (c.type, c.description, c.tags, c.constraints.nullable, c.constraints.other)
        for c in schema.columns
    }
    assert described == {
        "code": ("string", None, {}, False, ["entity"]),
        "name": ("string", "Name of the town", {"public": ""}, False, []),
        "height": ("int32", None, {}, False, ["at least 0"]),
    }
    assert schema.constraints.other == ["one row for each code"]


def test_the_run_time_schema_carries_the_constraints_too(airline, run, node):
    ran = run(build_definitions(airline.store()))
    assert (
        ran.metadata("airport")["dagster/column_schema"] == node("airport").metadata["dagster/column_schema"]
    )


@pytest.mark.parametrize("when", ["definition", "run"])
def test_lineage_goes_through_expressions_column_by_column(airline, run, node, when):
    if when == "definition":
        flight, delay = node("flight").metadata, node("delay").metadata
    else:
        ran = run(build_definitions(airline.store()))
        flight, delay = ran.metadata("flight"), ran.metadata("delay")

    raw = dg.AssetKey(["raw", "flights.csv"])
    lineage = flight["dagster/column_lineage"].deps_by_column
    assert lineage["is_late"] == lineage["delay_minutes"] == [dg.TableColumnDep(raw, "delay")]
    hours = delay["dagster/column_lineage"].deps_by_column["hours"]
    assert hours == [dg.TableColumnDep(dg.AssetKey("flight"), "delay_minutes")]


def test_lineage_is_also_a_readable_table(node):
    table = node("flight").metadata["column_lineage"].value
    assert "| is_late | raw/flights.csv: delay | delay_minutes &gt; 5 |" in table


def test_where_it_lies_and_who_defines_it(node, airline):
    metadata = node("flight").metadata

    assert metadata["dagster/uri"].endswith("flights.parquet")
    assert metadata["dagster/storage_kind"] == "parquet"
    assert metadata["schema_version"] == airline.store().views["flight"].version
    [reference] = metadata["dagster/code_references"].code_references
    assert reference.file_path.endswith("conftest.py")
    assert reference.line_number > 1


def test_a_run_records_counts_sizes_figures_and_a_preview(airline, run):
    metadata = run(build_definitions(airline.store())).metadata("flight")

    assert metadata["dagster/row_count"] == 3
    assert metadata["dagster/size_bytes"] == airline.flights_file.stat().st_size
    assert metadata["dagster/uri"].endswith("flights.parquet")
    assert (metadata["checks_passed"], metadata["checks_failed"]) == (len(airline_checks(airline)), 0)
    assert metadata["distance.mean"] == 300.0
    assert metadata["distance.nulls"] == 0
    plotted = [name for name in metadata if name.endswith((".mean", ".min", ".max", ".nulls"))]
    assert plotted == ["delay_minutes.mean", "delay_minutes.nulls", "distance.mean", "distance.nulls"]
    assert metadata["delay_minutes.nulls"] == 1
    assert metadata["preview"].startswith("| id | departed |")
    assert "| passed | distance must be at least 1 | 0 |" in metadata["audit"]
    assert "| distance | 0 | 300 |" in metadata["statistics"]


def airline_checks(airline):
    from aligned_dagster.orchestration.checks import checks_of

    return checks_of(airline.store().views["flight"])


def test_figures_are_bounded_and_a_preview_can_be_left_out(airline, run):
    translator = ContractTranslator(TranslatorSettings(max_statistics=3, preview_rows=0))
    metadata = run(build_definitions(airline.store(), translator)).metadata("flight")

    assert len([name for name in metadata if name.endswith((".mean", ".min", ".max", ".nulls"))]) == 2
    assert "preview" not in metadata


def test_figures_are_rounded():
    table = statistics_table([ColumnStatistics("a", 0, mean=1 / 3, std=0.00012345678, min=-7, max=336_776)])

    assert "| a | 0 | 0.33333 | 0.00012346 | -7 | 336776 |" in table
    assert statistics_metadata([ColumnStatistics("a", 1, mean=20 / 3)], 48) == {
        "a.mean": 6.66667,
        "a.nulls": 1,
    }


def test_a_column_that_comes_unchanged_is_described_as_where_it_comes_from(airline):
    @feature_view(source=FileSource.csv_at(str(airline.root / "airports.csv")))
    class Town:
        code = String().as_entity().description("Three letters").min_length(3)
        height = Int32().description("Metres above the sea")
        name = String()

    @feature_view(source=Town)
    class Peak:
        code = String().as_entity().reference_to(Town().code)
        height = Int32()
        feet = height * 3.28
        name = String()

    @feature_view(source=Peak)
    class Summit:
        code = String().as_entity().description("Its own words")
        height = Int32()
        feet = Float()

    graph = build_definitions(ContractStore([Town, Peak, Summit])).resolve_asset_graph()

    def columns(key):
        schema = graph.get(dg.AssetKey(key)).metadata["dagster/column_schema"]
        return {column.name: column for column in schema.columns}

    peak, summit = columns("peak"), columns("summit")
    assert {name: column.description for name, column in peak.items()} == {
        "code": "Three letters",
        "height": "Metres above the sea",
        "feet": "= height * 3.28",
        "name": None,
    }
    assert {name: column.description for name, column in summit.items()} == {
        "code": "Its own words",
        "height": "Metres above the sea",
        "feet": None,
    }
    assert columns("town")["code"].constraints.other == ["entity", "at least 3 long"]
    assert peak["code"].constraints.other == ["entity", "in town.code"]


def test_owners_tags_kinds_description_freshness(airline):
    @feature_view(
        source=FileSource.csv_at(str(airline.root / "airports.csv")),
        contacts=["ada@example.org", "team:data", "Grace"],
        tags=["gold", "nord norge"],
        acceptable_freshness=timedelta(hours=1),
        unacceptable_freshness=timedelta(hours=6),
    )
    class Town:
        """Towns of the north."""

        code = String().as_entity()
        height = Int32()
        share = Float().is_optional()

    node = build_definitions(ContractStore([Town])).resolve_asset_graph().get(dg.AssetKey("town"))

    assert node.owners == ["ada@example.org", "team:data"]
    assert node.metadata["contacts"] == "Grace"
    assert {"gold", "nord_norge"} <= node.tags.keys()
    assert node.description == "Towns of the north."
    assert node.group_name == "contracts"
    policy = node.freshness_policy_or_from_metadata
    assert (policy.warn_window.to_timedelta(), policy.fail_window.to_timedelta()) == (
        timedelta(hours=1),
        timedelta(hours=6),
    )


def test_acceptable_freshness_alone_warns_and_never_fails(airline):
    @feature_view(
        source=FileSource.csv_at(str(airline.root / "airports.csv")), acceptable_freshness=timedelta(hours=1)
    )
    class Town:
        code = String().as_entity()

    policy = ContractTranslator().get_freshness_policy(Town)

    assert policy.warn_window.to_timedelta() == timedelta(hours=1)
    assert policy.fail_window.to_timedelta() > timedelta(days=10_000)


def test_a_check_says_its_rule_and_what_breaking_it_does(airline):
    graph = build_definitions(airline.store()).resolve_asset_graph()
    specs = {
        key.name: graph.get_check_spec(key)
        for key in graph.asset_check_keys
        if key.asset_key.path == ["airport"]
    }

    assert set(specs) == {
        "schema",
        "entity_key",
        "code__not_null",
        "name__not_null",
        "height__not_null",
        "height__lower_bound",
    }
    assert specs["height__lower_bound"].description == (
        "height must be at least 0. Rows that break it are published all the same."
    )
    assert not specs["height__lower_bound"].blocking
    assert specs["entity_key"].blocking
