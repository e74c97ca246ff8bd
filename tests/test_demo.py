"""The demo finds what is wrong with the real data, and its contracts are the locked ones."""

from __future__ import annotations

import datetime as dt
import os
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from aligned_dagster import ContractStore, publish
from aligned_dagster.demo.storage import STORAGES

ROOT = Path(__file__).parents[1]


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ContractStore:
    monkeypatch.chdir(tmp_path)  # where the demo keeps its data
    return ContractStore.discover(ROOT / "aligned_dagster" / "demo" / "contracts")


def test_the_impossible_gust_is_quarantined(store: ContractStore) -> None:
    weather = store.view("weather")
    publication = publish(weather, run_id="run")
    assert (publication.report.rows, publication.rows) == (26_115, 26_114)
    (broken,) = publication.report.failures
    assert (broken.name, broken.broken) == ("wind_speed__upper_bound", 1)
    kept = weather.materialized_source.read_quarantine("run").collect()  # type: ignore[union-attr]  # it is a file
    assert kept.select("origin", "broken_rules").rows() == [("EWR", ["wind_speed__upper_bound"])]
    assert str(kept["time_hour"][0]) == "2013-02-12 08:00:00+00:00" and round(kept["wind_speed"][0]) == 1048


def test_planes_that_nobody_knows_are_a_warning(store: ContractStore) -> None:
    for name in ("weather", "planes"):
        publish(store.view(name))
    flights = publish(store.view("flights"))
    assert flights.rows == 336_776
    assert {o.name: o.broken for o in flights.report.failures} == {"tailnum__reference": 50_094}
    departures = publish(store.view("departures"))
    # The unknown tail numbers, and the 2,512 flights that name none.
    assert {o.name: o.broken for o in departures.report.failures} == {"rule__plane_is_known": 50_094 + 2_512}
    assert departures.rows == 336_776


def test_the_model_learns_from_what_was_known_at_the_time(store: ContractStore) -> None:
    from sklearn.metrics import roc_auc_score

    from aligned_dagster.demo.training import departure_delay_model

    for name in ("weather", "planes", "flights", "delay_training"):
        publish(store.view(name))
    training = store.view("delay_training")
    report = training.report()  # type: ignore[attr-defined]  # it is a training set
    assert (report.rows_in, report.rows_out, report.leaked) == (336_776, 336_776, 0)
    assert report.view("planes").matched == 336_776 - 50_094 - 2_512
    trained = departure_delay_model(training.read().collect())
    assert trained.metadata["trained_on_rows"] == 224_863
    late = dt.datetime(2013, 10, 1, 4, tzinfo=dt.UTC), dt.datetime(2014, 1, 1, 4, tzinfo=dt.UTC)
    predicted = store.view("departure_delay").compute().filter(pl.col("time_hour").is_between(*late))
    rows = store.model("departure_delay").with_target(predicted).collect()
    assert roc_auc_score(rows["actual_will_be_late"].to_numpy(), rows["chance"].to_numpy()) > 0.7


@pytest.mark.parametrize("storage", STORAGES)
def test_the_contracts_are_the_locked_ones_wherever_they_are_stored(storage: str) -> None:
    run = subprocess.run(
        [sys.executable, "-m", "aligned_dagster.cli", "diff"],
        cwd=ROOT,
        env={**os.environ, "DEMO_STORAGE": storage},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout
    assert "13 unchanged contracts" in run.stdout
