"""The README's code runs, in its order, and its first contract does what it says."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.running_pages import blocks_of, inside, run_python

README = Path(__file__).parents[1] / "README.md"
BLOCKS = blocks_of(README)
LINK = re.compile(r"\]\((?!https?://)([^)#]*)(?:#([^)]+))?\)")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of the first contract, made of the README's own files."""
    folder = tmp_path_factory.mktemp("first_contract")
    for block in BLOCKS:
        if block.file is not None:
            (folder / block.file).write_text(block.code)
    with inside(folder):
        yield folder


@pytest.fixture(scope="module")
def summary(project: Path) -> str:
    environ = {**os.environ, "COLUMNS": "160"}
    environ.pop("DAGSTER_HOME", None)
    run = subprocess.run(
        [sys.executable, "-m", "aligned_dagster.cli", "materialize"],
        cwd=project,
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    return run.stdout


def test_the_first_contract_finds_the_bad_sale(summary: str, project: Path) -> None:
    assert "amount must be at least 0: 1 of 3 rows break it" in summary
    assert (project / "data" / "sales.parquet").exists()


@pytest.mark.parametrize("number", [n for n, block in enumerate(BLOCKS) if block.language == "python"])
def test_a_block_of_python_runs(number: int, project: Path, summary: str) -> None:
    block = BLOCKS[number]
    assert summary
    made: dict[str, Any] = {"__name__": "readme"}
    run_python(block, README, made)
    if block.note == "continued":
        assert made["frame"]["order_id"].to_list() == [1001, 1003]
        assert sorted(made["shops"].rows()) == [("oslo", 1, 12.5), ("rome", 1, 99.9)]


def test_every_link_leads_somewhere() -> None:
    """mkdocs looks at the links of docs/; the README is no page of the site."""
    found = {(name, anchor) for name, anchor in LINK.findall(README.read_text("utf-8"))}
    assert len(found) > 30
    lost = [
        (name, anchor) for name, anchor in found if anchor and anchor not in anchors_of(README.parent / name)
    ]
    lost += [(name, anchor) for name, anchor in found if not (README.parent / name).exists()]
    assert lost == []


def anchors_of(page: Path) -> set[str]:
    """The anchors of the headings of a file of Markdown."""
    headings = re.findall(r"^#+ (.+)$", page.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}
