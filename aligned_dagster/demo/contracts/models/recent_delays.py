"""How late the flights of an airport have been, as far as it was known at the time."""

from __future__ import annotations

from aligned_dagster import Bool, CreatedTimestamp, EventTimestamp, Int32, String, TypedView, feature_view
from aligned_dagster.demo.contracts.flights import Flights


@feature_view(source=Flights, contacts=["flights@example.com"])
class RecentDelays(TypedView):
    """Delays of the hours before the moment that is asked about; a flight that has not left yet does not count."""

    origin = String().as_entity()
    time_hour = EventTimestamp()
    known_at = CreatedTimestamp().description("When the delay came to be known")
    dep_delay = Int32().is_optional()
    is_late = Bool()

    departures_6h = is_late.aggregate().over(hours=6).count()
    late_6h = is_late.aggregate().over(hours=6).sum()
    mean_delay_6h = dep_delay.aggregate().over(hours=6).mean()
    mean_delay_2h = dep_delay.aggregate().over(hours=2).mean()

    late_share_6h = (late_6h / departures_6h).bounded_between(0, 1)
