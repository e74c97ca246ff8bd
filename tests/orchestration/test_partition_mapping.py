from __future__ import annotations

import datetime as dt

import dagster as dg
import polars as pl
import pytest

from aligned_dagster import ContractStore, EventTimestamp, FileSource, Int32, String, feature_view
from aligned_dagster.contracts.lock import ContractsLock
from aligned_dagster.orchestration import ContractTranslator, build_definitions

FLIGHTS = """id,origin,dest,departed
1,OSL,BGO,2024-01-01T08:00:00Z
2,BGO,OSL,2024-01-02T09:00:00Z
3,OSL,CPH,2024-01-02T23:30:00Z
4,CPH,OSL,2024-02-03T08:00:00Z
"""
PLACES = ("OSL", "BGO", "CPH")
WINDOWS = {"materialize_from": dt.date(2024, 1, 1), "materialize_until": dt.date(2024, 3, 1)}


@pytest.fixture
def make(tmp_path):
    (tmp_path / "flights.csv").write_text(FLIGHTS, "utf-8")

    def view(name, source=None, keys=(), places=PLACES, ends=None, **options):
        stored = (
            FileSource.partitioned_parquet_at(str(tmp_path / name), partition_keys=list(keys))
            if keys
            else FileSource.parquet_at(str(tmp_path / f"{name}.parquet"))
        )
        start = String().accepted_values(places) if places else String()
        end = String().accepted_values(ends) if ends else String()
        source = source if source is not None else FileSource.csv_at(str(tmp_path / "flights.csv"))
        if "every" in options:
            options = {**WINDOWS, **options}

        @feature_view(name=name, source=source, materialized_source=stored, **options)
        class Flight:
            id = Int32().as_entity()
            departed = EventTimestamp()
            origin = start
            dest = end

        return Flight

    view.root = tmp_path
    return view


@pytest.fixture
def upstream_of(instance):
    """The upstream partitions of some downstream ones, as Dagster's daemon sees them."""

    def resolve(*views, down, up, keys, **options):
        defs = build_definitions(ContractStore(list(views)), **options)
        dg.Definitions.validate_loadable(defs)
        graph = defs.resolve_asset_graph()
        child, parent = graph.get(dg.AssetKey(down)), graph.get(dg.AssetKey(up))
        mapping = graph.get_partition_mapping(child.key, parent.key)
        own = child.partitions_def
        result = mapping.get_upstream_mapped_partitions_result_for_partitions(
            None if own is None else own.subset_with_partition_keys(keys),
            own,
            parent.partitions_def,
            current_time=dt.datetime(2025, 1, 1, tzinfo=dt.UTC),
            dynamic_partitions_store=instance,
        )
        assert result.required_but_nonexistent_subset.is_empty
        return sorted(map(str, result.partitions_subset.get_partition_keys()))

    return resolve


def test_a_shared_key_maps_to_itself(make, upstream_of):
    up = make("up", keys=["origin"])
    down = make("down", up, keys=["origin"])
    assert upstream_of(up, down, down="down", up="up", keys=["BGO"]) == ["BGO"]


def test_a_key_that_the_other_side_does_not_know_maps_to_nothing(make, upstream_of):
    up = make("up", keys=["origin"], places=("OSL", "BGO"))
    down = make("down", up, keys=["origin"])
    assert upstream_of(up, down, down="down", up="up", keys=["BGO", "CPH"]) == ["BGO"]


def test_another_column_maps_to_everything(make, upstream_of):
    up = make("up", keys=["origin"])
    down = make("down", up, keys=["dest"], ends=PLACES)
    assert upstream_of(up, down, down="down", up="up", keys=["OSL"]) == sorted(PLACES)


def test_a_key_that_is_joined_on_is_shared_by_both_sides(make, upstream_of):
    left, right = make("left", keys=["origin"]), make("right", keys=["origin"])
    down = make("down", left.join(right, on=["id", "origin"]), keys=["origin"])
    for up in ("left", "right"):
        assert upstream_of(left, right, down, down="down", up=up, keys=["OSL"]) == ["OSL"]


def test_a_whole_contract_depends_on_all_partitions(make, upstream_of):
    up, down = make("up", keys=["origin"]), None
    down = make("down", up)
    assert upstream_of(up, down, down="down", up="up", keys=None) == sorted(PLACES)


def test_windows_of_different_length_map_where_they_overlap(make, upstream_of):
    daily = make("daily", every="daily")
    monthly = make("monthly", daily, every="monthly")
    weekly = make("weekly", daily, every="weekly")
    days = upstream_of(daily, monthly, weekly, down="monthly", up="daily", keys=["2024-02-01"])
    assert (days[0], days[-1], len(days)) == ("2024-02-01", "2024-02-29", 29)
    days = upstream_of(daily, monthly, weekly, down="weekly", up="daily", keys=["2024-01-08"])
    assert (days[0], days[-1], len(days)) == ("2024-01-08", "2024-01-14", 7)


