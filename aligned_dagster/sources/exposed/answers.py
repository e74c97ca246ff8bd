"""Whatever a model returns, as a polars frame."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from aligned_dagster.errors import UnreadableSourceError
from aligned_dagster.sources.exposed.base import Outputs


def answer_frame(result: Any, outputs: Outputs, model: str) -> pl.DataFrame:
    """What a model returned, as a frame. What has no column names stands for the label, or the only output.

    Args:
        result: a polars or pandas frame or series, a numpy array, a dict of columns, a list of values or of dicts.
        outputs: what was asked.
        model: for errors.

    Raises:
        UnreadableSourceError: it is none of these.

    >>> answer_frame([1, 0], Outputs(label="survived"), "a model").columns
    ['survived']
    """
    try:
        if isinstance(result, pl.LazyFrame | pl.DataFrame):
            return result.lazy().collect()
        if isinstance(result, pl.Series):
            return _one_column(result, outputs, model)
        if isinstance(result, Mapping):
            return pl.DataFrame({str(name): _series(values) for name, values in result.items()})
        if _is_of("pandas", result):
            if getattr(result, "ndim", 1) == 1:
                return _one_column(pl.Series(result), outputs, model)
            frame = pl.from_pandas(result.rename(columns=str))
            return (
                _one_column(frame.to_series(), outputs, model)
                if frame.width == 1 and len(outputs.asked) == 1
                else frame
            )
        if isinstance(result, list | tuple) and result and all(isinstance(row, Mapping) for row in result):
            names = dict.fromkeys(str(name) for row in result for name in row)
            return pl.DataFrame({name: _series([row.get(name) for row in result]) for name in names})
        if isinstance(result, list | tuple) or _is_of("numpy", result):
            return _one_column(_series(result), outputs, model)
        if hasattr(result, "__arrow_c_stream__"):
            return pl.DataFrame(result)
    except (TypeError, ValueError, OverflowError, pl.exceptions.PolarsError) as error:
        raise UnreadableSourceError(f"What {model} answered is no table: {error}.") from error
    raise UnreadableSourceError(
        f"{model} answered with {type(result).__name__}. It should return a polars or pandas frame, a series, "
        "a numpy array or a list, with one row for each row that it is given."
    )


def plain_series(values: Sequence[Any]) -> pl.Series:
    """Python values of one kind as a series; integers and floats go together.

    Raises:
        TypeError: the values are of several kinds.

    >>> plain_series([1, 2.5, None]).dtype
    Float64
    """
    kinds = {type(value) for value in values if value is not None}
    if kinds == {int, float}:
        return pl.Series([None if value is None else float(value) for value in values], dtype=pl.Float64)
    if len(kinds) > 1:
        first = {type(value): value for value in reversed(list(values)) if value is not None}
        samples = ", ".join(f"{value!r} ({kind.__name__})" for kind, value in reversed(first.items()))
        raise TypeError(f"its values are of several types: {samples}")
    return pl.Series(list(values), strict=True)


def _series(values: Any) -> pl.Series:
    if isinstance(values, pl.Series):
        return values
    if _is_of("numpy", values):
        if values.ndim == 2 and values.shape[1] == 1:
            values = values[:, 0]
        if values.ndim != 1:
            shape = " x ".join(map(str, values.shape))
            raise ValueError(f"it is an array of {shape}, which names no columns; return a frame")
        return pl.Series(values) if values.dtype.kind in "biufMm" else plain_series(values.tolist())
    if _is_of("pandas", values):
        return pl.Series(values)
    return plain_series(list(values))


def _one_column(series: pl.Series, outputs: Outputs, model: str) -> pl.DataFrame:
    asked = outputs.asked
    name = outputs.label or (asked[0] if len(asked) == 1 else None)
    if name is None:
        raise UnreadableSourceError(
            f"{model} answered with one column without a name, and {', '.join(map(repr, asked))} are asked. "
            "Return a frame with columns of these names."
        )
    return series.alias(name).to_frame()


def _is_of(package: str, value: Any) -> bool:
    return type(value).__module__.partition(".")[0] == package
