from __future__ import annotations

import re
from collections.abc import Callable

from playwright.sync_api import Page, expect


def test_an_asset_is_materialised_by_a_click(page: Page, shot: Callable[..., None]) -> None:
    page.goto("/assets/weather")
    page.get_by_role("button", name="Materialize").first.click()
    expect(page.get_by_text("Launched run")).to_be_visible()
    page.get_by_role("link", name="View", exact=True).click()

    page.wait_for_url("**/runs/*")
    expect(page.get_by_text("Success", exact=True).first).to_be_visible(timeout=90_000)
    run = page.url.rsplit("/", 1)[1][:8]
    shot("run")

    page.goto("/assets/weather?view=events")
    expect(page.get_by_text(re.compile("Materialized in run"))).to_contain_text(run)
    expect(page.get_by_text("26114").first).to_be_visible()
    shot("materialised_again")

    page.get_by_role("tab", name="Lineage").click()  # the same data again: nothing downstream is out of date
    nodes = page.locator("foreignObject")
    expect(nodes.filter(has_text="departures").get_by_text("Materialized", exact=True)).to_be_visible()
    expect(nodes.filter(has_text="weather").get_by_text("19 / 20 Passed")).to_be_visible()
    expect(page.get_by_text(re.compile("^Unsynced"))).to_have_count(0)
    shot("in_sync")


def test_the_io_manager_tells_what_it_does(page: Page, shot: Callable[..., None]) -> None:
    page.goto("/")
    page.get_by_role("link", name="Deployment").click()
    page.locator("a[href^='/locations/aligned_dagster']").first.click()
    page.get_by_role("tab", name="Definitions").click()
    page.locator("a[href$='/locations/aligned_dagster/resources']").click()
    page.get_by_role("link", name="parquet_io_manager").first.click()

    expect(page.get_by_text("Reads the rows of")).to_be_visible()
    expect(page.get_by_text("pandas.DataFrame")).to_be_visible()
    expect(page.get_by_text("monthly_weather", exact=True)).to_be_visible()
    shot("resource")

    page.get_by_role("tab", name="Uses").click()
    expect(page.get_by_role("link", name="weather", exact=True)).to_be_visible()


def test_the_automation_page_opens(page: Page, shot: Callable[..., None]) -> None:
    page.goto("/")
    page.get_by_role("link", name="Automation").click()
    page.wait_for_url("**/automation*")
    expect(page.get_by_role("textbox", name="Search and filter automations")).to_be_visible()
    shot("automation")
