"""Made-up rows that keep rules: by hand, and by contracts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import polars as pl

from benchmarks.cell import Task


def by_hand(task: Task) -> Callable[[], Any]:
    """numpy's generator, a column at a time."""
    import numpy as np

    def run() -> Any:
        generator, rows = np.random.default_rng(1), task.args["rows"]
        states = np.array(["open", "sent", "paid", "lost"])
        frame = pl.DataFrame(
            {
                "sale_id": generator.permutation(rows),
                "state": states[generator.integers(0, 4, rows)],
                "quantity": generator.integers(1, 13, rows),
                "price": generator.uniform(0, 1000, rows),
                "discount": generator.uniform(0, 0.5, rows),
            }
        ).with_columns(code=pl.format("c-{}", pl.Series(generator.integers(100, 1000, rows))))
        return frame.height

    return run


def contracts(task: Task) -> Callable[[], Any]:
    """A source of random rows behind a contract."""
    from aligned_dagster import Float, Int64, RandomDataSource, String, feature_view

    def run() -> Any:
        @feature_view(source=RandomDataSource(default_data_size=task.args["rows"], seed=1))
        class Sales:
            """What is made up."""

            sale_id = Int64().as_entity()
            state = String().accepted_values(["open", "sent", "paid", "lost"])
            quantity = Int64().bounded_between(1, 12)
            price = Float().bounded_between(0, 1000)
            discount = Float().bounded_between(0, 0.5)
            code = String().validate_regex("^c-[1-9][0-9]{2}$")

        view: Any = Sales
        return view.query().all().collect().height

    return run
