"""A model that `mlflow models serve` serves, asked by its own protocol: `/invocations` with `dataframe_split`."""

from __future__ import annotations

from typing import Any, Literal

import polars as pl
from pydantic import field_validator

from aligned_dagster.sources.exposed.answers import answer_frame
from aligned_dagster.sources.exposed.base import ExposedModel, Outputs
from aligned_dagster.sources.exposed.json_rows import json_rows
from aligned_dagster.sources.exposed.web_service import WebServiceModel

_PATH = "/invocations"


class MlflowServerModel(WebServiceModel):
    """A scoring server of MLflow. Make it with `ExposedModel.mlflow_server`."""

    type: Literal["mlflow_server"] = "mlflow_server"

    @field_validator("url")
    @classmethod
    def _with_path(cls, url: str) -> str:
        url = url.rstrip("/")
        return url if url.endswith(_PATH) else f"{url}{_PATH}"

    __hash__ = ExposedModel.__hash__

    @property
    def kind(self) -> str:
        """mlflow."""
        return "mlflow"

    def _question(self, features: pl.DataFrame, outputs: Outputs) -> Any:
        return {"dataframe_split": {"columns": features.columns, "data": json_rows(features, self.label)}}

    def _read(self, answer: Any, outputs: Outputs) -> pl.DataFrame:
        predictions = answer.get("predictions") if isinstance(answer, dict) else None
        if not isinstance(predictions, list):
            raise self._strange(answer, '{"predictions": [...]}')
        if predictions and all(isinstance(one, list) and len(one) == 1 for one in predictions):
            predictions = [one[0] for one in predictions]
        if (
            len(outputs.asked) == 1
            and predictions
            and all(isinstance(p, dict) and len(p) == 1 for p in predictions)
        ):
            predictions = [value for one in predictions for value in one.values()]
        return answer_frame(predictions, outputs, self.uri)
