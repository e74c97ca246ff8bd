from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from aligned_dagster.cli import main
from aligned_dagster.commands.completing import contract_names

CONTRACTS = """
import absent_module
import aligned_dagster as ad
from aligned_dagster import feature_view, model_contract, training_set

@feature_view(source=...)
class Airport: ...

@ad.feature_view(name="heights", source=...)
class Anything: ...

@model_contract("delay", inputs=[])
class Model: ...

@dataclass
class Other: ...
"""


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "contracts").mkdir()
    (tmp_path / "pyproject.toml").write_text('[tool.aligned_dagster]\ncontracts = "contracts/*.py"\n')
    (tmp_path / "contracts" / "towns.py").write_text(CONTRACTS)
    (tmp_path / "contracts" / "broken.py").write_text("def (")
    (tmp_path / "contracts.lock").write_text(
        '{"contracts": {"made_by_code": {}, "gone": {"removed": "2024-01-01"}, "airport": {}}}'
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ALIGNED_PROJECT", raising=False)
    return tmp_path


def completed(words: str, at: int, directory: Path) -> list[str]:
    """What the real command answers to bash."""
    environ = {
        **{name: value for name, value in os.environ.items() if name != "ALIGNED_PROJECT"},
        "_ALIGNED_DAGSTER_COMPLETE": "bash_complete",
        "COMP_WORDS": words,
        "COMP_CWORD": str(at),
        "PYTHONPATH": str(Path(__file__).parents[2]),
    }
    command = str(Path(sys.executable).parent / "aligned-dagster")
    found = subprocess.run([command], cwd=directory, env=environ, capture_output=True, text=True, check=True)
    assert found.stderr == ""
    return [line.partition(",")[2] for line in found.stdout.splitlines()]


def test_the_shell_completes_contracts(root: Path) -> None:
    assert completed("aligned-dagster show ", 2, root) == ["airport", "delay", "heights", "made_by_code"]
    assert completed("aligned-dagster materialize --select +h", 3, root) == ["+heights"]


@pytest.mark.parametrize(
    ("words", "at", "found"),
    [
        ("aligned-dagster in", 1, ["infer", "init"]),
        ("aligned-dagster query a", 2, ["airport"]),
        ("aligned-dagster export airport d", 3, ["delay"]),
        ("aligned-dagster quarantine show h", 3, ["heights"]),
        ("aligned-dagster dummy --select airport,+m", 3, ["airport,+made_by_code"]),
        ("aligned-dagster materialize airport +m", 3, ["+made_by_code"]),
        ("aligned-dagster run made_by_code d", 3, ["delay"]),
        ("aligned-dagster materialize airport a", 3, []),
        ("aligned-dagster completion z", 2, ["zsh"]),
        ("aligned-dagster export --format js", 3, ["json", "json-schema"]),
        ("aligned-dagster show x", 2, []),
    ],
)
def test_what_is_completed(
    root: Path, monkeypatch: pytest.MonkeyPatch, words: str, at: int, found: list[str]
) -> None:
    monkeypatch.setenv("_ALIGNED_DAGSTER_COMPLETE", "bash_complete")
    monkeypatch.setenv("COMP_WORDS", words)
    monkeypatch.setenv("COMP_CWORD", str(at))
    result = CliRunner().invoke(main, prog_name="aligned-dagster")
    assert [line for line in result.stdout.splitlines() if line] == [f"plain,{one}" for one in found]
    assert result.stderr == ""


@pytest.mark.parametrize("table", ["", "[tool.aligned_dagster]\ncontracts = 1\n", "[", None])
def test_nothing_is_said_where_there_is_no_project(root: Path, table: str | None) -> None:
    (root / "pyproject.toml").unlink() if table is None else (root / "pyproject.toml").write_text(table)
    assert contract_names(root) == []


def test_neither_contracts_nor_dagster_are_imported(root: Path) -> None:
    script = (
        "import sys\nfrom aligned_dagster.commands.completing import contract_names\nassert contract_names()\n"
        "print([m for m in sys.modules if m.split('.')[0] in {'dagster', 'towns', 'pandera', 'boto3'}])"
    )
    environ = {"PYTHONPATH": str(Path(__file__).parents[2]), "PATH": os.environ["PATH"]}
    found = subprocess.run(
        [sys.executable, "-c", script], cwd=root, env=environ, capture_output=True, text=True, check=True
    )
    assert found.stdout == "[]\n"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_of_a_shell(root: Path, shell: str) -> None:
    found = CliRunner().invoke(main, ["completion", shell])
    assert found.exit_code == 0
    assert f"_ALIGNED_DAGSTER_COMPLETE={shell}_complete" in found.stdout


def test_bash_takes_the_script(root: Path) -> None:
    script = CliRunner().invoke(main, ["completion", "bash"]).stdout
    asking = (
        "COMP_WORDS=(aligned-dagster show he); COMP_CWORD=2; _aligned_dagster_completion aligned-dagster;"
        ' echo "${COMPREPLY[@]}"'
    )
    environ = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    environ |= {"PYTHONPATH": str(Path(__file__).parents[2])}
    found = subprocess.run(
        ["bash", "-c", f"{script}\n{asking}"],
        cwd=root,
        env=environ,
        capture_output=True,
        text=True,
        check=True,
    )
    assert found.stdout == "heights\n"
