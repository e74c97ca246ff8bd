"""Names of columns that an engine takes for one another, or for something else, told when contracts are loaded."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from aligned_dagster.contracts.computing import source_columns
from aligned_dagster.contracts.joining import JoinSource
from aligned_dagster.contracts.training_source import TrainingSource
from aligned_dagster.contracts.view_source import ContractSource, FilterSource, RenameSource
from aligned_dagster.features.constraints import Reference
from aligned_dagster.features.engines.gaps import name_gaps
from aligned_dagster.features.engines.names import Engine
from aligned_dagster.features.expression import inputs
from aligned_dagster.features.location import at
from aligned_dagster.quality.audit import broken_rules_column

if TYPE_CHECKING:
    from aligned_dagster.contracts.feature_view import FeatureView

_SideBySide = tuple[str, Iterable[str]]
"""What is read, and names of columns that are in one frame on the way."""


def gaps_of_names(view: FeatureView[Any], engine: Engine) -> Iterator[str]:
    """The columns of a contract and of what it reads that an engine cannot hold side by side, a line each.

    Args:
        view: the contract.
        engine: computes it.
    """
    columns = {column.name: column for column in (*view.compiled.inputs.columns, *view.schema.columns)}
    own = name_gaps([*columns, broken_rules_column(columns)], engine)
    for name, reason in own.items():
        where = columns[name].location if name in columns else None
        yield f"{view.name}.{name}: {reason}{at(where or view.location)}"
    for label, names in _read(view):
        for reason in name_gaps(names, engine).values():
            if reason in own.values():
                continue
            yield f"{view.name}, which reads {label}: {reason}{at(view.location)}"


def _read(view: FeatureView[Any]) -> Iterator[_SideBySide]:
    if isinstance(view.source, ContractSource):
        yield from _on_the_way(view.source, source_columns(view.compiled, view.schema.names))
    referred: dict[str, list[str]] = {}
    for column in view.schema.columns:
        for rule in column.constraints:
            if isinstance(rule, Reference):
                referred.setdefault(rule.view, []).append(rule.column)
    yield from referred.items()


def _on_the_way(source: ContractSource, names: Iterable[str]) -> Iterator[_SideBySide]:
    """What is side by side on the way to the named columns of a source, as `Reader` reads it."""
    wanted = list(dict.fromkeys(names))
    yield source.label, wanted
    if isinstance(source, FilterSource):
        yield from _on_the_way(source.source, [*wanted, *sorted(inputs(source.condition))])
    elif isinstance(source, RenameSource):
        old = {new: name for name, new in source.names.items()}
        yield from _on_the_way(source.source, [old.get(name, name) for name in wanted])
    elif isinstance(source, JoinSource):
        yield from _joined(source, wanted)
    elif isinstance(source, TrainingSource):
        yield source.label, [*source.keys.names, *source.columns()]
        for part in source.parts():
            yield part.label, part.columns()


def _joined(source: JoinSource, wanted: Iterable[str]) -> Iterator[_SideBySide]:
    added = {name: old for name, old in source.added().items() if name in wanted}
    own = [name for name in wanted if name in source.left.columns()]
    left = [*source.left_on, *([source.left_time] if source.left_time else []), *own]
    right = [*source.right_on, *([source.right_time] if source.right_time else [])]
    yield from _on_the_way(source.left, left)
    yield from _on_the_way(source.right, [*right, *added.values()])
    if source.how == "asof":
        yield source.label, [*left, *added]
        yield source.right.label, [*right, *added]
