"""The airlines."""

from __future__ import annotations

from aligned_dagster import FileSource, String, TypedView, feature_view
from aligned_dagster.demo.nycflights import CSV, data_file


@feature_view(
    source=FileSource.csv_at(data_file("airlines.csv"), csv_config=CSV),
    tags=["reference"],
    contacts=["flights@example.com"],
)
class Airlines(TypedView):
    """Airlines by their two-letter code."""

    carrier = String().as_entity().min_length(2).max_length(2).description("IATA code of the airline")
    name = String().is_unique().description("What it calls itself")

    is_regional = name.contains(r"(Express|Regional|Mesa|SkyWest|Endeavor)")
