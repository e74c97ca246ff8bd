"""Facts: the rows that people ask about, in whatever form they have them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from typing import Any

import polars as pl

from aligned_dagster.errors import RequestError
from aligned_dagster.features.dtypes import DataType
from aligned_dagster.features.schema import Column, Schema
from aligned_dagster.request.job import RetrievalJob

Facts = Any
"""A dict of columns, a list of rows, a frame (polars, lazy or not, pandas, Arrow), a job, or a view."""


def facts_frame(facts: Facts) -> pl.LazyFrame:
    """Rows in any of the forms that people have them in, as a lazy frame.

    Raises:
        RequestError: it is none of these forms, or a column mixes times with a zone and without.

    >>> facts_frame({"id": [1, 2]}).collect()["id"].to_list()
    [1, 2]
    """
    if isinstance(facts, pl.LazyFrame):
        return facts
    if isinstance(facts, pl.DataFrame):
        return facts.lazy()
    if isinstance(facts, RetrievalJob):
        return facts.lazy()
    if isinstance(facts, Mapping):
        for name, values in facts.items():
            _check_zones(name, values)
        return _frame(dict(facts)).lazy()
    if isinstance(facts, list) and facts and not isinstance(facts[0], Mapping):
        raise RequestError(
            f"The facts are a list of {type(facts[0]).__name__}, whose columns have no names. "
            f"Name them, as in {{'entity': {facts[:3]!r}}}."
        )
    if isinstance(facts, list):
        for name in dict.fromkeys(name for row in facts if isinstance(row, Mapping) for name in row):
            _check_zones(name, [row.get(name) for row in facts if isinstance(row, Mapping)])
        return _frame(facts).lazy()
    if type(facts).__module__.startswith("pandas"):
        for name, values in facts.items():
            if values.dtype == object:
                _check_zones(name, values)
        return pl.from_pandas(facts).lazy()
    if hasattr(facts, "__arrow_c_stream__"):
        return pl.DataFrame(facts).lazy()
    raise RequestError(
        f"Facts are a dict of columns, a polars, pandas or Arrow frame, or a job; got {type(facts).__name__}."
    )


def facts_schema(facts: pl.LazyFrame, known: Iterable[Schema]) -> tuple[Column, ...]:
    """The columns of facts; one of the name and type of an entity is described as that is.

    Args:
        facts: the rows.
        known: schemas of the contracts that are asked.
    """
    described = {
        (column.name, column.dtype.polars): column
        for schema in known
        for column in schema.columns
        if column.role != "feature"
    }
    return tuple(
        described.get((name, dtype)) or Column(name, DataType.from_polars(dtype), optional=True)
        for name, dtype in facts.collect_schema().items()
    )


def _frame(rows: Any) -> pl.DataFrame:
    try:
        return pl.DataFrame(rows)
    except (pl.exceptions.PolarsError, TypeError, ValueError) as error:
        lengths = (
            {name: len(v) for name, v in rows.items() if isinstance(v, list | tuple)}
            if isinstance(rows, dict)
            else {}
        )
        if len(set(lengths.values())) > 1:
            told = ", ".join(f"{name!r} has {length}" for name, length in lengths.items())
            raise RequestError(f"The facts are no table of columns of one length: {told} values.") from None
        raise RequestError(f"The facts are no table of columns of one length: {error}") from error


def _check_zones(name: object, values: Any) -> None:
    """Raise where a column mixes times with a zone and times without: nobody could say what is later."""
    if not isinstance(values, Iterable) or isinstance(values, str | bytes | pl.Series):
        return
    samples: dict[bool, dt.datetime] = {}
    for value in values:
        if isinstance(value, dt.datetime):
            samples.setdefault(value.tzinfo is None, value)
    if len(samples) == 2:
        raise RequestError(
            f"The facts' column {name!r} mixes times with a time zone ({samples[False].isoformat()}) and without "
            f"({samples[True].isoformat()}). Give all of them a zone, as in value.replace(tzinfo=timezone.utc)."
        )
