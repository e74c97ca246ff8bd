"""What contracts, jobs, reports and stores show in a notebook: escaped, without scripts and secrets, and nothing is read."""

from __future__ import annotations

import datetime as dt
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from aligned_dagster import (
    ContractStore,
    CustomMethodDataSource,
    EventTimestamp,
    ExposedModel,
    FeatureView,
    FileSource,
    Float,
    InMemorySource,
    Int32,
    PostgreSQLConfig,
    String,
    feature_view,
    model_contract,
    publish,
    rule,
    split_by_time,
    training_set,
)
from aligned_dagster.contracts.freshness import Freshness
from aligned_dagster.request.features_report import FeaturesReport, ViewFound

UTC = dt.UTC
DAY = dt.timedelta(days=1)
EMPTY = {"br", "path", "rect", "meta"}


class Page(HTMLParser):
    """Reads what an object shows: its words, its cells, and that every element is ended."""

    def __init__(self, shown: Any) -> None:
        super().__init__()
        self.html = shown if isinstance(shown, str) else shown._repr_html_()
        self.open: list[str] = []
        self.words: list[str] = []
        self.rows: list[list[str]] = []
        self.feed(self.html)
        self.close()
        assert not self.open, f"never ended: {self.open}"
        for word in (
            "<script",
            "javascript:",
            "onload",
            "onerror=",
            "http://",
            "https://",
            "@import",
            "url(",
        ):
            assert word not in self.html.replace('xmlns="http://www.w3.org/2000/svg"', ""), word

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in EMPTY:
            self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        pass

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" in self.open:
            return
        self.words.append(data)
        if self.rows and ("td" in self.open or "th" in self.open):
            self.rows[-1][-1] += data

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def row(self, first: str) -> list[str]:
        """The cells of the row that begins so."""
        return next(row for row in self.rows if row and row[0] == first)


def never() -> pl.LazyFrame:
    raise AssertionError("read too early")


def person(source: Any, **options: Any) -> FeatureView[Any]:
    @feature_view(source=source, **options)
    class Person:
        """People & <others>."""

        id = Int32().as_entity()
        at = EventTimestamp()
        age = Float().lower_bound(0).upper_bound(120).description('in <years> "about"')
        name = String().is_optional()
        is_child = age < 13

        grown = rule(~is_child | (name != "x"), "children are not called <x>")

    return Person


ROWS = {
    "id": [1, 2, 2, 4],
    "at": [dt.datetime(2026, 1, day, tzinfo=UTC) for day in (1, 2, 2, 4)],
    "age": [5.0, -1.0, 20.0, 30.0],
    "name": ["<b>bold</b>", "y", "z", None],
}
PERSON = person(InMemorySource.from_values(ROWS))


def test_a_view_shows_its_columns_its_rules_and_where_its_rows_are() -> None:
    view = person(
        CustomMethodDataSource.from_load(never),
        materialized_source=FileSource.parquet_at("data/<person>.parquet"),
        acceptable_freshness=6 * DAY / 24,
        tags=["pii"],
        contacts=["people@example.com"],
        schedule="@daily",
    )
    page = Page(view)
    assert page.row("column") == ["column", "type", "role", "description", "promise", "computed as"]
    assert page.row("id") == ["id", "int32", "entity", "", "not null", ""]
    assert page.row("at")[2] == "event time"
    assert page.row("age")[3:] == ['in <years> "about"', "not null; at least 0; at most 120", ""]
    assert page.row("name")[4] == "may be missing"
    assert page.row("is_child")[5] == "age < 13"
    for words in (
        "Person feature view",
        "People & <others>.",
        "data/<person>.parquet",
        "fresh for 6 hours",
        "tags: pii",
        "contacts: people@example.com",
        "schedule: @daily (UTC)",
        "children are not called <x>",
    ):
        assert words in page.text
    assert "<others>" not in page.html and "<years>" not in page.html
    assert len(page.html) < 5_000


def test_a_view_that_reads_others_shows_a_drawing_of_them() -> None:
    assert "<svg" not in Page(PERSON).html
    page = Page(PERSON.filter("grown_up", lambda row: row.age > 18))
    assert "<svg" in page.html and "person" in page.text


def test_a_store_shows_its_contracts_and_how_they_hang_together() -> None:
    page = Page(ContractStore([PERSON, PERSON.filter("grown_up", lambda row: row.age > 18)]))
    assert "contract store 2 contracts" in page.text
    assert page.row("person") == [
        "person", "feature view", "5", "in memory", "computed when it is read", "People & <others>.",
    ]  # fmt: skip
    assert page.row("grown_up")[3] == "person where age > 18"
    assert "<svg" in page.html
    assert "empty" in Page(ContractStore()).text


def test_a_store_of_very_many_contracts_is_not_drawn_unasked() -> None:
    store = ContractStore(PERSON.filter(f"p{n}", lambda row: row.age > 1) for n in range(70))
    page = Page(store)
    assert "<svg" not in page.html and "too many to be drawn here: plot_lineage()" in page.text
    assert len(store.plot_lineage().nodes) == 72


def test_a_job_shows_what_it_will_have() -> None:
    job = person(CustomMethodDataSource.from_load(never)).query().all().select("id", "is_child")
    page = Page(job)
    assert [row[0] for row in page.rows] == ["column", "id", "is_child"]
    assert "person RetrievalJob; nothing is read yet" in page.text and "job.collect()" in page.text


