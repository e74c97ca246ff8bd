from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Locator, Page, expect


def test_columns_have_types_descriptions_and_constraints(page: Page, shot: Callable[..., None]) -> None:
    page.goto("/")
    page.get_by_role("link", name="Catalog").click()
    _asset_link(page, "weather").click()
    page.get_by_text("Hourly readings at the three airports of New York City").wait_for()

    wind = _row(page, "wind_speed")
    expect(wind).to_contain_text("float64")
    expect(wind).to_contain_text("at least 0")
    expect(wind).to_contain_text("at most 253")
    expect(wind).to_contain_text("253 is the fastest gust that was ever measured")
    origin = _row(page, "origin")
    expect(origin).to_contain_text("string")
    expect(origin).to_contain_text("non-nullable")
    expect(origin).to_contain_text("entity")
    expect(origin).to_contain_text("one of 'EWR'")
    expect(_row(page, "time_hour")).to_contain_text("event timestamp")
    expect(_row(page, "temp")).not_to_contain_text("non-nullable")
    expect(_row(page, "is_windy")).to_contain_text("bool")
    shot("asset_columns", height=2200)


def test_the_page_says_who_owns_the_asset_and_where_it_lies(page: Page, shot: Callable[..., None]) -> None:
    page.goto("/assets/flights")
    for text in ("flights@example.com", "Parquet", "Polars"):
        expect(page.get_by_text(text, exact=True).first).to_be_visible()
    expect(page.get_by_text(re.compile("data/demo/flights$")).first).to_be_visible()
    expect(page.get_by_role("link", name=re.compile("Open flights.* in editor"))).to_have_attribute(
        "href", re.compile(r"demo/contracts/flights\.py:\d+$")
    )
    shot("asset_definition")


@pytest.mark.parametrize(
    ("asset", "column", "origins", "derivation"),
    [
        ("departures", "seat_miles", ["flights: distance", "planes: seats"], "seats * distance"),
        ("weather", "temp_celsius", ["raw/weather.csv: temp"], "((temp - 32) / 1.8).round(1)"),
        ("carrier_summary", "airline", ["airlines: name"], "name.max()"),
    ],
)
def test_columns_tell_what_they_are_made_of(
    page: Page, shot: Callable[..., None], asset: str, column: str, origins: list[str], derivation: str
) -> None:
    page.goto(f"/assets/{asset}")
    entry = _row(page, "column_lineage")
    entry.scroll_into_view_if_needed()
    table = _opened(page, entry)
    row = table.get_by_role("row").filter(has=page.get_by_role("cell", name=column, exact=True)).last
    for text in [*origins, derivation]:
        expect(row).to_contain_text(text)
    shot(f"asset_column_lineage_{asset}")


def test_numbers_are_plotted(page: Page, shot: Callable[..., None]) -> None:
    page.goto("/assets/weather")
    _row(page, "column_lineage").wait_for()
    page.get_by_role("button", name="Plots").click()
    for name in ("dagster/row_count", "quarantined_rows", "wind_speed.mean"):
        heading = page.get_by_text(name, exact=True).last
        heading.scroll_into_view_if_needed()
        expect(heading).to_be_visible()
    expect(page.locator("canvas").first).to_be_attached()
    assert page.locator("canvas").count() >= 3
    shot("asset_plots")


def test_the_rows_of_each_partition_are_counted(page: Page, shot: Callable[..., None]) -> None:
    page.goto("/assets/flights")
    page.get_by_role("tab", name="Partitions").click()
    for origin, rows in (("EWR", 120_835), ("JFK", 111_279), ("LGA", 104_662)):
        page.get_by_text(origin, exact=True).first.click()
        expect(page.get_by_role("row").filter(has_text="dagster/partition_row_count")).to_contain_text(
            str(rows)
        )
    shot("asset_partitions")


def test_a_raw_source_is_observed_and_leads_to_its_contract(page: Page, shot: Callable[..., None]) -> None:
    page.goto("/assets/raw/weather.csv")
    expect(page.get_by_text("External Asset")).to_be_visible()
    expect(page.get_by_text("observed and never written")).to_be_visible()
    expect(page.get_by_text("Latest observation")).to_be_visible()
    shot("raw_source")
    _asset_link(page, "weather").click()
    expect(page.get_by_text("Hourly readings at the three airports of New York City")).to_be_visible()


def _row(page: Page, name: str) -> Locator:
    """The row of a table that begins with this name."""
    cell = page.get_by_role("cell", name=name, exact=True).first
    return page.get_by_role("row").filter(has=cell).first


def _asset_link(page: Page, name: str) -> Locator:
    """The link to an asset's page; its text is there twice, whole and cut to its place."""
    return page.locator(f"a[href='/assets/{name}'], a[href^='/assets/{name}?']").filter(visible=True).first


def _opened(page: Page, entry: Locator) -> Locator:
    """Where the table of a metadata entry is: in place, or behind a link, which is clicked."""
    expect(entry).to_contain_text(re.compile(r"computed as|\[Show Markdown\]"))
    link = entry.get_by_text("[Show Markdown]")
    if link.count() == 0:
        return entry
    link.click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_be_visible()
    return dialog
