"""Bare Dagster: assets that do with polars what the contracts do, one check each or as many as they have."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl

from benchmarks.cell import Task
from benchmarks.cells.by_hand_view import BROKEN, DERIVED

TIMES = 5
"""How often an asset is run in one process, after a first time that is not measured."""


def _sink(source: Path, out: Path) -> int:
    staged = out.with_suffix(".staged")
    pl.scan_parquet(source).with_columns(**DERIVED).sink_parquet(staged)
    os.replace(staged, out)
    return out.stat().st_size


TEN = {name: broken.sum() for name, broken in BROKEN.items()}
STORED = ("sale_id", "customer", "country", "state", "price", "quantity", "discount", "sold_at")
TWENTY = {
    **TEN,
    **{f"{name}_not_null": pl.col(name).null_count() for name in STORED},
    "key": pl.len() - pl.col("sale_id").n_unique(),
    "columns": pl.lit(0),
}
"""What a contract with those ten rules checks: no null, one row for each key, and the columns too."""


def definitions(source: Path, out: Path, checks: int) -> dg.Definitions:
    """One asset, with no check, with one for each of ten rules, or with the twenty of a contract."""
    if not checks:

        def sales() -> dg.MaterializeResult[Any]:
            return dg.MaterializeResult(metadata={"bytes": _sink(source, out)})

        return dg.Definitions([dg.asset(sales)])

    counts = TEN if checks == len(TEN) else TWENTY

    def checked() -> Iterator[Any]:
        size = _sink(source, out)
        row = pl.scan_parquet(out).select(pl.len(), **counts)
        figures = row.collect(engine="streaming").row(0, named=True)
        for name in counts:
            told = {"broken": figures[name], "rows": figures["len"]}
            yield dg.AssetCheckResult(check_name=name, passed=figures[name] == 0, metadata=told)
        yield dg.MaterializeResult(metadata={"bytes": size, "rows": figures["len"]})

    specs = [dg.AssetCheckSpec(name, asset="sales") for name in counts]
    return dg.Definitions([dg.asset(name="sales", check_specs=specs)(checked)])


def repeatedly(task: Task, made: dg.Definitions) -> Callable[[], Any]:
    """Run the asset of some definitions in this process, on an instance that keeps its events in files."""
    job = made.resolve_implicit_global_asset_job_def()
    home = task.work / "home"
    home.mkdir()
    instance = dg.DagsterInstance.local_temp(str(home))

    def once() -> None:
        assert job.execute_in_process(instance=instance, asset_selection=[dg.AssetKey("sales")]).success

    once()

    def run() -> Any:
        for _ in range(TIMES):
            once()
        return task.work / "out.parquet"

    return run


def in_process(task: Task) -> Callable[[], Any]:
    """The bare asset, several times in this process."""
    out = task.work / "out.parquet"
    return repeatedly(task, definitions(task.data / "sales.parquet", out, task.args.get("checks", 0)))


def launched(task: Task) -> Callable[[], Any]:
    """The bare asset, by the command line of Dagster."""
    checks = task.args.get("checks", 0)
    return by_command(
        task,
        f"from pathlib import Path\nfrom benchmarks.cells.bare_dagster import definitions\n"
        f"defs = definitions(Path({str(task.data / 'sales.parquet')!r}), Path({str(task.work / 'out.parquet')!r}), {checks})\n",
    )


def by_command(task: Task, code: str) -> Callable[[], Any]:
    """Materialise what a file defines, in a whole new process."""
    file, home = task.work / "defs.py", task.work / "home"
    file.write_text(code, encoding="utf-8")
    home.mkdir()
    (home / "dagster.yaml").write_text("telemetry:\n  enabled: false\n", encoding="utf-8")
    command = [sys.executable, "-m", "dagster", "asset", "materialize", "--select", "sales", "-f", str(file)]

    def run() -> Any:
        environment = {**os.environ, "DAGSTER_HOME": str(home)}
        subprocess.run(command, env=environment, check=True, stdout=sys.stdout, stderr=sys.stderr)
        return task.work / "out.parquet"

    return run


def backfill(task: Task) -> Callable[[], Any]:
    """An asset of daily partitions, each a file: as a run for each, or as one run over all of them."""
    days, one_run, tree = task.args["days"], task.args["one_run"], task.work / "tree"
    start = datetime(2024, 1, 1, tzinfo=UTC)
    partitions = dg.DailyPartitionsDefinition(
        "2024-01-01", end_date=(start + timedelta(days=days)).date().isoformat()
    )

    def sales(context: dg.AssetExecutionContext) -> None:
        window = context.partition_time_window
        frame = pl.scan_parquet(task.data / "sales.parquet").with_columns(**DERIVED)
        within = pl.col("sold_at").is_between(window.start, window.end, closed="left")
        day = frame.filter(within).with_columns(day=pl.col("sold_at").dt.date())
        staged = task.work / "staged"
        day.sink_parquet(pl.PartitionBy(staged, key="day", include_key=False), mkdir=True)
        tree.mkdir(exist_ok=True)
        for folder in staged.iterdir():
            os.replace(folder, tree / folder.name)

    sales.__annotations__["context"] = dg.AssetExecutionContext
    policy = dg.BackfillPolicy.single_run()
    made = dg.Definitions([dg.asset(partitions_def=partitions, backfill_policy=policy)(sales)])
    return over_days(task, made, days, one_run, tree)


def over_days(task: Task, made: dg.Definitions, days: int, one_run: bool, tree: Path) -> Callable[[], Any]:
    """Run the asset of some definitions over the days of a year, in this process."""
    home = task.work / "home"
    home.mkdir()
    instance = dg.DagsterInstance.local_temp(str(home))
    job = made.resolve_implicit_global_asset_job_def()
    keys = [f"{datetime(2024, 1, 1, tzinfo=UTC) + timedelta(days=day):%Y-%m-%d}" for day in range(days)]
    key = dg.AssetKey("sales")

    def run() -> Any:
        if one_run:
            tags = {
                "dagster/asset_partition_range_start": keys[0],
                "dagster/asset_partition_range_end": keys[-1],
            }
            assert job.execute_in_process(instance=instance, asset_selection=[key], tags=tags).success
        else:
            for day in keys:
                assert job.execute_in_process(
                    instance=instance, asset_selection=[key], partition_key=day
                ).success
        columns = ["sale_id", "total", "net", "weekday", "is_large", "customer_name"]
        return pl.scan_parquet(tree / "**" / "*.parquet").select(columns).collect

    return run
