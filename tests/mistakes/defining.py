"""Mistakes in the class of a contract."""

from __future__ import annotations

from tests.mistakes.mistake import SALES, Mistake

DEFINING = (
    Mistake(
        "A type that is called otherwise here",
        """
        from aligned_dagster import Integer
        """,
        "ImportError",
        ("'Integer'", "Did you mean 'Int64'?"),
    ),
    Mistake(
        "A typo in an argument of the decorator",
        """
        @feature_view(  # wrong
            source=FileSource.csv_at("sales.csv"),
            materialised_source=FileSource.parquet_at("sales.parquet"),
        )
        class Sales:
            order_id = Int64().as_entity()
        """,
        "ArgumentError",
        ("feature_view", "'materialised_source'", "Did you mean 'materialized_source'?"),
    ),
    Mistake(
        "A decorator without brackets",
        """
        @feature_view  # wrong
        class Sales:
            order_id = Int64().as_entity()
        """,
        "ContractError",
        ("Sales", "@feature_view(source=...)"),
    ),
    Mistake(
        "The path of a file in place of a source",
        """
        @feature_view(source="sales.csv")  # wrong
        class Sales:
            order_id = Int64().as_entity()
        """,
        "ContractError",
        ("sales", "'sales.csv'", "source=FileSource.csv_at('sales.csv')"),
    ),
    Mistake(
        "A source without its name",
        """
        @feature_view(FileSource.csv_at("sales.csv"))  # wrong
        class Sales:
            order_id = Int64().as_entity()
        """,
        "ContractError",
        ("name of a contract", "FileDataSource", "@feature_view(source=...)"),
    ),
    Mistake(
        "A class that is no contract as the source",
        """
        class Orders:
            order_id = Int64().as_entity()


        @feature_view(source=Orders)  # wrong
        class Sales:
            order_id = Int64().as_entity()
        """,
        "ContractError",
        ("sales", "Orders", "@feature_view"),
    ),
    Mistake(
        "A type without its brackets",
        """
        @feature_view(source=FileSource.csv_at("sales.csv"))
        class Sales:
            order_id = Int64().as_entity()
            amount = Float  # wrong
        """,
        "ContractError",
        ("sales.amount", "class Float", "amount = Float()"),
    ),
    Mistake(
        "A method of a type without its brackets",
        """
        @feature_view(source=FileSource.csv_at("sales.csv"))
        class Sales:
            order_id = Int64.as_entity()  # wrong
        """,
        "ContractError",
        ("Int64.as_entity", "Int64().as_entity(...)"),
    ),
    Mistake(
        "A method that is not called",
        """
        @feature_view(source=FileSource.csv_at("sales.csv"))
        class Sales:
            order_id = Int64().as_entity  # wrong
            amount = Float()
        """,
        "ContractError",
        ("sales.order_id", "method as_entity", "Call it"),
    ),
    Mistake(
        "A type of Python",
        """
        @feature_view(source=FileSource.csv_at("sales.csv"))
        class Sales:
            order_id = Int64().as_entity()
            amount = float  # wrong
        """,
        "ContractError",
        ("sales.amount", "Python", "amount = Float()"),
    ),
    Mistake(
        "A column that is only annotated",
        """
        @feature_view(source=FileSource.csv_at("sales.csv"))  # wrong
        class Sales:
            order_id = Int64().as_entity()
            amount: float
        """,
        "ContractError",
        ("sales.amount", "only annotated", "amount = Float()"),
    ),
    Mistake(
        "An argument that a type does not have",
        """
        @feature_view(source=FileSource.csv_at("sales.csv"))
        class Sales:
            order_id = Int64().as_entity()
            bought_at = Timestamp(timezone="Europe/Oslo")  # wrong
        """,
        "ArgumentError",
        ("Timestamp", "'timezone'", "Did you mean 'time_zone'?"),
    ),
    Mistake(
        "A time zone that does not exist",
        """
        @feature_view(source=FileSource.csv_at("sales.csv"))
        class Sales:
            order_id = Int64().as_entity()
            bought_at = EventTimestamp(time_zone="Europe/Olso")  # wrong
        """,
        "ContractError",
        ("'Europe/Olso'", "Did you mean 'Europe/Oslo'?"),
    ),
    Mistake(
        "Two event timestamps",
        """
        @feature_view(source=FileSource.csv_at("sales.csv"))
        class Sales:
            order_id = Int64().as_entity()
            bought_at = EventTimestamp()
            paid_at = EventTimestamp()  # wrong
        """,
        "ContractError",
        ("sales", "bought_at, paid_at", "Make all but one a Timestamp"),
    ),
    Mistake(
        "An entity that may be missing",
        """
        @feature_view(source=FileSource.csv_at("sales.csv"))
        class Sales:
            order_id = Int64().as_entity().is_optional()  # wrong
            amount = Float()
        """,
        "ContractError",
        ("sales.order_id", "never null", "is_optional()"),
    ),
    Mistake(
        "A column that is declared twice",
        """
        @feature_view(source=FileSource.csv_at("sales.csv"))
        class Sales:
            order_id = Int64().as_entity()
            amount = Float()
            amount = Decimal()  # wrong
        """,
        "DuplicateNameError",
        ("sales", "'amount' twice", "at line 6"),
    ),
    Mistake(
        "A rule that does not fit the type",
        """
        @feature_view(source=FileSource.csv_at("sales.csv"))
        class Sales:
            order_id = Int64().as_entity()
            shop = String().lower_bound(3)  # wrong
        """,
        "ContractError",
        ("lower_bound", "3", "string column", "min_length"),
    ),
    Mistake(
        "A number in quotes",
        """
        @feature_view(source=FileSource.csv_at("sales.csv"))
        class Sales:
            order_id = Int64().as_entity()
            amount = Float().lower_bound("0")  # wrong
        """,
        "ContractError",
        ("lower_bound", "'0'", "float64 column", "without quotes: 0"),
    ),
    Mistake(
        "Accepted values that are no list",
        """
        @feature_view(source=FileSource.csv_at("sales.csv"))
        class Sales:
            order_id = Int64().as_entity()
            shop = String().accepted_values("oslo", "rome")  # wrong
        """,
        "ArgumentError",
        ("accepted_values", "one list", "accepted_values(['oslo', 'rome'])"),
    ),
    Mistake(
        "Bounds that are swapped",
        """
        @feature_view(source=FileSource.csv_at("sales.csv"))
        class Sales:
            order_id = Int64().as_entity()
            amount = Float().lower_bound(100).upper_bound(1)  # wrong
        """,
        "ContractError",
        ("sales.amount", "at least 100", "at most 1", "swapped"),
    ),
    Mistake(
        "A pattern that is none",
        """
        @feature_view(source=FileSource.csv_at("sales.csv"))
        class Sales:
            order_id = Int64().as_entity()
            shop = String().validate_regex("[a-z")  # wrong
        """,
        "ContractError",
        ("'[a-z'", "unclosed character class", "Rust"),
    ),
    Mistake(
        "A word for on_violation that there is not",
        """
        @feature_view(source=FileSource.csv_at("sales.csv"), on_violation="quarantene")  # wrong
        class Sales:
            order_id = Int64().as_entity()
        """,
        "ContractError",
        ("on_violation", "'quarantene'", "Did you mean 'quarantine'?"),
    ),
    Mistake(
        "A time span as a text",
        """
        @feature_view(source=FileSource.csv_at("sales.csv"), acceptable_freshness="1 day")  # wrong
        class Sales:
            order_id = Int64().as_entity()
        """,
        "ContractError",
        ("acceptable_freshness", "sales", "'1 day'", "timedelta(days=1)"),
    ),
    Mistake(
        "One tag in place of a list of tags",
        """
        @feature_view(source=FileSource.csv_at("sales.csv"), tags="raw")  # wrong
        class Sales:
            order_id = Int64().as_entity()
        """,
        "ContractError",
        ("tags", "sales", "tags=['raw']"),
    ),
    Mistake(
        "Rows that would be written over the file that they come from",
        """
        @feature_view(  # wrong
            source=FileSource.csv_at("sales.csv"),
            materialized_source=FileSource.csv_at("sales.csv"),
        )
        class Sales:
            order_id = Int64().as_entity()
        """,
        "ContractError",
        ("sales.csv", "replace what it reads", "materialized_source="),
        files={"sales.csv": SALES},
    ),
    Mistake(
        "The first day of partitions as a text",
        """
        @feature_view(  # wrong
            source=FileSource.csv_at("sales.csv"),
            materialized_source=FileSource.parquet_at("sales.parquet"),
            materialize_from="2024-05-01",
            every="daily",
        )
        class Sales:
            order_id = Int64().as_entity()
            bought_at = EventTimestamp()
        """,
        "ContractError",
        ("materialize_from", "sales", "'2024-05-01'", "date(2024, 5, 1)"),
    ),
    Mistake(
        "A length of partitions that there is not",
        """
        from datetime import date


        @feature_view(  # wrong
            source=FileSource.csv_at("sales.csv"),
            materialized_source=FileSource.parquet_at("sales.parquet"),
            materialize_from=date(2024, 5, 1),
            every="day",
        )
        class Sales:
            order_id = Int64().as_entity()
            bought_at = EventTimestamp()
        """,
        "ContractError",
        ("sales", "every='day'", "'hourly', 'daily', 'weekly', 'monthly'", "Did you mean 'daily'?"),
    ),
    Mistake(
        "A model that predicts nothing",
        """
        @feature_view(source=FileSource.csv_at("sales.csv"))
        class Sales:
            order_id = Int64().as_entity()
            amount = Float()


        @model_contract(input_features=[Sales().amount])  # wrong
        class Fraud:
            order_id = Int64().as_entity()
        """,
        "ContractError",
        ("fraud", "predicts nothing", "as_classification_target()"),
    ),
)
