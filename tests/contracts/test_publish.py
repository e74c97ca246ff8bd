"""Write, audit, publish: what a broken rule does, and that the old rows survive."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest

from aligned_dagster import FeatureView, FileSource, Float, InMemorySource, Int32, feature_view, publish, rule
from aligned_dagster.errors import AuditError, CastError

GOOD = {"id": [1, 2], "age": [1.0, 2.0]}
BAD = {"id": [1, 2, 3], "age": [1.0, -2.0, 500.0]}


def targets(kind: str, tmp_path: Path) -> Any:
    if kind == "parquet":
        return FileSource.parquet_at(str(tmp_path / "rows.parquet"))
    if kind == "csv":
        return FileSource.csv_at(str(tmp_path / "rows.csv"))
    if kind == "partitioned":
        return FileSource.partitioned_parquet_at(str(tmp_path / "rows"), partition_keys=["id"])
    return InMemorySource.empty()


@pytest.fixture(params=["parquet", "csv", "partitioned", "memory"])
def target(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    return targets(request.param, tmp_path)


def made(target: Any, on_violation: Any, rows: dict[str, list[Any]]) -> FeatureView[Any]:
    @feature_view(
        source=InMemorySource.from_values(rows), materialized_source=target, on_violation=on_violation
    )
    class People:
        id = Int32().as_entity()
        age = Float().lower_bound(0)
        double = age * 2
        sane = rule(age < 150)

    return People


def stored(view: FeatureView[Any]) -> list[Any]:
    return view.query().all().collect().sort("id").rows()


def test_good_rows_are_published_with_their_derived_columns(target: Any) -> None:
    view = made(target, "block", GOOD)
    publication = publish(view)
    assert publication.report.passed and publication.quarantine is None and publication.rows == 2
    assert publication.bytes is not None and publication.bytes > 0
    assert stored(view) == [(1, 1.0, 2.0), (2, 2.0, 4.0)]


def test_block_leaves_the_old_rows_and_keeps_the_bad_ones_aside(target: Any) -> None:
    publish(made(target, "block", GOOD))
    view = made(target, "block", BAD)
    seen: list[Any] = []
    with pytest.raises(AuditError, match="age must be at least 0: 1 of 3 rows break it") as caught:
        publish(view, run_id="run", on_audit=seen.append)
    assert stored(view) == [(1, 1.0, 2.0), (2, 2.0, 4.0)]
    assert len(seen) == 1 and seen[0] is caught.value.report
    kept = target.read_quarantine("run").collect().sort("id")
    assert kept["id"].to_list() == [2, 3]
    assert kept["broken_rules"].to_list() == [["age__lower_bound"], ["rule__sane"]]
    assert caught.value.quarantine in str(caught.value)


def test_quarantine_publishes_the_good_rows_and_loses_none(target: Any) -> None:
    view = made(target, "quarantine", BAD)
    publication = publish(view, run_id="run")
    assert publication.rows == 1 and publication.quarantine is not None
    assert stored(view) == [(1, 1.0, 2.0)]
    assert target.read_quarantine("run").collect().height == 2
    assert publication.report.rows == 3


def test_quarantine_of_every_row_is_taken_for_a_wrong_rule(target: Any) -> None:
    publish(made(target, "quarantine", GOOD))
    view = made(target, "quarantine", {"id": [7, 8], "age": [-1.0, -2.0]})
    with pytest.raises(AuditError, match="Every row breaks a rule"):
        publish(view, run_id="run")
    assert stored(view) == [(1, 1.0, 2.0), (2, 2.0, 4.0)]
    assert target.read_quarantine("run").collect().height == 2


@pytest.mark.parametrize("mode", ["insert", "upsert"])
def test_quarantine_of_rows_that_are_added(target: Any, mode: Any) -> None:
    publish(made(target, "quarantine", {"id": [5], "age": [5.0]}))
    view = made(target, "quarantine", BAD)
    publication = publish(view, mode=mode, run_id="run")
    assert publication.rows == 2
    assert stored(view) == [(1, 1.0, 2.0), (5, 5.0, 10.0)]


def test_warn_publishes_everything(target: Any) -> None:
    view = made(target, "warn", BAD)
    publication = publish(view)
    assert publication.rows == 3 and publication.quarantine is None
    assert [outcome.name for outcome in publication.report.warnings] == ["age__lower_bound", "rule__sane"]


def test_an_entity_that_stands_twice_blocks(target: Any) -> None:
    view = made(target, "block", {"id": [1, 1], "age": [1.0, 2.0]})
    with pytest.raises(AuditError, match="unique"):
        publish(view)


def test_given_rows_are_conformed_and_completed(tmp_path: Path) -> None:
    view = made(FileSource.parquet_at(str(tmp_path / "x.parquet")), "block", GOOD)
    publish(view, pl.LazyFrame({"age": [3], "id": [9], "more": ["x"]}))
    assert stored(view) == [(9, 3.0, 6.0)]
    with pytest.raises(CastError, match="abc"):
        publish(view, pl.LazyFrame({"id": ["abc"], "age": [1.0]}))
    assert stored(view) == [(9, 3.0, 6.0)]


def test_a_virtual_view_is_audited_and_nothing_is_written() -> None:
    @feature_view(source=InMemorySource.from_values(BAD))
    class Virtual:
        id = Int32().as_entity()
        age = Float().lower_bound(0)

    with pytest.raises(AuditError):
        publish(Virtual)
    assert publish(made(InMemorySource.empty(), "warn", BAD)).published is not None


def test_a_source_that_fails_in_the_middle_leaves_the_old_rows(target: Any) -> None:
    view = made(target, "block", GOOD)
    publish(view)

    def explode(frame: pl.DataFrame) -> pl.DataFrame:
        raise RuntimeError("the network is gone")

    broken = pl.LazyFrame(GOOD).map_batches(explode, schema={"id": pl.Int64, "age": pl.Float64})
    with pytest.raises(Exception, match="the network is gone"):
        publish(view, broken)
    assert stored(view) == [(1, 1.0, 2.0), (2, 2.0, 4.0)]
