"""Mistakes in files, databases and what is said of them."""

from __future__ import annotations

from tests.mistakes.mistake import SALES, Mistake

VIEW = """
        @feature_view(source=FileSource.csv_at("sales.csv"))
        class Sales:
            order_id = Int64().as_entity()
            shop = String()
            bought_at = EventTimestamp()
            amount = Float().lower_bound(0)
"""
KEPT = VIEW.replace(
    'FileSource.csv_at("sales.csv")',
    'FileSource.csv_at("sales.csv"), materialized_source=FileSource.parquet_at("sales.parquet")',
)
READ = """

        Sales.query().all().collect()
"""

SOURCES = (
    Mistake(
        "A kind of file that FileSource has by another name",
        """
        FileSource.csv("sales.csv")  # wrong
        """,
        "UnknownMethodError",
        ("FileSource", "'csv'", "Did you mean 'csv_at'?"),
    ),
    Mistake(
        "A setting of the config given to the source",
        """
        FileSource.csv_at("sales.csv", separator=";")  # wrong
        """,
        "ArgumentError",
        ("csv_at", "'separator'", "csv_config=CsvConfig(separator=...)"),
    ),
    Mistake(
        "A field that a config does not have",
        """
        CsvConfig(seperatr=";")  # wrong
        """,
        "WrongSettingError",
        ("CsvConfig", "'seperatr'", "Did you mean 'separator'?"),
    ),
    Mistake(
        "A value that a field does not take",
        """
        CsvConfig(compression="rar")  # wrong
        """,
        "WrongSettingError",
        ("CsvConfig", "compression='rar'", "'gzip', 'zstd', 'zip'"),
    ),
    Mistake(
        "A file that is not there",
        VIEW + READ,
        "NothingStoredError",
        ("/sales.csv", "'sales'", "does not exist", "Did you mean 'sale.csv'?"),
        files={"sale.csv": SALES},
    ),
    Mistake(
        "A file that is empty",
        VIEW + READ,
        "UnreadableSourceError",
        ("'sales'", "/sales.csv", "empty, without even a header"),
        files={"sales.csv": ""},
    ),
    Mistake(
        "Another separator",
        VIEW + READ,
        "MissingColumnError",
        ("/sales.csv", "'order_id'", "separated by ';'", "csv_config=CsvConfig(separator=';')"),
        files={"sales.csv": SALES.replace(",", ";")},
    ),
    Mistake(
        "A separator inside a cell",
        VIEW + READ,
        "UnreadableSourceError",
        ("'sales'", "/sales.csv:4", "has 5 cells and the header 4", "3,oslo", "not quoted"),
        files={"sales.csv": SALES + "3,oslo,2024-05-03T08:15:00Z,1,250.00\n"},
    ),
    Mistake(
        "A file in another encoding",
        VIEW + READ,
        "UnreadableSourceError",
        ("'sales'", "/sales.csv:4", "not in UTF-8", "måløy", "CsvConfig(encoding='latin-1')"),
        files={"sales.csv": (SALES + "3,måløy,2024-05-03T08:15:00Z,1.00\n").encode("latin-1")},
    ),
    Mistake(
        "A CSV file read as Parquet",
        VIEW.replace("csv_at", "parquet_at") + READ,
        "UnreadableSourceError",
        ("'sales'", "/sales.csv", "no whole Parquet file", "FileSource.csv_at(...)"),
        files={"sales.csv": SALES},
    ),
    Mistake(
        "A column that is called otherwise in the file",
        """
        @feature_view(source=FileSource.csv_at("sales.csv"))
        class Sales:
            order_id = Int64().as_entity()
            amuont = Float()


        Sales.query().all().collect()
        """,
        "MissingColumnError",
        (
            "/sales.csv",
            "'amuont'",
            "'sales'",
            "Did you mean 'amount'?",
            "mapping_keys={'stored name': 'amuont'}",
        ),
        files={"sales.csv": SALES},
    ),
    Mistake(
        "The names of a mapping the other way round",
        """
        @feature_view(source=FileSource.csv_at("sales.csv", mapping_keys={"order_id": "Order"}))  # wrong
        class Sales:
            order_id = Int64().as_entity()
        """,
        "ContractError",
        ("mapping_keys", "'order_id'", "The stored name comes first: {'Order': 'order_id'}"),
        files={"sales.csv": SALES},
    ),
    Mistake(
        "A type that the values do not have",
        """
        @feature_view(source=FileSource.csv_at("sales.csv"))
        class Sales:
            order_id = Int64().as_entity()
            shop = Int32()


        Sales.query().all().collect()
        """,
        "CastError",
        ("'oslo'", "'shop'", "'sales'", "/sales.csv", "no int32", "change the type"),
        files={"sales.csv": SALES},
    ),
    Mistake(
        "Numbers with a decimal comma",
        """
        @feature_view(source=FileSource.csv_at("sales.csv", csv_config=CsvConfig(separator=";")))
        class Sales:
            order_id = Int64().as_entity()
            amount = Float()


        Sales.query().all().collect()
        """,
        "CastError",
        ("'12,50'", "'amount'", "/sales.csv", "CsvConfig(decimal=',')"),
        files={"sales.csv": "order_id;amount\n1;12,50\n"},
    ),
    Mistake(
        "A text that stands for a missing value",
        VIEW + READ,
        "CastError",
        ("'NA'", "'amount'", "/sales.csv", "CsvConfig(null_values=['NA'])"),
        files={"sales.csv": SALES + "3,oslo,2024-05-03T08:15:00Z,NA\n"},
    ),
    Mistake(
        "Dates in another order",
        VIEW + READ,
        "CastError",
        ("'03.05.2024 08:15'", "'bought_at'", "/sales.csv", "date_formatter=DateFormatter.string_format("),
        files={"sales.csv": SALES + "3,oslo,03.05.2024 08:15,1.00\n"},
    ),
    Mistake(
        "A file that changed its columns",
        """
        import polars as pl

        pl.DataFrame({"order_id": ["A-1"], "amount": [12.5]}).write_parquet("sales.parquet")


        @feature_view(source=FileSource.parquet_at("sales.parquet"))
        class Sales:
            order_id = Int64().as_entity()
            amount = Float()


        Sales.query().all().collect()
        """,
        "CastError",
        ("'A-1'", "'order_id'", "'sales'", "/sales.parquet", "no int64"),
    ),
    Mistake(
        "A column that was added after the view was materialised",
        KEPT
        + """

        publish(Sales)


        @feature_view(
            name="sales",
            source=FileSource.csv_at("sales.csv"),
            materialized_source=FileSource.parquet_at("sales.parquet"),
        )
        class SalesWithCoupons:
            order_id = Int64().as_entity()
            amount = Float()
            coupon = String()


        SalesWithCoupons.query().all().collect()
        """,
        "MissingColumnError",
        ("/sales.parquet", "'coupon'", "materialise the view again", "aligned-dagster materialize sales"),
        files={"sales.csv": SALES},
    ),
    Mistake(
        "A directory that is not divided by the key",
        """
        import polars as pl

        Path("sales/shop=oslo").mkdir(parents=True)
        pl.DataFrame({"order_id": [1]}).write_parquet("sales/shop=oslo/rows.parquet")


        @feature_view(source=FileSource.partitioned_parquet_at("sales", partition_keys=["country"]))
        class Sales:
            order_id = Int64().as_entity()
            country = String()


        Sales.query().all().collect()
        """.replace("import polars as pl", "from pathlib import Path\n\n        import polars as pl"),
        "UnreadableSourceError",
        ("sales/shop=oslo/rows.parquet", "country=...", "partition_keys=['shop']"),
    ),
    Mistake(
        "A partition key that is no column",
        """
        @feature_view(source=FileSource.partitioned_parquet_at("sales", partition_keys=["contry"]))
        class Sales:
            order_id = Int64().as_entity()
            country = String()


        Sales.query().all().collect()
        """,
        "ConfigurationError",
        ("'sales'", "'contry'", "Did you mean 'country'?"),
    ),
    Mistake(
        "An environment variable that is not set",
        """
        @feature_view(source=PostgreSQLConfig(env_var="SHOP_DATABASE_URL").table("orders"))
        class Sales:
            order_id = Int64().as_entity()


        Sales.query().all().collect()
        """,
        "ConfigurationError",
        ("SHOP_DATABASE_URL", "PostgreSQLConfig", "not set", "Set it where this process starts"),
    ),
    Mistake(
        "The address of a database in place of the variable that holds it",
        """
        PostgreSQLConfig(env_var="postgresql://shop:hunter2@db.local/shop")
        """,
        "ConfigurationError",
        ("env_var", "name of an environment variable", "'PSQL_DB_URL'"),
    ),
    Mistake(
        "A database that nobody serves",
        """
        import os

        os.environ["SHOP_DATABASE_URL"] = "postgresql://shop:hunter2@127.0.0.1:1/shop"


        @feature_view(source=PostgreSQLConfig(env_var="SHOP_DATABASE_URL").table("orders"))
        class Sales:
            order_id = Int64().as_entity()


        Sales.query().all().collect()
        """,
        "ConfigurationError",
        ("127.0.0.1:1/shop", "SHOP_DATABASE_URL", "Connection refused", "Check host and port"),
    ),
    Mistake(
        "A function as a source that gives no table",
        """
        def from_the_web():
            return "1,oslo"


        @feature_view(source=from_the_web)
        class Sales:
            order_id = Int64().as_entity()


        Sales.query().all().collect()
        """,
        "SourceError",
        ("from_the_web", "'sales'", "returned str", "polars or pandas frame"),
    ),
)
