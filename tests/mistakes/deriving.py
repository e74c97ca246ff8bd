"""Mistakes in derived columns, and between contracts."""

from __future__ import annotations

from tests.mistakes.mistake import Mistake

HEAD = """
        @feature_view(source=FileSource.csv_at("sales.csv"))
        class Sales:
            order_id = Int64().as_entity()
            shop = String()
            amount = Float()
"""

DERIVING = (
    Mistake(
        "Conditions put together by `and`",
        HEAD
        + """
            is_usual = amount > 1 and amount < 50  # wrong
        """,
        "DerivationError",
        ("neither true nor false", "(a > 1) & (b < 2)", "`and`"),
    ),
    Mistake(
        "Conditions without brackets",
        HEAD
        + """
            is_usual = amount > 1 & amount < 50  # wrong
        """,
        "DerivationError",
        ("1 & a float64 column", "put comparisons in brackets", "(a > 1) & (b > 2)"),
    ),
    Mistake(
        "A choice by `if`",
        HEAD
        + """
            size = "big" if amount > 50 else "small"  # wrong
        """,
        "DerivationError",
        ("neither true nor false", "when(a > 1).then(x).otherwise(y)"),
    ),
    Mistake(
        "`in` for a piece of a text",
        HEAD
        + """
            is_in_oslo = "oslo" in shop  # wrong
        """,
        "DerivationError",
        ("'oslo' in a column", ".contains(...)"),
    ),
    Mistake(
        "A column in an f-string",
        HEAD
        + """
            label = f"sold in {shop}"  # wrong
        """,
        "DerivationError",
        ("f-string", "no values yet", "concat_str"),
    ),
    Mistake(
        "A column in str()",
        HEAD
        + """
            label = "order " + str(order_id)  # wrong
        """,
        "ContractError",
        ("sales.label", "no column", "order_id.cast(String())"),
    ),
    Mistake(
        "A function for one value",
        """
        import math


        @feature_view(source=FileSource.csv_at("sales.csv"))
        class Sales:
            order_id = Int64().as_entity()
            amount = Float()
            magnitude = math.log(amount)  # wrong
        """,
        "DerivationError",
        ("function of math", "no values yet", ".log()"),
    ),
    Mistake(
        "A text and a number added",
        HEAD
        + """
            label = shop + amount  # wrong
        """,
        "DerivationError",
        ("string column + a float64 column", "Cast one of them"),
    ),
    Mistake(
        "A method that pandas has",
        HEAD
        + """
            name = shop.str.upper()  # wrong
        """,
        "UnknownMethodError",
        ("String column", "'str'", "on the column itself"),
    ),
    Mistake(
        "A sum of a column",
        HEAD
        + """
            revenue = amount.sum()  # wrong
        """,
        "UnknownMethodError",
        ("Float column", "'sum'", ".aggregate().sum()"),
    ),
    Mistake(
        "An aggregation that is not finished",
        """
        @feature_view(source=FileSource.csv_at("sales.csv"))
        class Shops:
            shop = String().as_entity()
            amount = Float()
            revenue = amount.aggregate()  # wrong
        """,
        "ContractError",
        ("shops.revenue", "unfinished aggregation", ".mean()"),
    ),
    Mistake(
        "A test for a list by `in`",
        HEAD
        + """
            is_nordic = shop in ["oslo", "bergen"]  # wrong
        """,
        "DerivationError",
        ("neither true nor false", "a.is_in([...])"),
    ),
    Mistake(
        "Two comparisons in one",
        HEAD
        + """
            is_usual = 1 < amount < 50  # wrong
        """,
        "DerivationError",
        ("neither true nor false", "(1 < a) & (a < 5)"),
    ),
    Mistake(
        "An expression of polars that reads a further column",
        """
        import polars as pl


        @feature_view(source=FileSource.csv_at("sales.csv"))
        class Sales:
            order_id = Int64().as_entity()
            amount = Float()
            total = amount.transform_polars(lambda amount: amount + pl.col("tax"))  # wrong
        """,
        "DerivationError",
        ("'tax'", "not among its columns", "using=[tax]"),
    ),
    Mistake(
        "A column of another contract",
        HEAD
        + """

        @feature_view(source=FileSource.csv_at("refunds.csv"))
        class Refunds:
            order_id = Int64().as_entity()
            share = Sales().amount / 2  # wrong
        """,
        "DerivationError",
        ("refunds.share", "sales.amount", "not a column of this contract", "by a join"),
    ),
    Mistake(
        "A view that reads a column which the other one lacks",
        HEAD
        + """

        @feature_view(source=Sales)  # wrong
        class BigSales:
            order_id = Int64().as_entity()
            amuont = Float()
        """,
        "SchemaMismatchError",
        ("big_sales", "amuont (float64) is missing", "Did you mean 'amount'?", "contracts.py:13"),
    ),
    Mistake(
        "A view that reads a column as another type",
        HEAD
        + """

        @feature_view(source=Sales)  # wrong
        class BigSales:
            order_id = Int64().as_entity()
            shop = Int64()
        """,
        "SchemaMismatchError",
        ("big_sales", "shop is string", "cannot become int64", "contracts.py:13"),
    ),
    Mistake(
        "A kind of join that is called otherwise here",
        HEAD
        + """

        @feature_view(source=FileSource.csv_at("shops.csv"))
        class Shops:
            shop = String().as_entity()
            city = String()


        Sales.join(Shops, on="shop", how="outer")  # wrong
        """,
        "ContractError",
        ("how='outer'", "Did you mean 'full'?"),
    ),
    Mistake(
        "A class asked for a column",
        HEAD
        + """

        Sales.amount > 3  # wrong
        """,
        "NotCalledError",
        ("Sales is a contract", "Sales().amount"),
    ),
    Mistake(
        "A typo in a column of a contract",
        HEAD
        + """

        Sales().amuont > 3  # wrong
        """,
        "UnknownColumnError",
        ("sales", "'amuont'", "Did you mean 'amount'?", "Columns: order_id, shop, amount"),
    ),
)
