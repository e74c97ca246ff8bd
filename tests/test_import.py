"""`import aligned_dagster` is light: heavy libraries are imported where they are used."""

from __future__ import annotations

import subprocess
import sys

HEAVY = (
    "dagster",
    "boto3",
    "azure",
    "pandas",
    "pyarrow",
    "pandera",
    "numpy",
    "duckdb",
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
