"""Models that answer with predictions: a function, a stored scikit-learn estimator, MLflow, a web service."""

from __future__ import annotations

from aligned_dagster.sources.exposed.base import (
    ExposedModel,
    Outputs,
    Predictor,
    exposed_from_json,
    exposed_to_json,
)

__all__ = ["ExposedModel", "Outputs", "Predictor", "exposed_from_json", "exposed_to_json"]
