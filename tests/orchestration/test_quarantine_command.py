"""`aligned-dagster quarantine`, through click, and how long a project keeps what was kept aside."""

from __future__ import annotations

import datetime as dt
import json
import os
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from click.testing import CliRunner

from aligned_dagster import publish
from aligned_dagster.commands.quarantine import quarantine
from aligned_dagster.errors import ConfigurationError
from aligned_dagster.orchestration import ContractTranslator, TranslatorSettings, build_definitions
from aligned_dagster.orchestration.project import ProjectSettings

CONTRACTS = """
from aligned_dagster import FileSource, Int32, String, feature_view

@feature_view(
    source=FileSource.csv_at("towns.csv"),
    materialized_source=FileSource.parquet_at("stored/towns.parquet"),
    on_violation="quarantine",
)
class Town:
    height = Int32().upper_bound({most})
    code = String().as_entity().max_length(3)
"""
TABLE = '[tool.aligned_dagster]\ncontracts = "contracts/*.py"\n'


class Project:
    def __init__(self, root: Path) -> None:
        self.root = root
        self.file = root / "stored" / "towns.parquet.quarantine" / "monday.parquet"
        (root / "contracts").mkdir()
        (root / "pyproject.toml").write_text(TABLE)
        (root / "towns.csv").write_text("code,height\nOSL,208\nBGO,5000\nOSLO,1\n")
        self.allow(1_000)
        publish(ProjectSettings.find(root).load_store().view("town"), run_id="monday")

    def allow(self, most: int) -> None:
        file = self.root / "contracts" / f"towns_{most}.py"
        for other in file.parent.glob("*.py"):
            other.unlink()
        file.write_text(CONTRACTS.format(most=most))

    def age(self, days: float) -> None:
        at = self.file.stat().st_mtime - days * 86_400
        os.utime(self.file, (at, at))

    def call(self, *arguments: str) -> tuple[int, str]:
        found = CliRunner().invoke(quarantine, list(arguments))
        return found.exit_code, found.output

    def json(self, *arguments: str) -> Any:
        code, output = self.call(*arguments, "--json")
        assert code == 0, output
        return json.loads(output)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ALIGNED_PROJECT", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "140")
    monkeypatch.syspath_prepend(str(tmp_path))
    return Project(tmp_path)


def test_list(project: Project) -> None:
    code, output = project.call("list")
    assert code == 0 and "monday" in output and "town" in output
    [run] = project.json("list", "town")
    assert (run["contract"], run["run"], run["rows"], run["uri"]) == ("town", "monday", 2, str(project.file))
    code, output = project.call("list", "twn")
    assert code == 1 and "Did you mean 'town'" in output


def test_show_begins_with_the_broken_rules_and_the_key(project: Project) -> None:
    rows = project.json("show", "town", "monday")
    assert rows == [
        {"broken_rules": ["height__upper_bound"], "code": "BGO", "height": 5_000},
        {"broken_rules": ["code__max_length"], "code": "OSLO", "height": 1},
    ]
    assert list(rows[0]) == ["broken_rules", "code", "height"]
    code, output = project.call("show", "town", "monday", "--limit", "1")
    assert code == 0 and "height__upper_bound" in output and "OSLO" not in output
    code, output = project.call("show", "town", "sunday", "--json")
    assert code == 1 and "No run 'sunday'" in json.loads(output)["error"]


def test_the_first_letters_of_a_run_do(project: Project) -> None:
    whole = project.json("show", "town", "monday")
    assert project.json("show", "town", "mon") == whole
    project.file.with_name("morning.parquet").write_bytes(project.file.read_bytes())
    code, output = project.call("show", "town", "mo", "--json")
    assert code == 1 and "2 runs" in output and "monday, morning" in output
    project.file.with_name("monday-2.parquet").write_bytes(project.file.read_bytes())
    assert [run["run"] for run in project.json("drop", "town", "monday")] == ["monday"]
    assert [run["run"] for run in project.json("drop", "town", "mond")] == ["monday-2"]
    project.allow(9_000)
    code, output = project.call("release", "town", "morn")
    assert code == 0 and "1 row is published." in output


def test_nulls_and_times_are_told_as_query_tells_them(project: Project) -> None:
    rows = pl.read_parquet(project.file).with_columns(
        at=pl.lit(dt.datetime(2026, 11, 23, 16, tzinfo=dt.UTC)), none=pl.lit(None, pl.String)
    )
    rows.write_parquet(project.file)
    told = project.json("show", "town", "monday")[0]
    assert told["at"] == "2026-11-23T16:00:00+00:00" and told["none"] is None
    code, output = project.call("show", "town", "monday")
    assert code == 0 and "│ null " in output and "None" not in output


def test_release_publishes_what_keeps_the_contract_now(project: Project) -> None:
    code, output = project.call("release", "town", "monday")
    assert code == 1 and "Nothing was released" in output
    assert project.json("list")[0]["rows"] == 2
    project.allow(9_000)
    code, output = project.call("release", "town", "monday")
    assert code == 0, output
    assert "1 row is published. 1 still breaks a rule and stays" in output
    assert [row["code"] for row in project.json("show", "town", "monday")] == ["OSLO"]
    stored = ProjectSettings.find(project.root).load_store().feature_view("town").all().collect()
    assert sorted(stored["code"]) == ["BGO", "OSL"]


def test_drop_by_run(project: Project) -> None:
    assert [run["run"] for run in project.json("drop", "town", "monday")] == ["monday"]
    assert project.json("list") == [] and not project.file.exists()
    assert "No rows are kept aside" in project.call("list")[1]
    assert project.call("drop", "town", "monday")[0] == 1


def test_drop_by_age(project: Project) -> None:
    project.age(10)
    assert project.json("drop", "--older-than", "11") == []
    assert "Nothing was dropped" in project.call("drop", "town", "--older-than", "11")[1]
    code, output = project.call("drop", "--expired")
    assert code == 1 and "has no quarantine_days" in output
    (project.root / "pyproject.toml").write_text(f"{TABLE}quarantine_days = 9\n")
    code, output = project.call("drop", "--expired")
    assert code == 0 and "Dropped" in output and "monday" in output
    assert project.json("list") == []


@pytest.mark.parametrize(
    "arguments", [(), ("town",), ("town", "monday", "--expired"), ("--older-than", "1", "--expired")]
)
def test_what_is_dropped_must_be_said(project: Project, arguments: tuple[str, ...]) -> None:
    code, output = project.call("drop", *arguments)
    assert code == 2 and "Say what to drop" in output
    assert project.file.exists()


@pytest.mark.parametrize("days", ["0", "-1", "true", '"9"', "1e9"])
def test_a_wrong_retention_is_refused(project: Project, days: str) -> None:
    (project.root / "pyproject.toml").write_text(f"{TABLE}quarantine_days = {days}\n")
    with pytest.raises(ConfigurationError, match="quarantine_days = 90"):
        ProjectSettings.find(project.root)


@pytest.mark.parametrize(("days", "left"), [(None, 2), (20.0, 2), (9.0, 1)])
def test_a_materialisation_drops_what_is_kept_too_long(
    project: Project, run: Any, days: float | None, left: int
) -> None:
    project.age(10)
    store = ProjectSettings.find(project.root).load_store()
    translator = ContractTranslator(TranslatorSettings(quarantine_days=days))
    assert run(build_definitions(store, translator)).success
    assert len(project.json("list")) == left
    assert project.file.exists() == (left == 2)
