from __future__ import annotations

import datetime as dt
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from aligned_dagster.errors import RequestError, UnknownFeatureError
from aligned_dagster.request.point_in_time import point_in_time_join

DAY = dt.datetime(2024, 1, 1)


def minute(number: int | None) -> dt.datetime | None:
    return None if number is None else DAY + dt.timedelta(minutes=number)


# Few entities and few moments, so that most facts meet several rows, many of them at the same time.
times = st.sampled_from([None, 0, 1, 2, 3, 4, 5, 6, 7, 8])
ids = st.sampled_from([1, 1, 1, -2, None])
names = st.sampled_from(["a", "a", "a", "a", "b", None])
facts_rows = st.lists(st.tuples(ids, names, times), max_size=12)
feature_rows = st.lists(st.tuples(ids, names, times, times), max_size=25)

FACTS = {"id": pl.Int64, "name": pl.String, "at": pl.Datetime("us")}
FEATURES = {
    "id": pl.Int32,
    "name": pl.String,
    "ts": pl.Datetime("us", "UTC"),
    "created": pl.Datetime("us", "UTC"),
    "value": pl.Int16,
}


def oracle(
    facts: list[Any],
    features: list[Any],
    *,
    event: bool,
    created: bool,
    timed: bool,
    max_age: int | None,
) -> list[int | None]:
    """One fact after the other, one row after the other."""
    answers: list[int | None] = []
    for fact_id, fact_name, at in facts:
        best: tuple[tuple[int, ...], int] | None = None
        for position, (row_id, row_name, ts, written) in enumerate(features):
            if fact_id is None or fact_name is None or (fact_id, fact_name) != (row_id, row_name):
                continue
            if event and ts is None:
                continue
            if timed and (event or created):
                if at is None or (event and ts > at):
                    continue
                if created and written is not None and written > at:
                    continue
                if event and max_age is not None and at - ts > max_age:
                    continue
            age = ts if event else 0
            known = -1 if not created or written is None else written
            rank = (age, known, position)
            if best is None or rank > best[0]:
                best = (rank, position)
        answers.append(None if best is None else best[1])
    return answers


@settings(max_examples=300, deadline=None)
@given(
    facts=facts_rows,
    features=feature_rows,
    event=st.booleans(),
    created=st.booleans(),
    timed=st.booleans(),
    max_age=st.none() | st.integers(0, 6),
    engine=st.sampled_from(["streaming", "in-memory"]),
)
def test_every_fact_gets_what_a_naive_search_finds(
    facts: list[Any],
    features: list[Any],
    event: bool,
    created: bool,
    timed: bool,
    max_age: int | None,
    engine: Any,
) -> None:
    max_age = max_age if timed else None
    asked = pl.DataFrame([(i, n, minute(t)) for i, n, t in facts], schema=FACTS, orient="row")
    known = pl.DataFrame(
        [(i, n, minute(t), minute(c), p) for p, (i, n, t, c) in enumerate(features)],
        schema=FEATURES,
        orient="row",
    )
    got = point_in_time_join(
        asked.lazy(),
        known.lazy(),
        entities=["id", "name"],
        event_timestamp="ts" if event else None,
        created_timestamp="created" if created else None,
        fact_timestamp="at" if timed else None,
        columns=["value"],
        max_age=None if max_age is None else dt.timedelta(minutes=max_age),
    ).collect(engine=engine)
    expected = oracle(facts, features, event=event, created=created, timed=timed, max_age=max_age)
    assert_frame_equal(got, asked.with_columns(value=pl.Series(expected, dtype=pl.Int16)))


@settings(max_examples=60, deadline=None)
@given(facts=facts_rows, features=feature_rows, later=feature_rows)
def test_rows_of_the_future_change_nothing(facts: list[Any], features: list[Any], later: list[Any]) -> None:
    asked = pl.DataFrame([(i, n, minute(t)) for i, n, t in facts], schema=FACTS, orient="row")
    rows = [(i, n, minute(t), minute(c), p) for p, (i, n, t, c) in enumerate(features)]
    poison = [(i, n, minute(0 if t is None else t), minute(9), 99) for i, n, t, _ in later]
    poison += [(i, n, minute(9), None if c is None else minute(c), 99) for i, n, _, c in later]

    def ask(known: list[Any]) -> pl.DataFrame:
        return join(asked, pl.DataFrame(known, schema=FEATURES, orient="row"))

    assert_frame_equal(ask(rows), ask(poison + rows))
    assert_frame_equal(ask(rows), ask(rows + poison))


def join(facts: pl.DataFrame, features: pl.DataFrame, **changes: Any) -> pl.DataFrame:
    keywords: dict[str, Any] = {
        "entities": ["id", "name"],
        "event_timestamp": "ts",
        "created_timestamp": "created",
        "fact_timestamp": "at",
        "columns": ["value"],
    } | changes
    return point_in_time_join(facts.lazy(), features.lazy(), **keywords).collect()


