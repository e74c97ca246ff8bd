"""The wheel has what it should, works away from the sources, and what is wrong with one is told.

`make dist` installs it into an empty environment besides, with what it asks for, and runs the demo there.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tools.check_wheel import ROOT, problems


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    built = subprocess.run(build, cwd=ROOT, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stdout + built.stderr
    (found,) = folder.glob("*.whl")
    return found


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    """A copy of what a wheel is compared with."""
    shutil.copytree(
        ROOT / "aligned_dagster", tmp_path / "aligned_dagster", ignore=shutil.ignore_patterns("__pycache__")
    )
    for name in ("pyproject.toml", "CHANGELOG.md"):
        shutil.copy(ROOT / name, tmp_path)
    return tmp_path


def replaced(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


def test_it_is_as_it_should_be(wheel: Path) -> None:
    assert problems(wheel) == []


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (
            lambda root: (root / "aligned_dagster" / "later.py").touch(),
            "aligned_dagster/later.py is missing.",
        ),
        (
            lambda root: (root / "aligned_dagster" / "py.typed").unlink(),
            "aligned_dagster/py.typed does not belong into it.",
        ),
        (
            lambda root: replaced(root / "pyproject.toml", ">=3.11", ">=3.12"),
            "Requires-Python is '>=3.11' and should be '>=3.12'.",
        ),
        (
            lambda root: replaced(root / "pyproject.toml", "\nodcs = ", "\nodcs4 = "),
            "The extra odcs is in one of pyproject.toml and METADATA.",
        ),
        (
            lambda root: replaced(root / "CHANGELOG.md", "## [0.1.0] - ", "## [0.0.9] - "),
            "CHANGELOG.md has 0.0.9 as the latest release: add '## [0.1.0] - YYYY-MM-DD' above it.",
        ),
        (
            lambda root: replaced(root / "pyproject.toml", 'version = "0.1.0"', 'version = "0.2.0"'),
            "It has no aligned_dagster-0.2.0.dist-info/METADATA: it is no wheel of version 0.2.0.",
        ),
    ],
)
def test_what_is_wrong_is_told(
    wheel: Path, sources: Path, change: Callable[[Path], object], told: str
) -> None:
    assert problems(wheel, sources) == []
    change(sources)
    assert told in problems(wheel, sources)


def test_the_demo_s_contracts_load_from_it(wheel: Path, tmp_path: Path) -> None:
    zipfile.ZipFile(wheel).extractall(tmp_path / "installed")
    project = tmp_path / "project"
    project.mkdir()
    contracts = tmp_path / "installed" / "aligned_dagster" / "demo" / "contracts" / "**" / "*.py"
    (project / "pyproject.toml").write_text(f'[tool.aligned_dagster]\ncontracts = "{contracts}"\n')
    listed = subprocess.run(
        [sys.executable, "-m", "aligned_dagster.cli", "list", "--json"],
        cwd=project,
        env={**os.environ, "PYTHONPATH": str(tmp_path / "installed")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert listed.returncode == 0, listed.stdout + listed.stderr
    names = {contract["name"] for contract in json.loads(listed.stdout)}
    assert {"flights", "weather", "departure_delay", "delay_training"} <= names
