"""The weather, hour by hour."""

from __future__ import annotations

from aligned_dagster import EventTimestamp, FileSource, Float, Int32, String, TypedView, feature_view
from aligned_dagster.demo.nycflights import CSV, data_file
from aligned_dagster.demo.storage import STORAGE


@feature_view(
    source=FileSource.csv_at(data_file("weather.csv"), csv_config=CSV),
    materialized_source=STORAGE.table("weather"),
    on_violation="quarantine",
    contacts=["weather@example.com"],
)
class Weather(TypedView):
    """Hourly readings at the three airports of New York City; a reading that cannot be is kept aside."""

    origin = String().as_entity().accepted_values(["EWR", "JFK", "LGA"]).description("Airport")
    time_hour = EventTimestamp().description("Hour of the reading")
    temp = Float().is_optional().bounded_between(-60, 130).description("Temperature in degrees Fahrenheit")
    dewp = Float().is_optional().description("Dew point in degrees Fahrenheit")
    humid = Float().is_optional().bounded_between(0, 100).description("Relative humidity in percent")
    wind_dir = Int32().is_optional().bounded_between(0, 360).description("Direction of the wind in degrees")
    wind_speed = (
        Float().is_optional().lower_bound(0).upper_bound(253).description(
            "Wind in miles an hour; 253 is the fastest gust that was ever measured"
        )
    )  # fmt: skip
    wind_gust = Float().is_optional().lower_bound(0).description("Gusts in miles an hour")
    precip = Float().lower_bound(0).description("Precipitation in inches")
    pressure = Float().is_optional().bounded_between(870, 1085).description("Air pressure in millibars")
    visib = Float().lower_bound(0).description("Visibility in miles")

    temp_celsius = ((temp - 32) / 1.8).round(1)
    gust = wind_gust.fill_null(wind_speed)
    is_windy = gust >= 25
    is_wet = precip > 0
    log_precip = (precip * 100).log1p()
    hour_of_day = time_hour.convert_time_zone("America/New_York").hour()
    warmer_than_usual = temp - temp.aggregate().over(origin).mean()
