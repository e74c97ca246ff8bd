"""Model contracts: what goes in, what comes out, and what became of it."""

from __future__ import annotations

import datetime as dt
import json
from datetime import UTC
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl
import pytest

from aligned_dagster import (
    Bool,
    ContractStore,
    EventTimestamp,
    ExposedModel,
    FeatureInputVersions,
    FileSource,
    Float,
    InMemorySource,
    Int64,
    ModelContract,
    String,
    feature_view,
    model_contract,
    split_by_time,
)
from aligned_dagster.contracts.publish import publish
from aligned_dagster.errors import AuditError, ContractError, RequestError, UnknownContractError


def at(day: int, hour: int = 0) -> dt.datetime:
    return dt.datetime(2026, 1, day, hour, tzinfo=ZoneInfo("UTC"))


WEATHER = InMemorySource.from_values(
    {"airport": ["OSL", "OSL", "BGO"], "at": [at(1), at(3), at(1)], "wind": [3.0, 9.0, 5.0]}
)
FLIGHTS = InMemorySource.from_values(
    {
        "flight": [1, 2, 3, 4],
        "origin": ["OSL", "OSL", "BGO", "OSL"],
        "leaves": [at(2), at(4), at(2), at(1)],
        "distance": [100.0, 200.0, 300.0, 400.0],
        "delayed": [True, False, True, False],
    }
)


def by_wind(rows: pl.DataFrame) -> pl.DataFrame:
    assert rows.columns == ["distance", "far", "wind"]
    return pl.DataFrame({"chance": rows["wind"] / 16, "is_delayed": rows["wind"] > 4})


def by_distance(rows: pl.DataFrame) -> pl.DataFrame:
    return pl.DataFrame({"chance": rows["distance"] / 400, "is_delayed": rows["distance"] > 150})


@feature_view(source=WEATHER)
class Weather:
    airport = String().as_entity()
    at = EventTimestamp()
    wind = Float()


@feature_view(source=FLIGHTS)
class Flights:
    flight = Int64().as_entity()
    leaves = EventTimestamp()
    origin = String()
    distance = Float()
    delayed = Bool()
    far = distance > 250


flights, weather = Flights(), Weather()
FEATURES = [flights.distance, flights.far, weather.wind]


def delay(store: Any = None, **changes: Any) -> ModelContract[Any]:
    options: dict[str, Any] = {
        "input_features": FEATURES,
        "entity_columns": {"airport": "origin"},
        "exposed_model": ExposedModel.python(by_wind, version="v1"),
        "output_source": store,
    }

    @model_contract(name="delay", **{**options, **changes})
    class Delay:
        flight = Int64().as_entity()
        at = EventTimestamp()
        is_delayed = flights.delayed.as_classification_target()
        chance = is_delayed.probability_of(True)
        sure = chance > 0.5
        version = String().as_model_version()

    return Delay


PREDICTED = [
    (1, at(2), False, 0.1875, False, "v1"),
    (2, at(4), True, 0.5625, True, "v1"),
    (3, at(2), True, 0.3125, False, "v1"),
    (4, at(1), False, 0.1875, False, "v1"),
]


def test_every_row_of_the_facts_is_predicted_at_its_time() -> None:
    assert delay().query().all_predictions().collect().rows() == PREDICTED


def test_predictions_are_published_and_read_back(tmp_path: Path) -> None:
    model = delay(FileSource.parquet_at(tmp_path / "delay.parquet"))
    report = publish(model).report
    assert report.passed and report.rows == 4
    assert model.query().all_predictions().collect().rows() == PREDICTED
    between = model.query().predictions_between(at(2), at(3)).collect()
    assert between["flight"].to_list() == [1, 3]


