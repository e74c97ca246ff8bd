from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from aligned_dagster.orchestration import serving
from aligned_dagster.orchestration.project import ProjectSettings

CONTRACTS = """
import os, time
import polars as pl
from aligned_dagster import CustomMethodDataSource, FileSource, Int32, String, feature_view

@feature_view(
    source=FileSource.csv_at("airports.csv"),
    materialized_source=FileSource.parquet_at("stored/airports.parquet"),
)
class Airport:
    code = String().as_entity().max_length(3, on_violation="quarantine")
    height = Int32().lower_bound(0, on_violation="warn").upper_bound(9_000)

@feature_view(source=Airport)
class Height:
    code = String().as_entity()
    height = Int32()
    feet = height * 3.28

def wait(request, limit=None):
    print("the rows of the slow source are read", flush=True)
    time.sleep(float(os.environ.get("SLOW", "0")))
    return pl.LazyFrame({"id": [1]})

@feature_view(source=CustomMethodDataSource.from_methods(all_data=wait))
class Slow:
    id = Int32().as_entity()
"""
GOOD = "code,height\nOSL,208\nBGO,50\n"
WORKSPACE = "load_from:\n  - python_module:\n      module_name: aligned_dagster.definitions\n"
INSTANCE = "telemetry:\n  enabled: false\n"


@dataclass
class Project:
    root: Path

    def write(self, name: str, text: str) -> None:
        (self.root / name).parent.mkdir(parents=True, exist_ok=True)
        (self.root / name).write_text(text, encoding="utf-8")

    def start(
        self, *arguments: str, stderr: int = subprocess.STDOUT, **environ: str
    ) -> subprocess.Popen[str]:
        kept = {
            k: v for k, v in os.environ.items() if k not in {"DAGSTER_HOME", "ALIGNED_PROJECT", "COLUMNS"}
        }
        repository = str(Path(__file__).parents[2])
        kept["PYTHONPATH"] = os.pathsep.join(filter(None, [repository, kept.get("PYTHONPATH")]))
        return subprocess.Popen(
            [sys.executable, "-m", "aligned_dagster.cli", *arguments],
            cwd=self.root,
            env={**kept, **environ},
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            start_new_session=True,
        )

    def call(self, *arguments: str, **environ: str) -> tuple[int, str]:
        process = self.start(*arguments, **environ)
        output, _ = process.communicate(timeout=90)
        return process.returncode, output


@pytest.fixture
def project(tmp_path) -> Project:
    made = Project(tmp_path)
    made.write("pyproject.toml", '[tool.aligned_dagster]\ncontracts = "contracts/*.py"\n')
    made.write("workspace.yaml", WORKSPACE)
    made.write("dagster_home/dagster.yaml", INSTANCE)
    made.write("contracts/towns.py", CONTRACTS)
    made.write("airports.csv", GOOD)
    return made


def test_materialize_publishes_everything_and_prints_a_table(project):
    code, output = project.call("materialize")

    assert code == 0, output
    assert (project.root / "stored" / "airports.parquet").exists()
    row = next(line for line in output.splitlines() if line.startswith("│ airport "))
    cells = [cell.strip() for cell in row.strip("│").split("│")]
    assert cells[:3] == ["airport", "published", "2"]
    assert cells[4:6] == ["7", "0"]
    assert float(cells[6]) > 0
    assert "│ height " in output
    assert "observed" in output
    assert "DEBUG" not in output
    assert any((project.root / "dagster_home").rglob("*.db"))


def test_warnings_and_quarantined_rows_are_told_and_the_exit_code_is_zero(project):
    project.write("airports.csv", GOOD + "LONG,3\nTRD,-1\n")
    code, output = project.call("materialize")

    assert code == 0, output
    assert "height must be at least 0: 1 of 4 rows break it" in output
    [kept] = [line for line in output.splitlines() if "1 of 4 rows kept in " in line]
    assert Path(kept.split("kept in ")[1]).exists()


