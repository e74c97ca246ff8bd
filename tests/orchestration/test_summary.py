from __future__ import annotations

import io
from types import SimpleNamespace

import pytest
from rich.console import Console

from aligned_dagster.orchestration.progress import RunProgress, print_summary
from aligned_dagster.orchestration.summary import AssetSummary, FailedCheck, RunSummary
from aligned_dagster.request.progress import told


@pytest.fixture
def console():
    return Console(file=io.StringIO(), width=200)


def of(check, *, blocks=False, quarantine="q/1.parquet"):
    return FailedCheck("town", check, f"{check}: 2 of 8 rows break it.", blocks, quarantine, 8)


def test_where_rows_were_kept_aside_is_told_once(console):
    town = AssetSummary("town", "published", rows=4, aside={"q/1.parquet": 4})
    print_summary(console, RunSummary(assets={"town": town}, checks=[of("a"), of("b")]))

    told = [
        line.strip() for line in console.file.getvalue().splitlines() if line.startswith(("warn", "aside"))
    ]
    assert told == [
        "warning  town: a: 2 of 8 rows break it.",
        "warning  town: b: 2 of 8 rows break it.",
        "aside    town: 4 of 8 rows kept in q/1.parquet",
    ]


def test_data_that_are_unacceptably_old_failed_and_older_ones_are_a_warning(console):
    old = [
        FailedCheck("town", "freshness", "The newest row is old.", False, None, warns=w)
        for w in (True, False)
    ]
    summary = RunSummary(assets={"town": AssetSummary("town", "published")}, checks=old)
    print_summary(console, summary)

    told = [line.split()[0] for line in console.file.getvalue().splitlines() if "is old" in line]
    assert told == ["warning", "failed"]
    assert summary.success


def test_where_bad_rows_are_is_told_with_the_first_rule_that_blocks(console):
    town = AssetSummary("town", "failed")
    checks = [of("a"), of("b", blocks=True), of("c", blocks=True)]
    print_summary(console, RunSummary(assets={"town": town}, checks=checks))

    told = [line.strip() for line in console.file.getvalue().splitlines() if "town: " in line]
    assert told == [
        "warning  town: a: 2 of 8 rows break it.",
        "blocked  town: b: 2 of 8 rows break it. Bad rows: q/1.parquet",
        "blocked  town: c: 2 of 8 rows break it.",
    ]


@pytest.mark.parametrize(("steps", "words"), [(1, "1 step"), (2, "2 steps")])
def test_one_step_is_no_steps(console, steps, words):
    run = RunSummary()
    for number in range(steps):
        run.expect(f"step_{number}", [f"town_{number}"])
    RunProgress(console).begin(run)

    assert console.file.getvalue() == f"Materialising {words}\n"


def test_a_bar_tells_what_is_done_in_a_step():
    console = Console(file=io.StringIO(), width=100, force_terminal=True, color_system=None)
    run = RunSummary()
    run.expect("town", ["town"])
    with RunProgress(console) as shown:
        shown.begin(run)
        told("before any step")
        shown.show(SimpleNamespace(step_key="town", is_step_start=True), run)
        told("12 partitions written [of 30]")
        shown._bar.refresh()
    told("after the run")
    text = console.file.getvalue()
    assert "town: 12 partitions written [of 30]" in text
    assert "before any step" not in text and "after the run" not in text
