"""Mistakes of those who ask a contract for rows, and who write them."""

from __future__ import annotations

from tests.mistakes.mistake import SALES, Mistake
from tests.mistakes.sources import KEPT, VIEW

FILES = {"sales.csv": SALES}
TWO = """
        @feature_view(source=InMemorySource.from_values({"shop": ["oslo"], "order_id": [1], "amount": [12.5]}))
        class Sales:
            shop = String().as_entity()
            order_id = Int64().as_entity()
            amount = Float()
"""

ASKING = (
    Mistake(
        "Rows that are not awaited",
        VIEW
        + """

        frame = Sales.query().all().to_polars()
        frame["amount"]  # wrong
        """,
        "NotAwaitedError",
        ("['amount']", "to_polars(...)", "await", ".collect()"),
        files=FILES,
    ),
    Mistake(
        "A store that is not awaited",
        """
        store = ContractStore.from_glob("*.py")
        store.views  # wrong
        """,
        "NotAwaitedError",
        (".views", "from_glob(...)", "await", "ContractStore.discover(...)"),
    ),
    Mistake(
        "query without brackets",
        VIEW
        + """

        Sales.query.all().collect()  # wrong
        """,
        "NotCalledError",
        ("query", "'all'", "query().all"),
        files=FILES,
    ),
    Mistake(
        "A query asked of the columns",
        VIEW
        + """

        Sales().query()  # wrong
        """,
        "UnknownColumnError",
        ("query", "Sales.query"),
        files=FILES,
    ),
    Mistake(
        "A column that a view does not have",
        VIEW
        + """

        Sales.query().select("amuont")
        """,
        "UnknownFeatureError",
        ("sales", "'amuont'", "Did you mean 'amount'?", "Columns: order_id, shop, bought_at, amount"),
        files=FILES,
    ),
    Mistake(
        "A filter by an argument",
        VIEW
        + """

        Sales.query().filter(shop="oslo")  # wrong
        """,
        "ArgumentError",
        ("filter", "'shop'", "filter(View().amount == 3)"),
        files=FILES,
    ),
    Mistake(
        "A time without a zone beside one with a zone",
        VIEW
        + """

        from datetime import datetime

        import polars as pl

        Sales.query().filter(pl.col("bought_at") > datetime(2024, 5, 2)).collect()
        """,
        "DerivationError",
        ("'sales'", "'bought_at'", "one time has a zone and the other has none", "tzinfo=UTC"),
        files=FILES,
    ),
    Mistake(
        "Days as texts",
        VIEW
        + """

        Sales.query().between_dates("2024-05-01", "2024-05-02")  # wrong
        """,
        "RequestError",
        ("between_dates", "'2024-05-01'", "date(2024, 5, 1)"),
        files=FILES,
    ),
    Mistake(
        "A period that ends before it starts",
        VIEW
        + """

        from datetime import date

        Sales.query().between_dates(date(2024, 6, 1), date(2024, 5, 1))  # wrong
        """,
        "RequestError",
        ("2024-06-01 is after 2024-05-01", "Swap the two"),
        files=FILES,
    ),
    Mistake(
        "Facts that lack one of two entities",
        TWO
        + """

        Sales.query().features_for({"order_id": [1]})
        """,
        "RequestError",
        ("'shop'", "the entity of 'sales'", "needed are 'shop', 'order_id'", "Columns: order_id"),
    ),
    Mistake(
        "Facts that call an entity otherwise",
        TWO
        + """

        Sales.query().features_for({"order": [1], "shop": ["oslo"]})
        """,
        "RequestError",
        ("'order_id'", "Did you mean 'order'?", "entity_columns={'order_id': '...'}"),
    ),
    Mistake(
        "An entity of another type",
        TWO
        + """

        Sales.query().features_for({"order_id": ["1"], "shop": ["oslo"]}).collect()
        """,
        "RequestError",
        ("'order_id'", "String", "Int64", "facts.with_columns(pl.col('order_id').cast(pl.Int64))"),
    ),
    Mistake(
        "Facts as a list of values",
        TWO
        + """

        Sales.query().features_for([1, 2])
        """,
        "RequestError",
        ("a list of int", "Name them", "{'entity': [1, 2]}"),
    ),
    Mistake(
        "Columns of facts that differ in length",
        TWO
        + """

        Sales.query().features_for({"order_id": [1, 2], "shop": ["oslo"]})
        """,
        "RequestError",
        ("one length", "'order_id' has 2", "'shop' has 1"),
    ),
    Mistake(
        "A view without an entity asked for features",
        """
        @feature_view(source=FileSource.csv_at("sales.csv"))  # wrong
        class Sales:
            order_id = Int64()
            amount = Float()


        Sales.query().features_for({"order_id": [1]})
        """,
        "RequestError",
        ("'sales' has no entity", "order_id = Int64().as_entity()"),
        files=FILES,
    ),
    Mistake(
        "A view that has not been materialised",
        KEPT
        + """

        Sales.query().all().collect()
        """,
        "SourceNotFoundError",
        ("'sales'", "not been materialised yet", "/sales.parquet", "aligned-dagster materialize +sales"),
        files=FILES,
    ),
    Mistake(
        "Rows that break a rule",
        KEPT
        + """

        publish(Sales, run_id="monday")
        """,
        "AuditError",
        (
            "'sales'",
            "amount must be at least 0: 1 of 3 rows break it",
            "'amount': -7.0",
            "Nothing was published",
            "/sales.parquet.quarantine/monday.parquet",
        ),
        files={"sales.csv": SALES + "3,oslo,2024-05-03T08:15:00Z,-7.00\n"},
    ),
    Mistake(
        "A key that stands twice",
        KEPT
        + """

        publish(Sales, run_id="monday")
        """,
        "AuditError",
        ("'sales'", "order_id + bought_at must together be unique", "2 of 3 rows break it", "'order_id': 1"),
        files={"sales.csv": SALES + "1,oslo,2024-05-01T09:30:00Z,12.50\n"},
    ),
    Mistake(
        "The name of a contract in place of the contract",
        """
        publish("sales")  # wrong
        """,
        "ContractError",
        ("'sales'", "Expected a feature view"),
    ),
    Mistake(
        "A prediction asked of the contract",
        VIEW
        + """


        @model_contract(input_features=[Sales().amount])
        class Fraud:
            order_id = Int64().as_entity()
            is_fraud = Bool().as_classification_target()


        Fraud.predict_over({"order_id": [1]})  # wrong
        """,
        "UnknownColumnError",
        ("Fraud", "'predict_over'", "Fraud.query().predict_over(...)"),
        files=FILES,
    ),
)
