"""`tools/java.sh` takes a Java that is new enough for Spark, and says what to do where there is none."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

TOOL = Path(__file__).parents[1] / "tools" / "java.sh"
BASH = shutil.which("bash") or ""


def ended(folder: Path, printed: str | None, **environ: str) -> subprocess.CompletedProcess[str]:
    """How it ends where the only program is a Java that prints this, if any."""
    if printed is not None:
        java = folder / "java"
        java.write_text(f"#!{BASH}\necho 'openjdk version \"{printed}\"' >&2\n", "utf-8")
        java.chmod(0o755)
    return subprocess.run(
        [BASH, TOOL], env={"PATH": str(folder), **environ}, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("version", ["17.0.15", "21", "25-ea"])
def test_one_that_is_new_enough(version: str, tmp_path: Path) -> None:
    found = ended(tmp_path, version)
    assert (found.returncode, found.stdout + found.stderr) == (0, "")


@pytest.mark.parametrize("version", ["11.0.2", "1.8.0_292", None])
def test_one_that_is_too_old_or_missing(version: str | None, tmp_path: Path) -> None:
    found = ended(tmp_path, version)
    assert found.returncode == 1
    assert found.stderr == (
        "Spark needs Java 17 or later: install it so that 'java' is on PATH, or let JAVA_HOME name its directory.\n"
    )


def test_that_of_java_home_counts(tmp_path: Path) -> None:
    found = ended(tmp_path, "17", JAVA_HOME="/nowhere")
    assert found.returncode == 1
    assert "JAVA_HOME=/nowhere has none. Let it name another directory, or unset it." in found.stderr
