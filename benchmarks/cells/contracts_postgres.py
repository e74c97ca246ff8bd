"""Contracts on tables of PostgreSQL."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from aligned_dagster import (
    Bool,
    Date,
    EventTimestamp,
    FeatureView,
    Float,
    Int16,
    Int32,
    Int64,
    PostgreSQLConfig,
    String,
    feature_view,
)
from benchmarks.cell import Task
from benchmarks.cells.by_hand_postgres import VARIABLE, connect, facts, target, written

DATABASE = PostgreSQLConfig(env_var=VARIABLE)


@feature_view(source=DATABASE.table("orders"), materialized_source=DATABASE.table("written"))
class Orders:
    """Ten columns of the usual types; no key on the server, so that COPY is what is measured."""

    order_id = Int64().as_entity()
    placed = EventTimestamp()
    shop = Int32()
    lines = Int16()
    amount = Float()
    discount = Float()
    paid = Bool()
    day = Date()
    customer = String()
    status = String()


@feature_view(source=DATABASE.table("history"))
class History:
    """What was known of each sensor at each time; a table with a key on both, and one of the same rows without any."""

    sensor = Int64().as_entity()
    at = EventTimestamp()
    level = Float()
    speed = Float()
    count = Int32()
    state = String()


def _view(contract: Any) -> FeatureView[Any]:
    """A contract as what it is: mypy does not see what a class decorator returns."""
    assert isinstance(contract, FeatureView)
    return contract


def read(task: Task) -> Callable[[], Any]:
    """A whole table."""
    connect().close()
    return lambda: _view(Orders).query().using_source(DATABASE.table("orders")).all().collect()


def write_by_source(task: Task) -> Callable[[], Any]:
    """Rows by the source: spooled, locked, in one transaction."""
    frame, source, request = target(task).lazy(), DATABASE.table("written"), _view(Orders).stored_request
    write = source.overwrite if task.args["full"] else source.insert

    def run() -> Any:
        write(frame, request)
        return written

    return run


def write(task: Task) -> Callable[[], Any]:
    """Rows by the contract: audited too."""
    frame, query = target(task), _view(Orders).query()
    into = query.overwrite if task.args["full"] else query.insert

    def run() -> Any:
        into(frame)
        return written

    return run


def joined(task: Task) -> Callable[[], Any]:
    """Features at the time of each fact: joined by the server, or of a table that is fetched."""
    from aligned_dagster.sources.sql import point_in_time

    connect().close()
    if task.args.get("fetch"):
        point_in_time.FEW_ROWS = sys.maxsize  # every table is one of few rows, which are fetched
    query = _view(History).query().using_source(DATABASE.table(task.args.get("table", "history")))
    return lambda: query.features_for(facts(task.args["facts"], task.args["history"])).collect()
