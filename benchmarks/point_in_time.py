"""Features of one view and of five views for the same facts, beside `join_asof(by=)` written by hand.

By hand is what people write: facts and rows sorted by time, then one as-of join after the other, in either engine of
polars. The contracts also check the stored types, and give the rows in the order of the facts. Each cell is a fresh
process that takes the time from the scan until the answer is there, imports apart, and tells the most memory that it
held. The cells take turns, and the medians count. Before that, row counts and checksums of all ways are compared.

    make bench            (QUICK=1: a tenth of the rows, two repeats)
"""

from __future__ import annotations

import os
import platform
import resource
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

from aligned_dagster import ContractStore, EventTimestamp, FileSource, Float, Int64, feature_view

QUICK = os.environ.get("QUICK") == "1"
FACTS, ROWS, ENTITIES, REPEATS = (
    (100_000, 1_000_000, 20_000, 2) if QUICK else (1_000_000, 10_000_000, 200_000, 5)
)
VIEWS = 5
RESULT = Path(__file__).parent / "results" / "point_in_time.md"
START = datetime(2024, 1, 1, tzinfo=UTC)


class _Columns:
    """What every view has: five features of an account at a time."""

    account = Int64().as_entity()
    at = EventTimestamp()
    balance = Float()
    share = Float()
    visits = Int64()
    rate = Float()
    clicks = Int64()


FEATURES = ("balance", "share", "visits", "rate", "clicks")


