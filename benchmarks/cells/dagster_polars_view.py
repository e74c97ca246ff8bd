"""dagster-polars: an asset whose lazy frame its IO manager writes. It needs polars 1."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import dagster as dg
import polars as pl
from dagster_polars import PolarsParquetIOManager

from benchmarks.cell import Task
from benchmarks.cells.by_hand_view import DERIVED


def asset(task: Task) -> Callable[[], Any]:
    """Materialise it in this process; nothing is checked."""

    def run() -> Any:
        def sales() -> pl.LazyFrame:
            return pl.scan_parquet(task.data / "sales.parquet").with_columns(**DERIVED)

        manager = PolarsParquetIOManager(base_dir=str(task.work))
        made = dg.asset(io_manager_key="polars")(sales)
        definitions = dg.Definitions([made], resources={"polars": manager})
        with dg.DagsterInstance.ephemeral() as instance:
            definitions.resolve_implicit_global_asset_job_def().execute_in_process(instance=instance)
        return task.work / "sales.parquet"

    return run