def simple(facts: dict[str, Any], features: dict[str, Any], **changes: Any) -> list[Any]:
    keywords = {"entities": ["id"], "created_timestamp": None} | changes
    return join(pl.DataFrame(facts), pl.DataFrame(features), **keywords)["value"].to_list()


def test_a_row_created_late_gives_way_to_the_one_before_it() -> None:
    facts = {"id": [1, 1], "at": [minute(5), minute(7)]}
    features = {
        "id": [1, 1],
        "ts": [minute(1), minute(4)],
        "created": [minute(1), minute(6)],
        "value": ["old", "new"],
    }
    assert simple(facts, features, created_timestamp="created") == ["old", "new"]
    assert simple(facts, features) == ["new", "new"]


def test_the_greatest_age_is_inclusive() -> None:
    facts = {"id": [1, 1], "at": [minute(5), minute(6)]}
    features = {"id": [1], "ts": [minute(2)], "value": [7]}
    assert simple(facts, features, max_age=dt.timedelta(minutes=3)) == [7, None]


@pytest.mark.parametrize("fact_unit", ["ms", "us", "ns"])
@pytest.mark.parametrize("feature_unit", ["ms", "us", "ns"])
def test_units_and_zones_of_time_are_compared_in_utc(fact_unit: Any, feature_unit: Any) -> None:
    winter = dt.datetime(2024, 1, 1, 12)
    facts = pl.DataFrame({"id": [1, 1], "at": [winter, winter + dt.timedelta(hours=1)]}).with_columns(
        pl.col("at").dt.replace_time_zone("America/New_York").dt.cast_time_unit(fact_unit)
    )
    features = pl.DataFrame({"id": [1, 1], "ts": [dt.datetime(2024, 1, 1, 17), dt.datetime(2024, 1, 1, 18)]})
    features = features.with_columns(pl.col("ts").dt.cast_time_unit(feature_unit), value=pl.Series([1, 2]))
    got = join(facts, features, entities=["id"], created_timestamp=None)
    assert got["value"].to_list() == [1, 2]
    assert got.schema["at"] == facts.schema["at"]


def test_nanoseconds_are_told_apart_and_far_times_stay_in_order() -> None:
    at = pl.Series("at", [5, 6], dtype=pl.Int64).cast(pl.Datetime("ns"))
    facts = pl.DataFrame({"id": [1, 1], "at": at})
    near = pl.Series("ts", [5, 6], dtype=pl.Int64).cast(pl.Datetime("ns"))
    assert join(
        facts,
        pl.DataFrame({"id": [1, 1], "ts": near, "value": [1, 2]}),
        entities=["id"],
        created_timestamp=None,
    )["value"].to_list() == [1, 2]
    far = [dt.datetime(1, 1, 1), dt.datetime(9999, 1, 1)]
    assert join(
        facts,
        pl.DataFrame({"id": [1, 1], "ts": far, "value": [1, 2]}),
        entities=["id"],
        created_timestamp=None,
    )["value"].to_list() == [1, 1]


def test_naive_times_are_read_in_the_zone_of_the_contract() -> None:
    facts = pl.DataFrame({"id": [1], "at": [dt.datetime(2024, 7, 1, 12)]})
    features = pl.DataFrame({"id": [1], "ts": [dt.datetime(2024, 7, 1, 11)], "value": [1]})
    zoned = features.with_columns(pl.col("ts").dt.replace_time_zone("UTC"))
    keywords: dict[str, Any] = {"entities": ["id"], "created_timestamp": None}
    assert join(facts, zoned, **keywords)["value"].to_list() == [1]
    assert join(facts, zoned, zone="Europe/Oslo", **keywords)["value"].to_list() == [None]
    assert join(facts, features, zone="Europe/Oslo", **keywords)["value"].to_list() == [1]


def test_an_hour_that_comes_twice_leaks_nothing() -> None:
    twice = dt.datetime(2024, 10, 27, 2, 30)
    features = pl.DataFrame({"id": [1], "ts": [twice], "value": [1]})
    facts = pl.DataFrame({"id": [1], "at": [twice]})
    keywords: dict[str, Any] = {"entities": ["id"], "created_timestamp": None, "zone": "Europe/Oslo"}
    assert join(facts, features, **keywords)["value"].to_list() == [None]


def test_dates_mean_their_midnight() -> None:
    facts = {"id": [1, 1], "at": [dt.date(2024, 1, 1), dt.date(2024, 1, 2)]}
    features = {"id": [1], "ts": [dt.datetime(2024, 1, 1, 12)], "value": [1]}
    assert simple(facts, features) == [None, 1]


def test_entities_of_other_names_and_their_own_column() -> None:
    facts = pl.DataFrame({"passenger": [2, 1], "at": [minute(5), minute(5)]})
    features = pl.DataFrame({"id": [1], "ts": [minute(1)], "value": [7]})
    got = join(
        facts, features, entities={"passenger": "id"}, created_timestamp=None, columns=["id", "value", "ts"]
    )
    assert got.columns == ["passenger", "at", "id", "value", "ts"]
    assert got.select("id", "value").rows() == [(None, None), (1, 7)]


