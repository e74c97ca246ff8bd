"""Names of columns that an engine cannot tell apart, or not say, are told when contracts are loaded."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from aligned_dagster import (
    ContractStore,
    EventTimestamp,
    Float,
    InMemorySource,
    Int32,
    Int64,
    String,
    Struct,
    feature_view,
)
from aligned_dagster.contracts import engines
from aligned_dagster.errors import UnsupportedError
from tests.engines.naming_cases import twins
from tests.engines.test_views import NOON, orders, visits


def test_names_that_duckdb_cannot_tell_apart_are_told(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedError) as caught:
        twins(tmp_path, engine="duckdb")
    lines = str(caught.value).splitlines()
    assert lines[1].startswith(
        "  twins.Id: DuckDB takes the columns 'id' and 'Id' for one; rename one of them"
    )
    assert "naming_cases.py" in lines[1]
    assert lines[2].startswith("  twins.iD: ") and len(lines) == 4


def test_fields_that_duckdb_cannot_tell_apart_are_told() -> None:
    place = Struct({"city": String(), "City": String()})
    with pytest.raises(
        UnsupportedError, match=r"places\.place: DuckDB takes the fields 'city' and 'City' for one"
    ):
        feature_view(name="places", source=InMemorySource.empty(), engine="duckdb")(
            type("Places", (), {"place": place})
        )


def test_names_of_what_is_read_are_told_where_they_are_side_by_side(tmp_path: Path) -> None:
    stored, bought = twins(tmp_path), orders(tmp_path)
    some = stored.filter("some", lambda row: row.Id > 2)
    fields = {"VISITS": String().as_entity(), "at": EventTimestamp(), "note": String()}
    source = InMemorySource.from_values({"VISITS": ["a"], "at": [NOON], "note": ["b"]})
    calls = feature_view(name="calls", source=source)(type("Calls", (), fields))
    refers = {"order": Int64().reference_to(stored().id), "amount": Float().reference_to(stored().Id)}

    def reader(source: Any, fields: dict[str, Any]) -> ContractStore:
        return ContractStore([feature_view(name="reader", source=source)(type("Reader", (), fields))])

    one = {"id": Int64()}
    for apart in [
        reader(stored, one),
        reader(stored.join(bought, left_on="id", right_on="order"), one),
        reader(stored.join(bought, left_on="É", right_on="customer"), {"é": String()}),  # no letters of ASCII
        reader(calls.join_asof(visits(tmp_path), left_on="VISITS", right_on="customer"), {"note": String()}),
        reader(replace(some, engine="polars"), one),
    ]:
        assert apart.with_engine("duckdb").view("reader").engine == "duckdb"
    for beside, told in [
        (reader(stored.join(bought, left_on="Id", right_on="order"), one), "reader, which reads twins"),
        (reader(bought, refers), "reader, which reads twins"),
        (reader(some, one), r"some\.Id"),
        (
            reader(
                calls.join_asof(visits(tmp_path), left_on="VISITS", right_on="customer"), {"visits": Int32()}
            ),
            "reader, which reads calls asof-join visits",
        ),
    ]:
        with pytest.raises(UnsupportedError, match=f"{told}: DuckDB takes the columns '"):
            beside.with_engine("duckdb")
        assert beside.with_engine("spark").view("reader").engine == "spark"


def test_names_that_sql_cannot_say_are_told() -> None:
    def store(name: str) -> ContractStore:
        source = InMemorySource.from_values({"id": [1], name: [1]})
        fields = {"id": Int64().as_entity(), name: Int64()}
        return ContractStore([feature_view(name="named", source=source)(type("Named", (), fields))])

    with pytest.raises(
        UnsupportedError, match=r"named\.in \$\{HOME\}: Spark puts the value of a variable in the place of"
    ):
        store("in ${HOME}").with_engine("spark")
    assert store("in ${HOME}").with_engine("duckdb").view("named").engine == "duckdb"
    for engine in ("duckdb", "spark"):
        with pytest.raises(UnsupportedError, match=r"named\.: an empty name is none in SQL"):
            store("").with_engine(engine)  # type: ignore[arg-type]  # both are engines


def test_a_contract_that_many_read_is_looked_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[str] = []
    told = engines.gaps_of_names
    monkeypatch.setattr(
        engines, "gaps_of_names", lambda view, engine: [looked.append(view.name), *told(view, engine)][1:]
    )
    source: Any = InMemorySource.from_values({"id": [1], "n": [1]})
    for number in range(12):
        fields = {"id": Int64().as_entity(), "n": Int64()}
        view = feature_view(name=f"view_{number}", source=source)(type("View", (), fields))
        renamed = view.with_entity_renaming({"id": "other"}, name=f"renamed_{number}")
        source = view.join(renamed, left_on="id", right_on="other")
    last = feature_view(name="last", source=source, engine="duckdb")(
        type("Last", (), {"id": Int64().as_entity(), "n": Int64()})
    )
    assert last.engine == "duckdb" and len(looked) < 100
