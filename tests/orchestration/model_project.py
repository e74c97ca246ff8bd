"""Flights, the weather at their airports, and a model of their delays: its training set, its file, who reads it."""

from __future__ import annotations

import datetime as dt
import os
import random
from dataclasses import dataclass
from datetime import UTC
from pathlib import Path
from typing import Any

import dagster as dg
import joblib
import polars as pl
from sklearn.linear_model import LogisticRegression

from aligned_dagster import (
    Bool,
    ContractStore,
    EventTimestamp,
    ExposedModel,
    FeatureView,
    FileSource,
    Float,
    Int64,
    ModelContract,
    String,
    feature_view,
    model_contract,
)
from aligned_dagster.contracts.defining_training_sets import training_set
from aligned_dagster.contracts.splits import split_by_time

FIRST = dt.datetime(2026, 1, 1, tzinfo=UTC)
DAYS = 10
AIRPORTS = ("BGO", "OSL", "TRD")


@dataclass
class Flying:
    """Ten days of flights, 40 a day, whose delays depend on the wind; those of the last two days are not known yet."""

    root: Path

    @property
    def model_file(self) -> Path:
        return self.root / "delay.joblib"

    def write(self, *, days: int = DAYS, known: int = DAYS - 2, wind: float = 0.0, seed: int = 1) -> None:
        """Write weather and flights.

        Args:
            days: how many there are.
            known: on how many of them it is known which flights were delayed.
            wind: added to that of the last two days.
            seed: of the random numbers.
        """
        draw = random.Random(seed)
        weather: dict[str, list[Any]] = {"airport": [], "at": [], "wind": []}
        winds = {}
        for hour in range(-1, 24 * days):
            for airport in AIRPORTS:
                blows = round(draw.uniform(0, 20) + (wind if hour >= 24 * (days - 2) else 0), 1)
                winds[hour, airport] = blows
                weather["airport"].append(airport)
                weather["at"].append(FIRST + dt.timedelta(hours=hour))
                weather["wind"].append(blows)
        flights: dict[str, list[Any]] = {
            name: [] for name in ("flight", "leaves", "origin", "distance", "delayed")
        }
        for number in range(40 * days):
            minute = number * 36
            airport = draw.choice(AIRPORTS)
            late = winds[minute // 60, airport] > draw.uniform(4, 16)
            flights["flight"].append(number)
            flights["leaves"].append(FIRST + dt.timedelta(minutes=minute))
            flights["origin"].append(airport)
            flights["distance"].append(round(draw.uniform(100, 900)))
            flights["delayed"].append(late if number < 40 * known else None)
        pl.DataFrame(weather).write_parquet(self.root / "weather.parquet")
        pl.DataFrame(flights).write_parquet(self.root / "flights.parquet")

    def train(self, strength: float = 1.0) -> None:
        """Fit a model to the first days and write it; its time is that of now in any case."""
        flights = pl.read_parquet(self.root / "flights.parquet").drop_nulls().sort("leaves")
        weather = pl.read_parquet(self.root / "weather.parquet").sort("at")
        rows = flights.join_asof(
            weather,
            left_on="leaves",
            right_on="at",
            by_left="origin",
            by_right="airport",
            check_sortedness=False,
        )
        frame = rows.select(pl.col("distance").cast(pl.Float64), "wind").to_pandas()
        fitted = LogisticRegression(C=strength, max_iter=1000).fit(frame, rows["delayed"].to_list())
        before = self.model_file.stat().st_mtime_ns if self.model_file.exists() else 0
        joblib.dump(fitted, self.model_file)
        now = max(self.model_file.stat().st_mtime_ns, before + 1_000_000_000)
        os.utime(self.model_file, ns=(now, now))

    def views(self, name: str = "delay", **options: Any) -> dict[str, FeatureView[Any]]:
        """The contracts by name.

        Args:
            name: of the model contract.
            options: of the model contract.
        """

        @feature_view(source=FileSource.parquet_at(self.root / "weather.parquet"))
        class Weather:
            airport = String().as_entity()
            at = EventTimestamp()
            wind = Float()

        @feature_view(
            source=FileSource.parquet_at(self.root / "flights.parquet"),
            materialized_source=FileSource.parquet_at(self.root / "stored" / "flights.parquet"),
        )
        class Flights:
            flight = Int64().as_entity()
            leaves = EventTimestamp()
            origin = String()
            distance = Float()
            delayed = Bool().is_optional()

        flights, weather = Flights(), Weather()
        given: dict[str, Any] = {
            "input_features": [flights.distance, weather.wind],
            "entity_columns": {"airport": "origin"},
            "exposed_model": ExposedModel.sklearn_at(self.model_file),
            "output_source": FileSource.parquet_at(self.root / "stored" / "delay.parquet"),
            "max_age": dt.timedelta(hours=2),
        }

        @model_contract(name=name, **{**given, **options})
        class Delay:
            """Whether a flight leaves late."""

            flight = Int64().as_entity()
            at = EventTimestamp()
            is_delayed = flights.delayed.as_classification_target()
            chance = is_delayed.probability_of(True)
            version = String().as_model_version()

        @feature_view(
            source=Delay, materialized_source=FileSource.parquet_at(self.root / "stored" / "l.parquet")
        )
        class LateFlights:
            """Flights that will hardly leave in time."""

            flight = Int64().as_entity()
            chance = Float()
            very_late = chance > 0.8

        return {"weather": Weather, "flights": Flights, name: Delay, "late_flights": LateFlights}

    def learning(
        self, model: ModelContract[Any], name: str = "delays_to_learn", **options: Any
    ) -> FeatureView[Any]:
        """The training set of the model: its first six days to train on."""
        return training_set(
            name,
            facts=model.facts_view,
            model=model,
            entity_columns={"airport": "origin"},
            split=split_by_time(FIRST + dt.timedelta(days=6)),
            **{"dataset_store": FileSource.parquet_at(self.root / "stored" / f"{name}.parquet"), **options},
        )

    def store(self, *, learning: bool = True, **options: Any) -> ContractStore:
        """All contracts.

        Args:
            learning: whether the training set is among them.
            options: of the model contract.
        """
        views = self.views(**options)
        delay = views["delay"]
        assert isinstance(delay, ModelContract)
        return ContractStore([*views.values(), *([self.learning(delay)] if learning else [])])


def records(value: dg.TableMetadataValue) -> list[dict[str, Any]]:
    """The rows of a table in the metadata."""
    return [dict(record.data) for record in value.records]


def daily(flying: Flying, **options: Any) -> ContractStore:
    """All contracts, the model and its training set in windows of a day."""
    span = {"materialize_from": FIRST.date(), "materialize_until": FIRST.date() + dt.timedelta(days=DAYS)}
    return flying.store(every="daily", **span, **options)