def test_windows_before_the_first_one_upstream_are_no_error(make, upstream_of):
    late = make("late", every="daily", materialize_from=dt.date(2024, 1, 10))
    down = make("down", late, every="daily")
    assert upstream_of(late, down, down="down", up="late", keys=["2024-01-09", "2024-01-10"]) == [
        "2024-01-10"
    ]


def test_an_aggregation_that_looks_back_depends_on_the_windows_before(make, upstream_of):
    up = make("up", every="daily")

    @feature_view(
        source=up,
        materialized_source=FileSource.parquet_at(str(make.root / "busy.parquet")),
        every="daily",
        **WINDOWS,
    )
    class Busy:
        origin = String().as_entity()
        departed = EventTimestamp()
        id = Int32()

        last_two_days = id.aggregate().over(days=2).count()

    days = upstream_of(up, Busy, down="busy", up="up", keys=["2024-01-05"])
    assert days == ["2024-01-03", "2024-01-04", "2024-01-05"]


def test_one_dimension_of_a_grid_is_shared_with_a_single_one(make, upstream_of):
    grid = make("grid", keys=["origin"], every="monthly")
    months = make("months", grid, every="monthly")
    places = make("places", grid, keys=["origin"])
    again = make("again", places, keys=["origin"], every="monthly")
    views = (grid, months, places, again)

    january = upstream_of(*views, down="months", up="grid", keys=["2024-01-01"])
    assert january == [f"2024-01-01|{place}" for place in sorted(PLACES)]
    oslo = upstream_of(*views, down="places", up="grid", keys=["OSL"])
    assert oslo == ["2024-01-01|OSL", "2024-02-01|OSL"]
    assert upstream_of(*views, down="again", up="places", keys=["2024-01-01|OSL"]) == ["OSL"]


def test_two_grids_share_both_dimensions(make, upstream_of):
    daily = make("daily", keys=["origin"], every="daily")
    monthly = make("monthly", daily, keys=["origin"], every="monthly")
    found = upstream_of(daily, monthly, down="monthly", up="daily", keys=["2024-02-01|OSL"])
    assert found == [f"2024-02-{day:02}|OSL" for day in range(1, 30)]


def test_dynamic_keys_map_to_the_same_key(make, upstream_of, instance):
    up = make("up", keys=["origin"], places=None)
    down = make("down", up, keys=["origin"], places=None)
    instance.add_dynamic_partitions("up__origin", ["BGO", "OSL"])
    instance.add_dynamic_partitions("down__origin", ["OSL"])
    assert upstream_of(up, down, down="down", up="up", keys=["OSL"]) == ["OSL"]


def test_of_schema_versions_the_current_one_is_read(make, upstream_of):
    source = FileSource.csv_at(str(make.root / "flights.csv"))
    versions = FileSource.directory(str(make.root)).with_schema_version("towns").parquet_at("towns.parquet")

    @feature_view(name="town", source=source, materialized_source=versions)
    class Before:
        origin = String().as_entity()

    @feature_view(name="town", source=source, materialized_source=versions)
    class Town:
        origin = String().as_entity()
        dest = String()

    lock = ContractsLock().with_contracts([Before])
    down = make("down", keys=["origin"])
    refers = make("refers", Town.join(down, on="origin"), keys=["origin"])
    for keys in (None, ["OSL"]):
        name = "whole" if keys is None else "refers"
        whole = make("whole", Town.join(down, on="origin"))
        found = upstream_of(Town, down, refers, whole, down=name, up="town", keys=keys, lock=lock)
        assert found == [Town.version]


def test_the_translator_may_want_another_mapping(make, upstream_of):
    class Last(ContractTranslator):
        def get_partition_mapping(self, view, upstream, inferred):
            assert isinstance(inferred, dg.TimeWindowPartitionMapping)
            return dg.LastPartitionMapping()

    up = make("up", every="monthly")
    down = make("down", up, every="monthly")
    found = upstream_of(up, down, down="down", up="up", keys=["2024-01-01"], translator=Last())
    assert found == ["2024-02-01"]


@pytest.fixture
def loaded():
    return {}


