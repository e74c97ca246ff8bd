"""Publishing a part: exactly its rows are asked for, audited and replaced, and all others stay."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aligned_dagster import (
    CustomMethodDataSource,
    EventTimestamp,
    FeatureView,
    FileSource,
    Float,
    InMemorySource,
    Int32,
    String,
    feature_view,
    publish,
)
from aligned_dagster.contracts.partitioning import scheme_of
from aligned_dagster.errors import AuditError, PublishError, RequestError
from aligned_dagster.request.partition import PartitionSlice, Window, union
from aligned_dagster.request.retrieval_request import RetrievalRequest

DAY = dt.timedelta(days=1)
MICROSECOND = dt.timedelta(microseconds=1)


def day(number: int, hour: int = 0) -> dt.datetime:
    return dt.datetime(2024, 1, number, hour, tzinfo=dt.UTC)


def days(first: int, last: int) -> PartitionSlice:
    """From the start of a day to the end of another one, a window each."""
    return union(PartitionSlice((Window(day(n), day(n + 1)),)) for n in range(first, last + 1))


def country(*names: str | None) -> PartitionSlice:
    return PartitionSlice(keys=tuple((("country", name),) for name in names))


Row = tuple[int, dt.datetime, str | None, float]
SCHEMA = {"id": pl.Int32, "at": pl.Datetime("us", "UTC"), "country": pl.String, "amount": pl.Float64}
ROWS: list[Row] = [
    (1, day(1, 8), "no", 1.0),
    (2, day(1, 23) + dt.timedelta(hours=1) - MICROSECOND, "uk", 2.0),
    (3, day(2), "no", 3.0),
    (4, day(2, 9), None, 4.0),
    (5, day(3), "uk", 5.0),
]


class Recorded:
    """A source that writes down what it is asked for."""

    def __init__(self, rows: list[Row]) -> None:
        self.rows = rows
        self.calls: list[Any] = []

    def all_data(self, request: RetrievalRequest, limit: int | None) -> pl.DataFrame:
        self.calls.append("all")
        return pl.DataFrame(self.rows, schema=SCHEMA, orient="row")

    def between(self, request: RetrievalRequest, start: dt.datetime, end: dt.datetime) -> pl.DataFrame:
        self.calls.append((start, end))
        return pl.DataFrame(self.rows, schema=SCHEMA, orient="row").filter(
            pl.col("at").is_between(start, end)
        )

    @property
    def source(self) -> CustomMethodDataSource:
        return CustomMethodDataSource.from_methods(all_data=self.all_data, all_between_dates=self.between)


def target(kind: str, root: Path) -> Any:
    if kind == "hive":
        return FileSource.partitioned_parquet_at(root / "rows", ["country"])
    if kind == "parquet":
        return FileSource.parquet_at(root / "rows.parquet")
    if kind == "csv":
        return FileSource.csv_at(root / "rows.csv")
    return InMemorySource.empty()


@pytest.fixture(params=["hive", "parquet", "csv", "memory"])
def stored_in(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    return target(request.param, tmp_path)


def sales(source: Any, stored_in: Any, on_violation: Any = "block") -> FeatureView[Any]:
    @feature_view(
        source=source,
        materialized_source=stored_in,
        on_violation=on_violation,
        materialize_from=dt.date(2024, 1, 1),
        every="daily",
    )
    class Sales:
        id = Int32().as_entity()
        at = EventTimestamp()
        country = String().is_optional()
        amount = Float().lower_bound(0)
        double = amount * 2

    return Sales


def held(view: FeatureView[Any]) -> list[Any]:
    return view.query().all().collect().sort("id").select("id", "at", "country", "amount").rows()


def dearer(rows: list[Row]) -> list[Row]:
    return [(number, at, name, amount + 100) for number, at, name, amount in rows]


# --- exactly its rows -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("part", "ids"),
    [
        (days(1, 1), {1, 2}), (days(2, 3), {3, 4, 5}), (days(9, 9), set()), (country("no"), {1, 3}),
        (country(None), {4}), (country("uk", None), {2, 4, 5}), (country("se"), set()),
        (PartitionSlice(days(1, 2).windows, country("no", None).keys), {1, 3, 4}),
    ],
)  # fmt: skip
def test_exactly_the_rows_of_the_part_are_replaced(
    stored_in: Any, part: PartitionSlice, ids: set[int]
) -> None:
    publish(sales(InMemorySource(pl.DataFrame(ROWS, SCHEMA, orient="row")), stored_in))
    changed = sales(InMemorySource(pl.DataFrame(dearer(ROWS), SCHEMA, orient="row")), stored_in)

    for _ in range(2):
        publication = publish(changed, part=part)

        assert held(changed) == [
            new if new[0] in ids else old for old, new in zip(ROWS, dearer(ROWS), strict=True)
        ]
        assert publication.report.passed and publication.report.rows == publication.rows == len(ids)


def test_rows_that_left_the_part_are_gone_and_new_ones_are_there(stored_in: Any) -> None:
    publish(sales(Recorded(ROWS).source, stored_in))
    new: Row = (9, day(2, 23), "se", 9.0)
    view = sales(Recorded([ROWS[0], new]).source, stored_in)

    publish(view, part=days(2, 2))

    assert held(view) == [ROWS[0], ROWS[1], ROWS[4], new]


def test_the_first_part_of_an_empty_storage(stored_in: Any) -> None:
    view = sales(Recorded(ROWS).source, stored_in)
    publish(view, part=days(2, 2))
    assert held(view) == ROWS[2:4]
    publish(view, part=days(1, 1))
    assert held(view) == ROWS[:4]


PARTS = st.sampled_from(
    [days(1, 1), days(2, 2), days(1, 3), country("no"), country("uk", None),
     PartitionSlice(days(2, 3).windows, country("no", "uk").keys)]
)  # fmt: skip
SALES = st.lists(
    st.tuples(st.integers(0, 71), st.sampled_from(["no", "uk", None, "a/b", "../x"]), st.integers(0, 9)),
    max_size=8,
)


@settings(max_examples=12, deadline=None)
@given(batches=st.lists(st.tuples(PARTS, SALES), min_size=1, max_size=4))
def test_any_parts_one_after_the_other_equal_an_oracle(
    batches: list[tuple[PartitionSlice, list[tuple[int, str | None, int]]]], tmp_path_factory: Any
) -> None:
    for kind in ("hive", "parquet", "csv", "memory"):
        stored_in = target(kind, tmp_path_factory.mktemp("sales"))
        wanted: list[Row] = []
        for part, found in batches:
            rows: list[Row] = [
                (number, day(1) + dt.timedelta(hours=hour), name, float(amount))
                for number, (hour, name, amount) in enumerate(found)
            ]
            view = sales(InMemorySource(pl.DataFrame(rows, SCHEMA, orient="row")), stored_in)
            publish(view, part=part)
            wanted = [row for row in wanted if not belongs(part, row)] + [r for r in rows if belongs(part, r)]
            assert sorted(held(view), key=_order) == sorted(wanted, key=_order), kind


def _order(row: Row) -> tuple[Any, ...]:
    return (*row[:2], str(row[2]), row[3])


def belongs(part: PartitionSlice, row: Row) -> bool:
    within = not part.windows or any(window.start <= row[1] < window.end for window in part.windows)
    return within and (not part.keys or any(dict(key)["country"] == row[2] for key in part.keys))


# --- what is asked for ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("first", "last"), [(1, 1), (2, 2), (1, 3)])
def test_a_window_is_asked_for_once_with_its_exact_span(stored_in: Any, first: int, last: int) -> None:
    recorded = Recorded(ROWS)
    publish(sales(recorded.source, stored_in), part=days(first, last))
    assert recorded.calls == [(day(first), day(last + 1) - MICROSECOND)]


def test_windows_apart_are_asked_for_as_one_span_and_the_rows_between_stay(stored_in: Any) -> None:
    publish(sales(Recorded(ROWS).source, stored_in))
    recorded = Recorded(dearer(ROWS))
    view = sales(recorded.source, stored_in)
    publish(view, part=union([days(1, 1), days(3, 3)]))
    assert recorded.calls == [(day(1), day(4) - MICROSECOND)]
    assert held(view) == [*dearer(ROWS[:2]), *ROWS[2:4], *dearer(ROWS[4:])]


def test_a_day_of_25_hours_is_asked_for_whole(tmp_path: Path) -> None:
    @feature_view(
        source=(recorded := Recorded([])).source,
        materialized_source=FileSource.parquet_at(tmp_path / "rows.parquet"),
        materialize_from=dt.date(2024, 10, 1),
        every="daily",
        time_zone="Europe/Oslo",
    )
    class Sales:
        id = Int32().as_entity()
        at = EventTimestamp()

    scheme = scheme_of(Sales)
    assert scheme is not None
    publish(Sales, part=scheme.part({"at": "2024-10-27"}))
    start = dt.datetime(2024, 10, 26, 22, tzinfo=dt.UTC)
    assert recorded.calls == [(start, start + dt.timedelta(hours=25) - MICROSECOND)]


def test_a_key_without_a_window_asks_for_all_rows(stored_in: Any) -> None:
    recorded = Recorded(ROWS)
    publish(sales(recorded.source, stored_in), part=country("no"))
    assert recorded.calls == ["all"]


def test_an_aggregation_over_a_window_asks_for_its_history_too(stored_in: Any) -> None:
    def running(source: Any) -> FeatureView[Any]:
        @feature_view(source=source, materialized_source=stored_in)
        class Running:
            id = Int32().as_entity()
            country = String().as_entity()
            at = EventTimestamp()
            amount = Float()
            total = amount.aggregate().over(days=2).sum()

        return Running

    rows: list[Row] = [(1, day(number, 12), "no", float(number)) for number in range(1, 8)]
    whole = running(Recorded(rows).source).compute().collect()
    recorded = Recorded(rows)
    publish(running(recorded.source), part=days(5, 5))

    assert recorded.calls == [(day(3), day(6) - MICROSECOND)]
    found = running(recorded.source).query().all().collect()
    assert found["at"].to_list() == [day(5, 12)]
    assert found["total"].to_list() == whole.filter(pl.col("at") == day(5, 12))["total"].to_list() == [9.0]


def test_an_aggregation_of_each_day_is_the_same_whether_days_run_together_or_one_by_one(
    tmp_path: Path,
) -> None:
    rows: list[Row] = [(n % 2, day(1 + n // 4, n % 4), "no", float(n)) for n in range(12)]

    def totals(path: Path) -> FeatureView[Any]:
        @feature_view(
            source=Recorded(rows).source,
            materialized_source=FileSource.parquet_at(path),
            materialize_from=dt.date(2024, 1, 1),
            every="daily",
        )
        class Totals:
            id = Int32().as_entity()
            at = EventTimestamp()
            amount = Float()
            total = amount.aggregate().sum()

        return Totals

    one_by_one, together = totals(tmp_path / "one.parquet"), totals(tmp_path / "all.parquet")
    for number in (3, 1, 2):
        publish(one_by_one, part=days(number, number))
    publish(together, part=days(1, 3))
    assert totals_of(one_by_one) == totals_of(together)
    assert len(totals_of(together)) == 6


def totals_of(view: FeatureView[Any]) -> list[Any]:
    return view.query().all().collect().sort("id", "at").select("id", "at", "total").rows()


# --- what is wrong --------------------------------------------------------------------------------------------


def test_bad_rows_of_a_part_are_kept_aside_and_other_parts_stay(stored_in: Any) -> None:
    publish(sales(Recorded(ROWS).source, stored_in))
    bad: Row = (3, day(2), "no", -3.0)
    view = sales(Recorded([bad, *dearer(ROWS)[3:]]).source, stored_in, "quarantine")

    publication = publish(view, part=days(2, 2), run_id="run")

    assert held(view) == [*ROWS[:2], dearer(ROWS)[3], ROWS[4]]
    assert publication.quarantine is not None and publication.rows == 1
    aside = stored_in.read_quarantine("run").collect()
    assert aside["id"].to_list() == [3]
    assert aside["broken_rules"].to_list() == [["amount__lower_bound"]]


def test_a_part_of_bad_rows_alone_becomes_empty(stored_in: Any) -> None:
    publish(sales(Recorded(ROWS).source, stored_in))
    view = sales(Recorded([(3, day(2), "no", -3.0)]).source, stored_in, "quarantine")
    assert publish(view, part=days(2, 2)).rows == 0
    assert held(view) == [*ROWS[:2], ROWS[4]]


def test_a_blocking_rule_leaves_the_part_as_it_was(stored_in: Any) -> None:
    publish(sales(Recorded(ROWS).source, stored_in))
    view = sales(Recorded([(3, day(2), "no", -3.0), ROWS[3]]).source, stored_in)
    with pytest.raises(AuditError) as error:
        publish(view, part=days(2, 2), run_id="run")
    assert error.value.quarantine is not None
    assert held(view) == ROWS
    assert stored_in.read_quarantine("run").collect()["id"].to_list() == [3]


def test_bad_rows_of_other_parts_do_not_matter(stored_in: Any) -> None:
    publish(sales(Recorded(ROWS).source, stored_in))
    view = sales(Recorded([(1, day(1), "no", -1.0), *dearer(ROWS)[2:4]]).source, stored_in)
    assert publish(view, part=days(2, 2)).report.passed
    assert held(view) == [*ROWS[:2], *dearer(ROWS)[2:4], ROWS[4]]


def test_given_rows_outside_of_the_part_are_an_error(stored_in: Any) -> None:
    view = sales(Recorded(ROWS).source, stored_in)
    publish(view)
    given = pl.LazyFrame(dearer(ROWS)[:3], SCHEMA, orient="row")
    with pytest.raises(PublishError, match=r"(?s)^1 of the rows written for 'sales' lie outside.*id=3"):
        publish(view, given, part=days(1, 1))
    with pytest.raises(PublishError, match=r"^1 of the rows.*id=2.*country='uk'"):
        publish(view, given, part=country("no"))
    assert held(view) == ROWS
    publish(view, given.head(2), part=days(1, 1))
    assert held(view) == [*dearer(ROWS)[:2], *ROWS[2:]]


def test_a_window_needs_an_event_timestamp() -> None:
    @feature_view(source=InMemorySource.from_values({"id": [1]}), materialized_source=InMemorySource.empty())
    class Timeless:
        id = Int32().as_entity()

    with pytest.raises(RequestError, match="needs a contract with an EventTimestamp"):
        publish(Timeless, part=days(1, 1))
