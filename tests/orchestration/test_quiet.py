"""Dagster's runs show no progress; what a person reads in the same process does."""

from __future__ import annotations

import dagster as dg
import pytest

from aligned_dagster import ContractStore, InMemorySource, Int32, feature_view, show_progress
from aligned_dagster.orchestration import build_definitions
from aligned_dagster.orchestration.quiet import in_a_run
from aligned_dagster.request import progress


def test_a_run_shows_no_progress(monkeypatch: pytest.MonkeyPatch) -> None:
    @feature_view(source=InMemorySource.from_values({"id": [1, 2]}))
    class Person:
        id = Int32().as_entity()

    places: list[object] = []
    place = progress._place

    def found() -> object:
        places.append(place())
        return places[-1]

    monkeypatch.setattr(progress, "_place", found)

    @dg.asset
    def read() -> None:
        assert in_a_run()
        Person.query().all().collect()

    job = build_definitions(ContractStore([Person]), assets=[read]).resolve_implicit_global_asset_job_def()
    show_progress(True)
    try:
        with dg.DagsterInstance.ephemeral() as instance:
            assert job.execute_in_process(instance=instance).success
        assert len(places) == 2 and not any(places), "of the contract's own asset, and of the other"
        assert not in_a_run()
        Person.query().all().collect()
        assert places[-1] is not None
    finally:
        show_progress()
