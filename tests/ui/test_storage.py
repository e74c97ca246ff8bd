"""The demo in a bucket: its pages tell where the rows are."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Page, expect

from tools.storage import storage

from .serving import Served, demo_project, serving


@pytest.fixture(scope="module")
def served(chromium: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A part of the demo, as `make run STORAGE=s3` serves it."""
    project = demo_project(tmp_path_factory.mktemp("ui").resolve())
    with storage("s3", project / "data") as settings, pytest.MonkeyPatch.context() as environment:
        for name, value in settings.items():
            environment.setenv(name, value)
        with serving(project, "--select", "weather,monthly_weather") as url:
            yield Served(url, project)


def test_an_asset_tells_its_bucket(page: Page, shot: Callable[..., None]) -> None:
    page.goto("/assets/monthly_weather")

    expect(page.get_by_text("s3://demo/nycflights13/monthly_weather", exact=True)).to_be_visible()
    for kind in ("Parquet", "Polars", "S3"):
        expect(page.get_by_text(kind, exact=True)).to_be_visible()
    shot("storage_s3")


def test_a_run_tells_where_the_bad_row_is(page: Page, served: Served, shot: Callable[..., None]) -> None:
    page.goto("/assets/weather?view=events")

    expect(page.get_by_text("s3://demo/nycflights13/weather.parquet", exact=True)).to_be_visible()
    kept = page.get_by_text("s3://demo/nycflights13/weather.parquet.quarantine/")
    expect(kept.first).to_be_visible()
    expect(page.get_by_text("wind_speed__upper_bound").first).to_be_visible()
    shot("storage_s3_events")
    assert not (served.project / "data" / "demo").exists()
