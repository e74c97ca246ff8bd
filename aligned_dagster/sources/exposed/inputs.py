"""Features in the order and the form that a trained model takes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import polars as pl

from aligned_dagster.errors import SchemaMismatchError, UnsupportedError, did_you_mean


def in_trained_order(features: pl.DataFrame, trained: Sequence[str], model: str) -> pl.DataFrame:
    """The features in the order that a model was trained with.

    Args:
        features: as the contract names them.
        trained: the names that the model was trained with.
        model: for errors.

    Raises:
        SchemaMismatchError: one is missing, or one is there that the model does not know.

    >>> in_trained_order(pl.DataFrame({"a": 1, "b": 2}), ["b", "a"], "a model").columns
    ['b', 'a']
    """
    missing = [name for name in trained if name not in features.columns]
    if missing:
        raise SchemaMismatchError(
            f"{model} was trained with the feature {missing[0]!r}, which is not among the features that it is given: "
            f"{', '.join(features.columns)}.{did_you_mean(missing[0], features.columns)} "
            "Correct input_features of the model contract."
        )
    unknown = [name for name in features.columns if name not in trained]
    if unknown:
        raise SchemaMismatchError(
            f"{model} was not trained with the feature {unknown[0]!r}, which it is given."
            f"{did_you_mean(unknown[0], trained)} It was trained with: {', '.join(trained)}. "
            "Correct input_features of the model contract."
        )
    return features.select(trained)


def with_plain_numbers(features: pl.DataFrame) -> pl.DataFrame:
    """Decimals as 64-bit floats, which models take."""
    import polars.selectors as cs

    return features.with_columns(cs.decimal().cast(pl.Float64))


def as_pandas(features: pl.DataFrame, model: str) -> Any:
    """A pandas frame; a null among numbers is a NaN.

    Raises:
        UnsupportedError: pandas is not installed.
    """
    try:
        import pandas  # noqa: F401  # polars imports it in to_pandas, with an error that names no model
    except ImportError as error:
        raise UnsupportedError(
            f"{model} takes pandas frames. Install pandas: pip install 'aligned-dagster[pandas]'."
        ) from error
    return with_plain_numbers(features).to_pandas()


def as_numpy(features: pl.DataFrame) -> Any:
    """An array of one row a row; a null among numbers is a NaN."""
    return with_plain_numbers(features).to_numpy()
