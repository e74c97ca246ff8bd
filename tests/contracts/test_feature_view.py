"""A class becomes a contract: read, derived, aggregated, joined, renamed, asked."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from aligned_dagster import (
    ContractStore,
    EventTimestamp,
    FeatureView,
    FileSource,
    Float,
    InMemorySource,
    Int32,
    Int64,
    String,
    Timestamp,
    feature_view,
    rule,
)
from aligned_dagster.errors import (
    ContractError,
    MissingColumnError,
    RequestError,
    SchemaMismatchError,
    UnknownFeatureError,
    UnsupportedError,
)


def day(number: int, hour: int = 0) -> dt.datetime:
    return dt.datetime(2024, 1, number, hour, tzinfo=dt.UTC)


@feature_view(
    source=InMemorySource.from_values(
        {"id": [1, 2, 3], "age": [5.0, 40.0, None], "city": ["Oslo", "Rome", "Oslo"]}
    )
)
class Person:
    """People."""

    id = Int32().as_entity()
    age = Float().is_optional().lower_bound(0)
    city = String()

    is_adult = age >= 18
    years_to_go = (18 - age).clip(lower=0)


@feature_view(
    name="sale",
    source=InMemorySource.from_values(
        {
            "shop": ["a", "a", "a", "b", "b"],
            "at": [day(1), day(2), day(9), day(2), day(3)],
            "amount": [1.0, 2.0, 4.0, 8.0, None],
            "buyer": [1, 2, 1, 9, 2],
        }
    ),
)
class Sale:
    shop = String().as_entity()
    at = EventTimestamp()
    amount = Float().is_optional()
    buyer = Int32()


class TestDefinition:
    def test_the_name_is_the_class_in_snake_case_or_as_given(self) -> None:
        assert (Person.name, Sale.name) == ("person", "sale")
        assert Person.description == "People."

    def test_the_location_is_the_line_of_the_decorator(self) -> None:
        assert Person.location is not None
        lines = Path(Person.location.file).read_text().splitlines()
        assert lines[Person.location.line - 1].startswith("@feature_view")

    def test_calling_it_gives_its_columns(self) -> None:
        assert Person().age.name == "age"
        with pytest.raises(AttributeError, match=r"Person\(\)\.age"):
            _ = Person.age

    def test_it_needs_a_source(self) -> None:
        with pytest.raises(ContractError, match=r"needs a source.*test_feature_view\.py"):

            @feature_view()
            class NoSource:
                id = Int32().as_entity()

    def test_brackets_forgotten(self) -> None:
        with pytest.raises(ContractError, match="brackets"):
            feature_view(Person.declaration)  # type: ignore[arg-type]  # the mistake is what is tested

    def test_what_can_only_be_read_is_no_materialized_source(self) -> None:
        with pytest.raises(UnsupportedError, match=r"parquet_at\('data/x\.parquet'\)"):

            @feature_view(source=Person, materialized_source=Person.as_source())
            class X:
                id = Int32().as_entity()

    def test_a_wrong_name(self) -> None:
        with pytest.raises(ContractError, match="cannot be the name"):

            @feature_view(name="a b", source=Person)
            class X:
                id = Int32().as_entity()


class TestQuery:
    def test_all(self) -> None:
        assert Person.query().all().collect().to_dict(as_series=False) == {
            "id": [1, 2, 3],
            "age": [5.0, 40.0, None],
            "city": ["Oslo", "Rome", "Oslo"],
            "is_adult": [False, True, None],
            "years_to_go": [13.0, 0.0, None],
        }
        assert Person.query().all(limit=1).collect().height == 1
        assert Person.query().limit(2).collect().height == 2

    async def test_awaited_as_documented(self) -> None:
        frame = await Person.query().all().to_polars()
        lazy = await Person.query().all().to_lazy_polars()
        pandas = await Person.query().all().to_pandas()
        assert frame.equals(lazy.collect()) and list(pandas["id"]) == [1, 2, 3]

    def test_filter_by_feature_expression_and_text(self) -> None:
        for condition in (Person().age > 18, pl.col("age") > 18, "age > 18", Person().is_adult):
            assert Person.query().filter(condition).collect()["id"].to_list() == [2]

    def test_select_reads_only_what_the_columns_are_made_of(self) -> None:
        assert Person.query().select("is_adult", Person().id).all().collect().columns == ["is_adult", "id"]
        assert "city" not in Person.read(columns=["is_adult"]).explain().split("PROJECT")[-1]
        with pytest.raises(UnknownFeatureError, match="Did you mean 'age'"):
            Person.query().select("aeg")

    def test_features_for_keeps_the_facts(self) -> None:
        facts = {"id": [3, 1, 1, 77], "note": ["c", "a", "b", "d"]}
        out = Person.query().features_for(facts).collect()
        assert out["id"].to_list() == [3, 1, 1, 77]
        assert out["note"].to_list() == ["c", "a", "b", "d"]
        assert out["is_adult"].to_list() == [None, False, False, None]
        assert Person.query().select("city").features_for(facts).collect().columns == ["id", "note", "city"]

    @pytest.mark.parametrize("form", ["dict", "polars", "lazy", "pandas", "arrow", "job"])
    def test_facts_in_every_form(self, form: str) -> None:
        frame = pl.DataFrame({"id": [2, 1]}, schema={"id": pl.Int32})
        facts: dict[str, Any] = {
            "dict": lambda: {"id": [2, 1]},
            "polars": lambda: frame,
            "lazy": frame.lazy,
            "pandas": frame.to_pandas,
            "arrow": frame.to_arrow,
            "job": lambda: Person.query().select("id").filter("id < 3"),
        }
        out = Person.query().features_for(facts[form]()).collect()
        assert set(out["id"].to_list()) == {1, 2} and out["city"].null_count() == 0

    def test_facts_without_the_entity(self) -> None:
        with pytest.raises(RequestError, match="id"):
            Person.query().features_for({"di": [1]}).collect()

    def test_features_as_they_were_known(self) -> None:
        facts = {"shop": ["a", "a", "b", "c"], "at": [day(2), day(8), day(1), day(5)]}
        out = Sale.query().features_for(facts).collect()
        assert out["amount"].to_list() == [2.0, 2.0, None, None]
        named = Sale.query().features_for({"shop": ["a"], "when": [day(1, 5)]}, event_timestamp_column="when")
        assert named.collect()["amount"].to_list() == [1.0]
        assert Sale.query().features_for({"shop": ["a"]}).collect()["amount"].to_list() == [4.0]

    def test_between_dates(self) -> None:
        assert Sale.query().between_dates(day(2), day(3)).collect()["buyer"].to_list() == [2, 9, 2]
        with pytest.raises(ContractError, match="no EventTimestamp"):
            Person.query().between_dates(day(1), day(2))

    def test_another_source(self) -> None:
        other = InMemorySource.from_values({"id": [9], "age": [1.0], "city": ["x"]})
        assert Person.query().using_source(other).all().collect()["id"].to_list() == [9]

    def test_validate_and_drop_invalid(self) -> None:
        bad = Person.with_source(
            InMemorySource.from_values({"id": [1, 2], "age": [-1.0, 1.0], "city": ["x", "y"]})
        )
        report = bad.query().all().audit()
        assert [outcome.name for outcome in report.failures] == ["age__lower_bound"]
        good = bad.query().all().drop_invalid()
        assert good.collect()["id"].to_list() == [2]

    def test_missing_columns_are_named(self) -> None:
        with pytest.raises(MissingColumnError, match="Did you mean 'cty'"):
            Person.with_source(
                InMemorySource.from_values({"id": [1], "age": [1.0], "cty": ["x"]})
            ).query().all().collect()


class TestAggregation:
    def test_one_row_per_entity(self) -> None:
        @feature_view(source=Sale)
        class Shop:
            shop = String().as_entity()
            amount = Float().is_optional()
            buyer = Int32()
            total = amount.aggregate().sum()
            sales = buyer.aggregate().count()
            buyers = buyer.aggregate().n_unique()
            first, last = buyer.aggregate().first(), buyer.aggregate().last()
            spread = amount.aggregate().std()
            big = amount.aggregate().where(amount > 1.5).count()
            each = buyer.aggregate().to_list()
            per_sale = total / sales

        assert Shop.schema.names[:2] == ("shop", "total")
        assert "amount" not in Shop.schema.names
        out = Shop.query().all().collect()
        assert out.select("shop", "total", "sales", "buyers", "first", "last", "big").rows() == [
            ("a", 7.0, 3, 2, 1, 1, 2),
            ("b", 8.0, 2, 2, 9, 2, 1),
        ]
        assert out["each"].to_list() == [[1, 2, 1], [9, 2]]
        assert out["per_sale"].to_list() == [7 / 3, 4.0]
        assert dict(out.schema) == Shop.schema.polars

    def test_windows_end_at_each_row(self) -> None:
        @feature_view(source=Sale)
        class Trend:
            shop = String().as_entity()
            at = EventTimestamp()
            amount = Float().is_optional()
            buyer = Int32()
            week = amount.aggregate().over(days=7).sum()
            two_days = buyer.aggregate().over(days=2).count()
            share = week / 7

        out = Trend.query().all().collect()
        assert out.select("shop", "at", "week", "two_days").rows() == [
            ("a", day(1), 1.0, 1),
            ("a", day(2), 3.0, 2),
            ("a", day(9), 4.0, 1),
            ("b", day(2), 8.0, 1),
            ("b", day(3), 8.0, 2),
        ]
        assert dict(out.schema) == Trend.schema.polars
        asked = Trend.query().features_for({"shop": ["a"], "at": [day(5)]}).collect()
        assert asked["week"].to_list() == [3.0]
        assert Trend.query().between_dates(day(9), day(9)).collect()["week"].to_list() == [4.0]

    def test_a_group_gives_every_row_its_value(self) -> None:
        @feature_view(source=Person)
        class Compared:
            id = Int32().as_entity()
            age = Float().is_optional()
            city = String()
            neighbours = age.aggregate().over(city).mean()

        assert Compared.query().all().collect()["neighbours"].to_list() == [5.0, 40.0, 5.0]

    def test_windows_and_groups_do_not_mix(self) -> None:
        with pytest.raises(ContractError, match="no window"):

            @feature_view(source=Sale)
            class Mixed:
                shop = String().as_entity()
                at = EventTimestamp()
                amount = Float().is_optional()
                a = amount.aggregate().sum()
                b = amount.aggregate().over(days=1).sum()


class TestViewsOnViews:
    def test_a_derived_column_is_a_stored_one_downstream(self) -> None:
        @feature_view(source=Person)
        class Adult:
            id = Int64().as_entity()
            is_adult = Person().is_adult.is_optional()

        out = Adult.query().all().collect()
        assert out["is_adult"].to_list() == [False, True, None] and out.schema["id"] == pl.Int64
        assert Adult.depends_on() == {"person"}
        assert Adult.column_lineage()["is_adult"] == (("person", "is_adult"),)

    def test_a_schema_that_does_not_fit_lists_everything_at_once(self) -> None:
        with pytest.raises(SchemaMismatchError) as caught:

            @feature_view(source=Person)
            class Wrong:
                id = Int32().as_entity()
                cty = String()
                age = Timestamp()
                height = Float().is_optional()

        text = str(caught.value)
        assert "cty (string) is missing there. Did you mean 'city'?" in text
        assert "age is float64 there and cannot become timestamp" in text
        assert "height" not in text.split("Columns there")[0]
        assert text.count("test_feature_view.py") >= 4

    def test_join(self) -> None:
        @feature_view(source=Sale.join(Person, left_on="buyer", right_on="id", how="left"))
        class SaleWithPerson:
            shop = String().as_entity()
            at = EventTimestamp()
            buyer = Int32()
            city = String().is_optional()
            is_adult = Person().is_adult.is_optional()

        out = SaleWithPerson.query().all().collect()
        assert out["buyer"].to_list() == [1, 2, 1, 9, 2]
        assert out["city"].to_list() == ["Oslo", "Rome", "Oslo", None, "Rome"]
        assert SaleWithPerson.depends_on() == {"sale", "person"}
        assert SaleWithPerson.column_lineage()["city"] == (("person", "city"),)

    @pytest.mark.parametrize(
        ("how", "rows"), [("inner", 4), ("left", 5), ("full", 6), ("semi", 4), ("anti", 1)]
    )
    def test_kinds_of_join(self, how: str, rows: int) -> None:
        source = Sale.join(Person(), left_on="buyer", right_on="id", how=how)

        @feature_view(source=source)
        class Joined:
            shop = String().is_optional()

        assert Joined.query().all().collect().height == rows

    def test_names_that_both_sides_have(self) -> None:
        other = Person.with_entity_renaming("id", name="twin")
        source = Person.join(other, on="id").join(Person, on="id", suffix="_again")
        assert {"age", "age_twin", "age_again"} <= source.columns().keys()

    def test_wrong_keys(self) -> None:
        with pytest.raises(UnknownFeatureError, match=r"no column .buyr. to join on\. Did you mean 'buyer'"):
            Sale.join(Person, left_on="buyr", right_on="id")
        with pytest.raises(ContractError, match="cannot be joined on"):
            Sale.join(Person, left_on="shop", right_on="id")
        with pytest.raises(ContractError, match="of one length"):
            Sale.join(Person)

    def test_join_asof_takes_the_latest_earlier_row(self) -> None:
        @feature_view(
            source=InMemorySource.from_values({"shop": ["a", "a", "b"], "at": [day(1, 1), day(8), day(1)]})
        )
        class Visit:
            shop = String().as_entity()
            at = EventTimestamp()

        @feature_view(source=Visit.join_asof(Sale, on="shop"))
        class VisitWithSale:
            shop = String().as_entity()
            at = EventTimestamp()
            amount = Float().is_optional()

        assert VisitWithSale.query().all().collect()["amount"].to_list() == [1.0, 2.0, None]

    def test_filter(self) -> None:
        adults = Person.filter("adults", Person().age > 18)
        assert adults.query().all().collect()["id"].to_list() == [2]
        assert Person.filter("by_lambda", lambda row: row.is_adult).query().all().collect()[
            "id"
        ].to_list() == [2]
        assert Person.query().all().collect().height == 3

    def test_entity_renaming(self) -> None:
        buyer = Person.with_entity_renaming({"id": "buyer"})
        assert buyer.schema.entities == ("buyer",)
        assert buyer.query().features_for({"buyer": [2]}).collect()["city"].to_list() == ["Rome"]
        with pytest.raises(ContractError, match="no entity"):
            Person.with_entity_renaming({"age": "x"})

    def test_references_are_checked_against_the_other_view(self) -> None:
        @feature_view(source=Sale, on_violation="warn")
        class Checked:
            shop = String().as_entity()
            at = EventTimestamp()
            buyer = Int32().reference_to(Person().id)

        report = Checked.query().all().audit()
        assert report.outcome("buyer__reference").broken == 1
        assert Checked.references() == {"person"}


class TestWriting:
    @pytest.fixture
    def view(self, tmp_path: Path) -> FeatureView[Any]:
        @feature_view(
            source=Person, materialized_source=FileSource.parquet_at(str(tmp_path / "people.parquet"))
        )
        class Stored:
            id = Int32().as_entity()
            age = Float().is_optional().lower_bound(0)
            double = age * 2
            sane = rule(age < 150)

        return Stored

    def test_stored_columns_suffice_and_derived_ones_are_computed(self, view: FeatureView[Any]) -> None:
        view.query().overwrite({"id": [1], "age": [2.0]})
        assert view.query().all().collect().rows() == [(1, 2.0, 4.0)]
        view.query().upsert({"id": [1, 2], "age": [3.0, None]})
        view.query().insert({"id": [3], "age": [1.0]})
        assert view.query().all().collect().rows() == [(1, 3.0, 6.0), (2, None, None), (3, 1.0, 2.0)]

    def test_rows_go_to_a_writable_source_where_nothing_is_materialized(self) -> None:
        @feature_view(source=InMemorySource.empty())
        class Kept:
            id = Int32().as_entity()
            age = Float()
            double = age * 2

        assert Kept.query().all().collect().rows() == []
        Kept.query().insert({"id": [1], "age": [2.0]})
        assert Kept.query().all().collect().rows() == [(1, 2.0, 4.0)]

    def test_a_view_of_a_view_takes_no_rows(self) -> None:
        @feature_view(source=Person)
        class Virtual:
            id = Int32().as_entity()

        with pytest.raises(UnsupportedError, match="materialized_source"):
            Virtual.query().insert({"id": [1]})


def test_update_source_reaches_what_reads_the_view() -> None:
    @feature_view(source=Person)
    class Child:
        id = Int32().as_entity()
        city = String()

    store = ContractStore([Person, Child])
    other = store.update_source_for("person", {"id": [7], "age": [1.0], "city": ["Bergen"]})
    assert other.feature_view("child").all().collect()["city"].to_list() == ["Bergen"]
    assert store.feature_view("child").all().collect().height == 3
