"""What facts ask of each view: which features, by which columns, and how old they may be."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from aligned_dagster.errors import RequestError, UnknownContractError, UnknownFeatureError, did_you_mean
from aligned_dagster.features.feature import Feature
from aligned_dagster.request.features_report import Provenance
from aligned_dagster.sources.source import DataSource

if TYPE_CHECKING:
    from aligned_dagster.contracts.feature_view import FeatureView

FeatureRefs = Iterable[str | Feature] | Mapping[str, str | Feature]
"""Features as "view:feature", "view:*" or `View().feature`; in a mapping under the names that they get."""

EntityColumns = Mapping[str, str | Mapping[str, str]]
"""Entity to the facts' column for it, for all views or by the view's name."""


@dataclass(frozen=True)
class Wanted:
    """What is asked of one view.

    Args:
        view: the view.
        columns: name in the result to column of the view.
        entities: entity column of the view to column of the facts.
        max_age: the greatest distance, inclusive, between the times of a fact and of the row it gets.
    """

    view: FeatureView[Any]
    columns: Mapping[str, str]
    entities: Mapping[str, str]
    max_age: timedelta | None = None

    def limit(self, fact_timestamp: str | None) -> timedelta | None:
        """How old a feature may be: `max_age`, or what the view's event timestamp says, for facts that have a time."""
        if self.max_age is not None or fact_timestamp is None:
            return self.max_age
        own = has_own_join(self.view) and not self.view.storage.tells_times
        return None if own else self.view.schema.ttl

    def aggregates_at(self, fact_timestamp: str | None) -> bool:
        """Whether the columns are made of the rows in windows that end at each fact's time."""
        timed = fact_timestamp is not None and self.view.schema.event_timestamp is not None
        return timed and bool(self.view.compiled.groupings) and self.view.is_virtual

    def provenance(self, number: int, taken: Iterable[str] = ()) -> Provenance:
        """The columns that say which row a fact got, in a frame for which they are asked.

        Args:
            number: of the view in the request.
            taken: names that they may not have.
        """
        schema, storage = self.view.schema, self.view.storage
        own = has_own_join(self.view) and not storage.tells_times
        mark = f"__{number}"
        while any(name.startswith(mark) for name in taken):
            mark = f"_{mark}"
        names = [f"{mark} {what}" for what in ("found", "event", "created")]
        return Provenance(
            self.view.name,
            names[0],
            None if own or schema.event_timestamp is None else names[1],
            None if own or schema.created_timestamp is None or self.view.compiled.groupings else names[2],
            self.view.time_zone,
        )


def has_own_join(view: FeatureView[Any]) -> bool:
    """Whether the storage finds features by itself, as a server does."""
    own = type(view.storage).features_for is not DataSource.features_for
    return own and not (view.is_virtual and view.compiled.groupings)


def provenance_names(wanted: Sequence[Wanted], provenance: Sequence[Provenance]) -> dict[str, str]:
    """Columns of provenance to the names under which they are kept."""
    names: dict[str, str] = {}
    for want, one in zip(wanted, provenance, strict=True):
        if one.event is not None:
            names[one.event] = f"{want.view.name}__event_timestamp"
        if one.created is not None:
            names[one.created] = f"{want.view.name}__created_timestamp"
    return names