@pytest.mark.filterwarnings("ignore::dagster.BetaWarning")  # of backfill_policy on the user's own asset
def test_an_input_with_partitions_gets_their_rows_only(make, run, loaded):
    up = make("up", keys=["origin"])
    places = dg.StaticPartitionsDefinition(list(PLACES))

    @dg.asset(partitions_def=places, backfill_policy=dg.BackfillPolicy.single_run())
    def mine(up: pl.LazyFrame) -> None:
        loaded["plan"] = up.explain()
        loaded["mine"] = sorted(up.collect()["id"].to_list())

    @dg.asset
    def whole(up: pl.DataFrame) -> None:
        loaded["whole"] = sorted(up["id"].to_list())

    @dg.asset(ins={"up": dg.AssetIn(partition_mapping=dg.LastPartitionMapping())})
    def last(up: pl.DataFrame) -> None:
        loaded["last"] = sorted(up["id"].to_list())

    defs = build_definitions(ContractStore([up]), assets=[mine, whole, last])
    assert run(defs, "up", span=("OSL", "BGO")).success

    assert run(defs, "mine", partition="OSL").success
    assert loaded["mine"] == [1, 3]
    assert "origin=OSL" in loaded["plan"]
    assert "origin=BGO" not in loaded["plan"]
    assert run(defs, "mine", span=("OSL", "CPH")).success  # what is not there yet has no rows
    assert loaded["mine"] == [1, 2, 3]
    assert run(defs, "whole", "last").success
    assert (loaded["whole"], loaded["last"]) == ([1, 2, 3], [])


def test_an_old_schema_version_is_readable_by_its_name_and_not_made_again(make, run, instance):
    source = FileSource.csv_at(str(make.root / "flights.csv"))
    versions = FileSource.directory(str(make.root)).with_schema_version("towns").parquet_at("towns.parquet")

    @feature_view(name="town", source=source, materialized_source=versions)
    class Before:
        origin = String().as_entity()
        id = Int32()

    @feature_view(name="town", source=source, materialized_source=versions, on_violation="warn")
    class Town:
        origin = String().as_entity()
        dest = String().is_optional()

    lock = ContractsLock().with_contracts([Before])
    got = {}

    def assets():
        @dg.asset(partitions_def=dg.StaticPartitionsDefinition([Before.version, Town.version]))
        def reader(context, town: pl.DataFrame) -> None:
            got[context.partition_key] = town

        return [reader]

    (make.root / "flights.csv").write_text("id,origin,dest\n1,OSL,BGO\n", "utf-8")
    before = build_definitions(ContractStore([Before]))
    assert run(before, "town", partition=Before.version).success
    after = build_definitions(ContractStore([Town]), lock=lock, assets=assets())
    found = after.resolve_asset_graph().get(dg.AssetKey("town")).partitions_def
    assert found.get_partition_keys() == [Before.version, Town.version]

    assert run(after, "town", partition=Town.version).success
    assert instance.get_materialized_partitions(dg.AssetKey("town")) == {Before.version, Town.version}
    refused = run(after, "town", partition=Before.version)
    assert "older schema version" in refused.failure("town").user_failure_data.description
    assert run(after, "reader", partition=Before.version).success
    assert run(after, "reader", partition=Town.version).success
    assert got[Before.version].to_dicts() == [{"origin": "OSL", "dest": None}]
    assert got[Town.version].to_dicts() == [{"origin": "OSL", "dest": "BGO"}]


def test_partitions_that_are_no_rectangle_can_be_read(make, run, loaded):
    grid = make("grid", keys=["origin"], every="monthly")
    corners = dg.SpecificPartitionsPartitionMapping(["2024-01-01|OSL", "2024-02-01|CPH"])

    @dg.asset(ins={"grid": dg.AssetIn(partition_mapping=corners)})
    def reader(grid: pl.DataFrame) -> None:
        loaded["ids"] = sorted(grid["id"].to_list())

    defs = build_definitions(ContractStore([grid]), assets=[reader])
    assert run(defs, "grid", span=("2024-01-01|OSL", "2024-02-01|CPH")).success
    assert run(defs, "reader").success
    assert loaded["ids"] == [1, 3, 4]


def test_the_partition_of_a_run_reaches_the_scan_upstream(make, run, monkeypatch):
    up = make("up", keys=["origin"])
    down = make("down", up, keys=["origin"])
    defs = build_definitions(ContractStore([up, down]))
    assert run(defs, "up", span=("OSL", "CPH")).success
    for place in ("BGO", "CPH"):  # a file that nobody may open
        for file in (make.root / "up" / f"origin={place}").glob("*.parquet"):
            file.write_bytes(b"PAR1" + b"x" * 40 + file.read_bytes()[44:])  # its footer is whole

    ran = run(defs, "down", partition="OSL")

    assert ran.success, ran.failure("down")
    assert sorted(down.read().collect()["id"].to_list()) == [1, 3]
