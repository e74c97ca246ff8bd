"""Features of several views for the same facts: forms of facts, names, what goes wrong, and the view's own limit of age."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from aligned_dagster import (
    ContractStore,
    CreatedTimestamp,
    CustomMethodDataSource,
    EventTimestamp,
    FeatureView,
    FileSource,
    InMemorySource,
    Int64,
    List,
    String,
    feature_view,
)
from aligned_dagster.errors import CastError, RequestError, UnknownContractError, UnknownFeatureError
from aligned_dagster.request.point_in_time import Lookup, point_in_time_joins


def day(number: int, hour: int = 0) -> dt.datetime:
    return dt.datetime(2026, 1, number, hour, tzinfo=dt.UTC)


WEATHER = pl.DataFrame(
    {
        "airport": ["OSL", "OSL", "BGO"],
        "seen": [day(1), day(3), day(1)],
        "written": [day(1), day(3, 12), None],
        "wind": [3, 9, 5],
    }
)


@feature_view(source=InMemorySource(WEATHER))
class Weather:
    airport = String().as_entity()
    seen = EventTimestamp()
    written = CreatedTimestamp().is_optional()
    wind = Int64()


@feature_view(source=InMemorySource.from_values({"airport": ["OSL", "BGO"], "runways": [2, 1]}))
class Airport:
    airport = String().as_entity()
    runways = Int64()
    names = List(String()).default_value(["none"])


def view(contract: Any) -> FeatureView[Any]:
    assert isinstance(contract, FeatureView)
    return contract


@pytest.fixture
def store() -> ContractStore:
    return ContractStore([view(Weather), view(Airport)])


FACTS = {"airport": ["OSL", "BGO", "OSL", "XXX"], "leaves": [day(3, 6), day(2), day(4), day(4)]}


@pytest.mark.parametrize(
    "form",
    [
        dict,
        pl.DataFrame,
        pl.LazyFrame,
        lambda facts: pl.DataFrame(facts).to_dicts(),
        lambda facts: pl.DataFrame(facts).to_pandas(),
        lambda facts: pl.DataFrame(facts).to_arrow(),
    ],
    ids=["dict", "polars", "lazy", "rows", "pandas", "arrow"],
)
def test_facts_of_any_form(store: ContractStore, form: Callable[[Any], Any]) -> None:
    found = store.features_for(form(FACTS), ["weather:wind", "airport:runways"], "leaves").collect()
    assert found.columns == ["airport", "leaves", "wind", "runways"]
    assert found["airport"].to_list() == FACTS["airport"]
    assert found["leaves"].to_list() == FACTS["leaves"]
    assert found["wind"].to_list() == [3, 5, 9, None]
    assert found["runways"].to_list() == [2, 1, 2, None]


def test_facts_of_a_job_and_of_sql(store: ContractStore) -> None:
    job = store.feature_view("weather").select("airport", "seen").filter(pl.col("airport") == "OSL")
    found = store.features_for(job, ["weather:wind"], "seen").collect()
    assert found["wind"].to_list() == [3, 3]  # the second row was written after it happened
    query = "SELECT airport, seen AS leaves FROM weather WHERE wind > 4"
    found = store.features_for(query, ["weather:wind", "airport:*"], "leaves").collect()
    assert found.rows() == [("OSL", day(3), 3, 2, ["none"]), ("BGO", day(1), 5, 1, ["none"])]


def test_columns_follow_the_features_and_rows_the_facts(store: ContractStore) -> None:
    one = store.features_for(FACTS, ["airport:runways", "weather:wind"], "leaves").collect()
    other = store.features_for(FACTS, ["weather:wind", "airport:runways"], "leaves").collect()
    assert one.columns == ["airport", "leaves", "runways", "wind"]
    assert one.equals(other.select(one.columns))


def test_only_what_is_needed_is_read(store: ContractStore) -> None:
    def never(_: pl.DataFrame) -> pl.DataFrame:
        raise AssertionError("read in vain")

    unread = WEATHER.lazy().map_batches(never, schema=WEATHER.schema)
    unread_store = store.update_source_for("weather", unread)
    job = unread_store.features_for(FACTS, ["weather:wind", "airport:runways"], "leaves")
    assert job.lazy().select("runways").collect()["runways"].to_list() == [2, 1, 2, None]
    assert job.select("airport").collect().height == 4


def test_the_facts_are_read_once(store: ContractStore) -> None:
    reads = []

    def counted(rows: pl.DataFrame) -> pl.DataFrame:
        reads.append(rows.height)
        return rows.sample(fraction=1.0, shuffle=True)

    facts = pl.LazyFrame(FACTS).map_batches(counted, schema=pl.DataFrame(FACTS).schema)
    features = {"a": "weather:wind", "b": "airport:runways", "c": "airport:names"}
    found = store.features_for(facts, features, "leaves").collect()
    assert reads == [4]
    winds = [3, 5, 9, None]
    known = dict(zip(pl.DataFrame(FACTS).rows(), winds, strict=True))
    assert [known[fact] for fact in found.select("airport", "leaves").rows()] == found["a"].to_list()


def test_filters_limits_and_sinks(store: ContractStore, tmp_path: Path) -> None:
    job = store.features_for(FACTS, ["weather:wind"], "leaves")
    assert job.filter(pl.col("wind") > 4).collect()["wind"].to_list() == [5, 9]
    assert job.limit(2).collect()["wind"].to_list() == [3, 5]
    assert job.lazy().filter(pl.col("wind") > 4).head(1).collect()["wind"].to_list() == [5]
    assert job.lazy().select(pl.len()).collect().item() == 4
    job.lazy().sink_parquet(tmp_path / "rows.parquet")
    assert pl.read_parquet(tmp_path / "rows.parquet").equals(job.collect())


def test_age_by_the_call_and_by_the_view(store: ContractStore) -> None:
    @feature_view(source=InMemorySource(WEATHER))
    class Short:
        airport = String().as_entity()
        seen = EventTimestamp(ttl=dt.timedelta(days=1))
        wind = Int64()

    store = ContractStore([view(Weather), view(Short)])
    features = {"a": "weather:wind", "b": "short:wind"}
    facts = {"airport": ["OSL", "BGO", "BGO"], "at": [day(4), day(2), day(2, 1)]}
    found = store.features_for(facts, features, "at").collect()
    assert found.select("a", "b").rows() == [(9, 9), (5, 5), (5, None)]
    found = store.features_for(facts, features, "at", max_age=dt.timedelta(hours=25)).collect()
    assert found.select("a", "b").rows() == [(9, 9), (5, 5), (5, 5)]
    found = store.features_for(facts, features, "at", max_age={"weather": dt.timedelta(0)}).collect()
    assert found.select("a", "b").rows() == [(None, 9), (None, 5), (None, None)]
    latest = store.features_for({"airport": ["BGO"]}, features).collect()
    assert latest.select("a", "b").rows() == [(5, 5)]
    with pytest.raises(RequestError, match="max_age needs the times of the facts"):
        store.features_for({"airport": ["BGO"]}, features, max_age=dt.timedelta(1)).collect()


def test_naive_times_are_in_the_zone_of_the_contract(store: ContractStore) -> None:
    @feature_view(
        source=InMemorySource(pl.DataFrame({"id": [1], "at": [dt.datetime(2024, 7, 1, 11)], "v": [1]})),
        time_zone="Europe/Oslo",
    )
    class Local:
        id = Int64().as_entity()
        at = EventTimestamp(time_zone=None)
        v = Int64()

    local = ContractStore([view(Local)])
    for minute, found in ((59, None), (60, 1)):
        when = dt.datetime(2024, 7, 1, 8, tzinfo=dt.UTC) + dt.timedelta(minutes=minute)
        job = local.features_for({"id": [1], "when": [when]}, ["local:v"], "when")
        assert job.collect()["v"].to_list() == [found]
        told = job.report().view("local")
        assert (told.matched, told.leaked) == (int(found or 0), 0)
        if found:
            assert dict(told.ages)[1.0] == dt.timedelta(0)


def test_provenance_says_which_row_was_used(store: ContractStore) -> None:
    job = store.features_for(FACTS, ["weather:wind", "airport:runways"], "leaves").with_provenance()
    found = job.collect()
    assert found.columns[-2:] == ["weather__event_timestamp", "weather__created_timestamp"]
    assert found["weather__event_timestamp"].to_list() == [day(1), day(1), day(3), None]
    assert found["weather__created_timestamp"].to_list() == [day(1), None, day(3, 12), None]
    assert dict(found.schema) == job.schema.polars
    clash = {**FACTS, "weather__event_timestamp": [1, 2, 3, 4]}
    with pytest.raises(RequestError, match="already have 'weather__event_timestamp'"):
        store.features_for(clash, ["weather:wind"], "leaves").with_provenance()


def from_the_future(facts: pl.LazyFrame, request: Any) -> pl.LazyFrame:
    """A join that leaks: it takes the latest row of all time."""
    latest = WEATHER.lazy().sort("seen").unique("airport", keep="last")
    return facts.join(latest.select("airport", "wind"), on="airport", how="left", maintain_order="left")


def test_a_join_of_its_own_is_taken_at_its_word_and_tells_no_times(store: ContractStore) -> None:
    custom = CustomMethodDataSource.from_methods(
        all_data=lambda request: WEATHER, features_for=from_the_future
    )
    job = store.update_source_for("weather", custom).features_for(FACTS, ["weather:wind"], "leaves")
    assert job.collect()["wind"].to_list() == [9, 5, 9, None]
    told = job.report().view("weather")
    assert (told.matched, told.ages) == (3, ())


def test_a_join_of_its_own_keeps_to_the_age_by_itself() -> None:
    @feature_view(source=CustomMethodDataSource.from_methods(features_for=from_the_future))
    class Forecast:
        airport = String().as_entity()
        seen = EventTimestamp(ttl=dt.timedelta(days=1))
        wind = Int64()

    store = ContractStore([view(Forecast)])
    assert store.features_for(FACTS, ["forecast:wind"], "leaves").collect()["wind"].to_list() == [
        9,
        5,
        9,
        None,
    ]


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"features": ["weather:wnd"]}, UnknownFeatureError, r"no feature 'wnd'.*Did you mean 'wind'"),
        ({"features": ["wether:wind"]}, UnknownContractError, r"Did you mean 'weather'"),
        ({"features": ["wind"]}, RequestError, r"Write 'view:feature'"),
        ({"features": []}, RequestError, r"No features are asked for"),
        ({"features": ["weather:airport"]}, RequestError, r"what the view is asked by"),
        (
            {"facts": {"airprt": ["OSL"]}},
            RequestError,
            r"lack 'airport', the entity of 'weather'.*mean 'airprt'",
        ),
        ({"time": "leavs"}, RequestError, r"no column 'leavs'.*Did you mean 'leaves'"),
        ({"features": {"leaves": "weather:wind"}}, RequestError, r"'leaves' would stand twice"),
        (
            {"entity_columns": {"airprt": "x"}},
            RequestError,
            r"no entity of the views.*Did you mean 'airport'",
        ),
        ({"max_age": {"wether": dt.timedelta(1)}}, RequestError, r"Did you mean 'weather'"),
        (
            {"facts": {"airport": ["OSL", "OSL"], "leaves": [day(1), dt.datetime(2026, 1, 1)]}},
            RequestError,
            r"'leaves' mixes times with a time zone \(2026-01-01T00:00:00\+00:00\) and without",
        ),
        (
            {
                "facts": [
                    {"airport": "OSL", "leaves": day(1)},
                    {"airport": "OSL", "leaves": dt.datetime(2026, 1, 1)},
                ]
            },
            RequestError,
            r"'leaves' mixes times",
        ),
        (
            {"facts": {"airport": ["OSL"], "leaves": ["2026-01-01"]}},
            RequestError,
            r"'leaves' should be a timestamp",
        ),
        ({"facts": {"airport": [1.5], "leaves": [day(1)]}}, RequestError, r"'airport'.*cannot be compared"),
        ({"facts": 7}, RequestError, r"got int"),
    ],
)
def test_what_cannot_be_asked_is_said(
    store: ContractStore, change: dict[str, Any], error: type[Exception], message: str
) -> None:
    asked: dict[str, Any] = {"facts": FACTS, "features": ["weather:wind"], "time": "leaves"} | change
    others = {name: asked[name] for name in ("entity_columns", "max_age") if name in asked}
    with pytest.raises(error, match=message):
        store.features_for(asked["facts"], asked["features"], asked["time"], **others).collect()


def test_a_value_that_does_not_fit_is_told_with_its_source(store: ContractStore, tmp_path: Path) -> None:
    (tmp_path / "weather.csv").write_text("airport,seen,written,wind\nOSL,2026-01-01T00:00:00Z,,strong\n")
    broken = store.update_source_for("weather", FileSource.csv_at(tmp_path / "weather.csv"))
    with pytest.raises(CastError, match=r"strong.*column 'wind'|column 'wind'.*strong"):
        broken.features_for(FACTS, ["weather:wind"], "leaves").collect()


def test_two_tables_may_not_give_one_name() -> None:
    one = Lookup(pl.LazyFrame({"id": [1], "x": [1]}), {"id": "id"}, None, None, {"x": "x"})
    with pytest.raises(RequestError, match="already have the columns 'x'"):
        point_in_time_joins(pl.LazyFrame({"id": [1]}), [one, one], fact_timestamp=None)
