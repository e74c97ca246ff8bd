"""Drawings of lineage: every box in its place, every edge from left to right, and files that show themselves."""

from __future__ import annotations

import random
from itertools import combinations
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from aligned_dagster import (
    ContractStore,
    Float,
    InMemorySource,
    Int32,
    RandomDataSource,
    String,
    data_contract,
    feature_view,
)
from aligned_dagster.contracts.lineage_drawing import LineageDrawing, Node, short
from aligned_dagster.contracts.lineage_layout import HEIGHT, laid_out
from aligned_dagster.errors import RequestError, UnknownContractError

SVG = "{http://www.w3.org/2000/svg}"


@feature_view(source=InMemorySource.from_values({"code": ["OSL"]}))
class Airport:
    code = String().as_entity()


@feature_view(source=InMemorySource.from_values({"id": [1], "origin": ["OSL"], "delay": [3.0]}))
class Flight:
    """Departures & <delays>."""

    id = Int32().as_entity()
    origin = String().reference_to(Airport().code)
    delay = Float()


Late = Flight.filter("late", lambda flight: flight.delay > 10)


@data_contract(source=Airport.join(Flight, left_on="code", right_on="origin"))
class Departure:
    id = Int32().as_entity()
    code = String()
    delay = Float()


STORE = ContractStore([Departure, Late])


def texts(drawing: LineageDrawing) -> list[str]:
    return [element.text or "" for element in ElementTree.fromstring(drawing.svg()).iter(f"{SVG}text")]


def test_a_view_is_drawn_with_all_that_it_reads_or_refers_to() -> None:
    drawing = Departure.plot_lineage()
    sources = [key for key, node in drawing.nodes.items() if node.kind == "source"]
    assert len(sources) == 2 and set(drawing.nodes) == {"departure", "airport", "flight", *sources}
    assert drawing.edges["airport", "flight"] is False, "a reference, which is dashed"
    assert drawing.edges["airport", "departure"] is drawing.edges["flight", "departure"] is True
    assert repr(drawing) == "<lineage of departure, airport, flight from 2 sources>"
    assert {"departure", "airport", "flight", "3 columns, virtual", "memory"} <= set(texts(drawing))


def test_a_store_draws_all_contracts_or_those_around_one() -> None:
    def drawn(contract: Any = None) -> set[str]:
        return {name for name, node in STORE.plot_lineage(contract).nodes.items() if node.kind != "source"}

    assert drawn() == {"departure", "late", "airport", "flight"}
    assert drawn("late") == drawn(Late) == {"late", "flight", "airport"}
    assert ContractStore([Departure, Late, Flight]).plot_lineage("flight").nodes.keys() >= drawn()
    with pytest.raises(UnknownContractError, match=r"'lat' in the store\. Did you mean 'late'"):
        STORE.plot_lineage("lat")


def test_sources_without_an_address_are_not_taken_for_each_other() -> None:
    @feature_view(source=RandomDataSource())
    class One:
        id = Int32().as_entity()

    @feature_view(source=RandomDataSource())
    class Other:
        id = Int32().as_entity()

    assert len(ContractStore([One, Other]).plot_lineage().nodes) == 4
    assert len(ContractStore([One, One.filter("some", lambda one: one.id > 1)]).plot_lineage().nodes) == 3


def test_it_shows_itself_in_a_page_and_in_a_file(tmp_path: Path) -> None:
    drawing = STORE.plot_lineage()
    page, alone = drawing._repr_html_(), drawing._repr_svg_()
    assert "currentColor" in page and 'class="g"' not in page, "words have the colour of the page"
    assert 'class="g"' in alone and "prefers-color-scheme:dark" in alone
    ElementTree.fromstring(page)
    for form in (page, alone):
        assert "Departures &amp; &lt;delays&gt;." in form
        assert "<script" not in form and "http" not in form.replace('xmlns="http://www.w3.org/2000/svg"', "")
    assert drawing.save(tmp_path / "lineage.svg").read_text(encoding="utf-8") == alone
    assert alone in drawing.save(str(tmp_path / "lineage.html")).read_text(encoding="utf-8")
    with pytest.raises(RequestError, match=r"'lineage\.png' does not end in .*save\('lineage\.svg'\)"):
        drawing.save(tmp_path / "lineage.png")


