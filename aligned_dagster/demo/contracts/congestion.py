"""How busy each airport has been of late: windows on the event timestamp."""

from __future__ import annotations

from aligned_dagster import Bool, EventTimestamp, Int32, String, TypedView, feature_view
from aligned_dagster.demo.contracts.flights import Flights
from aligned_dagster.demo.storage import STORAGE


@feature_view(
    source=Flights,
    materialized_source=STORAGE.table("congestion"),
    contacts=["flights@example.com"],
)
class Congestion(TypedView):
    """Per airport and hour: the departures and delays of the hours before, that hour included."""

    origin = String().as_entity()
    time_hour = EventTimestamp()
    dep_delay = Int32().is_optional()
    is_late = Bool()
    dest = String()

    departures_3h = dest.aggregate().over(hours=3).count().lower_bound(1)
    destinations_24h = dest.aggregate().over(hours=24).n_unique()
    mean_delay_3h = dep_delay.aggregate().over(hours=3).mean()
    worst_delay_24h = dep_delay.aggregate().over(hours=24).max()
    late_24h = is_late.aggregate().over(hours=24).sum()
    departures_24h = dest.aggregate().over(hours=24).count()

    late_share_24h = (late_24h / departures_24h).bounded_between(0, 1)
