"""Each airline month by month: windows of time."""

from __future__ import annotations

from datetime import date, timedelta

from aligned_dagster import Bool, EventTimestamp, Int32, String, TypedView, feature_view
from aligned_dagster.demo.contracts.flights import Flights
from aligned_dagster.demo.storage import STORAGE


@feature_view(
    source=Flights,
    materialized_source=STORAGE.table("monthly_carriers"),
    materialize_from=date(2013, 1, 1),
    materialize_until=date(2014, 1, 1),
    every="monthly",
    lookback=timedelta(days=3),
    time_zone="America/New_York",
    contacts=["flights@example.com"],
)
class MonthlyCarriers(TypedView):
    """One row for each airline and month of 2013; a month stays open for three days after its end."""

    carrier = String().as_entity()
    time_hour = EventTimestamp().description("Hour of its last departure in the month")
    dep_delay = Int32().is_optional()
    is_cancelled = Bool()

    flights = is_cancelled.aggregate().count().lower_bound(1)
    cancelled = is_cancelled.aggregate().sum()
    mean_delay = dep_delay.aggregate().mean()

    cancelled_share = (cancelled / flights).bounded_between(0, 1)
