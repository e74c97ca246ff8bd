from __future__ import annotations

import dagster as dg
import polars as pl
import pytest
from dagster._core.definitions.data_version import CachingStaleStatusResolver, StaleStatus
from dagster._core.loader import LoadingContextForTest

from aligned_dagster.orchestration import build_definitions


@pytest.fixture
def stale(instance):
    def names(defs: dg.Definitions) -> set[str]:
        graph = defs.resolve_asset_graph()
        resolver = CachingStaleStatusResolver(instance, graph, LoadingContextForTest(instance))
        keys = graph.materializable_asset_keys
        return {key.to_user_string() for key in keys if resolver.get_status(key) == StaleStatus.STALE}

    return names


def test_nothing_is_stale_after_a_run(airline, run, stale):
    defs = build_definitions(airline.store())
    run(defs)
    assert stale(defs) == set()


def test_a_changed_derivation_makes_the_asset_stale(airline, run, stale):
    run(build_definitions(airline.store()))
    changed = build_definitions(airline.store(late_after=10))

    assert "flight" in stale(changed)
    run(changed, "flight")
    assert "flight" not in stale(changed)


def test_a_changed_constraint_makes_the_asset_stale(airline, run, stale):
    run(build_definitions(airline.store()))
    changed = build_definitions(airline.store(delay=lambda delay: delay.upper_bound(1_000)))

    assert "flight" in stale(changed)


@dg.asset
def report(flight: pl.DataFrame) -> int:
    return flight.height


@dg.asset
def behind_virtual(delay: pl.DataFrame) -> int:
    return delay.height


def test_a_changed_file_makes_its_readers_stale_once_it_is_observed(airline, run, stale):
    defs = build_definitions(airline.store())
    run(defs)
    airline.add_flight("4,OSL,2024-01-03T08:00:00Z,1,7")

    assert stale(defs) == set()
    run(defs, "raw/flights.csv")
    assert stale(defs) == {"flight"}


def test_a_file_that_was_never_observed_is_recorded_as_it_was_read(airline, run, stale):
    defs = build_definitions(airline.store())
    run(defs, "airport", "flight", "delay")
    airline.add_flight("4,OSL,2024-01-03T08:00:00Z,1,7")
    run(defs, "flight")

    run(defs, "raw/flights.csv", "raw/airports.csv")

    assert "flight" not in stale(defs)


def test_the_same_data_gives_the_same_version_and_leaves_downstream_fresh(airline, run, stale, version):
    defs = build_definitions(airline.store(), assets=[report])
    run(defs)
    first = version("flight")

    run(defs, "flight")

    assert version("flight") == first
    assert stale(defs) == set()


def test_other_data_gives_another_version_and_reaches_through_virtual_contracts(airline, run, stale, version):
    defs = build_definitions(airline.store(), assets=[report, behind_virtual])
    run(defs)
    first = version("flight"), version("delay")
    airline.add_flight("4,OSL,2024-01-03T08:00:00Z,1,7")

    run(defs, "flight", "delay")

    assert version("flight") != first[0]
    assert version("delay") != first[1]
    assert stale(defs) == {"report", "behind_virtual"}


@pytest.fixture
def version(instance):
    def of(key: str) -> str:
        event = instance.get_latest_materialization_event(dg.AssetKey(key))
        return event.asset_materialization.tags["dagster/data_version"]

    return of
