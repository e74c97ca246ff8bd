"""The documentation's page on the random source, with what it must return."""

from __future__ import annotations

from pathlib import Path

import pytest

from aligned_dagster import Bool, Float, Int32, String, feature_view


async def test_random_source() -> None:
    from aligned_dagster.sources.random_source import RandomDataSource

    @feature_view(
        source=RandomDataSource.with_values({"passenger_id": [1, 2, 3], "age": [10, 0.5, 90]}, seed=1)
    )
    class TitanicPassenger:
        passenger_id = Int32().as_entity()
        age = Float()

        sibsp = (
            Int32()
            .lower_bound(0)
            .upper_bound(68)
            .description("Fun fact: the world record for most born children is 69!")
        )
        has_siblings = sibsp > 0

        sex = String().accepted_values(["male", "female"])
        is_male, is_female = sex.one_hot_encode(["male", "female"])

        survived = Bool()

    df = await TitanicPassenger.query().features_for({"passenger_id": [1, 2]}).to_polars()

    printed = {
        "has_siblings": "Boolean",
        "is_male": "Boolean",
        "is_female": "Boolean",
        "passenger_id": "Int32",
        "survived": "Boolean",
        "age": "Float64",
        "sibsp": "Int32",
        "sex": "String",
    }
    assert {name: str(dtype) for name, dtype in df.schema.items()} == printed
    assert df.height == 2
    assert df["passenger_id"].to_list() == [1, 2]
    assert df["age"].to_list() == [10.0, 0.5]
    assert df["sibsp"].is_between(0, 68).all()
    assert df["has_siblings"].to_list() == [siblings > 0 for siblings in df["sibsp"]]
    assert df["sex"].is_in(["male", "female"]).all()
    assert df["is_male"].to_list() == [sex == "male" for sex in df["sex"]]
    assert df["is_female"].to_list() == [sex == "female" for sex in df["sex"]]
    assert df["survived"].null_count() == 0


async def test_dummy_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "contract.py").write_text(
        "from aligned_dagster import FileSource, Float, Int32, feature_view\n"
        "@feature_view(source=FileSource.csv_at('no_such_file.csv'))\n"
        "class Titanic:\n"
        "    passenger_id = Int32().as_entity()\n"
        "    age = Float().lower_bound(0)\n"
    )
    monkeypatch.chdir(tmp_path)
    from aligned_dagster import ContractStore

    store = await ContractStore.from_glob("**/contract.py")
    dummy_store = store.dummy_store()
    df = await dummy_store.feature_view("titanic").all().to_polars()
    assert df.height == 1_000
    assert (df["age"] >= 0).all()