def make(folder: Path) -> None:
    """Write facts, and the rows of every view: in the order of time, and of the first also in none."""
    n = pl.int_range(ROWS, dtype=pl.Int64)
    start = pl.lit(START).dt.cast_time_unit("us")
    for view in range(VIEWS):
        rows = pl.select(
            account=(n * 7919 + view * 31) % ENTITIES,
            at=start + pl.duration(microseconds=n * 3_000_000 + view),
            balance=(n * 104_729 % 99_991) / 100,
            share=(n % 17) / 17,
            visits=n % 1000,
            rate=(n * 31 % 7919) / 3,
            clicks=n % 12_345,
        )
        rows.write_parquet(folder / f"in_order_{view}.parquet")
        if view == 0:
            rows.sample(fraction=1.0, shuffle=True, seed=0).write_parquet(folder / f"in_none_{view}.parquet")
    f = pl.int_range(FACTS, dtype=pl.Int64)
    facts = pl.select(
        account=f * 7907 % (ENTITIES + ENTITIES // 400),
        at=start + pl.duration(seconds=f * 65_537 * 30 % (ROWS * 3)),
        label=f % 2,
        weight=(f % 101) / 3,
    )
    facts.write_parquet(folder / "facts.parquet")


def by_contract(folder: Path, order: str, views: int) -> pl.DataFrame:
    """The store's answer."""
    contracts: list[Any] = [
        feature_view(name=f"view_{view}", source=FileSource.parquet_at(folder / f"{order}_{view}.parquet"))(
            type(f"View{view}", (_Columns,), {})
        )
        for view in range(views)
    ]
    features = {f"{name}_{view}": f"view_{view}:{name}" for view in range(views) for name in FEATURES}
    facts = pl.scan_parquet(folder / "facts.parquet")
    return ContractStore(contracts).features_for(facts, features, "at").collect()


def by_hand(engine: Any) -> Callable[[Path, str, int], pl.DataFrame]:
    """One as-of join after the other."""

    def joined(folder: Path, order: str, views: int) -> pl.DataFrame:
        facts = pl.scan_parquet(folder / "facts.parquet").sort("at")
        for view in range(views):
            rows = pl.scan_parquet(folder / f"{order}_{view}.parquet").sort("at")
            rows = rows.rename({name: f"{name}_{view}" for name in FEATURES})
            facts = facts.join_asof(rows, on="at", by="account", check_sortedness=False)
        return facts.collect(engine=engine)

    return joined


WAYS: Mapping[str, Callable[[Path, str, int], pl.DataFrame]] = {
    "by hand, join_asof(by=)": by_hand("in-memory"),
    "by hand, streaming engine": by_hand("streaming"),
    "contracts": by_contract,
}
GROUPS: Mapping[str, tuple[str, int]] = {
    "one view, stored in the order of time": ("in_order", 1),
    "one view, stored in no order": ("in_none", 1),
    "five views, stored in the order of time": ("in_order", 5),
}


def cell(folder: str, group: str, way: str) -> None:
    """Run one way once, and tell seconds, seconds of the processors, the peak in bytes, and the answer's checksum."""
    order, views = GROUPS[group]
    began = time.perf_counter()
    found = WAYS[way](Path(folder), order, views)
    seconds = time.perf_counter() - began
    used = resource.getrusage(resource.RUSAGE_SELF)
    # Not ru_maxrss, which a process takes over from the one that started it.
    status = Path("/proc/self/status").read_text(encoding="ascii")
    peak = next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM"))
    names = [f"{name}_{view}" for view in range(views) for name in FEATURES]
    sums = found.select(
        pl.len().alias("rows"),
        pl.col(names).null_count().name.suffix(" null"),
        # Weighted by the fact, so that values in the wrong rows make another sum.
        *((pl.col(name) * (pl.col("weight") + 1)).sum().round(1).alias(name) for name in names),
    )
    checksum = "|".join(str(value) for value in sums.row(0))
    processors = used.ru_utime + used.ru_stime
    sys.stdout.write(f"{seconds}\t{processors}\t{peak}\t{checksum}\n")


def run(folder: Path, group: str, way: str) -> tuple[list[float], str]:
    """Seconds, seconds of the processors and peak of one way in a process of its own, and the checksum."""
    command = [sys.executable, "-m", "benchmarks.point_in_time", "cell", str(folder), group, way]
    told = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    *figures, checksum = told.strip().split("\t")
    return [float(figure) for figure in figures], checksum


def check_answers(folder: Path) -> None:
    """Raise if two ways do not give the same rows."""
    for group in GROUPS:
        answers = {way: run(folder, group, way)[1] for way in WAYS}
        if len(set(answers.values())) != 1:
            raise AssertionError(f"{group}: {answers}")
        sys.stdout.write(f"{group}: {len(answers)} ways, the same answer\n")
        sys.stdout.flush()


def table(measured: Mapping[tuple[str, str], list[list[float]]]) -> str:
    """The medians as a Markdown table."""
    lines = [
        "| | way | seconds (min - max) | ratio | processor seconds | ratio | peak GB | ratio |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for group in GROUPS:
        medians = {
            way: [statistics.median(one) for one in zip(*measured[group, way], strict=True)] for way in WAYS
        }
        base = medians[next(iter(WAYS))]
        for way, (seconds, processors, peak) in medians.items():
            times = [one[0] for one in measured[group, way]]
            lines.append(
                f"| {group} | {way} | {seconds:.2f} ({min(times):.2f} - {max(times):.2f}) | {seconds / base[0]:.2f} "
                f"| {processors:.2f} | {processors / base[1]:.2f} | {peak / 1e9:.2f} | {peak / base[2]:.2f} |"
            )
    return "\n".join(lines)


def main() -> None:
    """Write the files, compare the answers, measure, and write the result."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make(folder)
        check_answers(folder)
        measured: dict[tuple[str, str], list[list[float]]] = {}
        load = [os.getloadavg()[0]]
        for _ in range(REPEATS):
            for group in GROUPS:
                for way in WAYS:
                    measured.setdefault((group, way), []).append(run(folder, group, way)[0])
            load.append(os.getloadavg()[0])
    text = (
        f"# Point in time\n\n{FACTS:,} facts over {ROWS:,} rows of {ENTITIES:,} entities in each view, five features of "
        f"each view. Medians of {REPEATS} interleaved repeats, each in a fresh process; polars {version('polars')}, "
        f"Python {platform.python_version()}, {os.cpu_count()} cores, load average {min(load):.0f} to {max(load):.0f} "
        f"while measuring; {datetime.now(UTC):%Y-%m-%d}. The ratios are those to the first way of each group; row "
        "counts, nulls and weighted sums of all ways of a group are equal. By hand the rows come in the order of "
        f"time, from the contracts in that of the facts. `make bench` makes this file.\n\n{table(measured)}\n"
    )
    if not QUICK:
        RESULT.parent.mkdir(parents=True, exist_ok=True)
        RESULT.write_text(text, encoding="utf-8")
    sys.stdout.write(text)


if __name__ == "__main__":
    if sys.argv[1:2] == ["cell"]:
        cell(*sys.argv[2:5])
    else:
        main()
