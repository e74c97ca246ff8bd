"""`aligned-dagster quarantine release` tells Dagster, through the real command and the project's own instance."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest

CONTRACTS = """
from aligned_dagster import FileSource, Int32, String, feature_view

@feature_view(
    source=FileSource.csv_at("towns.csv"),
    materialized_source=FileSource.parquet_at("stored/towns.parquet"),
    on_violation="quarantine",
)
class Town:
    code = String().as_entity()
    height = Int32().upper_bound(MOST)
"""


class Project:
    """A project whose commands are run as a user runs them."""

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "pyproject.toml").write_text('[tool.aligned_dagster]\ncontracts = "contracts.py"\n')
        (root / "towns.csv").write_text("code,height\nOSL,208\nBGO,5000\n")
        (root / "dagster_home").mkdir()
        (root / "dagster_home" / "dagster.yaml").write_text("telemetry:\n  enabled: false\n")

    def allow(self, most: int) -> None:
        (self.root / "contracts.py").write_text(CONTRACTS.replace("MOST", str(most)))

    def command(self, *arguments: str) -> str:
        ran = subprocess.run(
            [sys.executable, "-m", "aligned_dagster.cli", *arguments],
            cwd=self.root,
            env={
                **os.environ,
                "ALIGNED_PROJECT": str(self.root),
                "DAGSTER_HOME": str(self.root / "dagster_home"),
            },
            capture_output=True,
            text=True,
            timeout=240,
        )
        assert ran.returncode == 0, ran.stdout + ran.stderr
        return ran.stdout

    def latest(self) -> dg.AssetMaterialization:
        with dg.DagsterInstance.from_config(str(self.root / "dagster_home")) as instance:
            event = instance.get_latest_materialization_event(dg.AssetKey("town"))
        assert event is not None and event.asset_materialization is not None
        return event.asset_materialization


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path.resolve())


def test_released_rows_are_a_new_version_of_the_asset(project: Project) -> None:
    project.allow(1_000)
    project.command("materialize")
    before = project.latest()
    [kept] = json.loads(project.command("quarantine", "list", "--json"))
    project.allow(9_000)

    told = json.loads(project.command("quarantine", "release", "town", kept["run"], "--json"))

    assert (told["released"], told["reported"]) == (1, True)
    after = project.latest()
    assert after.metadata["dagster/row_count"].value == 2
    assert after.metadata["quarantine_run"].value == kept["run"]
    assert before.tags is not None and after.tags is not None
    assert after.tags["dagster/data_version"] != before.tags["dagster/data_version"]
