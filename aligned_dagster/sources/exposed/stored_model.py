"""A scikit-learn estimator in a file, on this machine or in an object store.

Reading a pickle runs code that is in it. Nothing here makes that safe: a file must be as trusted as the contracts.
"""

from __future__ import annotations

import os
import pickle
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Any, Literal

import polars as pl
from pydantic import field_validator

from aligned_dagster.errors import (
    AlignedError,
    ConfigurationError,
    RequestError,
    SchemaMismatchError,
    UnreadableSourceError,
    UnsupportedError,
)
from aligned_dagster.sources.exposed.answers import answer_frame
from aligned_dagster.sources.exposed.base import ExposedModel, Outputs, Predictor, short_digest
from aligned_dagster.sources.exposed.inputs import as_numpy, as_pandas, in_trained_order
from aligned_dagster.sources.file_fingerprint import content_of_files, fingerprint_files
from aligned_dagster.sources.fingerprint import Fingerprint
from aligned_dagster.sources.local_location import LocalLocation
from aligned_dagster.sources.location import Location
from aligned_dagster.sources.locations import AnyLocation

if TYPE_CHECKING:
    from aligned_dagster.sources.constructors import PathText

_PICKLE = (".pkl", ".pickle")


class SklearnModel(ExposedModel):
    """A scikit-learn estimator in a file. Make it with `ExposedModel.sklearn_at`.

    An estimator that was fitted on a frame gets a pandas frame with the columns that it knows; another one an array with
    the features in the order of the contract.

    Args:
        location: of the file.
    """

    type: Literal["sklearn"] = "sklearn"
    location: AnyLocation

    @field_validator("location")
    @classmethod
    def _known_suffix(cls, location: AnyLocation) -> AnyLocation:
        if not (location.path.endswith(_PICKLE) or ".joblib" in os.path.basename(location.path)):
            raise ConfigurationError(
                f"{location.path!r} tells not how the model was written. "
                "Name a file that ends with .pkl or .pickle (pickle.dump) or .joblib (joblib.dump)."
            )
        return location

    __hash__ = ExposedModel.__hash__

    @property
    def uri(self) -> str:
        """The absolute path or URI of the file."""
        return self.location.uri

    @property
    def kind(self) -> str:
        """sklearn."""
        return "sklearn"

    @property
    def label(self) -> str:
        """The place as it was given."""
        return self.location.label

    def version(self) -> str:
        """See `ExposedModel.version`. The digest is of the whole file, which is read for it."""
        return self.version_name or short_digest(self._content())

    def fingerprint(self) -> Fingerprint:
        """See `ExposedModel.fingerprint`. Size and time of the file are asked; it is not read."""
        file = self.location.existing_file()
        return fingerprint_files([file], file.path.parent)

    def content(self, limit: int) -> str | None:
        """See `ExposedModel.content`."""
        file = self.location.existing_file()
        return content_of_files([file], file.path.parent, limit)

    @contextmanager
    def opened(self) -> Iterator[Predictor]:
        """See `ExposedModel.opened`.

        Raises:
            SourceNotFoundError: the file is not there.
            UnreadableSourceError: the file is damaged, or what is in it does not predict.
            UnsupportedError: a package that the model needs is not installed.
        """
        content = self._content()
        estimator = self._loaded(content)
        if not hasattr(estimator, "predict"):
            raise UnreadableSourceError(
                f"{self.uri} holds a {type(estimator).__name__}, which has no predict(). "
                "Write a fitted estimator or pipeline to it."
            )

        def answer(features: pl.DataFrame, outputs: Outputs) -> pl.DataFrame:
            return _answer(estimator, features, outputs, self.label)

        yield Predictor(answer, self.version_name or short_digest(content))

    def _content(self) -> bytes:
        path = self.location.existing_file().path
        try:
            return self.location.read_bytes(path)
        except OSError as error:
            raise UnreadableSourceError(f"The model {self.uri} cannot be read: {error}.") from error

    def _loaded(self, content: bytes) -> Any:
        import io

        load = pickle.load if self.location.path.endswith(_PICKLE) else _joblib_load
        try:
            return load(io.BytesIO(content))
        except AlignedError:
            raise
        except ImportError as error:
            raise UnsupportedError(
                f"The model {self.uri} needs a package that is not installed here: {error}. "
                "Install what it was trained with, in the same version."
            ) from error
        except Exception as error:
            raise UnreadableSourceError(
                f"The model {self.uri} cannot be loaded: {type(error).__name__}: {error}. Is the file whole, and was "
                "it written with pickle (.pkl) or joblib (.joblib), by the version of scikit-learn that is installed?"
            ) from error


def location_of(path: PathText | AnyLocation) -> AnyLocation:
    """A location as it is; of a path the place on this machine."""
    return path if isinstance(path, Location) else LocalLocation(path=os.fspath(path))


def _joblib_load(stream: IO[bytes]) -> Any:
    try:
        import joblib
    except ImportError as error:
        raise UnsupportedError(
            "A .joblib file is read with joblib, which is not installed: pip install scikit-learn."
        ) from error
    return joblib.load(stream)


def _answer(estimator: Any, features: pl.DataFrame, outputs: Outputs, model: str) -> pl.DataFrame:
    trained = getattr(estimator, "feature_names_in_", None)
    if trained is not None:
        rows = as_pandas(in_trained_order(features, list(map(str, trained)), model), model)
    else:
        expected = getattr(estimator, "n_features_in_", features.width)
        if expected != features.width:
            raise SchemaMismatchError(
                f"{model} was trained with {expected} features without names, and is given {features.width}: "
                f"{', '.join(features.columns)}. Correct input_features of the model contract."
            )
        rows = as_numpy(features)
    columns: dict[str, Any] = {}
    if outputs.label is not None:
        columns[outputs.label] = answer_frame(
            estimator.predict(rows), Outputs(label=outputs.label), model
        ).to_series()
    if outputs.probabilities:
        columns |= _probabilities(estimator, rows, outputs, model)
    return pl.DataFrame(columns)


def _probabilities(estimator: Any, rows: Any, outputs: Outputs, model: str) -> dict[str, pl.Series]:
    if not hasattr(estimator, "predict_proba"):
        raise UnsupportedError(
            f"{model} is a {type(estimator).__name__} without predict_proba(), and the contract asks for "
            f"probabilities: {', '.join(outputs.probabilities)}. Train one that gives them, or leave them out."
        )
    classes = list(estimator.classes_)
    if any(getattr(one, "ndim", 0) for one in classes):
        raise UnsupportedError(f"{model} predicts several labels at once; a contract takes one of them.")
    known = [one.item() if hasattr(one, "item") else one for one in classes]
    found = estimator.predict_proba(rows)
    columns = {}
    for name, value in outputs.probabilities.items():
        if value not in known:
            raise RequestError(
                f"{model} knows no class {value!r}, whose probability {name!r} should be. "
                f"It knows: {', '.join(map(repr, known))}."
            )
        columns[name] = pl.Series(found[:, known.index(value)])
    return columns
