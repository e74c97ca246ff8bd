"""The flights."""

from __future__ import annotations

from datetime import timedelta

from aligned_dagster import (
    EventTimestamp,
    FileSource,
    Int32,
    String,
    feature_view,
    rule,
    when,
)
from aligned_dagster.demo.contracts.airlines import Airlines
from aligned_dagster.demo.contracts.planes import Planes
from aligned_dagster.demo.nycflights import CSV, data_file
from aligned_dagster.demo.storage import STORAGE


@feature_view(
    source=FileSource.csv_at(data_file("flights.csv.zip"), csv_config=CSV),
    materialized_source=STORAGE.partitioned("flights", by=["origin"]),
    contacts=["flights@example.com"],
)
class Flights:
    """Every flight that was to leave New York City in 2013."""

    carrier = String().as_entity().reference_to(Airlines().carrier)
    flight = Int32().as_entity().lower_bound(1).description("Flight number")
    origin = String().as_entity().accepted_values(["EWR", "JFK", "LGA"])
    sched_dep_time = (
        Int32().as_entity().bounded_between(0, 2400).description("Scheduled departure, local hhmm")
    )
    time_hour = EventTimestamp().description("Hour of the scheduled departure")
    dest = String().min_length(3).max_length(3)
    tailnum = (
        String()
        .is_optional()
        .reference_to(Planes().tailnum, on_violation="warn")
        .description("Tail number; some airlines write their own fleet number here")
    )
    minute = Int32().bounded_between(0, 59)
    dep_time = Int32().is_optional().bounded_between(0, 2400).description("Departure, local hhmm")
    dep_delay = Int32().is_optional().description("Minutes late at departure")
    arr_delay = Int32().is_optional().description("Minutes late at arrival")
    air_time = Int32().is_optional().lower_bound(1).description("Minutes in the air")
    distance = Int32().lower_bound(1).description("Miles")

    is_cancelled = dep_time.is_null()
    is_late = (dep_delay > 15).fill_null(False)
    made_up = dep_delay - arr_delay
    speed = (distance / air_time * 60).round(1).description("Miles an hour in the air")
    lateness = when(is_cancelled).then("cancelled").otherwise(
        dep_delay.bins([0, 15, 60], ["on time", "slightly late", "late", "very late"])
    )  # fmt: skip
    local_hour = time_hour.convert_time_zone("America/New_York")
    hour = local_hour.hour()
    weekday = local_hour.weekday()
    is_weekend = local_hour.is_weekend()
    route = origin.append("-").append(dest)

    departs_at = (time_hour + minute * timedelta(minutes=1)).description("Scheduled departure to the minute")
    known_at = (departs_at + (dep_delay.fill_null(0).clip(lower=0) + 1) * timedelta(minutes=1)).description(
        "When its delay came to be known: a minute after it left, or was to leave and did not"
    )

    flown_only_if_departed = rule(
        dep_time.is_not_null() | air_time.is_null(), "a flight that did not depart was not in the air"
    )
