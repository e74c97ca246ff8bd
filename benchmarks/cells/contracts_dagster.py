"""Contracts as assets of Dagster: a run in this process, by the command line, and over the days of a year."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import dagster as dg

from aligned_dagster import ContractStore, FeatureView, FileSource, feature_view
from aligned_dagster.orchestration import build_definitions
from benchmarks.cell import Task
from benchmarks.cells.bare_dagster import by_command, over_days, repeatedly
from benchmarks.cells.contracts_view import Derived, sales


def definitions(source: Path, out: Path) -> dg.Definitions:
    """The contract as an asset."""
    return build_definitions(ContractStore([sales(source, out)]))


def in_process(task: Task) -> Callable[[], Any]:
    """The asset, several times in this process."""
    return repeatedly(task, definitions(task.data, task.work / "out.parquet"))


def launched(task: Task) -> Callable[[], Any]:
    """The asset, by the command line of Dagster."""
    return by_command(
        task,
        f"from pathlib import Path\nfrom benchmarks.cells.contracts_dagster import definitions\n"
        f"defs = definitions(Path({str(task.data)!r}), Path({str(task.work / 'out.parquet')!r}))\n",
    )


def backfill(task: Task) -> Callable[[], Any]:
    """A contract of daily windows, each a file: as a run for each, or as one run over all of them."""
    days, tree = task.args["days"], task.work / "tree"
    start = date(2024, 1, 1)
    decorate: Any = feature_view(
        name="sales",
        source=FileSource.parquet_at(task.data / "sales.parquet"),
        materialized_source=FileSource.partitioned_parquet_at(tree, ["day"]),
        materialize_from=start,
        materialize_until=start + timedelta(days=days),
        every="daily",
    )
    view = decorate(type("Sales", (Derived,), {"day": Derived.sold_at.date()}))
    assert isinstance(view, FeatureView)
    return over_days(task, build_definitions(ContractStore([view])), days, task.args["one_run"], tree)
