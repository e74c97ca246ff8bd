"""Whether a flight will leave late, as far as that can be known at the hour for which it is scheduled."""

from __future__ import annotations

from datetime import date

from aligned_dagster import EventTimestamp, ExposedModel, Int32, String, TypedModel, model_contract
from aligned_dagster.demo.contracts.flights import Flights
from aligned_dagster.demo.contracts.models.recent_delays import RecentDelays
from aligned_dagster.demo.contracts.planes import Planes
from aligned_dagster.demo.contracts.weather import Weather
from aligned_dagster.demo.storage import STORAGE

MODEL = "data/demo/models/departure_delay.joblib"
"""Where the trained model is kept."""

flights, weather, planes, delays = Flights(), Weather(), Planes(), RecentDelays()


@model_contract(
    input_features=[
        flights.hour,
        flights.weekday,
        flights.distance,
        weather.temp,
        weather.wind_speed,
        weather.precip,
        weather.visib,
        weather.pressure,
        planes.age,
        planes.seats,
        delays.departures_6h,
        delays.mean_delay_2h,
        delays.mean_delay_6h,
        delays.late_share_6h,
    ],
    exposed_model=ExposedModel.sklearn_at(MODEL),
    output_source=STORAGE.table("delay_predictions"),
    predict_over=Flights,
    materialize_from=date(2013, 10, 1),
    materialize_until=date(2014, 1, 1),
    every="monthly",
    time_zone="America/New_York",
    acceptable_metrics={"roc_auc": 0.65},
    contacts=["flights@example.com"],
)
class DepartureDelay(TypedModel):
    """How likely each flight of the last quarter is to leave more than a quarter of an hour late."""

    carrier = String().as_entity()
    flight = Int32().as_entity()
    origin = String().as_entity()
    sched_dep_time = Int32().as_entity()
    time_hour = EventTimestamp().description("The hour of the scheduled departure, at which it is predicted")

    will_be_late = flights.is_late.as_classification_target()
    chance = will_be_late.probability_of(True).description("How likely it is to leave late")
    model_version = String().as_model_version()

    is_risky = chance > 0.5