def test_what_is_predicted_is_added_to_what_is_stored(tmp_path: Path) -> None:
    model = delay(FileSource.parquet_at(tmp_path / "delay.parquet"))
    query = model.query()
    query.predict_over(
        {"flight": [1, 9], "origin": ["OSL", "BGO"], "at": [at(2), at(9)]}
    ).overwrite_output_source()
    query.predict_over({"flight": [9], "origin": ["OSL"], "at": [at(9)]}).upsert_into_output_source()
    query.predict_over({"flight": [9], "origin": ["BGO"], "at": [at(12)]}).insert_into_output_source()
    stored = query.all_predictions().collect().sort("flight", "at")
    assert stored.select("flight", "at", "chance").rows() == [
        (1, at(2), 0.1875),
        (9, at(9), 0.5625),
        (9, at(12), 0.3125),
    ]
    known = query.predictions_for({"flight": [9, 9, 1], "at": [at(10), at(8), at(30)]})
    assert known.collect()["chance"].to_list() == [0.5625, None, 0.1875]
    assert known.report().leaked == 0


def test_a_prediction_without_a_time_is_of_now() -> None:
    before = dt.datetime.now(UTC)
    row = delay().query().predict_over({"flight": [1], "origin": ["OSL"]}).collect().row(0, named=True)
    assert row["chance"] == 0.5625  # the latest wind
    assert before <= row["at"] <= dt.datetime.now(UTC)


def test_what_is_needed_is_told() -> None:
    query = delay().query()
    assert query.needed_entities().polars == {"flight": pl.Int64, "origin": pl.String}
    with pytest.raises(RequestError, match=r"The facts lack 'origin', the entity of 'weather'"):
        query.predict_over({"flight": [1]})
    with pytest.raises(RequestError, match="'flights'"):
        query.features_for({"flights": [1], "origin": ["OSL"]})


def test_features_are_those_of_the_time() -> None:
    found = delay().query().features_for({"flight": [1, 1], "origin": ["OSL", "OSL"], "at": [at(2), at(3)]})
    assert found.select("distance", "far", "wind").collect().rows() == [
        (100.0, False, 3.0),
        (100.0, False, 9.0),
    ]
    assert found.report().view("weather").matched == 2


def test_predictions_stand_beside_the_truth() -> None:
    found = delay().query().with_target().collect()
    assert found["actual_is_delayed"].to_list() == [True, False, True, False]
    unknown = (
        delay()
        .query()
        .with_target(delay().query().predict_over({"flight": [7], "origin": ["OSL"], "at": [at(2)]}))
    )
    assert unknown.collect()["actual_is_delayed"].to_list() == [None]


def test_a_training_set_has_the_features_and_the_target() -> None:
    rows = delay().query().training_set(split=split_by_time(at(3)))
    found = rows.read().collect()
    assert rows.name == "delay_training"
    assert found.select("distance", "far", "wind", "delayed", "split").rows() == [
        (100.0, False, 3.0, True, "train"),
        (200.0, False, 9.0, False, "test"),
        (300.0, True, 5.0, True, "train"),
        (400.0, True, 3.0, False, "train"),
    ]
    assert rows.report().leaked == 0


def test_several_sets_of_features() -> None:
    versions = FeatureInputVersions("near", {"near": [flights.distance], "windy": FEATURES})
    model = delay(input_features=versions, exposed_model=ExposedModel.python(by_distance, version="d"))
    assert model.query().all().collect()["chance"].to_list() == [0.25, 0.5, 0.75, 1.0]
    windy = model.query().using_version("windy").using_model(ExposedModel.python(by_wind, version="w"))
    assert windy.all().collect()["version"].to_list() == ["w"] * 4
    with pytest.raises(UnknownContractError, match="Did you mean 'windy'"):
        model.query().using_version("wind")


def test_a_broken_promise_publishes_nothing(tmp_path: Path) -> None:
    def mad(rows: pl.DataFrame) -> pl.DataFrame:
        return pl.DataFrame({"chance": rows["wind"], "is_delayed": rows["wind"] > 4})

    model = delay(FileSource.parquet_at(tmp_path / "delay.parquet"), exposed_model=mad)
    with pytest.raises(AuditError, match="chance must be at most 1"):
        publish(model)
    assert not (tmp_path / "delay.parquet").exists()


