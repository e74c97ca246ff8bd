"""What the delay model learns from: nine months of flights, with what was known at the hour of each."""

from __future__ import annotations

from datetime import date

from aligned_dagster import split_by_time, training_set
from aligned_dagster.demo.contracts.flights import Flights
from aligned_dagster.demo.contracts.models.departure_delay import DepartureDelay
from aligned_dagster.demo.storage import STORAGE

DelayTraining = training_set(
    "delay_training",
    Flights,
    model=DepartureDelay,
    split=split_by_time(train_until=date(2013, 9, 1)),
    dataset_store=STORAGE.table("delay_training"),
    materialize_from=date(2013, 1, 1),
    materialize_until=date(2013, 10, 1),
    every="monthly",
    time_zone="America/New_York",
    min_match_rate={"flights": 1.0, "weather": 0.9, "recent_delays": 0.9, "planes": 0.8},
    description="Flights from January to August to train on and those of September to choose by.",
    contacts=["flights@example.com"],
)
