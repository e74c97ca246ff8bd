from __future__ import annotations

import dagster as dg
import pandas as pd
import polars as pl
import pytest

from aligned_dagster.orchestration import build_definitions

KINDS = [pl.LazyFrame, pl.DataFrame, pd.DataFrame]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: f"{kind.__module__.split('.')[0]}.{kind.__name__}")
@pytest.mark.parametrize("upstream", ["airport", "flight", "delay"])
def test_every_contract_loads_into_a_plain_asset_in_the_annotated_type(airline, run, kind, upstream):
    def consume(rows):
        seen.append(rows)

    seen: list[object] = []
    consume.__annotations__["rows"] = kind
    asset = dg.asset(name="consumer", ins={"rows": dg.AssetIn(upstream)})(consume)

    ran = run(build_definitions(airline.store(), assets=[asset]))

    assert ran.success
    assert type(seen[0]) is kind
    names = seen[0].collect_schema().names() if kind is pl.LazyFrame else list(seen[0].columns)
    assert names == list(airline.store().views[upstream].schema.names)


def test_the_rows_of_a_stored_contract_are_those_that_were_published(airline, run):
    @dg.asset
    def consumer(flight: pl.DataFrame) -> list[int]:
        return sorted(flight["id"].to_list())

    defs = build_definitions(airline.store(), assets=[consumer])
    assert run(defs).success
    airline.add_flight("4,OSL,2024-01-03T08:00:00Z,1,7")

    assert run(defs, "consumer").result.output_for_node("consumer") == [1, 2, 3]


def test_the_rows_of_a_virtual_contract_are_computed_from_its_upstream_when_they_are_read(airline, run):
    @dg.asset
    def consumer(delay: pl.DataFrame) -> list[dict[str, object]]:
        return delay.select("id", "hours").to_dicts()

    ran = run(build_definitions(airline.store(), assets=[consumer]))

    hours = {row["id"]: row["hours"] for row in ran.result.output_for_node("consumer")}
    assert hours == {1: pytest.approx(5.5 / 60), 2: pytest.approx(-2 / 60), 3: None}


def test_an_input_without_annotation_is_a_lazy_frame(airline, run):
    @dg.asset
    def consumer(airport):
        return isinstance(airport, pl.LazyFrame)

    assert (
        run(build_definitions(airline.store(), assets=[consumer])).result.output_for_node("consumer") is True
    )


def test_only_the_columns_named_in_the_input_are_read(airline, run):
    @dg.asset(ins={"flight": dg.AssetIn(metadata={"columns": ["is_late", "id"]})})
    def consumer(flight: pl.DataFrame) -> list[str]:
        return flight.columns

    ran = run(build_definitions(airline.store(), assets=[consumer]))

    assert ran.result.output_for_node("consumer") == ["is_late", "id"]


def test_a_column_that_is_not_there_is_named_with_the_closest_one(airline, run):
    @dg.asset(ins={"flight": dg.AssetIn(metadata={"columns": ["is_lat"]})})
    def consumer(flight: pl.DataFrame) -> None: ...

    ran = run(build_definitions(airline.store(), assets=[consumer]))

    assert "Did you mean 'is_late'?" in _words(ran.failure("consumer"))


def test_another_annotation_is_an_error_that_names_the_three(airline, run):
    @dg.asset
    def consumer(airport: dict) -> None: ...

    ran = run(build_definitions(airline.store(), assets=[consumer]))

    assert "pl.LazyFrame, pl.DataFrame or pandas.DataFrame" in _words(ran.failure("consumer"))


def test_the_io_manager_writes_nothing(airline, run):
    @dg.asset(io_manager_key="parquet_io_manager")
    def mine() -> int:
        return 1

    ran = run(build_definitions(airline.store(), assets=[mine]), "mine")

    assert "@produces" in _words(ran.failure("mine"))


def test_the_io_manager_says_what_it_does_on_its_page(airline):
    resources = build_definitions(airline.store()).get_repository_def().get_top_level_resources()

    assert "2 contracts" in resources["parquet_io_manager"].description
    assert "- delay" in resources["view_io_manager"].description
    assert resources["parquet_io_manager"].resource_fn.__name__ == "rows_of_contracts"


def _words(failure) -> str:
    if failure.user_failure_data is not None:
        return failure.user_failure_data.description
    error, words = failure.error, []
    while error is not None:
        words.append(error.message)
        error = error.cause
    return "\n".join(words)
