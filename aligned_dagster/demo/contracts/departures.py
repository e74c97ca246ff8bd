"""Flights with the weather and the plane: a join of three views."""

from __future__ import annotations

from aligned_dagster import (
    Bool,
    EventTimestamp,
    Float,
    Int32,
    String,
    TypedView,
    coalesce,
    feature_view,
    rule,
)
from aligned_dagster.demo.contracts.flights import Flights
from aligned_dagster.demo.contracts.planes import Planes
from aligned_dagster.demo.contracts.weather import Weather
from aligned_dagster.demo.storage import STORAGE


@feature_view(
    source=Flights.join(Weather, on=["origin", "time_hour"], how="left").join(
        Planes, on="tailnum", how="left"
    ),
    materialized_source=STORAGE.table("departures"),
    contacts=["flights@example.com"],
)
class Departures(TypedView):
    """Each flight beside the weather of its hour and what is known of its plane."""

    carrier = String().as_entity()
    flight = Int32().as_entity()
    origin = String().as_entity()
    sched_dep_time = Int32().as_entity()
    time_hour = EventTimestamp()
    dest = String()
    dep_delay = Int32().is_optional()
    is_cancelled = Bool()
    is_late = Bool()
    weekday = Int32()
    distance = Int32()
    wind_speed = Float().is_optional()
    is_windy = Bool().is_optional()
    is_wet = Bool().is_optional()
    temp_celsius = Float().is_optional()
    seats = Int32().is_optional()
    age = Int32().is_optional().description("Age of the plane in years")

    has_plane = seats.is_not_null()
    plane_is_known = rule(
        has_plane, "the plane is one that the FAA knows, and is named at all", on_violation="warn"
    )
    rough_weather = coalesce(is_windy | is_wet, False)
    seat_miles = seats * distance
