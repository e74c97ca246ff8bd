"""Contracts on sales: a view that is published, as a call and as an asset, and an audit."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl

from aligned_dagster import (
    ContractStore,
    EventTimestamp,
    FeatureView,
    FileSource,
    Float,
    Int32,
    Int64,
    String,
    feature_view,
    publish,
)
from benchmarks.cell import Task
from benchmarks.cells.by_hand_view import COUNTRIES, STATES


class Stored:
    """What is stored of a sale, and its ten rules."""

    sale_id = Int64().as_entity().lower_bound(0)
    sold_at = EventTimestamp()
    customer = String().validate_starts_with("customer-")
    country = String().accepted_values(COUNTRIES)
    state = String().accepted_values(STATES)
    quantity = Int32().lower_bound(1).upper_bound(12)
    price = Float().lower_bound(0).upper_bound(1000)
    discount = Float().lower_bound(0).upper_bound(0.5)


class Derived(Stored):
    """The five columns that are derived."""

    total = Stored.price * Stored.quantity
    net = Stored.price * Stored.quantity * (1 - Stored.discount)
    weekday = Stored.sold_at.weekday()
    is_large = Stored.price >= 500
    customer_name = Stored.customer.to_uppercase()


def sales(data: Path, out: Path) -> FeatureView[Any]:
    """The contract, from the rows of a directory to a file."""
    source = FileSource.parquet_at(data / "sales.parquet")
    view: Any = feature_view(
        name="sales",
        source=source,
        materialized_source=FileSource.parquet_at(out),
        contacts=["bench@example.com"],
    )(type("Sales", (Derived,), {}))
    assert isinstance(view, FeatureView)
    return view


def published(task: Task) -> Callable[[], Any]:
    """Compute, audit, publish."""

    def run() -> Any:
        out = task.work / "out.parquet"
        publish(sales(task.data, out))
        return out

    return run


def asset(task: Task) -> Callable[[], Any]:
    """The same as an asset that Dagster runs in this process."""
    import dagster as dg

    from aligned_dagster.orchestration import build_definitions

    def run() -> Any:
        out = task.work / "out.parquet"
        definitions = build_definitions(ContractStore([sales(task.data, out)]))
        with dg.DagsterInstance.ephemeral() as instance:
            job = definitions.resolve_implicit_global_asset_job_def()
            job.execute_in_process(instance=instance, asset_selection=[dg.AssetKey("sales")])
        return out

    return run


def audited(task: Task) -> Callable[[], Any]:
    """The audit alone, of the stored columns."""
    source = task.data / "sales.parquet"
    view: Any = feature_view(name="sales", source=FileSource.parquet_at(source))(type("Sales", (Stored,), {}))
    frame = pl.read_parquet(source).lazy() if task.args["in_memory"] else None

    def run() -> Any:
        from aligned_dagster.quality.audit import audit

        rows = view.read() if frame is None else frame
        report = audit(rows, view.stored_request.schema, contract="sales")
        return sum(outcome.broken for outcome in report.outcomes)

    return run


def tree(task: Task) -> Callable[[], Any]:
    """Compute, audit, and publish into many partitions."""

    def run() -> Any:
        out = task.work / "tree"
        decorate: Any = feature_view(
            name="sales",
            source=FileSource.parquet_at(task.data / "sales.parquet"),
            materialized_source=FileSource.partitioned_parquet_at(out, ["part"]),
        )
        publish(decorate(type("Sales", (Derived,), {"part": Derived.sale_id % task.args["parts"]})))
        return out

    return run
