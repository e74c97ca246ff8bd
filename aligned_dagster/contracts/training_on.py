"""The rows of a training set on an engine: facts and features are read and joined there; see `TrainingSource`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from aligned_dagster.contracts.aggregates_at_on import aggregated_at_on
from aligned_dagster.contracts.features_join import Asked, questions
from aligned_dagster.contracts.splits import SPLIT, Split
from aligned_dagster.contracts.splits_on import with_split_on
from aligned_dagster.contracts.training_source import TrainingSource
from aligned_dagster.contracts.truth import Truth
from aligned_dagster.contracts.view_source import ViewSource
from aligned_dagster.contracts.wanted import Wanted, has_own_join
from aligned_dagster.features.engines.names import Engine
from aligned_dagster.features.engines.replay import replay_on
from aligned_dagster.features.engines.selecting import column_on, columns_on
from aligned_dagster.features.expression import Call, ColumnRef, Expression
from aligned_dagster.request.features_report import Provenance
from aligned_dagster.request.point_in_time_on import LookupOn, point_in_time_joins_on
from aligned_dagster.request.retrieval_request import RetrievalRequest
from aligned_dagster.sources.engines.session import Period

if TYPE_CHECKING:
    import narwhals as nw

    from aligned_dagster.contracts.feature_view import FeatureView
    from aligned_dagster.contracts.reading_on import Reader

    Rows = nw.LazyFrame[Any]


def training_rows_on(
    reader: Reader, source: TrainingSource, names: Sequence[str], between: Period | None = None
) -> Rows:
    """The named columns of a training set, in no order; views of which none is named are not read.

    Args:
        reader: reads contracts on the engine.
        source: says what the rows are made of.
        names: the wanted columns.
        between: the first and the last moment of the facts.
    """
    asked = RetrievalRequest(source.name, source.keys)
    rows = _facts(reader, source, asked, between)
    told = zip(source.wanted, source.provenance, strict=True)
    chosen = [(want, one) for want, one in told if {*want.columns, *one.columns} & set(names)]
    rows = _with_features(reader, rows, [want for want, _ in chosen], source.time, [one for _, one in chosen])
    truth: Truth | None = source.truth
    if truth is not None and truth.name in names:
        rows = _with_truth(reader, rows, truth, source.time)
    split: Split | None = source.split
    if split is not None and SPLIT in names:
        rows = with_split_on(rows, split, source.stated, reader.session)
    return columns_on(rows, names, reader.session.name)


def training_gaps(source: TrainingSource, engine: Engine) -> Iterator[str]:
    """Why an engine cannot find the features of a training set, a line for each view of which that holds.

    Args:
        source: says what the rows are made of.
        engine: the one that would join them.
    """
    truth: Truth | None = source.truth
    known_later = truth.wanted if truth is not None and truth.of == "entity" else ()
    for want, time in [
        *((want, source.time) for want in source.wanted),
        *((want, None) for want in known_later),
    ]:
        view: FeatureView[Any] = want.view
        columns = ", ".join(f"{view.name}.{name}" for name in want.columns.values())
        if has_own_join(view) and not view.storage.tells_times:
            yield f"{columns}: {view.storage.label} finds rows for facts in a way of its own, which is not the engine's"
        elif want.aggregates_at(time) and view.engine not in (None, engine):
            yield f"{columns}: {view.name} is computed on {view.engine}, and its windows end where this engine has facts"


def _facts(reader: Reader, source: TrainingSource, asked: RetrievalRequest, between: Period | None) -> Rows:
    facts = source.facts
    if between is None or source.time is None:
        return reader.source(facts, asked)
    if isinstance(facts, ViewSource) and facts.view.schema.event_timestamp != source.time:
        # The facts ask at other times than those that their view divides them by.
        return reader.within(reader.source(facts, asked), asked, asked.schema, between)
    return reader.source(facts, asked, between)


def _with_features(
    reader: Reader,
    facts: Rows,
    wanted: Sequence[Wanted],
    fact_timestamp: str | None,
    provenance: Sequence[Provenance] = (),
) -> Rows:
    """The facts with the features of every view; see `with_features`."""
    engine = reader.session.name
    given = facts.collect_schema().names()
    asked = questions(given, wanted, fact_timestamp, provenance)
    lookups = [_lookup(reader, one) for one in asked if not one.want.aggregates_at(fact_timestamp)]
    rows = point_in_time_joins_on(facts, lookups, engine=engine, fact_timestamp=fact_timestamp)
    for one in asked:
        if fact_timestamp is not None and one.want.aggregates_at(fact_timestamp):
            rows = aggregated_at_on(reader, one, rows, fact_timestamp)
    answers = [column for one in asked for column in _answer(one, engine)]
    return rows.select(*(column_on(name, engine) for name in given), *answers)


def _lookup(reader: Reader, asked: Asked) -> LookupOn:
    """The question to all rows of the view; see `Asked.lookup`."""
    view, schema = asked.want.view, asked.want.view.schema
    return LookupOn(
        reader.read(view, asked.reads),
        {column: entity for entity, column in asked.want.entities.items()},
        schema.event_timestamp,
        schema.created_timestamp,
        {name: column for column, name in asked.names.items()},
        None if schema.event_timestamp is None else asked.max_age,
        view.time_zone,
        asked.found,
    )


def _answer(asked: Asked, engine: Engine) -> Iterator[nw.Expr]:
    """The columns under the names that are asked for; see `Asked.answer`."""
    schema = asked.want.view.schema
    types = {name: schema.column(column).dtype for column, name in asked.names.items()}
    for target, name in asked.want.columns.items():
        column, found = schema.column(name), ColumnRef(asked.names[name])
        tree: Expression = found
        if column.has_default and column.default is not None:
            tree = Call("fill_null", found, column.default)
        yield replay_on(tree, engine, types).alias(target)
    told = asked.told
    if told is None:
        return
    for stored, kept in ((schema.event_timestamp, told.event), (schema.created_timestamp, told.created)):
        if stored is not None and kept is not None:
            yield column_on(asked.names[stored], engine).alias(kept)
    yield column_on(asked.found or "", engine).alias(told.found)


def _with_truth(reader: Reader, facts: Rows, truth: Truth, time: str | None) -> Rows:
    """The facts with the target; see `Truth.beside`."""
    engine = reader.session.name
    if truth.of == "row":
        return facts.with_columns(column_on(truth.column, engine).alias(truth.name))
    assert truth.view is not None
    assert truth.entities is not None
    if truth.of == "entity":
        return _with_features(reader, facts, truth.wanted, None)
    schema = truth.view.schema
    assert schema.event_timestamp is not None
    created = schema.created_timestamp
    columns = dict.fromkeys([*schema.key, *([created] if created else []), truth.column])
    lookup = LookupOn(
        reader.read(truth.view, columns),
        {column: entity for entity, column in truth.entities.items()},
        schema.event_timestamp,
        None,
        {truth.name: truth.column},
        timedelta(0),
        truth.view.time_zone,
        order=created,  # of rows that share a time the last one is taken
    )
    return point_in_time_joins_on(facts, [lookup], engine=engine, fact_timestamp=time)
