"""A worker of pytest-xdist that dies takes no test with it, and nobody waits for ever."""

from __future__ import annotations

import re
import subprocess
import sys
from itertools import product
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]
DIES_ONCE = """
import os
from pathlib import Path

def test_before(): ...

def test_dies():
    mark = Path(__file__).with_suffix(".died")
    if not mark.exists():
        mark.touch()
        os.kill(os.getpid(), 11)
"""


def outcome(folder: Path, modules: dict[str, str]) -> tuple[int, str]:
    for name, code in modules.items():
        (folder / f"test_{name}.py").write_text(code)
    (folder / "pytest.ini").write_text("[pytest]\n")
    command = [sys.executable, "-m", "pytest", "-n", "2", "--dist", "loadfile", "--no-loadscope-reorder"]
    found = subprocess.run(
        [*command, "-p", "tests.sharing", "-p", "no:faulthandler", "-p", "no:cacheprovider"],
        cwd=folder,
        env={"PYTHONPATH": str(REPOSITORY), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=100,
    )
    return found.returncode, found.stdout


def passing(count: int) -> str:
    return "".join(f"def test_{n}(): ...\n" for n in range(count))


@pytest.mark.parametrize(("before", "after"), list(product([(), (1,), (4, 3)], repeat=2)))
def test_each_test_is_run_when_a_worker_dies(
    tmp_path: Path, before: tuple[int, ...], after: tuple[int, ...]
) -> None:
    modules = {f"a{n}": passing(count) for n, count in enumerate(before)}
    modules["m"] = DIES_ONCE
    modules |= {f"z{n}": passing(count) for n, count in enumerate(after)}
    code, said = outcome(tmp_path, modules)
    assert code == 0, said
    assert "An interpreter died during test_m.py::test_dies" in said
    # The test that died is told twice.
    assert re.search(rf"{sum(before) + sum(after) + 3} passed", said), said


def test_a_test_that_always_dies_fails(tmp_path: Path) -> None:
    code, said = outcome(
        tmp_path, {"m": "import os\ndef test_dies(): os.kill(os.getpid(), 11)\n", "z": passing(1)}
    )
    assert code == 1
    assert "1 failed, 2 passed" in said, said
