"""A contract's rows as a hypothesis strategy, for tests of what reads them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import polars as pl

from aligned_dagster.contracts.computing import computed
from aligned_dagster.contracts.dummy import dummies
from aligned_dagster.errors import ConfigurationError, UnknownContractError
from aligned_dagster.features.constraints import AcceptedValues, Reference, Regex
from aligned_dagster.features.dtypes import DataType
from aligned_dagster.features.schema import Column
from aligned_dagster.sources.generation.rows import RandomRows

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

    from aligned_dagster.contracts.feature_view import FeatureView

_SEEDS = 2**16
_REFERENCED = 100
"""Random rows of a view that a reference names, where no rows of it are given."""


def rows_of(
    view: FeatureView[Any],
    min_size: int = 0,
    max_size: int = 10,
    columns: Iterable[str] | None = None,
    references: Mapping[str, pl.DataFrame | pl.LazyFrame] | None = None,
) -> SearchStrategy[pl.DataFrame]:
    """Frames of rows that keep the contract; see `FeatureView.strategy`."""
    try:
        from hypothesis import assume
        from hypothesis import strategies as st
    except ImportError as error:
        raise ConfigurationError(
            f"{view.name}.strategy() needs the package hypothesis. Install it: pip install hypothesis."
        ) from error
    wanted = view.read_columns(columns)
    known = _referenced(view, references or {})

    def values_of(rule: Reference) -> pl.Series:
        if rule.view not in known:
            raise UnknownContractError(
                f"{view.name} refers to {rule.view}, which is not at hand. Pass references={{{rule.view!r}: frame}}."
            )
        return (
            known[rule.view]
            .select(rule.column)
            .collect()
            .to_series()
            .drop_nulls()
            .unique(maintain_order=True)
        )

    @st.composite
    def frames(draw: Any) -> pl.DataFrame:
        size = draw(st.integers(min_size, max_size))
        seed = draw(st.integers(0, _SEEDS))
        inputs = view.compiled.inputs
        maker = RandomRows(view.name, inputs.stored, inputs, seed, values_of, exact=False)
        rows = maker.make(size) if size else pl.DataFrame(schema=view.request.polars)
        assume(rows.height >= min_size)
        bent = _bent(draw, rows, maker, st)
        try:
            return computed(bent.lazy(), view.compiled, wanted).collect()
        except pl.exceptions.PolarsError:  # such a text writes no number, for instance
            return computed(rows.lazy(), view.compiled, wanted).collect()

    made: SearchStrategy[pl.DataFrame] = frames()
    return made


def _referenced(
    view: FeatureView[Any], given: Mapping[str, pl.DataFrame | pl.LazyFrame]
) -> dict[str, pl.LazyFrame]:
    """The rows that references draw from: the given ones, or random ones, so that no source is read."""
    known = {name: frame.lazy() for name, frame in given.items()}
    missing = [other for name, other in view.referenced.items() if name not in known]
    if missing:
        known |= {name: other.read() for name, other in dummies(missing, rows=_REFERENCED).items()}
    return known


def _bent(draw: Any, rows: pl.DataFrame, maker: RandomRows, st: Any) -> pl.DataFrame:
    """The rows with values of hypothesis' own choice in them, wherever that breaks nothing."""
    for column in maker.stored:
        values = _values(column, st)
        if not rows.height or column.name in maker.keys or values is None or not draw(st.booleans()):
            continue
        place = draw(st.integers(0, rows.height - 1))
        value = pl.Series([draw(values)], dtype=column.dtype.polars, strict=False)
        bent = rows.with_columns(rows[column.name].scatter(place, value))
        if maker.keeps(bent):
            rows = bent
    return rows


def _values(column: Column, st: Any) -> Any:
    """Values of a type, the extreme ones among them; None for columns that only few values suit."""
    if any(isinstance(rule, AcceptedValues | Reference | Regex) for rule in column.constraints):
        return None
    plain = _of_type(column.dtype, st)
    if plain is None:
        return None
    return st.none() | plain if column.nullable and not column.has_default else plain


def _of_type(dtype: DataType, st: Any) -> Any:
    if dtype.is_integer:
        size = int(dtype.kind.lstrip("uint"))
        signed = dtype.kind.startswith("i")
        return st.integers(-(2 ** (size - 1)) if signed else 0, 2 ** (size - signed) - 1)
    if dtype.is_float:
        return st.floats(width=int(dtype.kind.removeprefix("float")))
    if dtype.kind == "string":
        return st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
    return None
