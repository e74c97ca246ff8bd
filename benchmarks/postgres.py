"""PostgreSQL: reading, writing and point-in-time features, beside bare ADBC and beside fetching the table.

Each cell is a fresh process that takes the time from before it connects until the answer is there, imports apart. The
cells take turns, and the medians count. Before that, the answers of all ways are compared.

    make bench
"""

from __future__ import annotations

import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import polars as pl
from polars.testing import assert_frame_equal

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
from tools.servers.postgres import PostgresServer

ROWS, HISTORY, ENTITIES, FACTS, REPEATS = 2_000_000, 5_000_000, 500_000, 10_000, 5
WRITES = ("write", "overwrite")
RESULT = Path(__file__).parent / "results" / "postgres.md"
VARIABLE = "BENCHMARK_DB_URL"
DATABASE = PostgreSQLConfig(env_var=VARIABLE)
START = datetime(2024, 1, 1, tzinfo=UTC)


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


def orders(rows: int = ROWS) -> pl.DataFrame:
    """The rows that are read and written."""
    n = pl.int_range(rows, dtype=pl.Int64)
    placed = pl.lit(START).dt.cast_time_unit("us") + pl.duration(seconds=n)
    return pl.select(
        order_id=n,
        placed=placed,
        shop=(n * 7919 % 500).cast(pl.Int32),
        lines=(n % 13).cast(pl.Int16),
        amount=(n * 104729 % 99_991) / 100,
        discount=(n % 17) / 17,
        paid=n % 3 == 0,
        day=placed.dt.date(),
        customer=pl.format("customer-{}", n * 31 % 100_003),
        status=pl.lit(pl.Series(["open", "sent", "lost"])).gather((n % 3).cast(pl.UInt32)),
    )


def history(rows: int = HISTORY) -> pl.DataFrame:
    """Ten times of each sensor, in the order in which they came."""
    n = pl.int_range(rows, dtype=pl.Int64)
    return pl.select(
        sensor=n * 7919 % ENTITIES,
        at=pl.lit(START).dt.cast_time_unit("us") + pl.duration(seconds=n),
        level=(n * 104729 % 99_991) / 100,
        speed=(n % 17) / 17,
        count=(n % 1000).cast(pl.Int32),
        state=pl.format("state-{}", n % 7),
    )


def facts() -> pl.DataFrame:
    """Keys, some of them unknown, each with a time within the history."""
    n = pl.int_range(FACTS, dtype=pl.Int64)
    return pl.select(
        sensor=n * 7907 % (ENTITIES + 500),
        at=pl.lit(START).dt.cast_time_unit("us") + pl.duration(seconds=n * 65_537 % HISTORY),
    )


def _view(contract: Any) -> FeatureView[Any]:
    """A contract as what it is: mypy does not see what a class decorator returns."""
    assert isinstance(contract, FeatureView)
    return contract


def _connect() -> Any:
    from adbc_driver_postgresql import dbapi

    return dbapi.connect(os.environ[VARIABLE])


def _fetched(sql: str) -> pl.DataFrame:
    with _connect() as connection, connection.cursor() as cursor:
        cursor.execute(sql)
        frame = pl.from_arrow(cursor.fetch_arrow_table())
    assert isinstance(frame, pl.DataFrame)
    return frame


def _executed(*statements: str) -> None:
    with _connect() as connection, connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)
        connection.commit()


def _ingested(table: str, frame: pl.DataFrame, mode: str) -> None:
    with _connect() as connection, connection.cursor() as cursor:
        cursor.adbc_ingest(table, frame.to_arrow(), mode=mode)
        connection.commit()


def _joined_here(_: pl.DataFrame | None) -> pl.DataFrame:
    rows = _fetched("SELECT sensor, at, level, speed, count, state FROM history").sort("at")
    asked = facts().with_row_index("place").sort("at")
    found = asked.join_asof(rows, on="at", by="sensor", check_sortedness=False)
    return found.sort("place").drop("place")


def _fetched_by_contract(_: pl.DataFrame | None) -> pl.DataFrame:
    from aligned_dagster.sources.sql import point_in_time

    point_in_time.FEW_ROWS = sys.maxsize  # every table is one of few rows, which are fetched
    return _view(History).query().features_for(facts()).collect()


def _joined_without_key(_: pl.DataFrame | None) -> pl.DataFrame:
    query = _view(History).query().using_source(DATABASE.table("history_without_key"))
    return query.features_for(facts()).collect()


def _insert_by_source(frame: pl.DataFrame | None) -> None:
    assert frame is not None
    DATABASE.table("written").insert(frame.lazy(), _view(Orders).stored_request)


def _insert_by_contract(frame: pl.DataFrame | None) -> None:
    _view(Orders).query().insert(frame)


def _overwrite_by_source(frame: pl.DataFrame | None) -> None:
    assert frame is not None
    DATABASE.table("written").overwrite(frame.lazy(), _view(Orders).stored_request)


def _overwrite_by_contract(frame: pl.DataFrame | None) -> None:
    _view(Orders).query().overwrite(frame)


def _overwrite_bare(frame: pl.DataFrame | None) -> None:
    assert frame is not None
    with _connect() as connection, connection.cursor() as cursor:
        cursor.execute("DELETE FROM written")
        cursor.adbc_ingest("written", frame.to_arrow(), mode="append")
        connection.commit()


def _insert_bare(frame: pl.DataFrame | None) -> None:
    assert frame is not None
    _ingested("written", frame, "append")


