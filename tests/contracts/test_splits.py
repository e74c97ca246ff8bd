from __future__ import annotations

import datetime as dt
import json
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aligned_dagster import split_at_random, split_by_entity, split_by_time
from aligned_dagster.contracts.splits import Split, split_from_json
from aligned_dagster.errors import ContractError
from aligned_dagster.features.dtypes import DataType
from aligned_dagster.features.schema import Column, Schema

UTC = dt.UTC


def schema(id: str = "int64", at: str | None = "timestamp(us,UTC)") -> Schema:
    columns = [Column("id", DataType.from_text(id), "entity")]
    if at is not None:
        columns.append(Column("at", DataType.from_text(at), "event_timestamp"))
    return Schema(tuple(columns))


def parts(split: Split, rows: dict[str, Any], of: Schema | None = None) -> list[str | None]:
    known = of or schema()
    frame = pl.DataFrame(rows, schema=known.polars, strict=False)
    return frame.lazy().select(split.expression(known)).collect(engine="streaming").to_series().to_list()


def test_time_goes_by_the_first_moment_that_is_not_in_a_part() -> None:
    days = [
        dt.datetime(2024, 1, day, hour, tzinfo=UTC) for day, hour in ((1, 0), (2, 23), (3, 0), (4, 0), (9, 5))
    ]
    rows = {"id": range(5), "at": days}
    two = split_by_time(dt.date(2024, 1, 3))
    assert parts(two, rows) == ["train", "train", "test", "test", "test"]
    three = split_by_time(dt.date(2024, 1, 3), dt.datetime(2024, 1, 4, 0, 0, 0, 1))
    assert parts(three, rows) == ["train", "train", "validate", "validate", "test"]


@pytest.mark.parametrize("at", ["timestamp(us,Europe/Oslo)", "timestamp(us,UTC)"])
def test_time_is_compared_in_utc(at: str) -> None:
    known = schema(at=at)
    zone = known.column("at").dtype.time_zone
    moments = pl.Series([dt.datetime(2024, 1, 2, 22, 59, tzinfo=UTC), dt.datetime(2024, 1, 3, tzinfo=UTC)])
    rows = {"id": [1, 2], "at": moments.dt.convert_time_zone(zone or "UTC")}
    assert parts(split_by_time(dt.date(2024, 1, 3)), rows, known) == ["train", "test"]


def test_days_are_split_too_and_no_time_is_in_no_part() -> None:
    rows = {"id": [1, 2, 3], "at": [dt.date(2024, 1, 2), dt.date(2024, 1, 3), None]}
    assert parts(split_by_time(dt.date(2024, 1, 3)), rows, schema(at="date")) == ["train", "test", None]


def test_an_entity_is_in_one_part_and_a_row_in_its_own() -> None:
    at = [dt.datetime(2024, 1, 1, tzinfo=UTC) + dt.timedelta(days=n) for n in range(20)]
    rows = {"id": [7] * 20, "at": at}
    assert len(set(parts(split_by_entity(0.5), rows))) == 1
    assert set(parts(split_at_random(0.5, 0.2), rows)) == {"train", "validate", "test"}


def test_the_hash_never_changes() -> None:
    """Whoever trained on a part must find the same rows in it in ten years: these are what BLAKE2b gives."""
    texts = schema(id="string", at=None)
    words = ["ab", "b", "", None, "é", "1", "2", "3"]
    assert parts(split_by_entity(0.5, 0.2), {"id": words}, texts) == [
        "test",
        "test",
        "validate",
        "train",
        "train",
        "test",
        "train",
        "validate",
    ]
    numbers = schema(at=None)
    assert parts(split_by_entity(0.5, 0.2), {"id": [1, 2, 3, None]}, numbers) == [
        "test",
        "train",
        "validate",
        "train",
    ]


