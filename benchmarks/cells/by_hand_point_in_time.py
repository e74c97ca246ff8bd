"""What people write with polars and DuckDB for features at the time of each fact."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import polars as pl

from benchmarks.cell import Task

FEATURES = ("balance", "share", "visits", "rate", "clicks")


def joined(task: Task) -> Callable[[], Any]:
    """One as-of join after the other."""

    def run() -> Any:
        facts = pl.scan_parquet(task.data / "facts.parquet").sort("at")
        for view in range(task.args["views"]):
            rows = pl.scan_parquet(task.data / f"{task.args['order']}_{view}.parquet").sort("at")
            rows = rows.rename({name: f"{name}_{view}" for name in FEATURES})
            facts = facts.join_asof(rows, on="at", by="account", check_sortedness=False)
        return facts.collect(engine=task.args["engine"])

    return run


def joined_by_duckdb(task: Task) -> Callable[[], Any]:
    """As-of joins in SQL."""
    import duckdb
    import pyarrow  # noqa: F401  # its import is not what is measured

    def run() -> Any:
        views = range(task.args["views"])
        columns = ", ".join(f"v{view}.{name} AS {name}_{view}" for view in views for name in FEATURES)
        joins = " ".join(
            f"ASOF LEFT JOIN read_parquet('{task.data}/{task.args['order']}_{view}.parquet') v{view} "
            f"ON f.account = v{view}.account AND f.at >= v{view}.at"
            for view in views
        )
        query = f"SELECT f.*, {columns} FROM read_parquet('{task.data}/facts.parquet') f {joins}"
        return pl.from_arrow(duckdb.connect().sql(query).to_arrow_table())

    return run
