from __future__ import annotations

from collections.abc import Callable
from typing import Any

from playwright.sync_api import Page, expect

CONTRACTS = {
    "airlines",
    "airports",
    "carrier_summary",
    "congestion",
    "departures",
    "flights",
    "monthly_carriers",
    "monthly_weather",
    "planes",
    "weather",
}
SOURCES = {"airlines.csv", "airports.csv", "flights.csv.zip", "planes.csv", "weather.csv"}
EDGES = {
    ("airlines.csv", "airlines"),
    ("airports.csv", "airports"),
    ("flights.csv.zip", "flights"),
    ("planes.csv", "planes"),
    ("weather.csv", "weather"),
    ("airlines", "flights"),  # a reference: flights are checked against the airlines
    ("planes", "flights"),
    ("flights", "carrier_summary"),
    ("airlines", "carrier_summary"),
    ("flights", "congestion"),
    ("flights", "departures"),
    ("weather", "departures"),
    ("planes", "departures"),
    ("flights", "monthly_carriers"),
    ("weather", "monthly_weather"),
}

# Every drawn node by its place in the drawing, and every drawn edge by the points where it begins and ends.
DRAWN = """() => {
    const number = (element, name) => Number(element.getAttribute(name));
    const leaves = (node) => [...node.querySelectorAll('*')].filter((e) => !e.children.length && e.textContent);
    return {
        nodes: [...document.querySelectorAll('foreignObject')]
            .filter((node) => leaves(node).length)
            .map((node) => ({
                name: leaves(node)[0].textContent,
                left: number(node, 'x'),
                right: number(node, 'x') + number(node, 'width'),
                middle: number(node, 'y') + number(node, 'height') / 2,
            })),
        edges: [...document.querySelectorAll('path[marker-end]')]
            .map((edge) => edge.getAttribute('d').match(/-?[\\d.]+/g).map(Number))
            .map((points) => ({ start: points.slice(0, 2), end: points.slice(-2) })),
    };
}"""


def test_the_graph_draws_every_asset_and_what_it_is_made_of(page: Page, shot: Callable[..., None]) -> None:
    page.goto("/")
    page.get_by_role("link", name="Lineage").click()
    nodes = page.locator("foreignObject")
    expect(nodes.get_by_text("sources", exact=True)).to_be_visible()
    expect(nodes.get_by_text("contracts", exact=True)).to_be_visible()
    shot("graph_groups")

    page.keyboard.press("Alt+e")  # expands all groups
    expect(nodes.get_by_text("flights.csv.zip", exact=True)).to_be_visible()
    for _ in range(4):  # only what is in sight is drawn
        page.get_by_role("img", name="zoom_out").click()
    for name in CONTRACTS | SOURCES:
        expect(nodes.get_by_text(name, exact=True)).to_be_in_viewport(ratio=1)
    drawn = page.evaluate(DRAWN)
    assert {
        (_name(drawn, "right", edge["start"]), _name(drawn, "left", edge["end"])) for edge in drawn["edges"]
    } == EDGES
    page.wait_for_load_state("networkidle")  # the colours come a little later
    shot("graph")


def test_a_node_that_is_clicked_tells_what_it_is(page: Page, shot: Callable[..., None]) -> None:
    page.goto("/asset-groups")
    expect(page.locator("foreignObject").get_by_text("contracts", exact=True)).to_be_visible()
    page.keyboard.press("Alt+e")
    page.locator("foreignObject").get_by_text("weather", exact=True).click()

    expect(page.get_by_role("link", name="View in Asset Catalog")).to_be_visible()
    expect(page.get_by_text("Hourly readings at the three airports of New York City")).to_be_visible()
    expect(page.get_by_text("wind_speed__upper_bound").first).to_be_attached()
    shot("graph_side_panel")

    page.get_by_role("link", name="View in Asset Catalog").click()
    expect(page.get_by_role("button", name="materialization")).to_be_visible()
    page.wait_for_url("**/assets/weather*")


def test_the_lineage_tab_shows_the_neighbours_with_their_checks(
    page: Page, shot: Callable[..., None]
) -> None:
    page.goto("/assets/departures")
    page.get_by_role("tab", name="Lineage").click()

    nodes = page.locator("foreignObject")
    for name in ("flights", "planes", "weather", "departures"):
        expect(nodes.filter(has_text=name).get_by_text(name, exact=True)).to_be_visible()
    expect(nodes.get_by_text("24 / 25 Passed")).to_be_visible()
    expect(nodes.get_by_text("12 / 13 Passed")).to_be_visible()
    shot("asset_lineage")


def _name(drawn: dict[str, Any], side: str, point: list[float]) -> str:
    """The node at whose side an edge begins or ends; an arrow stops a little before it."""
    near = [
        node["name"]
        for node in drawn["nodes"]
        if abs(node[side] - point[0]) <= 10 and abs(node["middle"] - point[1]) <= 10
    ]
    return near[0] if len(near) == 1 else f"nothing at {point}"
