from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import polars as pl
from playwright.sync_api import Locator, Page, expect


def test_the_impossible_wind_is_found_and_kept_aside(page: Page, shot: Callable[..., None]) -> None:
    page.goto("/assets/weather")
    page.get_by_role("tab", name="Checks").click()
    page.get_by_placeholder("Filter checks").fill("wind_speed")
    page.get_by_text("wind_speed__upper_bound", exact=True).first.click()

    expect(page.get_by_text("wind_speed must be at most 253: 1 of 26,115 rows break it")).to_be_visible()
    expect(page.get_by_text("Rows that break it are kept aside, the others are published")).to_be_visible()
    expect(page.get_by_text("Failed", exact=True).last).to_be_visible()
    shot("check_quarantine")

    quarantine = page.get_by_text("weather.parquet.quarantine").first
    expect(quarantine).to_be_visible()
    kept = pl.read_parquet(Path(quarantine.inner_text().strip()))
    assert kept.select("origin", "wind_speed").rows() == [("EWR", 1048.36058)]
    assert kept["broken_rules"].to_list() == [["wind_speed__upper_bound"]]

    sample = _sample(page)
    for text in ("EWR", "2013-02-12", "08:00", "1048.36"):
        expect(sample).to_contain_text(text)
    shot("check_quarantine_sample")


def test_the_row_that_was_kept_aside_can_be_looked_at(page: Page, shot: Callable[..., None]) -> None:
    page.goto("/assets/weather")
    page.get_by_role("tab", name="Events").click()
    for text in ("quarantined_rows", "quarantine_preview", "wind_speed__upper_bound"):
        expect(page.get_by_text(text, exact=True).first).to_be_visible()
    row = page.get_by_role("row").filter(has_text="wind_speed__upper_bound").last
    for text in ("EWR", "2013-02-12", "08:00", "1048.36"):
        expect(row).to_contain_text(text)
    expect(row.get_by_text("1048.36").first).to_be_in_viewport()
    shot("quarantined_row")


def test_unknown_tail_numbers_are_a_warning(page: Page, shot: Callable[..., None]) -> None:
    page.goto("/assets/flights")
    page.get_by_role("tab", name="Checks").click()
    page.get_by_text("tailnum__reference", exact=True).first.click()

    expect(page.get_by_text("50,094 of 336,776 rows break it")).to_be_visible()
    expect(page.get_by_text("Rows that break it are published all the same")).to_be_visible()
    expect(page.get_by_role("img", name="warning").first).to_be_attached()
    expect(_sample(page)).to_contain_text("N9EAMQ")
    shot("check_warning_sample")


def test_a_rule_over_several_columns_warns(page: Page, shot: Callable[..., None]) -> None:
    page.goto("/assets/departures")
    page.get_by_role("tab", name="Checks").click()
    page.get_by_text("rule__plane_is_known", exact=True).first.click()
    expect(page.get_by_text("52,606 of 336,776 rows break it")).to_be_visible()
    shot("check_rule")


def test_a_check_that_passed_says_so(page: Page, shot: Callable[..., None]) -> None:
    page.goto("/assets/airports")
    page.get_by_role("tab", name="Checks").click()
    page.get_by_text("entity_key", exact=True).first.click()
    expect(page.get_by_text("all 1,458 rows keep it")).to_be_visible()
    expect(page.get_by_text("Passed", exact=True).last).to_be_visible()
    expect(page.get_by_text("blocking", exact=True)).to_be_visible()
    shot("check_passed")


def _sample(page: Page) -> Locator:
    """Where the sample rows are: on the page, or behind a link of the check's metadata, which is clicked."""
    page.get_by_text("broken_rows", exact=True).first.wait_for()
    link = page.get_by_text("[Show Markdown]")
    if link.count() == 0:
        return page.locator("body")
    link.first.click()
    return page.get_by_role("dialog")
