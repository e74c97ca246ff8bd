from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click
import polars as pl
import pytest
import yaml
from click.testing import CliRunner, Result

from aligned_dagster.cli import main
from aligned_dagster.contracts.odcs import problems

CONTRACTS = """
from datetime import timedelta
from aligned_dagster import FileSource, Int32, List, String, feature_view

@feature_view(
    source=FileSource.csv_at("airports.csv"),
    materialized_source=FileSource.parquet_at("stored/airports.parquet"),
    acceptable_freshness=timedelta(days=1),
)
class Airport:
    "Airports by code."
    code = String().as_entity().max_length(3)
    height = Int32().lower_bound(0).description("in metres")
    feet = height * 3.28

@feature_view(source=FileSource.csv_at("airports.csv"))
class Height:
    code = String().as_entity()
    height = Int32()
    letters = code.split("")

@feature_view(source=Airport)
class Low:
    code = String().as_entity()
    height = Int32()
    is_low = height < 100
"""
ORDERS = """
from aligned_dagster import PostgreSQLConfig, Int32, feature_view

@feature_view(source=PostgreSQLConfig("ALIGNED_TEST_SHOP").table("orders"))
class Orders:
    id = Int32().as_entity()
"""
UNFIT = """
from aligned_dagster import FileSource, Int32, feature_view

@feature_view(source=FileSource.csv_at("airports.csv"), materialized_source=FileSource.parquet_at("u.parquet"),
              automation=3)
class Unfit:
    height = Int32()
"""
SECRET = "postgresql://me:hunter2@127.0.0.1:1/shop"


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "contracts").mkdir()
    (tmp_path / "pyproject.toml").write_text('[tool.aligned_dagster]\ncontracts = "contracts/*.py"\n')
    (tmp_path / "contracts" / "towns.py").write_text(CONTRACTS)
    (tmp_path / "airports.csv").write_text("code,height\nOSL,208\nBGO,50\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setenv("COLUMNS", "200")
    for name in ("ALIGNED_PROJECT", "ALIGNED_DUMMY"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def call(*arguments: str) -> Result:
    result = CliRunner().invoke(main, arguments)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def asked(*arguments: str) -> Any:
    return json.loads(call(*arguments, "--json").stdout)


def commands(group: click.Group = main, *before: str) -> list[tuple[str, ...]]:
    """The words of every command and of every command within one."""
    found = []
    for name, command in group.commands.items():
        found.append((*before, name))
        if isinstance(command, click.Group):
            found += commands(command, *before, name)
    return found


@pytest.mark.parametrize("words", commands(), ids=" ".join)
def test_every_command_has_help_with_an_example_and_wrong_usage_ends_with_two(root, words):
    helped = call(*words, "--help")
    assert helped.exit_code == 0
    assert f"aligned-dagster {' '.join(words)}" in helped.stdout.partition("Example")[2]
    assert call(*words, "--no-such-option").exit_code == 2


def test_the_exit_codes_are_told_and_a_missing_argument_ends_with_two(root):
    words = " ".join(call("--help").stdout.split())
    for code in ("0 when all is well", "1 when something is wrong", "2 on a wrong option", "130 on Ctrl-C"):
        assert code in words
    assert "..." not in call("--help").stdout.partition("Commands:")[2].partition("Examples")[0]
    assert call("show").exit_code == 2
    for arguments in (("query", "--json"), ("show", "a", "--json", "--jsn"), ("nothing", "--json")):
        wrong = call(*arguments)
        assert wrong.exit_code == 2
        assert wrong.stderr.startswith("Usage: ")
        assert json.loads(wrong.stdout)["error"] in wrong.stderr
    assert call("show", "--help", "--json").exit_code == 0
    assert call("no-such-command").exit_code == 2


@pytest.mark.parametrize(
    "arguments",
    [
        ("show", "airprot"), ("query", "airprot"), ("query", "SELECT nothing FROM airport"), ("list",), ("check",),
        ("diff",), ("lock",), ("dummy",), ("materialize",), ("quarantine", "list"), ("export", "airport"),
        ("infer", "absent.csv"), ("import", "absent.yaml"), ("init", "."), ("quarantine", "show", "airport", "x"),
        ("quarantine", "release", "airport", "x"), ("quarantine", "drop", "airport", "x"),
    ],
    ids=" ".join,
)  # fmt: skip
def test_an_error_as_json_is_one_object_and_nothing_else(root, arguments):
    (root / "pyproject.toml").write_text("[tool.aligned_dagster]\ncontracts = 1\n")
    result = call(*arguments, "--json")
    assert result.exit_code == 1
    assert list(json.loads(result.stdout)) == ["error"]


def test_lock_infer_and_init_as_json(root):
    first = asked("lock")
    assert (first["file"], first["written"]) == ("contracts.lock", True)
    assert asked("lock")["written"] is False
    assert asked("diff") == first["diff"] | asked("diff")

    printed = asked("infer", "airports.csv", "--name", "Place")
    assert printed["file"] is None and "class Place:" in printed["python"]
    assert asked("infer", "airports.csv", "-o", "place.py")["file"] == "place.py"
    assert "is there already" in asked("infer", "airports.csv", "-o", "place.py")["error"]

    made = asked("init", "shop")
    assert made["directory"] == "shop"
    assert all((root / "shop" / file).is_file() for file in made["files"])
    assert "already" in asked("init", "shop")["error"]


def test_export_prints_or_writes_what_others_read(root):
    assert yaml.safe_load(call("export", "airport").stdout)["name"] == "airport"
    stream = list(yaml.safe_load_all(call("export").stdout))
    assert [form["id"] for form in stream] == ["airport", "height", "low"]
    assert [problems(form) for form in stream] == [[], [], []]
    assert list(asked("export")) == ["airport", "height", "low"]

    schema = json.loads(call("export", "low", "--format", "json-schema").stdout)
    assert (schema["title"], list(schema["properties"])) == ("low", ["code", "height", "is_low"])
    contract = json.loads(call("export", "low", "--format", "json").stdout)
    assert contract["source"] == {"type": "view", "view": "airport"}
    assert list(json.loads(call("export", "low", "height", "--format", "json").stdout)) == ["low", "height"]

    written = call("export", "-o", "catalog/")
    assert (written.exit_code, written.stdout) == (0, "")
    assert sorted(file.name for file in (root / "catalog").iterdir()) == [
        "airport.odcs.yaml", "height.odcs.yaml", "low.odcs.yaml",
    ]  # fmt: skip
    assert asked("export", "low", "--format", "json", "-o", "low.json")["files"] == [str(root / "low.json")]
    assert json.loads((root / "low.json").read_text()) == contract
    assert "cannot be written" in asked("export", "low", "-o", "airports.csv/low.yaml")["error"]


def test_what_is_exported_is_imported_again(root):
    (root / "contracts.odcs.yaml").write_text(call("export").stdout)
    assert call("import", "contracts.odcs.yaml", "-o", "contracts/towns.py").exit_code == 1
    before = call("export").stdout
    printed = call("import", "contracts.odcs.yaml").stdout
    (root / "contracts" / "towns.py").unlink()
    assert call("import", "contracts.odcs.yaml", "-o", "contracts/again.py").exit_code == 0
    assert (root / "contracts" / "again.py").read_text() == printed
    assert asked("import", "contracts.odcs.yaml")["python"] == printed
    assert call("export").stdout == before
    assert asked("query", "height", "--columns", "letters", "--limit", "1") == [{"letters": ["O", "S", "L"]}]


def test_a_document_that_is_none_is_explained(root):
    (root / "bad.yaml").write_text("kind: DataContract\napiVersion: v3.1.0\nschema: [{name: a}]\n")
    result = call("import", "bad.yaml")
    assert result.exit_code == 1
    assert "schema[0].properties is missing" in result.stderr
    assert result.stdout == ""


def test_check_tells_that_everything_is_there(root):
    found = asked("check")

    assert found["ok"] is True
    assert {(one["aspect"], one["subject"], tuple(one["contracts"])) for one in found["findings"]} == {
        ("file", "contracts/towns.py", ("airport", "height", "low")),
        ("definitions", "aligned_dagster.definitions", ("airport", "height", "low")),
        ("source", "airports.csv", ("airport",)),
        ("source", "airports.csv", ("height",)),
        ("storage", "stored/airports.parquet", ("airport",)),
    }
    assert call("check").exit_code == 0
    assert "nothing is stored yet" in call("check").stdout


def test_check_names_each_thing_that_is_wrong(root, monkeypatch):
    monkeypatch.delenv("ALIGNED_TEST_SHOP", raising=False)
    (root / "contracts" / "orders.py").write_text(ORDERS)
    (root / "contracts" / "broken.py").write_text("import absent_module\n")
    (root / "airports.csv").write_text("code,hight\nOSL,208\n")
    found = asked("check")
    wrong = {(one["aspect"], one["subject"]): one["words"] for one in found["findings"] if not one["ok"]}

    assert found["ok"] is False
    assert set(wrong) == {
        ("file", "contracts/broken.py"),
        ("credential", "ALIGNED_TEST_SHOP"),
        ("source", "airports.csv"),
        ("source", "orders"),
    }
    assert "broken.py:1" in wrong["file", "contracts/broken.py"]
    assert "Did you mean 'hight'" in wrong["source", "airports.csv"]
    table = call("check")
    assert table.exit_code == 1
    assert "5 of 8 are wrong." in table.stdout


def test_check_builds_the_definitions_and_names_the_contract(root):
    (root / "contracts" / "broken.py").write_text(UNFIT)
    found = asked("check")
    [wrong] = [one for one in found["findings"] if not one["ok"]]
    assert (wrong["aspect"], wrong["subject"]) == ("definitions", "aligned_dagster.definitions")
    assert wrong["words"].startswith("unfit cannot become an asset of Dagster: ")
    assert "contracts/broken.py:4" in wrong["words"]
    table = call("check")
    assert table.exit_code == 1
    assert "1 of 8 is wrong." in table.stdout


def test_what_is_no_asset_of_dagster_ends_a_run_with_one_sentence(root, monkeypatch):
    monkeypatch.setenv("DAGSTER_HOME", str(root / "home"))
    (root / "contracts" / "broken.py").write_text(UNFIT)
    (root / "own.py").write_text("from aligned_dagster.definitions import defs\n")
    (root / "pyproject.toml").write_text(
        '[tool.aligned_dagster]\ncontracts = "contracts/*.py"\ndefinitions = "own"\n'
    )
    for module in ("own", "aligned_dagster.definitions"):
        monkeypatch.delitem(sys.modules, module, raising=False)
    for command in ("materialize", "dummy"):
        result = call(command)
        assert result.exit_code == 1
        [line] = result.stdout.splitlines()
        assert line.startswith("Error: unfit cannot become an asset of Dagster: ")
        failed = call(command, "--json")
        assert (failed.exit_code, list(json.loads(failed.stdout))) == (1, ["error"])


def test_check_tries_every_profile(root, monkeypatch):
    table = '[tool.aligned_dagster]\ncontracts = "contracts/*.py"\n[tool.aligned_dagster.profiles.production.{}]\n'
    monkeypatch.setenv("ALIGNED_TEST_SHOP", SECRET)
    (root / "contracts" / "orders.py").write_text(ORDERS)
    (root / "pyproject.toml").write_text(table.format("postgres_SHOP") + 'env_var = "OTHER"\n')

    def profiles() -> tuple[list[dict[str, Any]], Result]:
        return [one for one in asked("check")["findings"] if one["aspect"] == "profile"], call("check")

    [found], told = profiles()
    assert (found["ok"], found["warns"]) == (True, True)
    assert "postgres_ALIGNED_TEST_SHOP" in found["words"]
    assert "warning" in told.stdout and "As they should be" not in told.stdout
    monkeypatch.setenv("ALIGNED_PROFILE", "production")
    [found], told = profiles()
    assert (found["ok"], found["warns"], told.exit_code) == (False, False, 1)
    assert "postgres_SHOP" in found["words"]

    (root / "pyproject.toml").write_text(table.format("postgres_ALIGNED_TEST_SHOP") + 'env_var = "OTHER"\n')
    [found], told = profiles()
    assert (found["ok"], found["words"]) == (True, "is used, replaces postgres_ALIGNED_TEST_SHOP")
    asked_for = [one["subject"] for one in asked("check")["findings"] if one["aspect"] == "credential"]
    assert asked_for == ["OTHER"]
    monkeypatch.setenv("ALIGNED_PROFILE", "prodution")
    unknown, used = profiles()[0]
    assert "Did you mean 'production'?" in unknown["words"] and not unknown["ok"]
    assert used["words"].startswith("is not used")


def test_check_shows_no_credential(root, monkeypatch):
    monkeypatch.setenv("ALIGNED_TEST_SHOP", SECRET)
    (root / "contracts" / "orders.py").write_text(ORDERS)
    for result in (call("check"), call("check", "--json")):
        assert result.exit_code == 1
        assert "ALIGNED_TEST_SHOP" in result.stdout
        assert "is set" in result.stdout
        assert "hunter2" not in result.output


def test_list_names_what_each_contract_reads_and_where_it_is(root):
    airport, height, low = asked("list")

    assert airport == {
        "name": "airport",
        "kind": "view",
        "columns": 3,
        "reads": [str(root / "airports.csv")],
        "stored": str(root / "stored" / "airports.parquet"),
        "description": "Airports by code.",
        "tags": [],
    }
    assert height["stored"] is None
    assert low["reads"] == ["airport"]
    row = next(line for line in call("list").stdout.splitlines() if line.startswith("│ low "))
    assert [cell.strip() for cell in row.strip("│").split("│")[:5]] == [
        "low", "view", "3", "airport", "computed when read",
    ]  # fmt: skip


def test_show_tells_columns_lineage_versions_and_freshness(root):
    before = asked("show", "airport")
    assert before["freshness"]["problem"] == (
        f"'airport' has not been materialised yet: {root}/stored/airports.parquet does not exist. "
        "Run: aligned-dagster materialize +airport"
    )
    assert "Freshness: acceptable up to 1 day\n" in call("show", "airport").stdout
    assert before["freshness"]["acceptable"] == 86_400
    assert before["downstream"] == ["low"]
    assert [version["current"] for version in before["versions"]] == [True]
    assert before["columns"][2] == {
        "name": "feet",
        "type": "float64",
        "role": "feature",
        "nullable": True,
        "derived": True,
        "rules": [],
        "made_of": [{"from": str(root / "airports.csv"), "column": "height"}],
        "description": "",
    }
    assert before["columns"][1]["rules"] == ["height must be at least 0"]

    pl.DataFrame({"code": ["OSL"], "height": [1], "feet": [3.28]}).write_parquet(
        made(root / "stored/airports.parquet")
    )
    after = asked("show", "airport")["freshness"]
    assert after["rows"] == 1
    assert after["modified"] is not None
    assert (after["measured"], after["status"], after["newest"]) == ("modified", "fresh", after["modified"])
    assert after["problem"] is None

    shown = call("show", "low").stdout
    assert "airport.height" in shown
    assert "Reads: airport" in shown
    assert "nothing is stored" in shown


def test_an_unknown_contract_is_explained(root):
    for arguments in (("show", "airprot"), ("query", "airprot")):
        result = call(*arguments)
        assert result.exit_code == 1
        assert "Did you mean 'airport'?" in result.stdout
        failed = call(*arguments, "--json")
        assert failed.exit_code == 1
        assert "Did you mean 'airport'?" in json.loads(failed.stdout)["error"]


def test_query_prints_rows_of_a_contract_or_of_sql(root):
    assert asked("query", "height") == [
        {"code": "OSL", "height": 208, "letters": ["O", "S", "L"]},
        {"code": "BGO", "height": 50, "letters": ["B", "G", "O"]},
    ]
    assert asked("query", "height", "--limit", "1", "--columns", "height, code") == [
        {"height": 208, "code": "OSL"}
    ]
    assert asked("query", "SELECT max(height) AS most FROM height") == [{"most": 208}]
    assert call("query", "height", "--csv").stdout == (
        'code,height,letters\nOSL,208,"[""O"",""S"",""L""]"\nBGO,50,"[""B"",""G"",""O""]"\n'
    )
    apart = (
        "SELECT DATE '2024-01-02' - DATE '2024-01-01' AS apart, DATE '2024-01-02' AS day FROM height LIMIT 1"
    )
    assert call("query", apart, "--csv").stdout == "apart,day\n86400000000,2024-01-02\n"
    assert asked("query", apart) == [{"apart": "PT86400S", "day": "2024-01-02"}]
    table = call("query", "height", "--limit", "1").stdout
    assert "│ OSL " in table
    assert "BGO" not in table
    assert "The first row; --limit" in table
    assert "The first" not in call("query", "height").stdout


def test_what_cannot_be_queried_ends_with_one(root):
    for arguments, words in (
        (("query", "SELECT * FROM hight"), "Did you mean 'height'?"),
        (("query", "height", "--columns", "hight"), "Did you mean 'height'?"),
        (("query", "SELECT height FROM height", "--columns", "hight"), "Did you mean 'height'?"),
        (("query", "airport"), "'airport' has not been materialised yet"),
        (("query", "low"), "Run: aligned-dagster materialize +airport\n"),
    ):
        result = call(*arguments)
        assert result.exit_code == 1
        assert words in result.stdout
    assert call("query", "height", "--limit", "-1").exit_code == 2


def test_infer_prints_or_writes_a_contract_and_overwrites_nothing(root):
    printed = call("infer", "airports.csv", "--name", "Place")
    assert printed.exit_code == 0
    assert "class Place:" in printed.stdout

    written = call("infer", "airports.csv", "--name", "Place", "-o", "contracts/place.py")
    assert written.exit_code == 0
    assert (root / "contracts" / "place.py").read_text() == printed.stdout
    assert asked("query", "place", "--columns", "height") == [{"height": 208}, {"height": 50}]

    again = call("infer", "airports.csv", "-o", "contracts/place.py")
    assert again.exit_code == 1
    assert "is there already" in again.stderr
    absent = call("infer", "airprots.csv")
    assert absent.exit_code == 1
    assert "Did you mean 'airports.csv'?" in absent.stderr
    assert absent.stdout == ""


def test_init_overwrites_nothing(root):
    result = call("init", ".")

    assert result.exit_code == 1
    assert "pyproject.toml" in result.stdout
    assert not (root / "workspace.yaml").exists()


def made(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path