def test_a_blocked_publish_names_asset_rule_and_rows_and_exits_with_one(project):
    project.write("airports.csv", GOOD + "TRD,90000\n")
    code, output = project.call("materialize")

    assert code == 1
    blocked = next(line for line in output.splitlines() if line.startswith("blocked"))
    assert "airport: height must be at most 9000: 1 of 3 rows break it" in blocked
    assert Path(blocked.split("Bad rows: ")[1]).exists()
    assert "not run  height" in output
    assert "The run failed." in output
    assert "Traceback" not in output


def test_a_missing_file_is_named(project):
    (project.root / "airports.csv").unlink()
    code, output = project.call("materialize")

    assert code == 1
    assert str(project.root / "airports.csv") in output
    assert "Traceback" not in output


def test_a_broken_contract_is_named_with_its_line(project):
    project.write("contracts/more.py", "from aligned_dagster import Int32\n\nfrom absent import x\n")
    code, output = project.call("materialize")

    assert code == 1
    assert "contracts/more.py:3" in output
    assert "Traceback" not in output


def _asked(project: Project, *arguments: str) -> tuple[int, dict[str, Any]]:
    """The exit code and the JSON that alone stands on standard output."""
    process = project.start(*arguments, "--json", stderr=subprocess.PIPE)
    output, _ = process.communicate(timeout=90)
    return process.returncode, json.loads(output)


def test_a_run_is_told_as_json_and_nothing_else(project):
    code, told = _asked(project, "materialize")
    assert (code, told["success"], told["errors"]) == (0, True, [])
    assets = {asset["asset"]: asset for asset in told["assets"]}
    assert assets["airport"]["state"] == "published" and assets["airport"]["rows"] == 2
    assert assets["airport"]["stored"] == str(project.root / "stored" / "airports.parquet")
    assert assets["airport"]["checks"]["failed"] == 0
    assert assets["raw/airports.csv"]["state"] == "observed"

    project.write("airports.csv", GOOD + "TRD,90000\n")
    code, told = _asked(project, "materialize", "airport")
    assert (code, told["success"]) == (1, False)
    assert "height must be at most 9000" in told["error"]
    [check] = told["failed_checks"]
    assert (check["asset"], check["blocks"]) == ("airport", True) and Path(check["quarantine"]).exists()
    assert told["errors"][0]["assets"] == ["airport"]

    code, told = _asked(project, "dummy", "--select", "airport")
    assert (code, told["success"]) == (0, True), told
    assert not (project.root / "dagster_home" / "dummy").exists()
    code, told = _asked(project, "dummy", "--select", "airprot")
    assert code == 1 and "Did you mean 'airport'?" in told["error"]


def test_ctrl_c_is_told_as_json(project):
    process = project.start("materialize", "--json", SLOW="60", stderr=subprocess.PIPE)
    assert process.stderr is not None
    for line in process.stderr:
        if "slow source" in line:
            break
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "Stopped." in json.loads(output)["error"]


def test_a_selection_runs_only_those_assets_and_a_wrong_one_is_explained(project):
    code, output = project.call("materialize", "height", "--select", "airport")
    assert code == 0
    assert "│ airport" in output and "│ height" in output
    assert "│ slow" not in output

    code, output = project.call("materialize", "airprot")
    assert code == 1
    assert "There is no asset 'airprot'. Did you mean 'airport'?" in output


def test_outside_of_a_project_it_says_what_to_do(project, tmp_path):
    (tmp_path / "pyproject.toml").unlink()
    code, output = project.call("materialize")

    assert code == 1
    assert "[tool.aligned_dagster]" in output
    assert "ALIGNED_PROJECT" in output


def test_ctrl_c_ends_the_run_with_a_message(project):
    process = project.start("materialize", SLOW="60")
    assert process.stdout is not None
    for line in process.stdout:
        if "slow source" in line:
            break
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=30)

    assert process.returncode == 130
    assert "Stopped." in output
    assert "Traceback" not in output


