"""dataframely: made-up rows of a schema."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import dataframely as dy

from benchmarks.cell import Task


class Sales(dy.Schema):  # type: ignore[misc]
    """What is made up."""

    sale_id = dy.Int64(primary_key=True)
    state = dy.Enum(["open", "sent", "paid", "lost"])
    quantity = dy.Int64(min=1, max=12)
    price = dy.Float64(min=0, max=1000)
    discount = dy.Float64(min=0, max=0.5)
    code = dy.String(regex="^c-[1-9][0-9]{2}$")


def sampled(task: Task) -> Callable[[], Any]:
    """Its sample."""

    def run() -> Any:
        return Sales.sample(task.args["rows"]).height

    return run
