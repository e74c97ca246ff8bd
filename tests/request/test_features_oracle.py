"""Features of several views at once, held against one fact after the other and one row after the other."""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from aligned_dagster import (
    ContractStore,
    CreatedTimestamp,
    EventTimestamp,
    FeatureView,
    InMemorySource,
    Int32,
    Int64,
    String,
    feature_view,
)
from aligned_dagster.request import latest_known, point_in_time
from aligned_dagster.request.features_report import Provenance, features_report

OSLO = "Europe/Oslo"
EMPTY = InMemorySource.empty()


@feature_view(source=EMPTY)
class Plain:
    """Times in UTC, rows that are created late, a default, and a derived column."""

    id = Int64().as_entity()
    name = String().as_entity()
    ts = EventTimestamp()
    made = CreatedTimestamp()
    value = Int64().is_optional()
    filled = Int64().default_value(-7)
    double = value * 2


@feature_view(source=EMPTY, time_zone=OSLO)
class Naive:
    """Times without a zone, read in Oslo's; its names are those of hidden columns."""

    id = Int32().as_entity()
    ts = EventTimestamp(time_zone=None)
    at = Int64()
    time = Int64()


@feature_view(source=EMPTY)
class Zoned:
    """Times in Oslo's zone, creation in UTC."""

    id = Int32().as_entity()
    ts = EventTimestamp(time_zone=OSLO)
    made = CreatedTimestamp()
    entity = Int64()


@feature_view(source=EMPTY)
class Timeless:
    """A lookup."""

    name = String().as_entity()
    place = Int64()


@feature_view(source=EMPTY)
class Windowed:
    """What happened within the last two hours of each fact."""

    id = Int64().as_entity()
    ts = EventTimestamp()
    made = CreatedTimestamp()
    amount = Int64()
    total = amount.aggregate().over(hours=2).sum()
    rows = amount.aggregate().over(hours=2).count()
    half = total / 2


VIEWS: dict[str, FeatureView[Any]] = {
    view.name: view for view in (Plain, Naive, Zoned, Timeless, Windowed) if isinstance(view, FeatureView)
}
NUMBERS = {
    "plain": ("value", "filled"),
    "naive": ("at", "time"),
    "zoned": ("entity",),
    "timeless": ("place",),
    "windowed": ("amount",),
}
# The night in which Oslo's clocks go back: 00:30 and 01:30 UTC are both 02:30 there.
NIGHT = dt.datetime(2024, 10, 26, 23, 30, tzinfo=dt.UTC)

moments = st.sampled_from([None, *range(9), *range(9)])
ids = st.sampled_from([1, 1, 1, 1, 1, 1, 2, -(2**31), None])
names = st.sampled_from(["a", "a", "a", "a", "a", "a", "b", None])
ages_in_half_hours = st.none() | st.integers(0, 4)
fact_rows = st.lists(st.tuples(ids, names, moments), max_size=8)
view_rows = st.lists(st.tuples(ids, names, moments, st.just(0) | moments), max_size=14)


def instant(number: int | None) -> dt.datetime | None:
    """Half hours of that night."""
    return None if number is None else NIGHT + dt.timedelta(minutes=30 * number)


def stored(view: FeatureView[Any], rows: Sequence[Any], first: int = 0) -> pl.DataFrame:
    """Rows as a view's source has them; numbers tell them apart."""
    columns: dict[str, list[Any]] = {"id": [], "name": [], "ts": [], "made": []}
    for key, name, ts, made in rows:
        for column, value in zip(columns.values(), (key, name, instant(ts), instant(made)), strict=True):
            column.append(value)
    for place, number in enumerate(NUMBERS[view.name]):
        null = number == "filled"
        columns[number] = [
            None if null and row % 3 == 0 else first + row * 10 + place for row in range(len(rows))
        ]
    known: dict[str, Any] = {"id": pl.Int64, "name": pl.String}
    known |= dict.fromkeys(("ts", "made"), pl.Datetime("us", "UTC"))
    frame = pl.DataFrame(columns, schema_overrides=known, strict=False)
    frame = frame.with_columns(pl.col(NUMBERS[view.name]).cast(pl.Int64))
    if view.name == "naive":
        frame = frame.with_columns(pl.col("ts").dt.convert_time_zone(OSLO).dt.replace_time_zone(None))
    if view.name == "zoned":
        frame = frame.with_columns(pl.col("ts").dt.convert_time_zone(OSLO))
    wanted = view.compiled.inputs.stored
    return frame.select(pl.col(column.name).cast(column.dtype.polars) for column in wanted)


def known_at(view: FeatureView[Any], number: int | None) -> dt.datetime | None:
    """The time that a stored one means: of a naive one that comes twice the later, so that nothing leaks."""
    time = instant(number)
    if time is None or view.name != "naive":
        return time
    local = time.astimezone(ZoneInfo(OSLO)).replace(tzinfo=None)
    return max(local.replace(tzinfo=ZoneInfo(OSLO), fold=fold).astimezone(dt.UTC) for fold in (0, 1))


