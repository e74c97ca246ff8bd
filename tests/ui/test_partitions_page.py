from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import pytest
from playwright.sync_api import Locator, Page, expect

from .serving import STARTS_WITHIN, environ, serving

CREDITS = """credit_id,country,amount
1,norway,1200.5
2,norway,80
3,denmark,-40
4,denmark,310
5,uk,99.9
6,uk,12
7,uk,4100
"""
PLANES = """tail_number,seats,engine
N10156,55,Turbo-fan
N102UW,182,Turbo-fan
N201AA,2,Reciprocating
"""
CONTRACTS = '''\
"""Credits by country, and planes in versions of their schema."""

from aligned_dagster import FileSource, Float, Int32, String, feature_view


@feature_view(
    source=FileSource.csv_at("credits.csv"),
    materialized_source=FileSource.partitioned_parquet_at("data/credits", partition_keys=["country"]),
)
class Credits:
    """Credits that were granted, a partition for each country."""

    credit_id = Int32().as_entity()
    country = String().accepted_values(["norway", "denmark", "uk"])
    amount = Float().lower_bound(0)


@feature_view(
    source=FileSource.csv_at("planes.csv"),
    materialized_source=FileSource.directory("data").with_schema_version("planes").parquet_at("planes.parquet"),
)
class Planes:
    """Planes by their tail number."""

    tail_number = String().as_entity()
    seats = Int32()
'''
ENGINE = "    engine = String()\n"
"""A required column: it makes another version of the schema."""
ONE_BY_ONE = """\
import sys
import time

import dagster as dg

from aligned_dagster.definitions import defs

job = defs.resolve_implicit_global_asset_job_def()
with dg.DagsterInstance.get() as instance:
    for partition in sys.argv[1:]:
        time.sleep(1.1)  # SQLite dates a check by the second; one not after the last materialisation is not shown
        ended = job.execute_in_process(
            asset_selection=[dg.AssetKey("credits")],
            partition_key=partition,
            instance=instance,
            raise_on_error=False,
        )
        why = [event.event_specific_data.error.to_string() for event in ended.filter_events(lambda event: event.is_step_failure)]
        sys.stdout.write(f"<{partition}: {'published' if ended.success else why}>")
"""


@dataclass(frozen=True)
class Served:
    """A project whose UI is up, with the versions of the schema that its planes had, the older one first."""

    url: str
    project: Path
    versions: tuple[str, str]


