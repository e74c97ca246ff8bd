"""PostgreSQL: reading, writing and point-in-time features, beside bare ADBC and beside fetching the table."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks.cells.by_hand_postgres import VARIABLE, executed, history, ingested, orders
from benchmarks.data import CACHE
from benchmarks.workload import Goal, Group, Way, Workload
from tools.servers.postgres import PostgresServer


def _sizes(quick: bool) -> tuple[int, int, int]:
    return (200_000, 500_000, 1_000) if quick else (2_000_000, 5_000_000, 10_000)


@contextmanager
def _serving(quick: bool) -> Iterator[None]:
    rows, past, _ = _sizes(quick)
    with PostgresServer() as server:
        os.environ[VARIABLE] = server.new_database()
        ingested("orders", orders(rows), "create")
        ingested("history", history(past), "create")
        executed(
            "CREATE TABLE history_without_key AS SELECT * FROM history",
            "ALTER TABLE history ADD PRIMARY KEY (sensor, at)",
            "ANALYZE",
        )
        yield


def _groups(quick: bool) -> list[Group]:
    rows, past, facts = _sizes(quick)
    writing = (
        Way("bare ADBC", "by_hand_postgres:write"),
        Way("contracts' source (spooled, locked, one transaction)", "contracts_postgres:write_by_source"),
        Way("contracts", "contracts_postgres:write"),
    )
    reading = (Way("bare ADBC", "by_hand_postgres:read"), Way("contracts", "contracts_postgres:read"))
    joining = (
        Way("bare ADBC, whole table, join_asof", "by_hand_postgres:joined"),
        Way("contracts, whole table", "contracts_postgres:joined", args={"fetch": True}),
        Way("contracts", "contracts_postgres:joined"),
        Way("contracts, no index", "contracts_postgres:joined", args={"table": "history_without_key"}),
    )
    size = f"{rows:,} rows x 10 columns"
    return [
        Group(f"read {size}", reading, CACHE, {"rows": rows}),
        Group(f"write {size}", writing, CACHE, {"rows": rows, "full": False}),
        Group(f"overwrite {size}, with a primary key", writing, CACHE, {"rows": rows, "full": True}),
        Group(f"{facts:,} facts over {past:,} rows", joining, CACHE, {"facts": facts, "history": past}),
    ]


WORKLOAD = Workload(
    "postgres",
    "PostgreSQL",
    "A server of PostgreSQL 18 on the same machine, fsync off, connecting included. Bare ADBC overwrites by DELETE and "
    "ingest. A contract's rows are audited before they are sent. Features are joined by the server, where that pays.",
    _groups,
    (Goal(1.1),),
    _serving,
)
