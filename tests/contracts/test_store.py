"""Stores: discovery, duplicates, JSON, SQL."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from aligned_dagster import (
    ContractStore,
    EventTimestamp,
    FileSource,
    Float,
    InMemorySource,
    Int32,
    String,
    feature_view,
    rule,
)
from aligned_dagster.errors import (
    ContractError,
    ContractImportError,
    DuplicateNameError,
    RequestError,
    UnknownContractError,
    UnsupportedError,
)

CONTRACT = """
from aligned_dagster import FileSource, Int32, feature_view

@feature_view(source=FileSource.csv_at("{name}.csv"))
class {title}:
    id = Int32().as_entity()
"""


def write(folder: Path, name: str, text: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{name}.py"
    file.write_text(text)
    return file


async def test_discovery_as_documented(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "one", "contract", CONTRACT.format(name="a", title="A"))
    write(tmp_path / "two", "contract", CONTRACT.format(name="b", title="B"))
    monkeypatch.chdir(tmp_path)
    store = await ContractStore.from_glob("**/contract.py")
    assert list(store.views) == ["a", "b"]
    assert list((await ContractStore.from_dir(tmp_path)).views) == ["a", "b"]
    assert list(ContractStore.discover(tmp_path).views) == ["a", "b"]


def test_contracts_that_import_each_other_are_found_once(tmp_path: Path) -> None:
    write(tmp_path, "zz_base", CONTRACT.format(name="base", title="Base"))
    child = "from zz_base import Base\n" + CONTRACT.format(name="child", title="Child").replace(
        'FileSource.csv_at("child.csv")', "Base"
    )
    write(tmp_path, "aa_child", child)
    store = ContractStore.discover(tmp_path)
    assert set(store.views) == {"base", "child"}
    assert store.view("child").upstream_views["base"] is store.view("base")


def test_contracts_in_packages_import_each_other(tmp_path: Path) -> None:
    package = tmp_path / "shop_contracts_pkg"
    write(package, "__init__", "")
    write(package, "base", CONTRACT.format(name="base", title="Base"))
    child = "from .base import Base\n" + CONTRACT.format(name="child", title="Child").replace(
        'FileSource.csv_at("child.csv")', "Base"
    )
    write(package, "child", child)
    store = ContractStore.discover(package)
    assert store.view("child").upstream_views["base"] is store.view("base")


def test_nothing_found_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ContractImportError, match="No Python file matches"):
        ContractStore.discover(tmp_path / "*.py")


def test_a_file_that_fails_to_import_names_file_line_and_cause(tmp_path: Path) -> None:
    write(tmp_path, "broken_one", "import polars\n\nraise ValueError('no coffee')\n")
    with pytest.raises(
        ContractImportError, match=r"broken_one\.py:3 could not be imported: ValueError: no coffee"
    ):
        ContractStore.discover(tmp_path)
    write(tmp_path, "broken_one", "def f(:\n")
    with pytest.raises(ContractImportError, match=r"broken_one\.py:1 could not be imported: SyntaxError"):
        ContractStore.discover(tmp_path)


def test_two_contracts_of_one_name_name_both_places(tmp_path: Path) -> None:
    write(tmp_path / "x", "contract", CONTRACT.format(name="a", title="A"))
    write(tmp_path / "y", "contract", CONTRACT.format(name="b", title="A"))
    with pytest.raises(DuplicateNameError) as caught:
        ContractStore.discover(tmp_path)
    assert str(tmp_path / "x" / "contract.py") in str(caught.value)
    assert str(tmp_path / "y" / "contract.py") in str(caught.value)


def test_two_classes_of_one_name_in_one_file_name_both_lines(tmp_path: Path) -> None:
    write(
        tmp_path,
        "copied",
        CONTRACT.format(name="a", title="Sales") + CONTRACT.format(name="b", title="Sales"),
    )
    with pytest.raises(DuplicateNameError, match=r"copied\.py:5\), another \(.*copied\.py:11\)"):
        ContractStore.discover(tmp_path)


@pytest.mark.parametrize(
    ("mapping", "words"),
    [({"Coupon": "cupon"}, "Did you mean 'coupon'"), ({"coupon": "Coupon"}, "The stored name comes first")],
)
def test_a_mapping_to_no_column_is_an_error_at_once(mapping: dict[str, str], words: str) -> None:
    with pytest.raises(ContractError, match=words):

        @feature_view(source=FileSource.csv_at("x.csv", mapping_keys=mapping))
        class Sale:
            id = Int32().as_entity()
            coupon = String().is_optional()


@feature_view(source=InMemorySource.from_values({"id": [1, 2], "age": [4.0, 40.0]}))
class Person:
    id = Int32().as_entity()
    age = Float().lower_bound(0)
    is_adult = age > 18
    sane = rule(age < 150, "nobody is that old")


def store_with_everything(tmp_path: Path) -> ContractStore:
    csv = FileSource.csv_at(str(tmp_path / "visits.csv"), mapping_keys={"Who": "id"})
    (tmp_path / "visits.csv").write_text(
        "Who,at,place\n1,2024-01-01T00:00:00Z,Oslo\n2,2024-01-02T00:00:00Z,Rome\n"
    )

    @feature_view(
        source=csv,
        materialized_source=FileSource.parquet_at(str(tmp_path / "visits.parquet")),
        tags=["x"],
        contacts=["a@b.c"],
        acceptable_freshness=dt.timedelta(hours=1),
        schedule="0 6 * * *",
        automation="eager",
        on_violation="quarantine",
    )
    class Visit:
        id = Int32().as_entity().reference_to(Person().id)
        at = EventTimestamp()
        place = String().accepted_values(["Oslo", "Rome"])

    @feature_view(source=Visit.join(Person, on="id", how="left"))
    class Joined:
        id = Int32().as_entity()
        at = EventTimestamp()
        age = Float().is_optional()

    @feature_view(source=Visit)
    class Busy:
        place = String().as_entity()
        id = Int32()
        visits = id.aggregate().count()

    return ContractStore(
        [
            Person,
            Visit,
            Joined,
            Busy,
            Visit.filter("oslo", Visit().place == "Oslo"),
            Person.with_entity_renaming("pid"),
        ]
    )


def test_json_keeps_everything_and_the_hash(tmp_path: Path) -> None:
    store = store_with_everything(tmp_path)
    file = tmp_path / "contracts.json"
    store.write_to(file)
    again = ContractStore.from_file(file)
    assert again.digest == store.digest
    assert list(again.views) == list(store.views)
    for name, view in store.views.items():
        other = again.view(name)
        assert (other.version, other.code_version, other.schema) == (
            view.version,
            view.code_version,
            view.schema,
        )
        assert other.references() == view.references() and other.depends_on() == view.depends_on()
    again.view("visit").query().overwrite(again.view("visit").compute())
    for name in ("joined", "busy", "oslo", "person_by_pid"):
        assert again.feature_view(name).all().collect().equals(store.feature_view(name).all().collect())
    assert again.view("joined")().age.name == "age"


async def test_json_awaited(tmp_path: Path) -> None:
    store_with_everything(tmp_path).write_to(tmp_path / "c.json")
    assert "busy" in (await ContractStore.from_reference_at_path(tmp_path / "c.json")).views


def test_a_source_without_json_form_says_so(tmp_path: Path) -> None:
    @feature_view(source=lambda: pl.LazyFrame({"id": [1]}))
    class Anonymous:
        id = Int32().as_entity()

    assert Anonymous.query().all().collect().rows() == [(1,)]
    with pytest.raises(UnsupportedError):
        ContractStore([Anonymous]).to_json()
    assert len(ContractStore([Anonymous]).digest) == 32


def test_code_version_sees_derivations_and_not_words() -> None:
    def version(factor: int, text: str) -> str:
        @feature_view(source=Person, description=text)
        class Child:
            id = Int32().as_entity().description(text)
            age = Float()
            more = age * factor

        return Child.code_version

    assert version(2, "a") == version(2, "b") != version(3, "a")


def test_sql(tmp_path: Path) -> None:
    store = ContractStore([Person])
    job = store.execute_sql("SELECT id, age * 2 AS twice FROM person WHERE is_adult")
    assert job.collect().rows() == [(2, 80.0)]
    with pytest.raises(RequestError, match="Did you mean 'person'"):
        store.execute_sql("SELECT * FROM persn")
    with pytest.raises(RequestError, match="failed"):
        store.execute_sql("SELEC 1")


def test_an_unknown_contract_is_told() -> None:
    with pytest.raises(UnknownContractError, match="Did you mean 'person'"):
        ContractStore([Person]).feature_view("perso")


def test_combined_with() -> None:
    @feature_view(source=Person)
    class Other:
        id = Int32().as_entity()

    assert list(ContractStore([Person]).combined_with(ContractStore([Other, Person])).views) == [
        "person",
        "other",
    ]


def test_add_returns_the_store_and_refuses_what_is_no_contract() -> None:
    store = ContractStore()
    assert store.add(Person) is store
    wrong: Any = 3
    with pytest.raises(ContractError):
        store.add(wrong)