@dataclass
class Answer:
    """What a naive search finds for one fact in one view."""

    features: dict[str, Any]
    found: bool = False
    age: dt.timedelta | None = None


def search(
    view: FeatureView[Any], rows: Sequence[Any], fact: tuple[Any, ...], max_age: dt.timedelta | None
) -> Answer:
    """One row after the other."""
    fact_id, fact_name, now = fact
    nothing = Answer(dict.fromkeys(features_of(view)))
    if view.name == "plain":
        nothing.features["filled"] = -7
    usable: list[tuple[Any, Any, int]] = []
    for position, (key, name, ts, made) in enumerate(rows):
        both = {"id": (fact_id, key), "name": (fact_name, name)}
        if any(
            both[entity][0] is None or both[entity][0] != both[entity][1] for entity in view.schema.entities
        ):
            continue
        at = known_at(view, ts)
        created = instant(made) if view.compiled.inputs.created_timestamp else None
        if view.schema.event_timestamp is None:
            usable.append((0, 0, position))
        elif at is not None and now is not None and at <= now and (created is None or created <= now):
            usable.append(
                (at, dt.datetime.min.replace(tzinfo=dt.UTC) if created is None else created, position)
            )
    if view.name == "windowed":
        usable = [row for row in usable if now is not None and row[0] > now - dt.timedelta(hours=2)]
    if not usable:
        return nothing
    at, _, position = max(usable)
    age = None if view.schema.event_timestamp is None else now - at
    if max_age is not None and age is not None and age > max_age:
        return nothing
    if view.name == "windowed":
        total = sum(row * 10 for _, _, row in usable)
        return Answer({"total": total, "rows": len(usable), "half": total / 2}, True, age)
    features = {name: position * 10 + place for place, name in enumerate(NUMBERS[view.name])}
    if view.name == "plain":
        features["double"] = features["value"] * 2
        features["filled"] = -7 if position % 3 == 0 else features["filled"]
    return Answer(features, True, age)


def features_of(view: FeatureView[Any]) -> tuple[str, ...]:
    """The features that are asked for."""
    return {"plain": ("value", "filled", "double"), "windowed": ("total", "rows", "half")}.get(
        view.name, NUMBERS[view.name]
    )


def asked(facts: Sequence[Any], zone: str | None, order: Sequence[str] = ()) -> pl.DataFrame:
    """The facts, under hostile names and in some zone; without one only where no view reads it as Oslo's."""
    zone = "UTC" if zone is None and "naive" in order else zone
    times = pl.Series([instant(at) for _, _, at in facts], dtype=pl.Datetime("us", "UTC"))
    times = times.dt.convert_time_zone(zone) if zone else times.dt.replace_time_zone(None)
    return pl.DataFrame(
        {
            "__0 found": pl.Series([key for key, _, _ in facts], dtype=pl.Int64),
            "entity": pl.Series([name for _, name, _ in facts], dtype=pl.String),
            "event": times,
            "ts": pl.Series(range(len(facts)), dtype=pl.Int64),
            "__at now": pl.Series(range(len(facts)), dtype=pl.Int64),
        }
    )


def ask(sources: dict[str, pl.DataFrame], facts: Any, max_age: dict[str, dt.timedelta]) -> Any:
    """The job that asks all views of the sources, in their order."""
    store = ContractStore([VIEWS[name].with_source(InMemorySource(rows)) for name, rows in sources.items()])
    features = {f"{name} {n}": f"{name}:{n}" for name in sources for n in features_of(VIEWS[name])}
    columns = {"id": "__0 found", "name": "entity"}
    known = {entity for name in sources for entity in VIEWS[name].schema.entities}
    mapping = {entity: column for entity, column in columns.items() if entity in known}
    return store.features_for(facts, features, "event", entity_columns=mapping, max_age=max_age)


cases = {
    "facts": fact_rows,
    "rows": st.fixed_dictionaries(dict.fromkeys(VIEWS, view_rows)),
    "order": st.lists(st.sampled_from(sorted(VIEWS)), min_size=1, unique=True),
    "zone": st.sampled_from(["UTC", OSLO, "America/New_York", None]),
    "age": ages_in_half_hours,
}