Way = Callable[[pl.DataFrame | None], pl.DataFrame | None]
GROUPS: Mapping[str, Mapping[str, Way]] = {
    f"read {ROWS:,} rows x 10 columns": {
        "bare ADBC": lambda _: _fetched("SELECT * FROM orders"),
        "contract": lambda _: _view(Orders).query().using_source(DATABASE.table("orders")).all().collect(),
    },
    f"write {ROWS:,} rows x 10 columns": {
        "bare ADBC": _insert_bare,
        "source (spooled, locked, one transaction)": _insert_by_source,
        "contract (audited too)": _insert_by_contract,
    },
    f"overwrite {ROWS:,} rows x 10 columns, with a primary key": {
        "bare ADBC, DELETE and ingest": _overwrite_bare,
        "source (spooled, locked, one transaction)": _overwrite_by_source,
        "contract (audited too)": _overwrite_by_contract,
    },
    f"{FACTS:,} facts over {HISTORY:,} rows": {
        "bare ADBC, whole table, join_asof": _joined_here,
        "contract, whole table": _fetched_by_contract,
        "contract, joined by the server": lambda _: _view(History).query().features_for(facts()).collect(),
        "contract, joined by the server without an index": _joined_without_key,
    },
}


def cell(group: str, way: str, answer: str) -> None:
    """Run one way once, and tell the seconds; the answer goes to a file, where one is named."""
    import adbc_driver_postgresql.dbapi  # noqa: F401  # its import is not what is measured
    import pyarrow  # noqa: F401  # nor is this

    frame = orders() if group.startswith(WRITES) else None
    began = time.perf_counter()
    found = GROUPS[group][way](frame)
    seconds = time.perf_counter() - began
    if found is not None and answer:
        found.write_parquet(answer)
    sys.stdout.write(f"{seconds}\n")


def run(group: str, way: str, answer: Path | None = None) -> float:
    """Seconds of one way, in a process of its own."""
    if group.startswith("write"):
        _executed("DROP TABLE IF EXISTS written", "CREATE TABLE written (LIKE orders)")
    elif group.startswith("overwrite"):
        _executed(
            "DROP TABLE IF EXISTS written",
            "CREATE TABLE written AS SELECT * FROM orders",
            "ALTER TABLE written ADD PRIMARY KEY (order_id, placed)",
        )
    command = [sys.executable, "-m", "benchmarks.postgres", "cell", group, way, str(answer or "")]
    told = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    return float(told.split()[-1])


def check_answers(folder: Path) -> None:
    """Raise if two ways do not give the same rows in the same order."""
    for group, ways in GROUPS.items():
        wanted: pl.DataFrame | None = None
        for way in ways:
            file = folder / "answer.parquet"
            run(group, way, file)
            written = group.startswith(WRITES)
            found = _fetched("SELECT * FROM written") if written else pl.read_parquet(file)
            if group.startswith(("read", *WRITES)):
                found = found.sort("order_id")
            wanted = found if wanted is None else wanted
            assert_frame_equal(found, wanted, check_exact=True, check_column_order=False)
        assert wanted is not None
        sys.stdout.write(f"{group}: {len(ways)} ways, the same {wanted.height:,} rows\n")


def table(measured: Mapping[tuple[str, str], list[float]]) -> str:
    """The medians as a Markdown table."""
    lines = ["| | way | seconds (min - max) | ratio |", "|---|---|---|---|"]
    for group, ways in GROUPS.items():
        base = statistics.median(measured[group, next(iter(ways))])
        for way in ways:
            times = measured[group, way]
            middle = statistics.median(times)
            spread = f"{middle:.2f} ({min(times):.2f} - {max(times):.2f})"
            lines.append(f"| {group} | {way} | {spread} | {middle / base:.2f} |")
    return "\n".join(lines)


def main() -> None:
    """Load the tables, compare the answers, measure, and write the result."""
    with PostgresServer() as server, tempfile.TemporaryDirectory() as folder:
        os.environ[VARIABLE] = server.new_database()
        _ingested("orders", orders(), "create")
        _ingested("history", history(), "create")
        _executed(
            "CREATE TABLE history_without_key AS SELECT * FROM history",
            "ALTER TABLE history ADD PRIMARY KEY (sensor, at)",
            "ANALYZE",
        )
        check_answers(Path(folder))
        [(found,)] = server.execute("SELECT current_setting('server_version')")
        measured: dict[tuple[str, str], list[float]] = {}
        for _ in range(REPEATS):
            for group, ways in GROUPS.items():
                for way in ways:
                    measured.setdefault((group, way), []).append(run(group, way))
    used = ", ".join(f"{name} {version(name)}" for name in ("polars", "adbc-driver-postgresql"))
    text = (
        f"# PostgreSQL\n\nMedians of {REPEATS} interleaved repeats, each in a fresh process, connecting included. "
        f"PostgreSQL {found} on the same machine, fsync off; {used}, Python {platform.python_version()}, "
        f"{os.cpu_count()} cores; {datetime.now(UTC):%Y-%m-%d}. The ratio is that to the first way of each group; "
        f"the answers of all ways of a group are equal. `make bench` makes this file.\n\n{table(measured)}\n"
    )
    RESULT.parent.mkdir(parents=True, exist_ok=True)
    RESULT.write_text(text, encoding="utf-8")
    sys.stdout.write(text)


if __name__ == "__main__":
    if sys.argv[1:2] == ["cell"]:
        cell(*sys.argv[2:5])
    else:
        main()