def test_an_empty_store_is_an_empty_drawing() -> None:
    drawing = ContractStore().plot_lineage()
    assert repr(drawing) == "<lineage of nothing from 0 sources>"
    ElementTree.fromstring(drawing.svg())


def test_long_names_and_odd_characters_fit_into_their_boxes() -> None:
    node = Node("a\x00" + "<b>" * 40, "view", "w" * 100, "about")
    drawing = LineageDrawing({"a": node}, {})
    name, words = texts(drawing)
    assert len(name) == len(words) == 30 and name.startswith("a <b>") and name.endswith("…")
    assert short("s3://lake/a/very/long/way/to/the/flights.parquet") == "…/way/to/the/flights.parquet"
    assert short("data/a.csv") == "data/a.csv"
    assert short("x" * 40) == "x" * 40, "cut where it is drawn"


# --- layout -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(25))
def test_boxes_lie_apart_and_edges_run_from_left_to_right(seed: int) -> None:
    chance = random.Random(seed)
    names = [f"n{number}" for number in range(chance.randint(1, 30))]
    edges = [pair for pair in combinations(names, 2) if chance.random() < 2 / len(names)]
    late = [name for name in names if chance.random() < 0.3]
    found = laid_out({name: chance.uniform(30, 200) for name in names}, edges, late)
    boxes = found.boxes
    for one, other in combinations(boxes.values(), 2):
        beside = one[0] + one[2] <= other[0] or other[0] + other[2] <= one[0]
        assert beside or abs(one[1] - other[1]) >= HEIGHT
    for start, end in edges:
        points = found.lines[start, end]
        assert points[0] == (boxes[start][0] + boxes[start][2], pytest.approx(boxes[start][1] + HEIGHT / 2))
        assert points[-1] == (boxes[end][0], pytest.approx(boxes[end][1] + HEIGHT / 2))
        assert [x for x, _ in points] == sorted(x for x, _ in points)
    for left, top, width in boxes.values():
        assert left >= 0 and top >= 0 and left + width <= found.width and top + HEIGHT <= found.height


def test_lines_do_not_run_through_boxes() -> None:
    found = laid_out(dict.fromkeys("abcd", 50.0), [("a", "b"), ("b", "c"), ("c", "d"), ("a", "d")])
    lane = [y for x, y in found.lines["a", "d"] if found.boxes["b"][0] <= x <= found.boxes["c"][0] + 50]
    assert len(lane) == 4
    for name in "bc":
        top = found.boxes[name][1]
        assert all(not top <= y <= top + HEIGHT for y in lane)


def test_crossings_are_undone_where_they_can_be() -> None:
    found = laid_out(dict.fromkeys(["a", "b", "x", "y"], 50.0), [("a", "y"), ("b", "x")])
    heights = {name: top for name, (_, top, _) in found.boxes.items()}
    assert (heights["a"] < heights["b"]) == (heights["y"] < heights["x"])
    assert heights["a"] == heights["y"] and heights["b"] == heights["x"], "straight lines"


def test_a_circle_is_drawn_and_ends() -> None:
    found = laid_out({"a": 50, "b": 50}, [("a", "b"), ("b", "a"), ("a", "a")])
    assert set(found.lines) == {("a", "b"), ("b", "a")}
    assert found.boxes["a"][0] < found.boxes["b"][0]


def test_a_source_stands_beside_its_first_reader() -> None:
    edges = [("a", "b"), ("b", "c"), ("raw", "c")]
    boxes = laid_out(dict.fromkeys(["a", "b", "c", "raw"], 50.0), edges, ["raw"]).boxes
    assert boxes["raw"][0] == boxes["b"][0]
    boxes = laid_out(dict.fromkeys(["a", "b", "c", "raw"], 50.0), edges).boxes
    assert boxes["raw"][0] == boxes["a"][0]