@settings(max_examples=100, deadline=None)
@given(**cases, lazy=st.booleans(), engine=st.sampled_from(["streaming", "in-memory"]))
def test_features_and_report_are_those_of_a_naive_search(
    facts: list[Any],
    rows: dict[str, list[Any]],
    order: list[str],
    zone: str,
    age: int | None,
    lazy: bool,
    engine: Any,
) -> None:
    given = asked(facts, zone, order)
    ages = {} if age is None else dict.fromkeys(order[:2], dt.timedelta(minutes=30 * age))
    job = ask({n: stored(VIEWS[n], rows[n]) for n in order}, given.lazy() if lazy else given, ages)
    answers = {
        name: [
            search(VIEWS[name], rows[name], (key, title, instant(at)), ages.get(name))
            for key, title, at in facts
        ]
        for name in order
    }
    wanted = given.with_columns(
        pl.Series(f"{name} {feature}", [one.features[feature] for one in answers[name]]).cast(
            VIEWS[name].schema.column(feature).dtype.polars
        )
        for name in order
        for feature in features_of(VIEWS[name])
    )
    assert_frame_equal(job.collect(engine=engine), wanted)

    report = job.report()
    assert (report.rows_in, report.rows_out, report.leaked) == (len(facts), len(facts), 0)
    assert [found.view for found in report.views] == order
    for name in order:
        told, found = report.view(name), [one for one in answers[name] if one.found]
        assert (told.facts, told.matched) == (len(facts), len(found))
        timed = VIEWS[name].schema.event_timestamp is not None
        assert told.leaked == (0 if timed else None)
        seen = sorted(one.age for one in found if one.age is not None)
        if timed and seen:
            assert (dict(told.ages)[0.0], dict(told.ages)[1.0]) == (seen[0], seen[-1])
        else:
            assert not told.ages


@settings(max_examples=40, deadline=None)
@given(**cases, poison=view_rows)
def test_what_happens_or_is_written_later_changes_nothing(
    facts: list[Any],
    rows: dict[str, list[Any]],
    order: list[str],
    zone: str,
    age: int | None,
    poison: list[Any],
) -> None:
    facts = [(key, name, None if at is None else min(at, 5)) for key, name, at in facts]
    # Later in event, or (in views that know it) only in creation: both after every fact.
    later = [(key, name, 6 + (ts or 0) % 3, made) for key, name, ts, made in poison]
    late = [(key, name, ts, 6 + (made or 0) % 3) for key, name, ts, made in poison]
    limit = {} if age is None else {order[0]: dt.timedelta(minutes=30 * age)}
    timed = [name for name in order if name != "timeless"]
    assume(timed)

    def answer(before: bool, poisoned: bool) -> pl.DataFrame:
        sources = {}
        for name in order:
            clean = stored(VIEWS[name], rows[name])
            knows = VIEWS[name].compiled.inputs.created_timestamp is not None
            bad = stored(VIEWS[name], [*later, *(late if knows else [])], first=10**6)
            bad = bad if poisoned and name in timed else bad.clear()
            sources[name] = pl.concat([bad, clean] if before else [clean, bad])
        found: pl.DataFrame = ask(sources, asked(facts, zone, order), limit).collect()
        return found

    clean = answer(before=False, poisoned=False)
    assert_frame_equal(answer(before=False, poisoned=True), clean)
    assert_frame_equal(answer(before=True, poisoned=True), clean)


@settings(max_examples=20, deadline=None)
@given(**cases)
def test_the_order_of_the_views_changes_no_answer(
    facts: list[Any], rows: dict[str, list[Any]], order: list[str], zone: str, age: int | None
) -> None:
    given = asked(facts, zone, order)
    answers = [
        ask({n: stored(VIEWS[n], rows[n]) for n in turned}, given, {}).collect()
        for turned in itertools.islice(itertools.permutations(order), 3)
    ]
    for answer in answers[1:]:
        assert_frame_equal(answer, answers[0], check_column_order=False)


@settings(max_examples=40, deadline=None)
@given(facts=fact_rows, rows=view_rows, size=st.integers(1, 5), places=st.sampled_from([2, 4, 2**22]))
def test_batches_of_any_size_give_the_same_answer(
    facts: list[Any], rows: list[Any], size: int, places: int
) -> None:
    given = asked(facts, "UTC")
    sources = {n: stored(VIEWS[n], rows) for n in ("plain", "naive", "timeless")}
    wanted = ask(sources, given, {"plain": dt.timedelta(hours=2)}).collect()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(point_in_time, "FACTS_AT_ONCE", size)
        patch.setattr(point_in_time, "FEATURES_AT_ONCE", size)
        patch.setattr(latest_known, "_PLACES", places)
        assert_frame_equal(ask(sources, given, {"plain": dt.timedelta(hours=2)}).collect(), wanted)


@settings(max_examples=40, deadline=None)
@given(times=st.lists(st.tuples(moments, moments, moments, st.booleans()), max_size=10))
def test_a_wrong_row_is_counted_as_leaked(times: list[Any]) -> None:
    rows = pl.DataFrame(
        [(instant(now), instant(event), instant(created), found) for now, event, created, found in times],
        schema={**dict.fromkeys(("now", "event", "made"), pl.Datetime("us", "UTC")), "found": pl.Boolean},
        orient="row",
    ).lazy()
    told = features_report(rows, rows, [Provenance("view", "found", "event", "made")], "now")
    leaked = [
        found and now is not None and any(at is not None and at > now for at in (event, made))
        for now, event, made, found in times
    ]
    assert told.leaked == sum(leaked)
    assert told.views[0].matched == sum(found for *_, found in times)