@pytest.fixture(scope="module")
def served(chromium: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A project after a run of two of its three countries, one of them broken, and of two schema versions."""
    project = tmp_path_factory.mktemp("partitions").resolve()
    contracts = project / "contracts.py"
    contracts.write_text(CONTRACTS, "utf-8")
    (project / "credits.csv").write_text(CREDITS, "utf-8")
    (project / "planes.csv").write_text(PLANES, "utf-8")
    (project / "pyproject.toml").write_text('[tool.aligned_dagster]\ncontracts = "contracts.py"\n', "utf-8")
    (project / "dagster_home").mkdir()

    _command(project, "lock")
    _command(project, "materialize", "--select", "planes")
    older = _versions(project)
    found = _python(project, "-c", ONE_BY_ONE, "norway", "denmark")
    assert "<norway: published>" in found and "amount must be at least 0" in found.split("<denmark:")[1], (
        found
    )
    contracts.write_text(CONTRACTS + ENGINE, "utf-8")
    _command(project, "lock")

    with serving(project, "--select", "planes") as url:
        [first] = older
        [second] = _versions(project) - older
        yield Served(url, project, (first, second))


def test_partitions_are_materialised_missing_and_failed(page: Page, shot: Callable[..., None]) -> None:
    page.goto("/assets/credits")
    page.get_by_role("tab", name="Partitions").click()
    for state in ("Materialized (1)", "Failed (1)", "Missing (1)"):
        expect(page.get_by_text(state, exact=True)).to_be_visible()

    _partition(page, "norway").click()
    expect(page.get_by_text("Materialized", exact=True)).to_be_visible()
    rows = _metadata(page, "dagster/partition_row_count")
    expect(rows.get_by_role("cell", name="2", exact=True)).to_be_visible()
    expect(_metadata(page, "preview")).to_contain_text("1200.5")

    _partition(page, "uk").click()
    expect(page.get_by_text("No metadata entries")).to_be_visible()

    _partition(page, "denmark").click()
    expect(page.get_by_text("failed, and did not materialize this asset")).to_be_visible()
    expect(page.get_by_text("No metadata entries")).to_be_visible()
    shot("partitions_states")

    page.get_by_text("Materialized (1)", exact=True).click()  # the filter of states
    page.get_by_text("Failed (1)", exact=True).click()
    expect(_partition(page, "norway")).to_be_hidden()
    expect(_partition(page, "uk")).to_be_visible()


def test_why_a_partition_failed_is_on_its_check(page: Page, shot: Callable[..., None]) -> None:
    page.goto("/assets/credits?view=checks")
    page.get_by_text("amount__lower_bound", exact=True).first.click()
    expect(page.get_by_text(re.compile("^amount must be at least 0: 1 .*break"))).to_be_visible()
    expect(page.get_by_text("denmark", exact=True).first).to_be_visible()
    shot("partitions_failed_check")


def test_a_backfill_is_started_by_clicks_and_completes(
    page: Page, served: Served, shot: Callable[..., None]
) -> None:
    (served.project / "credits.csv").write_text(CREDITS.replace("-40", "40"), "utf-8")  # the rows are mended
    norway = _published(served, "norway")
    page.goto("/assets/credits?view=partitions")
    page.get_by_text("Missing (1)", exact=True).wait_for()
    page.get_by_role("button", name="Materialize").first.click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="Failed and missing", exact=True).click()
    expect(dialog.get_by_text("2 partitions")).to_be_visible()
    shot("partitions_backfill")
    dialog.get_by_role("button", name="Launch backfill").click()

    # Dagster's daemon looks for backfills every 30 s
    expect(page.get_by_text("Materialized (3)", exact=True)).to_be_visible(timeout=120_000)
    for state in ("Materializing (0)", "Failed (0)", "Missing (0)"):
        expect(page.get_by_text(state, exact=True)).to_be_visible()
    _partition(page, "uk").click()
    rows = _metadata(page, "dagster/partition_row_count")
    expect(rows.get_by_role("cell", name="3", exact=True)).to_be_visible()
    shot("partitions_backfilled")
    assert _amounts(served, "uk") == [99.9, 12.0, 4100.0]
    assert _amounts(served, "denmark") == [40.0, 310.0]
    assert _published(served, "norway") == norway


def test_schema_versions_are_partitions_side_by_side(
    page: Page, served: Served, shot: Callable[..., None]
) -> None:
    page.goto("/assets/planes?view=partitions")
    expect(page.get_by_text("Materialized (2)", exact=True)).to_be_visible()
    older, newer = served.versions

    _partition(page, older).click()
    expect(_metadata(page, "schema_version")).to_contain_text(older)
    expect(_metadata(page, "dagster/column_schema")).to_contain_text("seats")
    expect(_metadata(page, "dagster/column_schema")).not_to_contain_text("engine")
    shot("partitions_schema_older")

    _partition(page, newer).click()
    expect(_metadata(page, "schema_version")).to_contain_text(newer)
    expect(_metadata(page, "dagster/column_schema")).to_contain_text("engine")
    expect(_metadata(page, "preview")).to_contain_text("Reciprocating")
    expect(_partition(page, older)).to_be_visible()
    shot("partitions_schema_versions")

    page.get_by_text("View all historical events (1)").click()
    history = page.get_by_role("dialog")
    expect(history.get_by_text(newer).first).to_be_visible()
    shot("partitions_schema_history")
    assert _versions(served.project) == {older, newer}


def _partition(page: Page, key: str) -> Locator:
    """The partition in the list at the left."""
    return page.get_by_text(key, exact=True).first


def _metadata(page: Page, name: str) -> Locator:
    """The row of a metadata entry of the partition that is shown."""
    return page.get_by_role("row").filter(has=page.get_by_role("cell", name=name, exact=True)).first


def _published(served: Served, country: str) -> dict[str, int]:
    """The files of a partition and when they were written, in nanoseconds."""
    folder = served.project / "data" / "credits" / f"country={country}"
    return {file.name: file.stat().st_mtime_ns for file in folder.glob("*.parquet")}


def _amounts(served: Served, country: str) -> list[float]:
    files = served.project / "data" / "credits" / f"country={country}" / "*.parquet"
    return pl.read_parquet(files).sort("credit_id")["amount"].to_list()


def _versions(project: Path) -> set[str]:
    return {folder.name for folder in (project / "data" / "planes").iterdir() if folder.is_dir()}


def _command(project: Path, *arguments: str) -> None:
    _python(project, "-m", "aligned_dagster.cli", *arguments)


def _python(project: Path, *arguments: str) -> str:
    ended = subprocess.run(
        [sys.executable, *arguments],
        cwd=project,
        env=environ(project),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=STARTS_WITHIN,
    )
    assert ended.returncode == 0, f"{arguments} ended with {ended.returncode}:\n{ended.stdout}{ended.stderr}"
    return ended.stdout