def test_a_prediction_may_refer_to_a_view_that_it_does_not_read(tmp_path: Path) -> None:
    @feature_view(source=InMemorySource.from_values({"flight": [1, 2, 3, 4]}))
    class Announced:
        flight = Int64().as_entity()

    @model_contract(
        input_features=[flights.distance],
        exposed_model=lambda rows: rows["distance"] > 150,
        output_source=FileSource.parquet_at(tmp_path / "long.parquet"),
    )
    class Long:
        flight = Int64().as_entity().reference_to(Announced().flight)
        is_long = Bool()

    assert publish(Long).report.outcome("flight__reference").passed
    query = Long.query()
    with pytest.raises(AuditError, match="flight must stand in announced"):
        query.upsert_into_output_source({"flight": [77], "is_long": [True]})


def test_lineage_goes_through_the_model() -> None:
    lineage = delay().column_lineage()
    inputs = (("flights", "distance"), ("flights", "far"), ("weather", "wind"))
    assert lineage["chance"] == inputs and lineage["sure"] == inputs
    assert lineage["flight"] == (("flights", "flight"),) and lineage["at"] == (("flights", "leaves"),)
    assert delay().depends_on() == {"flights", "weather"}


def test_another_view_reads_the_predictions() -> None:
    model = delay()

    @feature_view(source=model)
    class Late:
        flight = Int64().as_entity()
        chance = Float()
        likely = chance > 0.3

    assert Late.query().all().collect()["likely"].to_list() == [False, True, True, False]
    assert Late.column_lineage()["likely"] == (("delay", "chance"),)


def test_a_store_finds_models_and_replaces_what_they_read() -> None:
    store = ContractStore([Flights, Weather, delay()])
    assert list(store.models) == ["delay"]
    with pytest.raises(
        UnknownContractError, match=r"'weather' is a feature view and no model.*Models: delay"
    ):
        store.model("weather")
    calm = store.update_source_for("weather", {"airport": ["OSL"], "at": [at(1)], "wind": [0.0]})
    assert calm.model("delay").all().collect()["chance"].to_list() == [0.0, 0.0, None, 0.0]
    one = store.update_source_for("flights", FLIGHTS.data.head(1))
    assert one.model("delay").with_target().collect()["actual_is_delayed"].to_list() == [True]


def test_json_and_back() -> None:
    versions = FeatureInputVersions("all", {"all": FEATURES, "near": [flights.distance]})
    store = ContractStore([Flights, Weather, delay(input_features=versions, max_age=dt.timedelta(days=3))])
    text = json.dumps(store.to_json())
    again = ContractStore.from_json(json.loads(text))
    assert json.dumps(again.to_json()) == text and again.digest == store.digest
    assert again.model("delay").all().collect().rows() == PREDICTED
    assert again.models["delay"].target is not None
    assert again.models["delay"].code_version == store.models["delay"].code_version


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"entity_columns": None}, "predicts over flights, which lacks 'airport'"),
        ({"entity_columns": {"airprot": "origin"}}, "Did you mean 'airport'"),
        ({"input_features": []}, "No features are asked for"),
        ({"input_features": ["weather:wind"]}, "cannot find the view 'weather' by its name"),
        ({"exposed_model": 3}, "exposed_model takes an ExposedModel or a function"),
        ({"predict_over": Weather}, "predicts over weather, which lacks 'flight', 'origin'"),
    ],
)
def test_what_cannot_be_is_told_at_definition(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ContractError, match=message) as told:
        delay(**changes)
    assert "test_model_contract.py" in str(told.value)


def test_a_label_is_needed_for_a_probability() -> None:
    with pytest.raises(ContractError, match="probability_of is asked of a label"):
        Bool().probability_of(True)
    with pytest.raises(ContractError, match="probability of a label that is no column"):

        @model_contract(input_features=[weather.wind], exposed_model=by_wind)
        class Chance:
            airport = String().as_entity()
            chance = flights.delayed.as_classification_target().probability_of(True)
