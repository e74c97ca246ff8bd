"""Benchmarks at reduced size: right answers, and costs that grow as the work does. Nothing here looks at a clock.

Costs are counted in files that are opened, bytes that are sent, queries that are run and lines that are executed.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from aligned_dagster import ContractStore, publish
from benchmarks import __main__, answers, plot, report
from benchmarks.cell import Task
from benchmarks.cells import (
    by_hand_point_in_time,
    by_hand_trees,
    by_hand_view,
    contracts_point_in_time,
    contracts_trees,
    contracts_view,
)
from benchmarks.running import Cell, Measured, measure
from benchmarks.workload import Goal, Group, Way, Workload
from benchmarks.workloads import WORKLOADS, definitions, point_in_time, sales, trees
from tests.sources.opened import opened


def task(folder: Path, name: str, **args: Any) -> Task:
    work = folder / name
    work.mkdir()
    return Task(folder, work, args)


def answer(told: Any) -> str:
    value = told() if callable(told) else told
    if isinstance(value, pl.DataFrame):
        return answers.checksum_of(value.lazy())
    return answers.checksum(value) if isinstance(value, Path) else str(value)


@contextmanager
def lines_run() -> Iterator[list[int]]:
    """How many calls of Python functions the block makes: the same on a slow machine as on a quick one."""
    calls = [0]

    def count(frame: Any, event: str, argument: Any) -> None:
        if event == "call":
            calls[0] += 1

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        yield calls
    finally:
        sys.setprofile(before)


def calls_of(work: Callable[[], object]) -> int:
    with lines_run() as calls:
        work()
    return calls[0]


def test_a_view_is_the_same_rows_as_by_hand(tmp_path: Path) -> None:
    sales.make(tmp_path, 5_000)
    by_hand = by_hand_view.sink(task(tmp_path, "by_hand"))()
    ours = contracts_view.published(task(tmp_path, "ours"))()
    assert answer(ours) == answer(by_hand)


def test_an_audit_counts_what_one_select_counts(tmp_path: Path) -> None:
    sales.make(tmp_path, 5_000)
    stored = tmp_path / "sales.parquet"
    rows = pl.read_parquet(stored).with_columns(quantity=pl.lit(13, pl.Int32), price=pl.lit(-1.0))
    rows.write_parquet(stored)
    ours = contracts_view.audited(task(tmp_path, "ours", in_memory=False))()
    assert ours == by_hand_view.check(task(tmp_path, "by_hand", in_memory=True))() == 10_000


@pytest.mark.parametrize("new", ["new.parquet", "late.parquet"])
def test_an_upsert_is_the_same_rows_as_by_hand(tmp_path: Path, new: str) -> None:
    trees.make(tmp_path, 2_000, 20)
    by_hand = by_hand_trees.upsert(task(tmp_path, "by_hand", new=new))()
    ours = contracts_trees.upsert(task(tmp_path, "ours", new=new))()
    assert answer(ours) == answer(by_hand)


def test_one_partition_is_read_by_itself(tmp_path: Path) -> None:
    trees.make(tmp_path, 2_000, 40)
    by_hand = by_hand_trees.one_file(task(tmp_path, "by_hand", part=17))()
    ours = contracts_trees.one_partition(task(tmp_path, "ours", part=17))
    with opened(tmp_path / "stored") as files:
        found = ours()
    assert answer(found) == answer(by_hand)
    assert {file.parent.name for file in files} <= {
        "part=0",
        "part=17",
    }  # the first one tells the stored columns


def test_partitions_that_are_not_wanted_cost_no_bytes(tmp_path: Path) -> None:
    sizes = []
    for number, parts in ((2_000, 40), (4_000, 80)):
        folder = tmp_path / f"{parts}"
        folder.mkdir()
        trees.make(folder, number, parts)
        ours = contracts_trees.one_partition(task(folder, "ours", part=17))
        with opened(folder / "stored") as files:
            assert ours().height == number // parts
        sizes.append((len(files), sum(file.stat().st_size for file in files)))
    (few, less), (many, more) = sizes
    assert many == few
    assert more == pytest.approx(less, rel=0.05)


def test_an_upsert_writes_only_the_partitions_that_change(tmp_path: Path) -> None:
    trees.make(tmp_path, 4_000, 80)
    asked = task(tmp_path, "ours", new="late.parquet")
    ours = contracts_trees.upsert(asked)
    tree = asked.work / "tree"
    before = {file: file.stat().st_ino for file in tree.rglob("*.parquet")}
    ours()
    kept = {file.parent.name for file in tree.rglob("*.parquet") if before.get(file) == file.stat().st_ino}
    assert kept == {f"part={n}" for n in range(76)}


@pytest.mark.parametrize("order", ["in_order", "in_none"])
def test_features_are_those_by_hand(tmp_path: Path, order: str) -> None:
    point_in_time.make(tmp_path, 500, 4_000, 800, 2, False)
    views = 2 if order == "in_order" else 1
    asked = {"order": order, "views": views}
    by_hand = by_hand_point_in_time.joined(task(tmp_path, "by_hand", engine="in-memory", **asked))()
    duckdb = by_hand_point_in_time.joined_by_duckdb(task(tmp_path, "duckdb", **asked))()
    ours = contracts_point_in_time.joined(task(tmp_path, "ours", **asked))()
    assert answer(ours) == answer(by_hand) == answer(duckdb)


def test_a_publish_is_as_many_calls_for_many_rows_as_for_few(tmp_path: Path) -> None:
    counts: list[int] = []
    for rows in (1_000, 1_000, 64_000):  # the first one imports and caches
        folder = tmp_path / f"{len(counts)}"
        folder.mkdir()
        sales.make(folder, rows)
        view = contracts_view.sales(folder, folder / "out.parquet")
        counts.append(calls_of(lambda view=view: publish(view)))  # type: ignore[misc]
    _, few, many = counts
    assert many <= few * 1.1


def test_twice_as_many_contracts_are_at_most_twice_the_calls(tmp_path: Path) -> None:
    counts: list[int] = []
    for number in (5, 40, 80):  # the first one imports and caches
        folder = tmp_path / f"of_{number}"
        folder.mkdir()
        definitions.make(folder, number)
        counts.append(calls_of(lambda folder=folder: _built(folder)))  # type: ignore[misc]
    _, few, many = counts
    assert many <= few * 2.1


def _built(folder: Path) -> None:
    from aligned_dagster.orchestration import build_definitions

    store = ContractStore.discover(str(folder / "contracts" / "*.py"))
    build_definitions(store).get_repository_def()


def test_a_checksum_knows_rows_and_no_order() -> None:
    frame = pl.LazyFrame({"a": [1, 2, 3], "b": ["x", None, "z"]})
    known = answers.checksum_of(frame)
    assert answers.checksum_of(frame.reverse().select("b", "a")) == known
    assert answers.checksum_of(frame.with_columns(pl.col("a").reverse())) != known
    assert answers.checksum_of(frame.head(2)) != known
    assert answers.checksum_of(pl.concat([frame, frame.head(1)])) != known


def test_a_wrong_answer_is_no_result(tmp_path: Path) -> None:
    ways = tuple(Way(f"{size}", "by_hand_trees:one_file", args={"part": size}) for size in (1, 2))
    trees.make(tmp_path, 60, 3)
    group = Group("one of three partitions", (*ways, Way("broken", "by_hand_trees:missing")), tmp_path)
    workload = Workload("tiny", "Tiny", "Nothing much.", lambda quick: [group], (Goal(1e9, way="1"),))
    told: list[str] = []
    measured = measure(workload, quick=True, repeats=2, tell=told.append)
    right, wrong, broken = measured.cells
    assert not right.failure
    assert len(right.seconds) == 2
    assert wrong.failure.startswith("wrong answer: 20 rows")
    assert broken.failure.startswith("failed: AttributeError")
    assert Measured.from_json(measured.to_json()) == measured
    page = report.page(workload, measured, "tiny.svg")
    assert "| one of three partitions | 2 | wrong answer: 20 rows" in page
    assert "**1.00**, kept" in page
    assert plot.bars(measured, "Tiny").count("<rect") == 2  # the ground, and the one bar


def test_goals_are_told_as_kept_or_not() -> None:
    cells = [Cell("rows", "by hand", [2.0], [2.0], [100.0]), Cell("rows", "contracts", [3.0], [2.2], [90.0])]
    goals = (
        Goal(1.25),
        Goal(1.25, figure="cpu"),
        Goal(95, figure="peak", absolute=True),
        Goal(1.0, base="gone"),
    )
    workload = Workload("tiny", "Tiny", "", lambda quick: [], goals)
    found = report.goals(workload, Measured("tiny", cells, "a machine", [0.0], 1))
    assert [(round(value, 2), kept) for _, value, kept in found] == [(1.5, False), (1.1, True), (90.0, True)]


def test_a_peer_that_is_given_up_took_at_least_as_long(tmp_path: Path) -> None:
    trees.make(tmp_path, 60, 3)
    group = Group("slow", (Way("peer", "by_hand_trees:one_file"),), tmp_path, most_seconds=0.001)
    (slow,) = measure(
        Workload("tiny", "", "", lambda quick: [group]), quick=True, repeats=2, tell=print
    ).cells
    assert slow.failure == "failed: not done after 0.001 s"
    goals = (Goal(0.2, base="peer"), Goal(0.2, base="peer", figure="cpu"))
    workload = Workload("tiny", "Tiny", "", lambda quick: [], goals)
    ours = Cell("slow", "contracts", [0.0001], [1.0], [100.0])
    found = report.goals(workload, Measured("tiny", [slow, ours], "a machine", [0.0], 1))
    assert found == [
        ("slow: seconds of contracts <= 0.2 x peer (not done after 0.001 s)", pytest.approx(0.1), True)
    ]


def test_the_command_measures_one_workload_by_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    trees.make(tmp_path, 60, 3)
    ways = (Way("by hand", "by_hand_trees:one_partition"), Way("contracts", "contracts_trees:one_partition"))
    group = Group("one of three partitions", ways, tmp_path, {"part": 1})
    monkeypatch.setitem(WORKLOADS, "tiny", Workload("tiny", "Tiny", "Small.", lambda quick: [group]))
    assert __main__.main(["tiny", "--quick", "--results", str(tmp_path / "results")]) == 0
    assert {file.name for file in (tmp_path / "results").iterdir()} == {
        "README.md",
        "tiny.json",
        "tiny.md",
        "tiny.svg",
    }
    assert "[Tiny](tiny.md)" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        __main__.main(["unheard"])