def test_models_and_training_sets_show_what_they_learn_from_and_predict() -> None:
    @model_contract(
        input_features=[PERSON().age],
        exposed_model=ExposedModel.python(lambda rows: rows["age"] > 60, version="1"),
    )
    class Retired:
        id = Int32().as_entity()
        is_retired = PERSON().is_child.as_classification_target()

    page = Page(Retired)
    assert "Retired model contract" in page.text
    assert "predicts: is_retired, measured by person.is_child" in page.text
    assert "takes: person: age" in page.text and "<lambda>" in page.text
    made = training_set(
        "children",
        PERSON,
        features=[PERSON().age],
        target=PERSON().is_child,
        split=split_by_time(dt.date(2026, 1, 3)),
    )
    page = Page(made)
    for words in ("children training set", "target: is_child", "split: train before 2026-01-03"):
        assert words in page.text, page.text
    stored = Page(ContractStore([Retired, made, PERSON]))
    assert [stored.row(name)[1] for name in ("retired", "children")] == ["model contract", "training set"]


def test_an_audit_shows_bars_and_broken_rows() -> None:
    page = Page(PERSON.query().all().audit())
    assert "person 4 rows ● 2 of" in page.text
    assert page.row("● blocked")[1:] == ["id + at must together be unique and not null", "2", " 50.0 %"]
    assert "width:50.0%" in page.html
    assert ["2", "2026-01-02 00:00:00+00:00", "-1.0"] in page.rows
    assert page.row("age")[1:] == ["0 %", "-1", "13.5", "30", "14.11"]
    assert page.row("name")[1] == " 25.0 %"
    kept = Page(PERSON.query().filter(PERSON().age > 25).audit())
    assert "● all checks passed" in kept.text


def test_broken_rows_with_nulls_and_markup_are_shown_as_they_are() -> None:
    rows = {**ROWS, "age": [None, None, 1.0, 2.0], "id": [1, 2, 3, 4]}

    @feature_view(source=InMemorySource.from_values(rows))
    class Person:
        id = Int32().as_entity()
        age = Float()
        name = String().is_optional().accepted_values(["y", "z"])

    page = Page(Person.query().all().audit())
    assert ["1", "null"] in page.rows
    assert ["1", "<b>bold</b>"] in page.rows and "<b>bold" not in page.html


def test_a_publication_says_where_the_rows_are(tmp_path: Path) -> None:
    rows = {**ROWS, "id": [1, 2, 3, 4], "age": [1.0, 2.0, 3.0, 4.0]}
    stored = person(
        InMemorySource.from_values(rows), materialized_source=FileSource.parquet_at(tmp_path / "p.parquet")
    )
    page = Page(publish(stored))
    assert f"published 4 rows in {tmp_path}/p.parquet" in page.text and "all checks passed" in page.text
    assert (
        "of a virtual view nothing is stored" in Page(publish(person(InMemorySource.from_values(rows)))).text
    )


def test_a_report_on_features_shows_how_many_and_how_old() -> None:
    asked = {"id": [1, 2, 9], "at": [dt.datetime(2026, 1, 5, tzinfo=UTC)] * 3}
    page = Page(PERSON.query().features_for(asked).report())
    assert "features 3 facts, 3 rows ● no row from the future" in page.text
    assert page.row("person")[1:5] == [" 66.7 % (2)", "0", "3 days", "4 days"]
    assert page.html.count("<svg") == 1
    ages = ((0.0, -DAY), (0.25, DAY), (0.5, DAY), (0.75, DAY), (1.0, 2 * DAY))
    wrong = FeaturesReport(2, 2, (ViewFound("<v>", 2, 2, 1, ages), ViewFound("untimed", 2, 0, None)))
    page = Page(wrong)
    assert "● 1 rows FROM THE FUTURE" in page.text
    assert page.row("untimed")[1:4] == [" 0.0 % (0)", "no times", ""]
    assert page.row("<v>")[2] == "● 1"
    assert "ages" not in Page(FeaturesReport(0, 0, (ViewFound("untimed", 0, 0, None),))).text


@pytest.mark.parametrize(
    ("status", "colour"),
    [("fresh", "#2f9e63"), ("warn", "#d9822b"), ("stale", "#dc5050"), ("unknown", "#5f7fdc")],
)
def test_freshness_shows_its_colour_and_says_it_in_words(status: Any, colour: str) -> None:
    page = Page(Freshness(dt.datetime(2026, 1, 4, tzinfo=UTC), "event timestamp", DAY, status))
    assert colour in page.html
    assert page.text == f"● {status} The newest event timestamp is 2026-01-04 00:00:00 UTC, 1 day ago."


def test_freshness_of_several_contracts_is_a_table() -> None:
    found = ContractStore([PERSON]).freshness_for(now=dt.datetime(2026, 1, 5, tzinfo=UTC))
    assert found == {"person": found["person"]} and isinstance(found, dict)
    assert Page(found).row("person")[1:] == [
        "● unknown",
        "The newest event timestamp is 2026-01-04 00:00:00 UTC, 1 day ago.",
    ]


def test_no_secret_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PEOPLE_URL", "postgres://me:canary-4711@localhost:1/db")
    config = PostgreSQLConfig(env_var="PEOPLE_URL")
    view = person(config.table("person"), materialized_source=config.table("copy"))
    asked = person(config.fetch("SELECT * FROM person"))
    store = ContractStore([view])
    for shown in (view, asked, store, view.query().all(), store.plot_lineage(), view.plot_lineage().svg()):
        assert "canary" not in Page(shown).html
        assert "person" in Page(shown).text


def test_very_many_columns_are_counted() -> None:
    columns = {f"c{n}": Int32() for n in range(250)}
    wide = feature_view(source=InMemorySource.from_values({}))(
        type("Wide", (), {"id": Int32().as_entity(), **columns})
    )
    page = Page(wide)
    assert len(page.rows) == 201 and "and 51 columns more" in page.text
