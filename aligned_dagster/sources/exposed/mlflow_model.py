"""A model of MLflow, in this process."""

from __future__ import annotations

import datetime as dt
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal
from urllib.parse import urlsplit

import polars as pl
from pydantic import field_validator

from aligned_dagster.errors import ConfigurationError, UnreadableSourceError, UnsupportedError
from aligned_dagster.sources.exposed.answers import answer_frame
from aligned_dagster.sources.exposed.base import ExposedModel, Outputs, Predictor
from aligned_dagster.sources.exposed.inputs import as_pandas, in_trained_order
from aligned_dagster.sources.fingerprint import Fingerprint

_FLOATS = {"double": pl.Float64(), "float": pl.Float32()}
"""Types of a signature that MLflow refuses to fill with whole numbers by itself."""


class MlflowModel(ExposedModel):
    """A model that MLflow reads. Make it with `ExposedModel.mlflow`.

    Args:
        model_uri: a directory, `models:/name/version`, `runs:/id/path`, ...
    """

    type: Literal["mlflow"] = "mlflow"
    model_uri: str

    @field_validator("model_uri")
    @classmethod
    def _without_secret(cls, uri: str) -> str:
        if not uri.strip():
            raise ConfigurationError("The URI of an MLflow model is empty.")
        if "@" in urlsplit(uri).netloc or (urlsplit(uri).query and "://" in uri):
            raise ConfigurationError(
                "The URI of an MLflow model has a user, a password or a query in it, which could be seen. "
                "Give these to MLflow by its environment variables, such as MLFLOW_TRACKING_TOKEN."
            )
        return uri

    __hash__ = ExposedModel.__hash__

    @property
    def uri(self) -> str:
        """The URI as MLflow reads it."""
        return self.model_uri

    @property
    def kind(self) -> str:
        """mlflow."""
        return "mlflow"

    def version(self) -> str:
        """See `ExposedModel.version`. Without a name it is the start of the id that MLflow gave the model."""
        return self.version_name or _short_id(self._told())

    def fingerprint(self) -> Fingerprint:
        """See `ExposedModel.fingerprint`. It is read from the model's `MLmodel` file."""
        told = self._told()
        created = dt.datetime.fromisoformat(str(told.utc_time_created)).replace(tzinfo=dt.UTC)
        return Fingerprint(str(told.model_uuid), created)

    @contextmanager
    def opened(self) -> Iterator[Predictor]:
        """See `ExposedModel.opened`.

        Raises:
            UnsupportedError: mlflow is not installed.
            UnreadableSourceError: MLflow cannot load the model.
        """
        with self._explained():
            model = _pyfunc().load_model(self.model_uri)
        schema = model.metadata.get_input_schema()

        def answer(features: pl.DataFrame, outputs: Outputs) -> pl.DataFrame:
            rows = _as_signed(features, schema, self.label)
            return answer_frame(model.predict(as_pandas(rows, self.label)), outputs, self.label)

        yield Predictor(answer, self.version_name or _short_id(model.metadata))

    def _told(self) -> Any:
        with self._explained():
            return _pyfunc().Model.load(self.model_uri)

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except UnsupportedError:
            raise
        except Exception as error:
            raise UnreadableSourceError(
                f"MLflow cannot load the model {self.uri}: {type(error).__name__}: {error}. Look whether the URI is "
                "right, MLFLOW_TRACKING_URI is set where this process starts, and the model's packages are installed."
            ) from error


def _pyfunc() -> Any:
    """`mlflow.pyfunc`, which warns of MLflow's own type hints when it is imported."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            import mlflow.pyfunc
        except ImportError as error:
            raise UnsupportedError(
                f"ExposedModel.mlflow needs MLflow, which cannot be imported: {error}. "
                "Install it with pip install mlflow, or mlflow-skinny."
            ) from error
    return mlflow.pyfunc


def _short_id(metadata: Any) -> str:
    return str(metadata.model_uuid)[:12]


def _as_signed(features: pl.DataFrame, schema: Any, model: str) -> pl.DataFrame:
    """The features as the signature of the model names them."""
    if schema is None or not schema.has_input_names():
        return features
    optional = [one.name for one in schema.inputs if not one.required and one.name not in features.columns]
    rows = in_trained_order(features, [name for name in schema.input_names() if name not in optional], model)
    types = {one.name: getattr(getattr(one, "type", None), "name", "") for one in schema.inputs}
    return rows.with_columns(
        pl.col(name).cast(_FLOATS[types[name]])
        for name, dtype in rows.schema.items()
        if types[name] in _FLOATS and dtype.is_integer()
    )