def test_an_entity_that_both_sides_have_is_not_added_again() -> None:
    facts = pl.DataFrame({"id": [1], "at": [minute(5)]})
    features = pl.DataFrame({"id": [1], "ts": [minute(1)], "value": [7]})
    got = join(facts, features, entities=["id"], created_timestamp=None, columns=["id", "value"])
    assert got.columns == ["id", "at", "value"]


@pytest.mark.parametrize(
    ("fact", "feature"),
    [
        (pl.Int64, pl.Int32),
        (pl.UInt64, pl.Int64),
        (pl.Int8, pl.UInt16),
        (pl.UInt8, pl.UInt32),
        (pl.String, pl.Categorical),
        (pl.Enum(["1", "2", "3"]), pl.String),
    ],
)
def test_entities_of_other_types_compare_exactly(fact: Any, feature: Any) -> None:
    facts = pl.DataFrame({"id": pl.Series(["1", "3"]).cast(fact), "at": [minute(5), minute(5)]})
    features = pl.DataFrame(
        {"id": pl.Series(["1", "2"]).cast(feature), "ts": [minute(1)] * 2, "value": [7, 8]}
    )
    got = join(facts, features, entities=["id"], created_timestamp=None)
    assert got["value"].to_list() == [7, None]
    assert got.schema["id"] == facts.schema["id"]


def test_numbers_that_do_not_fit_match_nothing() -> None:
    facts = {"id": [2**40 + 1], "at": [minute(5)]}
    features = {"id": pl.Series([1], dtype=pl.Int32), "ts": [minute(1)], "value": [7]}
    assert simple(facts, features) == [None]


def test_types_of_features_stay_as_they_are() -> None:
    features = pl.DataFrame(
        {
            "id": [1],
            "ts": [minute(1)],
            "value": pl.Series([[{"a": 1}]], dtype=pl.List(pl.Struct({"a": pl.Int8}))),
            "kind": pl.Series(["x"], dtype=pl.Enum(["x", "y"])),
        }
    )
    facts = pl.DataFrame({"id": [1, 2], "at": [minute(5)] * 2})
    got = join(facts, features, entities=["id"], created_timestamp=None, columns=["value", "kind"])
    assert got.select("value", "kind").schema == features.select("value", "kind").schema
    assert got["kind"].to_list() == ["x", None]


def test_no_rows_on_either_side() -> None:
    facts = pl.DataFrame({"id": [1], "at": [minute(5)]})
    features = pl.DataFrame({"id": [1], "ts": [minute(1)], "value": [7]})
    keywords: dict[str, Any] = {"entities": ["id"], "created_timestamp": None}
    assert join(facts.clear(), features, **keywords).shape == (0, 3)
    assert join(facts, features.clear(), **keywords)["value"].to_list() == [None]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"entities": ["idd"]}, r"lack the entity columns 'idd'.*Did you mean 'id'"),
        ({"entities": []}, "at least one entity"),
        ({"fact_timestamp": "att"}, r"no column 'att'.*Did you mean 'at'"),
        ({"fact_timestamp": "id"}, r"'id' should be a timestamp and is Int64"),
        ({"columns": ["label"]}, r"already have the columns 'label'"),
        ({"entities": {"label": "id"}}, r"'label' of the facts is String, and 'id' of the features is Int64"),
        ({"max_age": dt.timedelta(-1)}, "must not be negative"),
        ({"max_age": dt.timedelta(1), "fact_timestamp": None}, "name their column in fact_timestamp"),
    ],
)
def test_what_cannot_be_answered_is_said(changes: dict[str, Any], message: str) -> None:
    facts = pl.DataFrame({"id": [1], "at": [minute(5)], "label": ["x"]})
    features = pl.DataFrame({"id": [1], "ts": [minute(1)], "value": [7], "label": ["y"]})
    with pytest.raises(RequestError, match=message):
        join(facts, features, **({"entities": ["id"], "created_timestamp": None} | changes))


def test_a_feature_that_is_not_there_is_named_with_the_closest() -> None:
    facts = pl.DataFrame({"id": [1], "at": [minute(5)]})
    features = pl.DataFrame({"id": [1], "ts": [minute(1)], "value": [7]})
    with pytest.raises(UnknownFeatureError, match=r"no column 'valeu'. Did you mean 'value'"):
        join(facts, features, entities=["id"], created_timestamp=None, columns=["valeu"])


def test_nothing_is_read_before_the_collection() -> None:
    def never(_: pl.DataFrame) -> pl.DataFrame:
        raise AssertionError("read too early")

    features = pl.LazyFrame({"id": [1], "ts": [minute(1)], "value": [7]})
    unread = features.map_batches(never, schema=features.collect_schema())
    point_in_time_join(
        pl.LazyFrame({"id": [1], "at": [minute(5)]}),
        unread,
        entities=["id"],
        event_timestamp="ts",
        created_timestamp=None,
        fact_timestamp="at",
        columns=["value"],
    )
