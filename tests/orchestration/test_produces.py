from __future__ import annotations

import dagster as dg
import pandas as pd
import polars as pl
import pytest

from aligned_dagster import FileSource, InMemorySource, Int32, String, feature_view
from aligned_dagster.errors import UnsupportedError
from aligned_dagster.orchestration import build_definitions, produces


@pytest.fixture
def tower(airline):
    @feature_view(
        source=InMemorySource.empty(),
        materialized_source=FileSource.parquet_at(str(airline.root / "stored" / "towers.parquet")),
    )
    class Tower:
        """Towers of the airports."""

        code = String().as_entity()
        height = Int32().lower_bound(0)
        feet = height * 3.28

    return Tower


def test_a_function_s_frame_is_conformed_derived_audited_and_published(airline, tower, run):
    @produces(tower)
    def towers(airport: pl.LazyFrame) -> pl.LazyFrame:
        return airport.select("code", pl.col("height").cast(pl.String), extra=1)

    ran = run(build_definitions(airline.store(), assets=[towers]))

    assert ran.success
    stored = pl.read_parquet(airline.root / "stored" / "towers.parquet")
    assert stored.schema == {"code": pl.String, "height": pl.Int32, "feet": pl.Float64}
    assert stored["feet"].to_list() == pytest.approx([208 * 3.28, 50 * 3.28, 17 * 3.28])
    assert ran.metadata("tower")["dagster/row_count"] == 3
    assert set(ran.checks("tower")) >= {"schema", "entity_key", "height__lower_bound"}


@pytest.mark.parametrize("shape", [lambda frame: frame, pl.DataFrame.lazy, pl.DataFrame.to_pandas])
def test_it_may_return_any_of_the_three_kinds_of_frame(tower, airline, run, shape):
    @produces(tower)
    def towers():
        return shape(pl.DataFrame({"code": ["OSL"], "height": [80]}))

    assert run(dg.Definitions([towers])).success
    assert pl.read_parquet(airline.root / "stored" / "towers.parquet")["height"].to_list() == [80]


def test_broken_rows_are_not_published(tower, airline, run):
    @produces(tower)
    def towers() -> pl.DataFrame:
        return pl.DataFrame({"code": ["OSL"], "height": [-1]})

    ran = run(dg.Definitions([towers]))

    assert not ran.success
    assert ran.checks("tower")["height__lower_bound"].passed is False
    assert not (airline.root / "stored" / "towers.parquet").exists()


def test_it_stands_alone_in_definitions_of_one_s_own(tower, run):
    @dg.asset
    def heights() -> dict[str, int]:
        return {"OSL": 91, "BGO": 20}

    @produces(tower)
    def towers(context: dg.AssetExecutionContext, heights: dict[str, int]) -> pd.DataFrame:
        context.log.info("building")
        return pd.DataFrame({"code": list(heights), "height": list(heights.values())})

    @dg.asset
    def tallest(tower: pl.DataFrame) -> int:
        return tower["height"].max()

    ran = run(dg.Definitions([heights, towers, tallest]))

    assert ran.success
    assert ran.result.output_for_node("tallest") == 91


class Meter(dg.ConfigurableResource):
    offset: int


class Options(dg.Config):
    extra: int = 2


def test_resources_and_config_work_as_in_any_asset(tower, run):
    @produces(tower)
    def towers(config: Options, meter: Meter) -> pl.DataFrame:
        return pl.DataFrame({"code": ["OSL"], "height": [meter.offset + config.extra]})

    ran = run(dg.Definitions([towers], resources={"meter": Meter(offset=40)}))

    assert ran.success
    assert ran.metadata("tower")["height.mean"] == 42


def test_it_takes_the_place_of_the_contract_s_own_asset(airline, run):
    store = airline.store()

    @produces(store.views["airport"])
    def airports() -> pl.DataFrame:
        return pl.DataFrame({"code": ["OSL", "BGO"], "name": ["Oslo", "Bergen"], "height": [1, 2]})

    defs = build_definitions(store, assets=[airports])
    ran = run(defs)

    assert ran.success
    assert pl.read_parquet(airline.root / "stored" / "airports.parquet")["height"].to_list() == [1, 2]
    parents = defs.resolve_asset_graph().get(dg.AssetKey("airport")).parent_keys
    assert parents == set()


def test_contracts_as_inputs_by_name_of_one_s_own_choice(airline, tower, run):
    store = airline.store()

    @produces(tower, ins={"places": store.views["airport"]}, deps=[store.views["delay"]])
    def towers(places: pl.DataFrame) -> pl.DataFrame:
        return places.select("code", "height")

    defs = build_definitions(store, assets=[towers])

    assert run(defs).success
    parents = defs.resolve_asset_graph().get(dg.AssetKey("tower")).parent_keys
    assert parents == {dg.AssetKey("airport"), dg.AssetKey("delay")}


@pytest.mark.parametrize("takes_it_too", [True, False])
def test_references_are_checked_against_the_other_contract(airline, run, takes_it_too):
    store = airline.store()
    airport = store.views["airport"]

    @feature_view(
        source=InMemorySource.empty(),
        materialized_source=FileSource.parquet_at(str(airline.root / "stored" / "gates.parquet")),
    )
    class Gate:
        id = Int32().as_entity()
        code = String().reference_to(airport().code)

    rows = pl.DataFrame({"id": [1, 2], "code": ["OSL", "XXX"]})
    if takes_it_too:

        @produces(Gate)
        def gates(airport: pl.DataFrame) -> pl.DataFrame:
            assert airport.height == 3
            return rows

    else:

        @produces(Gate)
        def gates() -> pl.DataFrame:
            return rows

    ran = run(build_definitions(store, assets=[gates]))

    assert ran.checks("gate")["code__reference"].metadata["broken_rows"].value == 1
    assert "gate" not in ran.materialized()


def test_what_is_no_frame_is_refused_by_its_type(tower, run):
    @produces(tower)
    def towers():
        return [{"code": "OSL"}]

    described = run(dg.Definitions([towers])).failure("tower").user_failure_data.description
    assert "towers() gave a list" in described


def test_a_generator_and_a_virtual_contract_are_refused_when_defined(tower, airline):
    def generator():
        yield pl.DataFrame()

    with pytest.raises(UnsupportedError, match="must return a frame"):
        produces(tower)(generator)
    with pytest.raises(UnsupportedError, match=r"materialized_source.*test_|conftest"):
        produces(airline.store().views["delay"])(lambda: pl.DataFrame())


def test_the_code_version_changes_with_the_function(tower):
    def one():
        return pl.DataFrame({"code": ["a"], "height": [1]})

    def two():
        return pl.DataFrame({"code": ["a"], "height": [2]})

    versions = [
        produces(tower)(function).code_versions_by_key[dg.AssetKey("tower")] for function in (one, one, two)
    ]
    assert versions[0] == versions[1] != versions[2]
