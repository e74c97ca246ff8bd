"""The weather of each airport month by month: a grid of windows of time and keys."""

from __future__ import annotations

from datetime import date

from aligned_dagster import Bool, EventTimestamp, Float, String, TypedView, feature_view
from aligned_dagster.demo.contracts.weather import Weather
from aligned_dagster.demo.storage import STORAGE


@feature_view(
    source=Weather,
    materialized_source=STORAGE.partitioned("monthly_weather", by=["origin"]),
    materialize_from=date(2013, 1, 1),
    materialize_until=date(2014, 1, 1),
    every="monthly",
    contacts=["weather@example.com"],
)
class MonthlyWeather(TypedView):
    """One row for each airport and month of 2013."""

    origin = String().as_entity().accepted_values(["EWR", "JFK", "LGA"])
    time_hour = EventTimestamp().description("Hour of its last reading in the month")
    temp_celsius = Float().is_optional()
    gust = Float().is_optional()
    is_wet = Bool()

    wet_hours = is_wet.aggregate().sum()
    mean_temp = temp_celsius.aggregate().mean()
    worst_gust = gust.aggregate().max()
