"""Models that other processes can import, and rows to predict for."""

from __future__ import annotations

from typing import Any

import polars as pl

from aligned_dagster.sources.exposed import ExposedModel, Outputs
from aligned_dagster.sources.exposed.batches import predicted


def doubled(features: pl.DataFrame) -> pl.Series:
    return features["x"] * 2


class Times:
    """An object that can be called."""

    def __init__(self, factor: float) -> None:
        self.factor = factor

    def __call__(self, features: pl.DataFrame) -> Any:
        return features["x"] * self.factor


def answers(model: ExposedModel, rows: pl.DataFrame, outputs: Outputs, **options: Any) -> pl.DataFrame:
    """All predictions for rows whose column `row` counts them, and whose others are features."""
    features = [name for name in rows.columns if name != "row"]
    batches = list(predicted(model, rows.lazy(), features, ["row"], outputs, contract="delays", **options))
    return pl.concat(batches)


def numbered(**columns: Any) -> pl.DataFrame:
    return pl.DataFrame(columns).with_row_index("row")
