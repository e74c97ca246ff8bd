"""What every exposed model can do, how one is made, and how it becomes JSON."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import polars as pl
from pydantic import ConfigDict

from aligned_dagster.errors import UnavailableSourceError
from aligned_dagster.sources.fingerprint import Fingerprint
from aligned_dagster.sources.settings import Settings
from aligned_dagster.sources.typed_json import from_typed_json, to_typed_json

if TYPE_CHECKING:
    from aligned_dagster.sources.constructors import PathText
    from aligned_dagster.sources.locations import AnyLocation

_BUILT_IN = {
    "python": "aligned_dagster.sources.exposed.functions",
    "sklearn": "aligned_dagster.sources.exposed.stored_model",
    "mlflow": "aligned_dagster.sources.exposed.mlflow_model",
    "mlflow_server": "aligned_dagster.sources.exposed.mlflow_server",
    "http": "aligned_dagster.sources.exposed.http_model",
}
_TYPES: dict[str, type[ExposedModel]] = {}


@dataclass(frozen=True)
class Outputs:
    """The columns that a model is asked for.

    Args:
        label: the column of its prediction.
        dtype: of the label; None takes it as it comes.
        probabilities: column to the class whose probability it holds, as 64-bit floats.
        version: the column that tells which model has answered.
        others: further columns, with their types.

    >>> Outputs(label="survived", probabilities={"chance": 1}).asked
    ('survived', 'chance')
    """

    label: str | None = None
    dtype: pl.DataType | None = None
    probabilities: Mapping[str, Any] = field(default_factory=dict)
    version: str | None = None
    others: Mapping[str, pl.DataType] = field(default_factory=dict)

    @property
    def asked(self) -> tuple[str, ...]:
        """The columns that the model must give."""
        label = () if self.label is None else (self.label,)
        return (*label, *self.probabilities, *self.others)

    def dtype_of(self, column: str) -> pl.DataType | None:
        """The type of a column that is asked; None for any."""
        if column in self.probabilities:
            return pl.Float64()
        return self.dtype if column == self.label else self.others[column]


@dataclass(frozen=True)
class Predictor:
    """A model that is loaded and can be asked.

    Args:
        answer: of a frame of features and the outputs: a frame with one row a row, in their order, that has the columns
            of the outputs that it can give. It may have the version column, and others, which nobody reads.
        version: of what is loaded; see `ExposedModel.version`.
    """

    answer: Callable[[pl.DataFrame, Outputs], pl.DataFrame] = field(repr=False)
    version: str

    def __call__(self, features: pl.DataFrame, outputs: Outputs) -> pl.DataFrame:
        """Ask the model about some rows."""
        return self.answer(features, outputs)


class NoAnswerError(UnavailableSourceError):
    """A model could not be reached, or says that it cannot answer now: the same question can be put again.

    Args:
        message: what happened.
        wait: seconds after which the model asks to be tried again, where it tells.
    """

    def __init__(self, message: str, wait: float | None = None) -> None:
        super().__init__(message)
        self.wait = wait


class ExposedModel(Settings, ABC):
    """A model that answers with predictions. Immutable; `type` is its key in JSON.

    Make it with `python`, `sklearn_at`, `mlflow`, `mlflow_server` or `http`.

    Args:
        version_name: what the user calls this version of the model.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", arbitrary_types_allowed=True, hide_input_in_errors=True
    )

    type: str
    version_name: str | None = None

    @classmethod
    def __pydantic_init_subclass__(cls, **_: Any) -> None:
        default = cls.model_fields["type"].default
        if isinstance(default, str):
            _TYPES[default] = cls

    @property
    @abstractmethod
    def uri(self) -> str:
        """Where the model is, without any credential."""

    @property
    @abstractmethod
    def kind(self) -> str:
        """What it is, in a word: function, sklearn, mlflow, http, ..."""

    @property
    def label(self) -> str:
        """A short readable name."""
        return self.uri

    @abstractmethod
    def version(self) -> str:
        """A short text that changes with the model, or what the user named it.

        Raises:
            SourceError: the model is not there, or cannot be read.
        """

    @abstractmethod
    def fingerprint(self) -> Fingerprint:
        """The state of the model, found without loading it.

        Raises:
            SourceError: the model is not there.
        """

    def content(self, limit: int) -> str | None:
        """A digest of the stored bytes, for a model whose fingerprint may change while they do not; see `DataSource`."""
        return None

    @abstractmethod
    def opened(self) -> AbstractContextManager[Predictor]:
        """The model, loaded for as long as the block lasts.

        Raises:
            SourceError: the model is not there, or cannot be read.
        """

    def __hash__(self) -> int:
        return hash((self.type, self.uri))

    @staticmethod
    def python(function: Callable[[pl.DataFrame], Any], *, version: str | None = None) -> ExposedModel:
        """A function that predicts.

        Args:
            function: of a polars frame of the features; it returns a frame, a series, a numpy array or a list, with
                one row a row. A frame has the columns of the contract; the others stand for the label.
            version: of the model; a digest of the function's code if not given.

        >>> import polars as pl
        >>> model = ExposedModel.python(lambda features: features["age"] < 13, version="1")
        >>> with model.opened() as predict:
        ...     predict(pl.DataFrame({"age": [40, 2]}), Outputs(label="is_child"))["is_child"].to_list()
        [False, True]
        """
        from aligned_dagster.sources.exposed.functions import PythonModel

        return PythonModel(function=function, version_name=version)

    @staticmethod
    def sklearn_at(path: PathText | AnyLocation, *, version: str | None = None) -> ExposedModel:
        """A scikit-learn estimator, or pipeline, that was written with pickle or joblib.

        Reading such a file runs code that is in it: whoever can write the file can run anything where it is
        read. Name only files of those you trust.

        Args:
            path: of a file of this machine that ends with `.pkl`, `.pickle` or `.joblib`; for S3 and Azure
                `bucket.at("model.joblib")` of a config or directory.
            version: of the model; a digest of the file if not given.

        >>> ExposedModel.sklearn_at("models/delay.joblib").label
        'models/delay.joblib'
        """
        from aligned_dagster.sources.exposed.stored_model import SklearnModel, location_of

        return SklearnModel(location=location_of(path), version_name=version)

    @staticmethod
    def mlflow(uri: str, *, version: str | None = None) -> ExposedModel:
        """A model of MLflow, loaded into this process with `mlflow.pyfunc`; needs the package `mlflow`.

        Most of its models hold pickles: as with `sklearn_at`, loading one runs code that is in it.

        Args:
            uri: a directory, `models:/name/version`, `runs:/id/path` or whatever MLflow reads.
            version: of the model; the start of MLflow's id of it if not given.

        >>> ExposedModel.mlflow("models:/delay/3").kind
        'mlflow'
        """
        from aligned_dagster.sources.exposed.mlflow_model import MlflowModel

        return MlflowModel(model_uri=uri, version_name=version)

    @staticmethod
    def mlflow_server(
        url: str,
        *,
        headers_env: Mapping[str, str] | None = None,
        version: str | None = None,
        timeout: float = 60.0,
    ) -> ExposedModel:
        """A model that `mlflow models serve` serves.

        Args:
            url: of the server; `/invocations` is added where it is not there.
            headers_env: header to the environment variable that holds its value, such as a token.
            version: of the model, which the server does not tell; made of the URL if not given.
            timeout: seconds that an answer may take.

        >>> ExposedModel.mlflow_server("http://localhost:5000").uri
        'http://localhost:5000/invocations'
        """
        from aligned_dagster.sources.exposed.mlflow_server import MlflowServerModel

        return MlflowServerModel(
            url=url, headers_env=dict(headers_env or {}), version_name=version, timeout=timeout
        )

    @staticmethod
    def http(
        url: str,
        *,
        headers_env: Mapping[str, str] | None = None,
        version: str | None = None,
        timeout: float = 60.0,
    ) -> ExposedModel:
        """A web service that takes rows as JSON and answers with rows; see `sources.exposed.http_model`.

        Args:
            url: that rows are posted to.
            headers_env: header to the environment variable that holds its value, such as a token.
            version: of the model, where the service does not tell; made of the URL if not given.
            timeout: seconds that an answer may take.

        >>> ExposedModel.http(
        ...     "https://models.example/delay", headers_env={"Authorization": "DELAY_AUTH"}
        ... ).kind
        'http'
        """
        from aligned_dagster.sources.exposed.http_model import HttpModel

        return HttpModel(url=url, headers_env=dict(headers_env or {}), version_name=version, timeout=timeout)


def exposed_to_json(model: ExposedModel) -> dict[str, Any]:
    """The JSON form of a model, which `exposed_from_json` reads back to an equal one.

    Raises:
        UnsupportedError: it holds something that no other process could find, such as a lambda.
    """
    return to_typed_json(model)


def exposed_from_json(form: Mapping[str, Any]) -> ExposedModel:
    """Read what `exposed_to_json` wrote.

    Raises:
        ConfigurationError: no model is known by that type.
    """
    return from_typed_json(form, _TYPES, _BUILT_IN, "exposed model")


def short_digest(content: bytes) -> str:
    """A version that is made of some bytes: 12 hex digits.

    >>> short_digest(b"")
    'e3b0c44298fc'
    """
    return hashlib.sha256(content).hexdigest()[:12]
