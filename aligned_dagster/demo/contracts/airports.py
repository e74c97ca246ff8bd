"""The airports."""

from __future__ import annotations

from aligned_dagster import FileSource, Float, Int32, Int64, String, TypedView, feature_view
from aligned_dagster.demo.nycflights import CSV, data_file


@feature_view(
    source=FileSource.csv_at(
        data_file("airports.csv"),
        mapping_keys={"alt": "altitude", "lat": "latitude", "lon": "longitude", "tzone": "time_zone"},
        csv_config=CSV,
    ),
    tags=["reference"],
    contacts=["flights@example.com"],
)
class Airports(TypedView):
    """Airports of the United States by their FAA code."""

    faa = String().as_entity().validate_regex("^[A-Z0-9]{3}$").description("FAA code")
    name = String()
    latitude = Float().bounded_between(-90, 90).description("degrees north")
    longitude = Float().bounded_between(-180, 180).description("degrees east")
    altitude = Int64().description("feet above the sea")
    tz = Int32().bounded_between(-12, 14).description("hours from UTC in winter")
    time_zone = String().is_optional().description("name of its IANA time zone")

    altitude_in_metres = (altitude * 0.3048).round(1)
    is_high = altitude_in_metres > 1_500
