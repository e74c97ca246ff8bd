"""A project with a model: its page, how good it is, whether it drifts, and its lineage."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Locator, Page, expect

from ..orchestration.model_project import Flying
from .conftest import Served
from .serving import REPOSITORY, STARTS_WITHIN, serving

CONTRACTS = """
from __future__ import annotations

from datetime import UTC, datetime, timedelta

from aligned_dagster import (
    Bool, EventTimestamp, ExposedModel, FileSource, Float, Int64, String, feature_view, model_contract,
)
from aligned_dagster.contracts.defining_training_sets import training_set
from aligned_dagster.contracts.splits import split_by_time

data = FileSource.directory("data")


@feature_view(source=data.parquet_at("weather.parquet"))
class Weather:
    airport = String().as_entity()
    at = EventTimestamp()
    wind = Float()


@feature_view(
    source=data.parquet_at("flights.parquet"), materialized_source=data.parquet_at("stored/flights.parquet")
)
class Flights:
    flight = Int64().as_entity()
    leaves = EventTimestamp()
    origin = String()
    distance = Float()
    delayed = Bool().is_optional()


flights, weather = Flights(), Weather()


@model_contract(
    input_features=[flights.distance, weather.wind],
    entity_columns={"airport": "origin"},
    max_age=timedelta(hours=2),
    exposed_model=ExposedModel.sklearn_at("data/delay.joblib"),
    output_source=data.parquet_at("stored/delay.parquet"),
    acceptable_metrics={"roc_auc": 0.6, "brier": 0.1},
    acceptable_drift=0.1,
    contacts=["models@example.com"],
)
class Delay:
    "Whether a flight leaves late."

    flight = Int64().as_entity()
    at = EventTimestamp()
    is_delayed = flights.delayed.as_classification_target()
    chance = is_delayed.probability_of(True)
    version = String().as_model_version()


@feature_view(source=Delay, materialized_source=data.parquet_at("stored/late_flights.parquet"))
class LateFlights:
    "Flights that will hardly leave in time."

    flight = Int64().as_entity()
    chance = Float()
    very_late = chance > 0.8


delays_to_learn = training_set(
    "delays_to_learn",
    facts=Flights,
    model=Delay,
    entity_columns={"airport": "origin"},
    split=split_by_time(datetime(2026, 1, 7, tzinfo=UTC)),
    dataset_store=data.parquet_at("stored/delays_to_learn.parquet"),
)
"""


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Flights with weather, a model of their delays and its training set, after `aligned-dagster run`."""
    project = tmp_path_factory.mktemp("model").resolve()
    flying = Flying(project / "data")
    (project / "data" / "stored").mkdir(parents=True)
    flying.write(wind=25.0)
    flying.train()
    (project / "contracts.py").write_text(CONTRACTS, "utf-8")
    (project / "pyproject.toml").write_text('[tool.aligned_dagster]\ncontracts = "contracts.py"\n', "utf-8")
    shutil.copy(REPOSITORY / "workspace.yaml", project)
    (project / "dagster_home").mkdir()
    shutil.copy(REPOSITORY / "dagster_home" / "dagster.yaml", project / "dagster_home")
    with serving(project) as url:
        yield Served(url, project)


def test_the_page_of_a_model_says_what_it_takes_and_how_well_it_was_found(
    page: Page, shot: Callable[..., None]
) -> None:
    page.goto("/assets/delay")
    expect(page.get_by_text("Whether a flight leaves late.").first).to_be_visible()
    expect(page.get_by_text("Scikit Learn").first).to_be_visible()
    for name, text in (
        ("model_version", re.compile("[0-9a-f]{12}")),
        ("ground_truth", "flights.delayed"),
        ("weather.match_rate", "1"),
        ("leaked_rows", "0"),
        ("acceptable_metrics", "roc_auc of at least 0.6"),
    ):
        expect(_row(page, name)).to_contain_text(text)
    features = _row(page, "features_report")
    expect(features).to_contain_text("100.00%")
    shot("model_page", height=3200)


def test_the_check_of_the_predictions_has_a_plot(page: Page, shot: Callable[..., None]) -> None:
    page.goto("/assets/delay?view=checks&checkDetail=evaluation")
    expect(page.get_by_text("over 320 of 400 predictions").first).to_be_visible()
    expect(page.get_by_text("brier of at most 0.1").first).to_be_visible()
    expect(page.get_by_role("cell", name=re.compile("^[█│]+░+$")).first).to_be_visible()
    expect(page.get_by_role("row").filter(has_text="actual True").last).to_contain_text("131")
    expect(page.locator("canvas").first).to_be_attached()  # the figures over time
    shot("model_evaluation", height=1600)
    page.get_by_role("row").filter(has_text="calibration_plot").get_by_text("[Show Markdown]").click()
    plot = page.get_by_role("dialog").locator("pre")
    expect(plot).to_contain_text("● mean of a bin")
    shot("model_calibration")


def test_the_check_is_run_again_by_itself(page: Page, shot: Callable[..., None]) -> None:
    page.goto("/assets/delay?view=checks&checkDetail=evaluation")
    page.get_by_role("button", name=re.compile("Execute$")).click()
    page.get_by_role("tab", name="Execution history").click()
    rows = page.get_by_role("row")
    expect(rows.filter(has_text="over 320 of 400 predictions")).to_have_count(2, timeout=STARTS_WITHIN * 1000)
    shot("model_evaluation_history")


def test_the_check_of_drift_names_what_moved(page: Page, shot: Callable[..., None]) -> None:
    page.goto("/assets/delay?view=checks&checkDetail=drift")
    expect(page.get_by_text("1 moved").first).to_be_visible()
    wind = page.get_by_role("row").filter(has=page.get_by_role("cell", name="wind", exact=True)).last
    expect(wind).to_contain_text("yes")
    shot("model_drift", height=1400)


def test_the_match_rate_of_the_features_is_plotted(page: Page, shot: Callable[..., None]) -> None:
    page.goto("/assets/delay")
    _row(page, "column_lineage").wait_for()
    page.get_by_role("button", name="Plots").click()
    for name in ("weather.match_rate", "leaked_rows", "chance.mean"):
        heading = page.get_by_text(name, exact=True).last
        heading.scroll_into_view_if_needed()
        expect(heading).to_be_visible()
    shot("model_plots", height=2600)


def test_the_lineage_goes_through_the_model(page: Page, shot: Callable[..., None]) -> None:
    page.goto("/assets/delay?view=lineage")
    nodes = page.locator("foreignObject")
    for name in ("flights", "weather", "delay", "delay.joblib", "late_flights"):
        expect(nodes.get_by_text(name, exact=True).first).to_be_visible()
    expect(nodes.get_by_text("Loading")).to_have_count(0)
    shot("model_lineage")


def _row(page: Page, name: str) -> Locator:
    """The row of a table that begins with this name."""
    cell = page.get_by_role("cell", name=name, exact=True).first
    return page.get_by_role("row").filter(has=cell).first
