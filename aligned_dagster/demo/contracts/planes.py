"""The planes."""

from __future__ import annotations

from aligned_dagster import FileSource, Int32, String, TypedView, feature_view
from aligned_dagster.demo.nycflights import CSV, data_file
from aligned_dagster.demo.storage import STORAGE


@feature_view(
    source=FileSource.csv_at(data_file("planes.csv"), mapping_keys={"year": "built_in"}, csv_config=CSV),
    materialized_source=STORAGE.versioned("planes"),
    tags=["reference"],
    contacts=["flights@example.com"],
)
class Planes(TypedView):
    """Planes that the FAA knows, by their tail number; every schema version is kept."""

    tailnum = String().as_entity().validate_starts_with("N").description("Tail number")
    built_in = Int32().is_optional().lower_bound(1903).description("Year of manufacture")
    manufacturer = String()
    model = String()
    engines = Int32().bounded_between(1, 4)
    seats = Int32().lower_bound(1)
    engine = String().accepted_values(
        ["Turbo-fan", "Turbo-jet", "Turbo-prop", "Turbo-shaft", "Reciprocating", "4 Cycle"]
    )

    age = 2013 - built_in
    is_turbo_fan, is_turbo_jet = engine.one_hot_encode(["Turbo-fan", "Turbo-jet"])
    size = seats.bins([20, 120, 240], ["tiny", "small", "medium", "large"])
    is_airbus = manufacturer.to_uppercase().starts_with("AIRBUS")
