"""`import aligned_dagster` is light: heavy libraries are imported where they are used."""

from __future__ import annotations

import subprocess
import sys

import pytest

import aligned_dagster

HEAVY = (
    "dagster",
    "boto3",
    "azure",
    "pandas",
    "pyarrow",
    "pandera",
    "numpy",
    "duckdb",
    "narwhals",
    "pyspark",
    "hypothesis",
    "psycopg",
    "adbc_driver_postgresql",
)


def test_nothing_heavy_is_imported() -> None:
    code = (
        "import sys, aligned_dagster, aligned_dagster.sources.local\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


def test_a_name_is_imported_when_it_is_used() -> None:
    code = (
        "import sys, aligned_dagster\n"
        "before = 'aligned_dagster.contracts' in sys.modules, 'pydantic' in sys.modules\n"
        "from aligned_dagster import Int32\n"
        "print(before, 'aligned_dagster.features.types' in sys.modules, 'pydantic' in sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "(False, False) True False"


def test_every_name_is_found_and_no_other() -> None:
    for name in aligned_dagster.__all__:
        assert getattr(aligned_dagster, name).__module__.startswith("aligned_dagster.")
    assert set(aligned_dagster.__all__) <= set(dir(aligned_dagster))
    with pytest.raises(AttributeError, match="has no attribute 'Int33'"):
        aligned_dagster.Int33  # type: ignore[attr-defined]  # noqa: B018
