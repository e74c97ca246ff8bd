"""What long work says of itself while rows are published and predicted."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest

from aligned_dagster import (
    CustomMethodDataSource,
    ExposedModel,
    FileSource,
    Int64,
    feature_view,
    model_contract,
    publish,
    show_progress,
)
from aligned_dagster.errors import AuditError
from aligned_dagster.request import progress


@pytest.fixture(autouse=True)
def _shown(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(progress, "_silent", [])
    show_progress(True)
    yield
    show_progress()


def now() -> str:
    """What is done now of the only work that goes on."""
    (work,) = progress._works
    return f"{work.words}: {work.now}"


def test_each_step_of_publishing_is_told(tmp_path: Path) -> None:
    seen: list[str] = []

    def noted(frame: pl.DataFrame) -> pl.DataFrame:
        seen.append(now())
        return frame

    rows = pl.LazyFrame({"id": [1, 2, 3], "day": [1, 1, 2]}).map_batches(noted, streamable=False)

    @feature_view(
        source=CustomMethodDataSource.from_load(lambda: rows),
        materialized_source=FileSource.partitioned_parquet_at(tmp_path, partition_keys=["day"]),
    )
    class Flights:
        id = Int64().as_entity()
        day = Int64()

    assert publish(Flights, on_audit=lambda _: noted(pl.DataFrame())).rows == 3
    assert seen[0] == "publishing flights: computing and writing rows"
    assert seen[-1] == "publishing flights: auditing"
    assert not progress._works


def test_written_partitions_and_predicted_rows_are_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    for module in ("sources.partition_division", "contracts.prediction_source"):
        monkeypatch.setattr(f"aligned_dagster.{module}.told", told.append)

    @feature_view(
        source=CustomMethodDataSource.from_load(lambda: pl.LazyFrame({"id": range(3), "day": [1, 1, 2]})),
        materialized_source=FileSource.partitioned_parquet_at(tmp_path, partition_keys=["day"]),
    )
    class Flights:
        id = Int64().as_entity()
        day = Int64()
        is_first = day == 1

    @model_contract(
        input_features=[Flights().day],
        exposed_model=ExposedModel.python(lambda rows: rows["day"] == 1, version="1"),
    )
    class First:
        id = Int64().as_entity()
        will_be_first = Flights().is_first.as_classification_target()

    publish(Flights)
    assert told == ["1 partition written", "2 partitions written"]
    assert First.query().all().collect().height == 3
    assert told[2:] == ["3 rows predicted"]


def test_what_is_blocked_leaves_no_work_behind(tmp_path: Path) -> None:
    @feature_view(
        source=CustomMethodDataSource.from_load(lambda: pl.LazyFrame({"id": [1], "day": [-1]})),
        materialized_source=FileSource.parquet_at(tmp_path / "flights.parquet"),
    )
    class Flights:
        id = Int64().as_entity()
        day = Int64().lower_bound(0)

    with pytest.raises(AuditError):
        publish(Flights)
    assert not progress._works
