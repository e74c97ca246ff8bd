"""Which engine a contract's rows are computed on, and what that engine cannot do."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeGuard

from aligned_dagster.contracts.names_on import gaps_of_names
from aligned_dagster.contracts.rebuilding import rebuilt
from aligned_dagster.contracts.training_on import training_gaps
from aligned_dagster.contracts.training_source import TrainingSource
from aligned_dagster.contracts.view_source import ContractSource, FilterSource, ViewSource
from aligned_dagster.errors import UnsupportedError
from aligned_dagster.features.dtypes import DataType
from aligned_dagster.features.engines.carried import engine_type_name
from aligned_dagster.features.engines.gaps import gaps
from aligned_dagster.features.location import at
from aligned_dagster.quality.probes_on import trees_of_checks
from aligned_dagster.sources.engines.session import SessionName

if TYPE_CHECKING:
    from aligned_dagster.contracts.feature_view import FeatureView
    from aligned_dagster.contracts.rebuilding import Change
    from aligned_dagster.features.engines.names import Engine
    from aligned_dagster.sources.engines.spark_config import SparkConfig

_Seen = tuple[str, int]
"""The engine and the identity of a contract that was looked at."""

TITLES = {"polars": "polars", "spark": "Spark", "duckdb": "DuckDB"}
"""The engines as sentences name them."""

PACKAGES: dict[SessionName, str] = {"spark": "pyspark", "duckdb": "duckdb"}
"""Engine to the Python package that runs it."""

_WIDER = {
    "int8": ("int16", "int32", "int64", "float64"), "int16": ("int32", "int64", "float64"), "int32": ("int64", "float64"),
    "uint8": ("int16", "int32", "int64", "uint16", "uint32", "float64"), "uint16": ("int32", "int64", "uint32", "float64"),
    "uint32": ("int64", "float64"), "float32": ("float64",), "string": ("uuid", "json"), "uuid": ("string",),
    "json": ("string",),
}  # fmt: skip
"""Type to those that hold each of its values as well, so that no cast needs to be checked."""


def engine_of(view: FeatureView[Any]) -> Engine:
    """What computes and audits the rows of a contract when they are published."""
    return view.engine or "polars"


def needs_session(engine: Engine) -> TypeGuard[SessionName]:
    """Whether an engine is another one than polars."""
    return engine != "polars"


def on_engine(views: Iterable[FeatureView[Any]], engine: Engine | None, spark: SparkConfig | None) -> Change:
    """What gives for a contract the same one on an engine, with all that it reads.

    Contracts that state an engine keep it. Those of models stay on polars.

    Args:
        views: the contracts.
        engine: for those that state none; None leaves them as they are.
        spark: how Spark is reached.

    Raises:
        UnsupportedError: columns cannot be computed on the engine; every one is listed.
    """

    def change(view: FeatureView[Any]) -> FeatureView[Any]:
        if not view.may_have_engine:
            return view
        return replace(view, engine=view.engine or engine, spark=spark or view.spark)

    known = list(views)
    other = rebuilt(known, change)
    check_engines(map(other, known))
    return other


def check_engines(views: Iterable[FeatureView[Any]]) -> None:
    """Make sure that every contract can be computed on its engine.

    Raises:
        UnsupportedError: columns cannot; every one is listed with the reason.
    """
    found: dict[str, dict[str, None]] = {}
    seen: set[_Seen] = set()
    for view in views:
        engine = engine_of(view)
        if needs_session(engine):
            found.setdefault(TITLES[engine], {}).update(
                dict.fromkeys(_gaps(view, engine, seen, audited=True))
            )
    found = {title: lines for title, lines in found.items() if lines}
    if not found:
        return
    parts = []
    for title, lines in found.items():
        parts.append("\n  ".join([f"This cannot be computed on {title}:", *lines]))
    raise UnsupportedError(
        "\n".join(parts)
        + "\nSay it in other words, or let that contract stay on polars whatever the engine of the others "
        'is: @feature_view(engine="polars"), training_set(..., engine="polars").'
    )


def is_wider(stored: DataType, wanted: DataType) -> bool:
    """Whether each value of a type is one of another type too.

    >>> is_wider(DataType("int8"), DataType("int64")), is_wider(DataType("float64"), DataType("int64"))
    (True, False)
    """
    zoned = stored.kind == wanted.kind == "timestamp"
    if zoned:
        return (stored.time_zone is None) == (wanted.time_zone is None)
    return stored == wanted or wanted.kind in _WIDER.get(stored.kind, ())


def _gaps(view: FeatureView[Any], engine: SessionName, seen: set[_Seen], *, audited: bool) -> Iterator[str]:
    """What an engine cannot do of a contract, a line each; of its rules only where it is audited there.

    Args:
        view: the contract.
        engine: computes it.
        seen: virtual contracts that were looked at on the way to another one; they are not looked at again.
        audited: whether its rules are checked on the engine.
    """
    inputs = view.compiled.inputs
    columns = {column.name: column for column in (*inputs.columns, *view.schema.columns)}
    types = {name: column.dtype for name, column in columns.items()}
    told: list[tuple[str, str]] = []
    for name, dtype in types.items():
        told += [(name, reason) for reason in _type_gap(dtype, engine)]
    for name, tree in [
        *view.all_derivations.items(),
        *(trees_of_checks(view.schema) if audited else {}).items(),
    ]:
        told += [(name, reason) for reason in gaps(tree, engine, types, order_by=inputs.event_timestamp)]
    if isinstance(view.source, ContractSource):
        known = view.source.columns()
        told += [
            (
                column.name,
                f"it is {known[column.name].text} in {view.source.label} and {column.dtype.text} here, a cast that can fail. "
                "Read it in its own type and cast it in a derivation",
            )
            for column in inputs.stored
            if column.name in known and not is_wider(known[column.name], column.dtype)
        ]
    for name, reason in told:
        where = columns[name].location if name in columns else None
        yield f"{view.name}.{name}: {reason}{at(where or view.location)}"
    yield from gaps_of_names(view, engine)
    if isinstance(view.source, ContractSource):
        yield from _source_gaps(view, view.source, engine, seen)


def _type_gap(dtype: DataType, engine: SessionName) -> Iterator[str]:
    try:
        engine_type_name(dtype, engine)
    except UnsupportedError as error:
        yield str(error)


def _source_gaps(
    view: FeatureView[Any], source: ContractSource, engine: SessionName, seen: set[_Seen]
) -> Iterator[str]:
    """What cannot be done of a source that is made of contracts; stored ones are read as they are."""
    for part in (source, *source.parts()):
        if part is not source:
            yield from _source_gaps(view, part, engine, seen)
        elif isinstance(part, TrainingSource):
            for reason in training_gaps(part, engine):
                yield f"{view.name}, {reason}{at(view.location)}"
        elif isinstance(part, FilterSource):
            for reason in gaps(part.condition, engine, part.columns()):
                yield f"{view.name}, the filter of {part.label}: {reason}{at(view.location)}"
        elif isinstance(part, ViewSource) and (engine, id(part.view)) not in seen:
            seen.add((engine, id(part.view)))
            if part.view.is_virtual and part.view.engine in (None, engine):
                yield from _gaps(part.view, engine, seen, audited=False)
