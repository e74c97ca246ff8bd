"""One row per airline: an aggregation of a join."""

from __future__ import annotations

from aligned_dagster import Bool, Float, Int32, String, feature_view
from aligned_dagster.demo.contracts.airlines import Airlines
from aligned_dagster.demo.contracts.flights import Flights


@feature_view(source=Flights.join(Airlines, on="carrier"), contacts=["flights@example.com"])
class CarrierSummary:
    """How each airline did in 2013; computed whenever it is read."""

    carrier = String().as_entity()
    name = String()
    dep_delay = Int32().is_optional()
    is_cancelled = Bool()
    speed = Float().is_optional()

    airline = name.aggregate().max()
    flights = is_cancelled.aggregate().count()
    cancelled = is_cancelled.aggregate().sum()
    mean_delay = dep_delay.aggregate().mean()
    median_delay = dep_delay.aggregate().median()
    delay_spread = dep_delay.aggregate().std()
    fastest = speed.aggregate().max()

    cancelled_share = (cancelled / flights).bounded_between(0, 1)