def wanted_of(
    features: FeatureRefs,
    view_called: Callable[[str], FeatureView[Any]],
    entity_columns: EntityColumns | None = None,
    max_age: timedelta | Mapping[str, timedelta] | None = None,
    others: Iterable[FeatureView[Any]] = (),
) -> tuple[Wanted, ...]:
    """What is asked of each view, from the features that are asked for.

    Args:
        features: "view:feature", "view:*" or `View().feature`; in a mapping under the names that they get.
        view_called: finds a view by its name, and raises for one that it does not know.
        entity_columns: entity to the facts' column for it, for all views or by the view's name.
        max_age: the greatest age of a feature, for all views or by the view's name.
        others: further views that `entity_columns` and `max_age` may name.

    Raises:
        UnknownContractError: there is no such view.
        UnknownFeatureError: the view has no such feature.
        RequestError: a reference is neither, or names an entity that no view has.
    """
    from aligned_dagster.contracts.feature_view import FeatureView, view_of

    if isinstance(features, str | Feature):
        features = [features]
    named = features.items() if isinstance(features, Mapping) else ((None, ref) for ref in features)
    found: dict[str, tuple[FeatureView[Any], dict[str, str]]] = {}
    for target, ref in named:
        if isinstance(ref, Feature) and ref.origin is not None and isinstance(ref.origin.owner, FeatureView):
            view, column = ref.origin.owner, ref.origin.column
            view = _of_store(view, view_called)
        elif isinstance(ref, FeatureView) or hasattr(ref, "__aligned_view__"):
            view, column = _of_store(view_of(ref), view_called), "*"
        elif isinstance(ref, str) and ":" in ref:
            title, _, column = ref.partition(":")
            view = view_called(title)
        else:
            raise RequestError(f"{ref!r} is no feature. Write 'view:feature', 'view:*' or View().feature.")
        columns = found.setdefault(view.name, (view, {}))[1]
        for name in _features_named(view, column):
            if columns.get(target or name, name) != name:
                raise RequestError(f"Two features would be called {target or name!r}; name one otherwise.")
            columns[target or name] = name
    if not found:
        raise RequestError("No features are asked for. Write features=['view:feature', ...].")
    named_views = {view.name: view for view in (*others, *(view for view, _ in found.values()))}
    _check_mapping(entity_columns or {}, list(named_views.values()))
    ages = max_age if isinstance(max_age, Mapping) else dict.fromkeys(found, max_age)
    for name in ages:
        if name not in named_views:
            raise RequestError(
                f"max_age names {name!r}, of which nothing is asked.{did_you_mean(name, found)}"
            )
    return tuple(
        Wanted(view, columns, wanted_entities(view, entity_columns or {}), ages.get(name))
        for name, (view, columns) in found.items()
    )


def _of_store(view: FeatureView[Any], view_called: Callable[[str], FeatureView[Any]]) -> FeatureView[Any]:
    """The store's contract of that name, which may read another source; the view itself where it has none."""
    try:
        return view_called(view.name)
    except UnknownContractError:
        return view


def _features_named(view: FeatureView[Any], column: str) -> Sequence[str]:
    keys = {*view.schema.entities, view.schema.event_timestamp, view.schema.created_timestamp}
    if column == "*":
        return [name for name in view.schema.names if name not in keys]
    if column not in view.schema:
        raise UnknownFeatureError(
            f"{view.name!r} has no feature {column!r}.{did_you_mean(column, view.schema.names)} "
            f"Features: {', '.join(n for n in view.schema.names if n not in keys)}."
        )
    if column in view.schema.entities:
        raise RequestError(
            f"{view.name}:{column} is what the view is asked by. It stands in the facts; ask for features."
        )
    return [column]


def wanted_entities(view: FeatureView[Any], mapping: EntityColumns) -> dict[str, str]:
    """Entity of a view to the facts' column for it.

    Args:
        view: the view.
        mapping: entity to column, for all views or by the view's name; the same name where it says nothing.
    """
    own = mapping.get(view.name)
    flat = {name: column for name, column in mapping.items() if isinstance(column, str)}
    chosen = {**flat, **(own if isinstance(own, Mapping) else {})}
    return {entity: chosen.get(entity, entity) for entity in view.schema.entities}


def _check_mapping(mapping: EntityColumns, views: Sequence[FeatureView[Any]]) -> None:
    entities = {entity for view in views for entity in view.schema.entities}
    known = {view.name: view.schema.entities for view in views}
    for name, column in mapping.items():
        if isinstance(column, Mapping):
            if name not in known:
                raise RequestError(
                    f"entity_columns names {name!r}, of which nothing is asked.{did_you_mean(name, known)}"
                )
            wrong = [entity for entity in column if entity not in known[name]]
            if wrong:
                raise RequestError(
                    f"{wrong[0]!r} is no entity of {name!r}.{did_you_mean(wrong[0], known[name])} "
                    f"Entities: {', '.join(known[name])}."
                )
        elif name not in entities:
            raise RequestError(
                f"{name!r} is no entity of the views that are asked.{did_you_mean(name, entities)} "
                f"Entities: {', '.join(sorted(entities))}."
            )
