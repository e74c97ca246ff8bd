"""Every contract's asset leads to the lines that define it, also by the real web server."""

from __future__ import annotations

import json
import shutil
import urllib.request
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from aligned_dagster.errors import ConfigurationError
from aligned_dagster.orchestration import GitLinks, build_definitions
from aligned_dagster.orchestration.project import ProjectSettings

from ..ui.serving import REPOSITORY, serving

CONTRACTS = '''\
from aligned_dagster import FileSource, Float, InMemorySource, Int32, feature_view, model_contract


@feature_view(
    source=InMemorySource.from_values({"id": [1], "wind": [3.0]}),
    materialized_source=FileSource.parquet_at("data/weather.parquet"),
)
class Weather:
    """Wind."""

    id = Int32().as_entity()
    wind = Float()


Windy = Weather.filter("windy", Weather().wind > 1)


@model_contract(input_features=[Weather().wind])
class Late:
    id = Int32().as_entity()
    late = Float()
'''
LINES = {"weather": 4, "windy": 15, "late": 18}
QUERY = """
{ assetNodes { assetKey { path } metadataEntries {
    label ... on CodeReferencesMetadataEntry { codeReferences {
      ... on LocalFileCodeReference { filePath lineNumber label }
      ... on UrlCodeReference { url label }
} } } } }
"""


def project(folder: Path, settings: str = "") -> Path:
    (folder / "contracts.py").write_text(CONTRACTS, encoding="utf-8")
    (folder / "pyproject.toml").write_text(
        f'[tool.aligned_dagster]\ncontracts = "contracts.py"\n{settings}\n', encoding="utf-8"
    )
    return folder


def references(defs: dg.Definitions) -> dict[str, Any]:
    graph = defs.resolve_asset_graph()
    told = {key.to_user_string(): graph.get(key).metadata for key in graph.get_all_asset_keys()}
    found = {name: metadata.get("dagster/code_references") for name, metadata in told.items()}
    return {name: value.code_references[0] for name, value in found.items() if value is not None}


def test_each_contract_refers_to_its_file_and_line(tmp_path: Path) -> None:
    found = references(build_definitions(ProjectSettings.find(project(tmp_path), environ={}).load_store()))

    assert {name: one.line_number for name, one in found.items()} == LINES
    assert {one.file_path for one in found.values()} == {str(tmp_path / "contracts.py")}


def test_links_to_git_are_a_setting(tmp_path: Path) -> None:
    table = 'git = {url = "https://github.com/shop/data/", branch = "v1", root = "flights"}'
    settings = ProjectSettings.find(project(tmp_path, table), environ={})

    found = references(build_definitions(settings.load_store(), git=settings.git))

    address = "https://github.com/shop/data/tree/v1/flights/contracts.py"
    assert {name: one.url for name, one in found.items()} == {
        name: f"{address}#L{line}" for name, line in LINES.items()
    }


def test_files_elsewhere_stay_what_they_are(tmp_path: Path) -> None:
    store = ProjectSettings.find(project(tmp_path), environ={}).load_store()
    (tmp_path / "other").mkdir()

    git = GitLinks("https://gitlab.com/shop/data", project=tmp_path / "other")

    assert {type(one) for one in references(build_definitions(store, git=git)).values()} == {
        dg.LocalFileCodeReference
    }


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("git = 3", "must be a URL, or a table"),
        ('git = "shop"', "address of the repository in a browser"),
        ('git = "https://me:c4n4ry@github.com/shop/data"', "without user and password"),
        ('git = "https://git.example/shop"', "GitHub or GitLab"),
        ('git = {url = "https://github.com/a/b", brnch = "x"}', "Did you mean 'branch'?"),
    ],
)
def test_a_wrong_repository_is_an_error(tmp_path: Path, setting: str, words: str) -> None:
    with pytest.raises(ConfigurationError, match=r"pyproject\.toml") as found:
        ProjectSettings.find(project(tmp_path, setting), environ={})
    assert words in str(found.value)
    assert "c4n4ry" not in str(found.value)


def test_the_web_server_tells_where_a_contract_is_defined(tmp_path: Path) -> None:
    folder = project(tmp_path.resolve())
    shutil.copy(REPOSITORY / "workspace.yaml", folder)
    (folder / "dagster_home").mkdir()
    shutil.copy(REPOSITORY / "dagster_home" / "dagster.yaml", folder / "dagster_home")
    with serving(folder, "--select", "weather") as url:
        asked = urllib.request.Request(
            f"{url}/graphql",
            data=json.dumps({"query": QUERY}).encode(),
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(asked, timeout=60) as answer:
            nodes = json.loads(answer.read())["data"]["assetNodes"]
    told = {
        "/".join(node["assetKey"]["path"]): entry["codeReferences"][0]
        for node in nodes
        for entry in node["metadataEntries"]
        if entry["label"] == "dagster/code_references"
    }
    assert {name: one["lineNumber"] for name, one in told.items()} == LINES
    assert told["weather"]["filePath"] == str(folder / "contracts.py")