def test_help_is_quick_and_imports_no_dagster(project):
    script = "import sys, aligned_dagster.cli as cli\ntry:\n    cli.main(['--help'])\nexcept SystemExit:\n    pass\n"
    script += (
        "print([m for m in sys.modules if m.split('.')[0] in {'dagster', 'pandas', 'pandera', 'boto3'}])"
    )
    output = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout

    assert "materialize" in output
    assert output.splitlines()[-1] == "[]"


def test_a_new_project_materializes_as_it_is(tmp_path):
    code, output = Project(tmp_path).call("init", "my shop")
    assert code == 0, output
    made = Project(tmp_path / "my shop")
    assert 'name = "my-shop"' in (made.root / "pyproject.toml").read_text()

    code, output = made.call("check")
    assert code == 0, output
    code, output = made.call("materialize")
    assert code == 0, output
    assert (made.root / "data" / "stored" / "shops.parquet").exists()
    assert any((made.root / "dagster_home").rglob("*.db"))
    code, output = made.call("query", "shops", "--columns", "shop,sales", "--json")
    assert sorted(row["shop"] for row in json.loads(output)) == ["oslo", "rome"]


def test_a_taken_port_is_told_before_anything_runs(project):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        code, output = project.call("run", "--port", str(port))

    assert code == 1
    assert f"Port {port} cannot be used" in output
    assert f"PORT={port + 1}" in output
    assert "Materialising" not in output


def test_a_failed_run_serves_nothing(project):
    project.write("airports.csv", GOOD + "TRD,90000\n")
    code, output = project.call("run", "--port", str(_free_port()))

    assert code == 1
    assert "Nothing is served." in output


@pytest.fixture
def served(project) -> Iterator[tuple[subprocess.Popen[str], int, list[str]]]:
    port = _free_port()
    process = project.start("run", "--port", str(port))
    lines: list[str] = []
    assert process.stdout is not None
    for line in process.stdout:
        lines.append(line)
        if "The Dagster UI is at" in line:
            break
    yield process, port, lines
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)


def test_run_serves_the_ui_until_ctrl_c_and_leaves_no_process_behind(served, project):
    process, port, lines = served
    assert any(f"http://127.0.0.1:{port}" in line for line in lines), lines
    logs = project.root / "dagster_home" / "server_logs"
    assert any(f"logs in {logs}" in line for line in lines), lines
    assert {file.name for file in logs.iterdir()} == {"webserver.log", "daemon.log"}
    assets = _ask(port, "{assetNodes {assetKey {path} assetMaterializations(limit: 1) {runId}}}")[
        "assetNodes"
    ]
    assert {tuple(node["assetKey"]["path"]) for node in assets} >= {
        ("airport",),
        ("height",),
        ("raw", "airports.csv"),
    }
    assert all(node["assetMaterializations"] for node in assets if node["assetKey"]["path"][0] != "raw")

    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=30)

    assert process.returncode == 130
    assert "Ending the Dagster UI" in output
    assert "The Dagster UI has ended." in output
    assert not _processes_of(project.root)
    with pytest.raises(OSError, match="refused"):
        urllib.request.urlopen(f"http://127.0.0.1:{port}/server_info", timeout=2)


def test_a_server_that_ends_by_itself_is_told_with_the_end_of_its_log(project):
    settings = ProjectSettings.find(project.root, environ={})
    broken = {"webserver": ["json.tool", "absent.json"]}

    with (
        pytest.raises(serving.ServerError, match=r"(?s)webserver ended by itself.*absent\.json"),
        serving._children(settings, project.root, broken) as children,
    ):
        serving._wait_until_up("http://127.0.0.1:9", children, project.root)


def _ask(port: int, query: str) -> dict[str, list[dict[str, object]]]:
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/graphql",
        data=json.dumps({"query": query}).encode(),
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)["data"]


def _processes_of(root: Path) -> list[str]:
    """Command lines of processes whose current directory is the project's."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and (entry / "cwd").resolve() == root.resolve():
                found.append((entry / "cmdline").read_text().replace("\0", " "))
        except OSError:
            continue
    return found


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
