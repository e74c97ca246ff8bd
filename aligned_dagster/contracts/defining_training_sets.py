"""Making facts and features a training set."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, timedelta
from typing import Any, Literal, TypedDict, Unpack, overload

from aligned_dagster.contracts.defining import check_materialisation
from aligned_dagster.contracts.engines import check_engines
from aligned_dagster.contracts.facts import Facts
from aligned_dagster.contracts.feature_view import FeatureView
from aligned_dagster.contracts.partitioning import Every
from aligned_dagster.contracts.retrieval import EntityColumns, FeatureRefs, Wanted, check_wanted, wanted_of
from aligned_dagster.contracts.splits import Split
from aligned_dagster.contracts.training_columns import (
    WINDOW,
    check_once,
    leak_rules,
    match_rules,
    plain,
    split_column,
    target_column,
    time_columns,
    window_column,
)
from aligned_dagster.contracts.training_facts import GivenFacts, given_facts, truth_of
from aligned_dagster.contracts.training_set import TrainingSet
from aligned_dagster.contracts.training_source import TrainingSource, provenance_of
from aligned_dagster.errors import ContractError, UnknownContractError
from aligned_dagster.features.compiling import Compiled
from aligned_dagster.features.constraints import OnViolation, check_on_violation
from aligned_dagster.features.engines.names import Engine, check_engine
from aligned_dagster.features.feature import Feature
from aligned_dagster.features.location import at, caller
from aligned_dagster.features.naming import check_name
from aligned_dagster.features.schema import Column, Schema
from aligned_dagster.features.temporal import check_zone
from aligned_dagster.sources.constructors import Directory
from aligned_dagster.sources.source import DataSource


class TrainingOptions(TypedDict, total=False):
    """What `training_set` takes besides the name and the facts; it says what each is."""

    features: FeatureRefs
    model: Any
    target: Feature | str | None
    target_at: Literal["fact", "latest"] | None
    split: Split | None
    dataset_store: Any
    entities: Sequence[str] | None
    event_timestamp_column: str | None
    entity_columns: EntityColumns | None
    max_age: timedelta | Mapping[str, timedelta] | None
    min_match_rate: float | Mapping[str, float]
    store: Any
    description: str | None
    tags: Iterable[str]
    contacts: Iterable[str]
    acceptable_freshness: timedelta | None
    unacceptable_freshness: timedelta | None
    on_violation: OnViolation
    schedule: str | None
    automation: Any
    materialize_from: date | None
    every: Every | None
    materialize_until: date | None
    time_zone: str
    engine: Engine | None


@overload
def training_set(name: str, facts: Facts, **options: Unpack[TrainingOptions]) -> TrainingSet[Any]: ...


@overload
def training_set(
    name: str | None = None, **options: Unpack[TrainingOptions]
) -> Callable[[Callable[[], Facts]], TrainingSet[Any]]: ...


def training_set(
    name: str | None = None, facts: Facts = None, **options: Unpack[TrainingOptions]
) -> TrainingSet[Any] | Callable[[Callable[[], Facts]], TrainingSet[Any]]:
    """Make a contract on rows to learn from: facts, with features as they were known at each fact's time.

    The set is an asset as any view is. Beside facts, features, target and `split` it keeps, of every view, the times of
    the row that each fact got: `<view>__event_timestamp` and `<view>__created_timestamp`; `<view>__found` where the view
    has no time. Checks hold that none of them is later than the fact (`leaked_<view>`, which always blocks) and that enough
    facts got a row (`matched_<view>`). A partition that was published does not change: other rows for it are an error.

    What is to be predicted is known later than the fact and is no leak. A `target` in the facts' own view is that of the
    fact's own row. One in the view that the facts' view reads is that of the row of the same entity and time. One in
    another view is that of the entity's latest row, whenever that was.

    Above a function it makes a set of the facts that the function returns. It is called once at the definition, to
    learn the columns, and again whenever facts are read; where it returns a view, the set depends on that view.

    Args:
        name: unique in a store; the function's name if not given.
        facts: the rows: a view, also a filtered one, or whatever `features_for` takes. Of a view the lineage is known.
        features: "view:feature", "view:*" or `View().feature`; in a mapping under the names that they get.
        model: a model contract, whose features and target are taken.
        target: what is to be predicted: `View().column`, or the name of a column of the facts.
        target_at: the row that a target of another view is taken from, where the rule above is not what is wanted:
            that of the fact's own time, or the latest of its entity.
        split: how rows to train on are told from others: `split_by_time`, `split_by_entity`, `split_at_random`.
        dataset_store: where the rows are kept: a source, or a directory for Parquet files of the set's name, one a window
            if there are windows; computed whenever they are read if not given.
        entities: the facts' columns that, with the time, tell rows apart; those of the facts' view if not given, or
            those that features are found by.
        event_timestamp_column: the facts' column with the time; that of the facts' view if not given.
        entity_columns: entity of a view to the facts' column for it, where the names differ.
        max_age: the greatest age of a feature, inclusive, for all views or by the view's name.
        min_match_rate: the share of the facts that are published together, of which each view must have a row, for all
            views or by the view's name; 0 for no check.
        store: knows the views that are named by texts.
        description: what the rows are; the function's docstring if not given.
        tags: words to find it by.
        contacts: who answers for it: email addresses or team names.
        acceptable_freshness: the newest row may be this old without a word.
        unacceptable_freshness: a newest row older than this is a failure.
        on_violation: what a broken rule does that says nothing itself.
        schedule: cron of the materialisation.
        automation: "eager", "on_cron(...)" or a condition of the orchestrator.
        materialize_from: first day of the windows of time in which the set is made, by the time of the facts.
        every: length of the windows: "hourly", "daily", "weekly" (from Monday) or "monthly".
        materialize_until: the first day after the windows; they go on to the present if not given.
        time_zone: in whose days, weeks and months the windows are.
        engine: "polars", "spark" or "duckdb": what joins and audits the rows when they are published. That of the store
            or the deployment if not given, else polars. Rows are equal on every engine, so versions do not tell it.

    Raises:
        ContractError: something is missing or does not go together.
        RequestError: the facts lack a column, or two columns would have one name.
        UnsupportedError: the features cannot be found on the engine.

    >>> from datetime import datetime, timezone
    >>> from aligned_dagster import EventTimestamp, Float, InMemorySource, Int32, feature_view
    >>> days = [datetime(2026, 1, day, tzinfo=timezone.utc) for day in (1, 2, 3)]
    >>> @feature_view(source=InMemorySource.from_values({"id": [1, 1], "at": days[:2], "wind": [3.0, 9.0]}))
    ... class Weather:
    ...     id = Int32().as_entity()
    ...     at = EventTimestamp()
    ...     wind = Float()
    >>> flights = {"id": [1, 1], "leaves": [days[0], days[2]], "late": [False, True]}
    >>> late = training_set(
    ...     "late", flights, features=[Weather().wind], target="late", event_timestamp_column="leaves"
    ... )
    >>> late.query().select("wind", "late").all().collect().rows()
    [(3.0, False), (9.0, True)]
    >>> print(late.report())
    2 facts, 2 rows; no row from the future
      weather  100.0 % matched  0 leaked  age 0 %: 0:00:00, ...
    """
    if facts is not None:
        if name is None:
            raise ContractError(
                f"A training set needs a name: training_set('name', facts, ...).{at(caller())}"
            )
        return _defined(name, facts, options)

    def decorate(function: Callable[[], Facts]) -> TrainingSet[Any]:
        if not callable(function) or isinstance(function, type | FeatureView):
            raise ContractError(
                f"@training_set goes above a function that returns facts, and got {function!r}. "
                f"Give a view as facts: training_set('name', TheView, ...).{at(caller())}"
            )
        words = (function.__doc__ or "").strip()
        return _defined(name or function.__name__, function, {"description": words, **options})

    return decorate


def _defined(name: str, facts: Any, options: TrainingOptions) -> TrainingSet[Any]:
    title, location = check_name(name), caller()
    zone = check_zone(options.get("time_zone", "UTC")) or "UTC"
    model, split, every = options.get("model"), options.get("split"), options.get("every")
    check_on_violation(options.get("on_violation"))
    given = given_facts(title, facts)
    wanted = _wanted(title, given, options)
    found_by = [column for want in wanted for column in want.entities.values()]
    time = options.get("event_timestamp_column") or given.time(wanted)
    entities = tuple(options.get("entities") or given.entities or dict.fromkeys(found_by))
    target = options.get("target")
    if target is None and model is not None:
        target = model.target
    truth = None
    if target is not None:
        truth = truth_of(given, target, time, options.get("target_at"), options.get("entity_columns") or {})
    keys = given.keys(title, entities, time, [*found_by, *(truth.reads if truth else ())])
    known_later = () if truth is None else truth.wanted
    check_wanted(keys.names, [*wanted, *known_later])
    told = tuple(provenance_of(want, number) for number, want in enumerate(wanted))
    place = options.get("dataset_store")
    if place is None and model is not None:
        place = getattr(model, "dataset_store", None)

    columns: list[Column] = [column for column in keys.columns if column.role != "feature"]
    columns += [plain(want.view.schema.column(c), n) for want in wanted for n, c in want.columns.items()]
    if truth is not None:
        columns.append(target_column(truth, keys))
    if split is not None:
        columns.append(split_column(split))
    columns += [column for want, one in zip(wanted, told, strict=True) for column in time_columns(want, one)]
    if isinstance(place, Directory) and every is not None and time is not None:
        columns.append(window_column(keys.column(time), every, zone))
    check_once(title, columns)
    rules = (
        *leak_rules(told, columns, time),
        *match_rules(told, columns, options.get("min_match_rate", 0.5)),
    )
    schema = Schema(tuple(columns), rules)
    if split is not None:
        split.columns(schema)  # raises where the rows lack what it goes by
    compiled = Compiled(schema, schema)
    storage = _storage(place, title, every)
    begin, end = options.get("materialize_from"), options.get("materialize_until")
    check_materialisation(title, compiled, storage, begin, every, None, end, zone, location)
    source = TrainingSource(
        name=title,
        facts=given.source,
        keys=keys,
        stated=schema,
        wanted=wanted,
        truth=truth,
        split=split,
        provenance=told,
    )
    engine = options.get("engine")
    made: TrainingSet[Any] = TrainingSet(
        name=title,
        compiled=compiled,
        source=source,
        materialized_source=storage,
        description=options.get("description") or "",
        tags=tuple(options.get("tags", ())),
        contacts=tuple(options.get("contacts", ())),
        acceptable_freshness=options.get("acceptable_freshness"),
        unacceptable_freshness=options.get("unacceptable_freshness"),
        on_violation=options.get("on_violation", "block"),
        schedule=options.get("schedule"),
        automation=options.get("automation"),
        materialize_from=begin,
        every=every,
        materialize_until=end,
        time_zone=zone,
        location=location,
        engine=None if engine is None else check_engine(engine, f"engine of {title}"),
        target=None if truth is None else truth.name,
        splits=split,
        provenance=told,
    )
    if engine is not None:
        check_engines([made])
    return made


def _storage(place: Any, name: str, every: Every | None) -> DataSource | None:
    """The source that keeps a set: the one that is given, or Parquet in a directory, a file a window."""
    if not isinstance(place, Directory):
        return place  # type: ignore[no-any-return]  # check_materialisation tells whether it can be written
    if every is None:
        return place.parquet_at(f"{name}.parquet")
    return place.partitioned_parquet_at(name, [WINDOW])


def _wanted(name: str, given: GivenFacts, options: TrainingOptions) -> tuple[Wanted, ...]:
    features, model = options.get("features"), options.get("model")
    if (features is None) == (model is None):
        raise ContractError(
            f"{name} takes its features from features=[View().column, ...] or from model=TheModel, one of the two."
            f"{at(caller())}"
        )
    mapping, max_age = options.get("entity_columns"), options.get("max_age")
    if model is not None:
        if max_age is not None:
            raise ContractError(f"{name} takes max_age from its model; leave it away.{at(caller())}")
        found: tuple[Wanted, ...] = tuple(model.wanted)
        return found
    assert features is not None
    return wanted_of(features, _finder(name, given, options.get("store")), mapping, max_age)


def _finder(name: str, given: GivenFacts, store: Any) -> Callable[[str], FeatureView[Any]]:
    def find(view: str) -> FeatureView[Any]:
        if store is not None:
            found: FeatureView[Any] = store.view(view)
            return found
        if given.view is not None and given.view.name == view:
            return given.view
        raise UnknownContractError(
            f"{name} does not know the view {view!r} by its name alone. Write View().column, or say who knows it: "
            f"training_set(..., store=store).{at(caller())}"
        )

    return find
