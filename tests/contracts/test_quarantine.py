"""Rows that were kept aside: listed, read, published after all, dropped; none is lost on the way."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from aligned_dagster import FeatureView, FileSource, Float, InMemorySource, Int32, feature_view, publish
from aligned_dagster.contracts.quarantine import drop, keeps_quarantine, quarantines, read, release
from aligned_dagster.errors import AuditError, RequestError, UnsupportedError

ROWS = {"id": [1, 2, 3], "age": [1.0, -2.0, 500.0]}


@pytest.fixture(params=["parquet", "csv", "partitioned", "versioned", "memory"])
def target(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    made: dict[str, Any] = {
        "parquet": FileSource.parquet_at(str(tmp_path / "rows.parquet")),
        "csv": FileSource.csv_at(str(tmp_path / "rows.csv")),
        "partitioned": FileSource.partitioned_parquet_at(str(tmp_path / "rows"), partition_keys=["id"]),
        "versioned": FileSource.directory(str(tmp_path))
        .with_schema_version("rows")
        .parquet_at("rows.parquet"),
        "memory": InMemorySource.empty(),
    }
    return made[request.param]


def people(
    target: Any,
    low: float = 0,
    high: float = 150,
    effect: Any = "quarantine",
    rows: dict[str, list[Any]] | None = None,
    factor: int = 2,
) -> FeatureView[Any]:
    @feature_view(
        source=InMemorySource.from_values(rows or ROWS), materialized_source=target, on_violation=effect
    )
    class People:
        id = Int32().as_entity()
        age = Float().lower_bound(low).upper_bound(high)
        double = age * factor

    return People


def stored(view: FeatureView[Any]) -> list[Any]:
    return view.query().all().collect().sort("id").rows()


def test_runs_are_listed_with_their_rows_and_the_rules_that_these_broke(target: Any) -> None:
    view = people(target)
    assert keeps_quarantine(view) and quarantines(view) == []
    kept = publish(view, run_id="monday").quarantine
    [run] = quarantines(view)
    assert (run.run_id, run.rows, run.uri) == ("monday", 2, kept)
    found = read(view, "monday").collect().sort("id")
    assert found["broken_rules"].to_list() == [["age__lower_bound"], ["age__upper_bound"]]
    with pytest.raises(RequestError, match="Did you mean 'monday'"):
        read(view, "mnday")


def test_released_rows_are_audited_and_only_what_keeps_the_contract_leaves(target: Any) -> None:
    publish(people(target), run_id="monday")
    wider = people(target, high=1_000, factor=3)
    before = stored(people(target))
    done = release(wider, "monday")
    assert (done.released, done.kept) == (1, 1)
    assert stored(wider) == [*before, (3, 500.0, 1_500.0)]  # derived columns are those of now
    assert [(run.run_id, run.rows) for run in quarantines(wider)] == [("monday", 1)]
    assert read(wider, "monday").collect()["broken_rules"].to_list() == [["age__lower_bound"]]

    widest = people(target, low=-10, high=1_000)
    assert (release(widest, "monday").released, quarantines(widest)) == (1, [])
    assert [row[0] for row in stored(widest)] == [1, 2, 3]


def test_a_blocking_rule_or_no_good_row_leaves_everything_as_it_was(target: Any) -> None:
    publish(people(target), run_id="monday")
    before = stored(people(target))
    for effect, message in (("quarantine", "No row keeps all rules"), ("block", "1 of 2 rows break it")):
        view = people(target, effect=effect)
        with pytest.raises(AuditError, match="Nothing was released") as caught:
            release(view, "monday")
        assert message in str(caught.value)
        assert stored(view) == before
        assert [(run.run_id, run.rows) for run in quarantines(view)] == [("monday", 2)]


def test_no_stored_row_gives_way_to_a_bad_one(target: Any) -> None:
    publish(people(target), run_id="monday")
    publish(people(target, rows={"id": [2], "age": [20.0]}), mode="upsert")
    wider = people(target, high=1_000)
    assert release(wider, "monday").kept == 1
    assert [row[:2] for row in stored(wider)] == [(1, 1.0), (2, 20.0), (3, 500.0)]


def test_stored_rows_that_block_leave_the_quarantine_whole(target: Any) -> None:
    publish(people(target), run_id="monday")
    strict = people(target, low=5, high=1_000, effect="block")
    rows = read(strict, "monday").filter(pl.col("id") == 3).collect()
    target.quarantine(rows.lazy(), strict.stored_request, "tuesday")
    with pytest.raises(AuditError, match=r"(?s)1 of 2 rows break it.*Nothing was released"):
        release(strict, "tuesday")  # the stored row 1 is what breaks the rule
    assert {run.run_id: run.rows for run in quarantines(strict)} == {"monday": 2, "tuesday": 1}


def test_of_rows_with_one_key_none_is_chosen(target: Any) -> None:
    twice = people(target, rows={"id": [1, 7, 7], "age": [1.0, 2.0, 3.0]})
    publish(twice, run_id="monday")
    with pytest.raises(AuditError, match="Nothing was released"):
        release(twice, "monday")
    assert [run.rows for run in quarantines(twice)] == [2]


def test_without_an_entity_rows_are_inserted(target: Any) -> None:
    if getattr(target, "partition_keys", ()):
        target = target.model_copy(update={"partition_keys": ("age",)})

    def plain(high: float) -> FeatureView[Any]:
        @feature_view(
            source=InMemorySource.from_values(ROWS), materialized_source=target, on_violation="quarantine"
        )
        class Plain:
            id = Int32()
            age = Float().upper_bound(high)

        return Plain

    publish(plain(150), run_id="monday")
    release(plain(1_000), "monday")
    assert stored(plain(1_000)) == [(1, 1.0), (2, -2.0), (3, 500.0)]


def test_rows_of_another_schema_version_leave_too(tmp_path: Path) -> None:
    target = FileSource.directory(str(tmp_path)).with_schema_version("rows").parquet_at("rows.parquet")
    publish(people(target), run_id="monday")

    @feature_view(
        source=InMemorySource.from_values(ROWS), materialized_source=target, on_violation="quarantine"
    )
    class People:
        id = Int32().as_entity()
        age = Float().lower_bound(0)

    publish(People, frame=pl.LazyFrame({"id": [9], "age": [9.0]}))
    done = release(People, "monday")
    assert (done.released, done.kept) == (1, 1)
    assert [row[0] for row in stored(People)] == [3, 9]
    assert [(run.run_id, run.rows) for run in quarantines(People)] == [("monday", 1)]


def test_dropped_by_run_or_by_age(target: Any) -> None:
    view = people(target)
    for run in ("monday", "tuesday"):
        publish(view, run_id=run)
    first = quarantines(view)[0]
    with pytest.raises(RequestError, match="Say which rows to drop"):
        drop(view)
    with pytest.raises(RequestError, match="No run 'friday'"):
        drop(view, "friday")
    assert drop(view, older_than=dt.timedelta(days=1)) == []
    assert drop(view, first.run_id) == [first]
    later = dt.datetime.now(dt.UTC) + dt.timedelta(days=2)
    assert [run.rows for run in drop(view, older_than=dt.timedelta(days=1), now=later)] == [2]
    assert quarantines(view) == [] and len(stored(view)) == 1


def test_a_view_without_materialized_source_is_written_to_its_source() -> None:
    source = InMemorySource.from_values({"id": [1], "age": [1.0]})

    def virtual(high: float) -> FeatureView[Any]:
        @feature_view(source=source, on_violation="quarantine")
        class People:
            id = Int32().as_entity()
            age = Float().upper_bound(high)

        return People

    virtual(150).query().insert({"id": [2, 3], "age": [2.0, 500.0]})
    [run] = quarantines(virtual(150))
    assert release(virtual(1_000), run.run_id).released == 1
    assert sorted(source.rows.frame["id"]) == [1, 2, 3]


def test_what_can_only_be_read_keeps_nothing_aside() -> None:
    @feature_view(source=lambda request, limit=None: pl.LazyFrame({"id": [1]}))
    class Made:
        id = Int32()

    assert not keeps_quarantine(Made)
    with pytest.raises(UnsupportedError, match="Give it a materialized_source"):
        quarantines(Made)