@given(
    ids=st.lists(st.integers(-100, 100), min_size=1, max_size=30),
    seed=st.integers(0, 5),
    random=st.booleans(),
    data=st.data(),
)
def test_a_row_is_told_by_itself(ids: list[int], seed: int, random: bool, data: st.DataObject) -> None:
    split = (split_at_random if random else split_by_entity)(0.4, 0.3, seed=seed)
    at = [dt.datetime(2024, 1, 1, tzinfo=UTC) + dt.timedelta(hours=n) for n in range(len(ids))]
    whole = dict(zip(zip(ids, at, strict=True), parts(split, {"id": ids, "at": at}), strict=True))
    some = data.draw(st.permutations(list(whole)))[: data.draw(st.integers(1, len(whole)))]
    narrow = schema(id="int16", at="timestamp(us,Asia/Tokyo)")
    zoned = pl.Series([moment for _, moment in some]).dt.convert_time_zone("Asia/Tokyo")
    again = parts(split, {"id": [id for id, _ in some], "at": zoned}, narrow)
    assert again == [whole[row] for row in some]
    assert set(whole.values()) <= {"train", "validate", "test"}


def test_shares_are_met_on_average_and_seeds_differ() -> None:
    rows = {"id": range(20_000)}
    one, other = (pl.Series(parts(split_by_entity(0.7, 0.2, seed=n), rows, schema(at=None))) for n in (0, 1))
    shares = dict(one.value_counts(normalize=True).iter_rows())
    assert shares == pytest.approx({"train": 0.7, "validate": 0.2, "test": 0.1}, abs=0.01)
    assert 0.4 < (one == other).mean() < 0.7
    assert set(parts(split_by_entity(1.0), rows, schema(at=None))) == {"train"}
    assert set(parts(split_by_entity(0.0), rows, schema(at=None))) == {"test"}


def test_values_of_two_columns_do_not_run_together() -> None:
    two = Schema((Column("a", DataType("string"), "entity"), Column("b", DataType("string"), "entity")))
    split = split_by_entity(0.5, seed=3)
    one = [parts(split, {"a": ["x" * n], "b": ["y" + "x" * n]}, two) for n in range(40)]
    other = [parts(split, {"a": ["x" * n + "y"], "b": ["x" * n]}, two) for n in range(40)]
    assert one != other


def test_some_entities_are_kept_together() -> None:
    two = Schema((Column("a", DataType("int64"), "entity"), Column("b", DataType("int64"), "entity")))
    rows = {"a": [1] * 30 + [5] * 30, "b": range(60)}
    assert len(set(parts(split_by_entity(0.5, entities="a"), rows, two)[:30])) == 1
    assert len(set(parts(split_by_entity(0.5), rows, two)[:30])) == 2
    with pytest.raises(ContractError, match="'c', which is no entity"):
        split_by_entity(entities=["c"]).expression(two)


@pytest.mark.parametrize(
    "split",
    [
        split_by_time(dt.date(2024, 1, 3)),
        split_by_time(dt.datetime(2024, 1, 3, 5, tzinfo=UTC), dt.date(2024, 2, 1)),
        split_by_entity(0.5, 0.25, 7, ["id"]),
        split_at_random(seed=9),
    ],
)
def test_json_round_trip(split: Split) -> None:
    assert split_from_json(json.loads(json.dumps(split.to_json()))) == split
    assert split.words()


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: split_by_time(dt.date(2024, 1, 3), dt.date(2024, 1, 3)), "is not after train_until"),
        (lambda: split_by_entity(1.5), "train=1.5 is no share"),
        (lambda: split_at_random(0.8, 0.3), "more than all rows"),
        (lambda: split_at_random(0.8, -0.3), "validate=-0.3"),
        (lambda: split_by_time(dt.date(2024, 1, 3)).expression(schema(at=None)), "needs rows with a time"),
        (lambda: split_by_entity().expression(Schema(())), "needs rows with entities"),
        (lambda: split_from_json({"kind": "moon"}), "'moon' is no split"),
    ],
)
def test_what_cannot_be_is_told(make: Any, words: str) -> None:
    with pytest.raises(ContractError, match=words):
        make()
