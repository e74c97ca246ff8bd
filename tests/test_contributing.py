"""The changes that CONTRIBUTING.md shows apply to the sources as they are, and do what it says."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tools.diffs import ROOT, Example, apply, examples

EXAMPLES = list(examples())


def test_each_kind_of_change_is_shown() -> None:
    assert len(EXAMPLES) == 3
    assert all(example.proof for example in EXAMPLES)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)
def test_the_diff_applies(example: Example) -> None:
    assert apply(example, ROOT, check=True) == ""


def test_a_diff_that_does_not_apply_is_told(tmp_path: Path) -> None:
    broken = Example("", EXAMPLES[0].diff.replace("\n @", "\n @@"), ())
    copied(tmp_path)
    assert "patch does not apply" in apply(broken, tmp_path)


def test_the_changes_do_what_they_say(tmp_path: Path) -> None:
    """All of them in one copy, their commands in one run of pytest."""
    copied(tmp_path)
    named: list[str] = []
    tests: list[str] = []
    for example in EXAMPLES:
        assert apply(example, tmp_path) == ""
        for command in example.proof:
            program, *words = shlex.split(command)
            assert program == ".venv/bin/pytest"
            if "-k" in words:
                named.append(words[words.index("-k") + 1])
                words = words[: words.index("-k")]
            tests += words
    found = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *tests, "-k", chosen(named, tests)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 0, found.stdout + found.stderr
    passed = re.search(r"(\d+) passed", found.stdout)
    assert passed and int(passed[1]) > 30, found.stdout


def chosen(named: list[str], tests: list[str]) -> str:
    """What `-k` says of one module, and everything of the others."""
    others = [Path(test).name for test in tests if Path(test).name != "test_derivations.py"]
    return " or ".join([*named, *others])


def copied(folder: Path) -> None:
    """A copy of what the changes touch and their tests need."""
    for name in ("aligned_dagster", "tests", "tools"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", folder)
    subprocess.run(["git", "init", "-q"], cwd=folder, check=True)
