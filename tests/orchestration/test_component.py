"""The component of `dg`, by the real command in a project that was written by hand."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import polars as pl
import pytest

from aligned_dagster import AlignedComponent
from aligned_dagster.orchestration.component_scaffold import AlignedScaffolder
from tests.forking import REPOSITORY, Forks, forks_of

PATIENCE = 240
PYPROJECT = """\
[project]
name = "shop_project"
version = "0.1.0"

[tool.dg]
directory_type = "project"

[tool.dg.project]
root_module = "shop_project"
"""
DEFINITIONS = """\
from pathlib import Path

from dagster import definitions, load_from_defs_folder


@definitions
def defs():
    return load_from_defs_folder(path_within_project=Path(__file__).parent)
"""


@dataclass(frozen=True)
class Project:
    """A project of `dg` in a directory of its own; without forks the real program runs."""

    root: Path
    forks: Forks | None = None

    @property
    def shop(self) -> Path:
        """The directory of the component."""
        return self.root / "src" / "shop_project" / "defs" / "shop"

    def dg(self, *words: str, code: int | None = 0, **variables: str) -> str:
        """What the command prints, errors included."""
        path = os.pathsep.join(map(str, (REPOSITORY, self.root / "src")))
        environ = {**os.environ, "PYTHONPATH": path, "DAGSTER_HOME": str(self.root / "home"), **variables}
        if self.forks is not None:
            files = {"told": self.root / "home" / "told.txt", "errors": self.root / "home" / "errors.txt"}
            ran = self.forks.run(words, self.root, environ, paths=[str(self.root / "src")], **files)
        else:
            program = Path(sys.executable).with_name("dg")
            ran = subprocess.run(
                [str(program), *words],
                cwd=self.root,
                env=environ,
                capture_output=True,
                text=True,
                timeout=PATIENCE,
            )
        told = ran.stdout + ran.stderr
        assert code is None or ran.returncode == code, told
        return ran.stdout if code == 0 else told

    def yaml(self, attributes: str) -> None:
        """Write the defs.yaml."""
        text = f"type: aligned_dagster.AlignedComponent\n\nattributes:\n{attributes}"
        (self.shop / "defs.yaml").write_text(text, encoding="utf-8")


def empty_project(root: Path, forks: Forks | None = None) -> Project:
    package = root / "src" / "shop_project"
    (package / "defs").mkdir(parents=True)
    (root / "home").mkdir()
    (root / "pyproject.toml").write_text(PYPROJECT, encoding="utf-8")
    (package / "__init__.py").touch()
    (package / "defs" / "__init__.py").touch()
    (package / "definitions.py").write_text(DEFINITIONS, encoding="utf-8")
    return Project(root, forks)


@pytest.fixture(scope="module")
def forks() -> Iterator[Forks]:
    with forks_of("dg") as found:
        yield found


@pytest.fixture(scope="module")
def scaffolded(tmp_path_factory: pytest.TempPathFactory, forks: Forks) -> Project:
    project = empty_project(tmp_path_factory.mktemp("dg").resolve())
    project.dg("scaffold", "defs", "aligned_dagster.AlignedComponent", "shop")  # by the real command
    return replace(project, forks=forks)


@pytest.fixture
def project(scaffolded: Project) -> Project:
    """The project as it was scaffolded."""
    scaffolded.yaml("  contracts: contracts.py\n")
    return scaffolded


def test_the_component_is_listed_and_describes_its_fields(project: Project) -> None:
    listed = json.loads(project.dg("list", "components", "--json"))
    assert "aligned_dagster.AlignedComponent" in [one["key"] for one in listed["items"]]

    told = project.dg("utils", "inspect-component", "aligned_dagster.AlignedComponent")
    schema = json.loads(told.partition("Component schema:")[2])
    assert "relative to the directory of this defs.yaml" in schema["properties"]["contracts"]["description"]
    translation = schema["$defs"]["TranslationModel"]["properties"]
    assert translation["key_prefix"]["description"] == "first parts of the asset key of every contract."
    assert schema["additionalProperties"] is False


def test_a_scaffolded_project_runs(project: Project) -> None:
    assert "validated successfully" in project.dg("check", "yaml")
    assert "loaded successfully" in project.dg("check", "defs")

    listed = json.loads(project.dg("list", "defs", "--json"))
    assets = {asset["asset_key"]: asset for asset in listed["assets"]}
    assert set(assets) == {"raw/sales.csv", "sales", "shops"}
    assert assets["shops"]["dependency_keys"] == ["sales"]
    lines = (project.shop / "contracts.py").read_text("utf-8").splitlines()
    number = lines.index("class Sales:") + 1
    file, _, line = assets["sales"]["source"].rpartition(":")
    assert file == "src/shop_project/defs/shop/contracts.py"
    assert "@feature_view(" in lines[int(line) - 1 : number]

    replace(project, forks=None).dg("launch", "--assets", "*")  # a process that has read nothing yet
    stored = pl.read_parquet(project.shop / "data" / "sales.parquet")
    assert sorted(stored["order_id"]) == [1001, 1003]
    assert any((project.shop / "data" / "sales.parquet.quarantine").glob("*.parquet"))


def test_a_wrong_field_is_told_with_its_line(project: Project) -> None:
    project.yaml("  contract: contracts.py\n")

    told = project.dg("check", "yaml", code=1)

    assert "contract" in told and "defs.yaml:4" in told


def test_settings_and_a_translator_are_those_of_the_yaml(project: Project) -> None:
    (project.root / "src" / "shop_project" / "translator.py").write_text(
        "from aligned_dagster.orchestration import ContractTranslator\n\n\n"
        "class Gold(ContractTranslator):\n"
        "    def get_group_name(self, view):\n"
        "        return 'gold'\n",
        encoding="utf-8",
    )
    project.yaml(
        "  contracts: [contracts.py]\n"
        "  translator: shop_project.translator.Gold\n"
        "  translation:\n"
        "    key_prefix: [north]\n"
    )

    listed = json.loads(project.dg("list", "defs", "--json"))

    groups = {asset["asset_key"]: asset["group_name"] for asset in listed["assets"]}
    assert groups == {"raw/sales.csv": "sources", "north/sales": "gold", "north/shops": "gold"}


@pytest.mark.parametrize(
    ("attributes", "variables", "expected"),
    [
        ("  contracts: contract*.txt\n", {}, "No file matches contracts = 'contract*.txt'"),
        ("  contracts: contracts.py\n  translator: shop_project.Gold\n", {}, "cannot be imported"),
        ("  contracts: contracts.py\n  profile: test\n", {}, "no profile of that name"),
        (
            "  contracts: contracts.py\n  profiles: {production: {postgres_X: {env_var: Y}}}\n",
            {"ALIGNED_PROFILE": "prodution"},
            "Did you mean 'production'?",
        ),
    ],
)
def test_what_is_wrong_is_told(
    project: Project, attributes: str, variables: dict[str, str], expected: str
) -> None:
    project.yaml(attributes)

    told = project.dg("check", "defs", code=1, **variables)

    assert expected in " ".join(told.split())


def test_a_profile_of_the_component_replaces_a_connection(tmp_path: Path, forks: Forks) -> None:
    project = empty_project(tmp_path, forks)
    project.shop.mkdir()
    (project.shop / "contracts.py").write_text(
        "from aligned_dagster import Int32, PostgreSQLConfig, feature_view\n\n\n"
        "@feature_view(source=PostgreSQLConfig(env_var='TEST_URL').table('orders'))\n"
        "class Orders:\n"
        "    id = Int32().as_entity()\n",
        encoding="utf-8",
    )
    project.yaml(
        "  contracts: contracts.py\n"
        "  profiles:\n"
        "    production:\n"
        "      postgres_TEST_URL:\n"
        "        env_var: PROD_URL\n"
    )
    (project.root / "src" / "shop_project" / "shown.py").write_text(
        "from shop_project.definitions import defs\n"
        "resource = defs().resources['postgres_TEST_URL']\n"
        "print(resource.env_var)\n",
        encoding="utf-8",
    )

    def shown(**variables: str) -> str:
        path = os.pathsep.join(map(str, (REPOSITORY, project.root / "src")))
        ran = subprocess.run(
            [sys.executable, "-m", "shop_project.shown"],
            cwd=project.root,
            env={**os.environ, "PYTHONPATH": path, **variables},
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )
        assert ran.returncode == 0, ran.stderr
        return ran.stdout.strip()

    assert shown() == "TEST_URL"
    assert shown(ALIGNED_PROFILE="production") == "PROD_URL"


def test_a_second_component_is_an_error_that_says_what_to_do(tmp_path: Path, forks: Forks) -> None:
    project = empty_project(tmp_path, forks)
    for name in ("shop", "stock"):
        project.dg("scaffold", "defs", "aligned_dagster.AlignedComponent", name)

    told = project.dg("check", "defs", code=1)

    assert "list the globs of all contracts in it" in " ".join(told.split())


def test_a_component_in_python_is_scaffolded_too(tmp_path: Path, forks: Forks) -> None:
    project = empty_project(tmp_path, forks)
    project.dg("scaffold", "defs", "aligned_dagster.AlignedComponent", "shop", "--format", "python")

    assert "loaded successfully" in project.dg("check", "defs")
    assert "AlignedComponent(contracts=" in (project.shop / "component.py").read_text("utf-8")


def test_the_example_is_not_written_over_contracts_that_are_there(tmp_path: Path, forks: Forks) -> None:
    project = empty_project(tmp_path, forks)
    project.shop.mkdir()
    (project.shop / "contracts.py").write_text("# mine\n", encoding="utf-8")
    project.dg("scaffold", "defs", "aligned_dagster.AlignedComponent", "shop", code=None)

    assert (project.shop / "contracts.py").read_text("utf-8") == "# mine\n"


def test_the_component_is_found_by_its_short_name() -> None:
    import aligned_dagster

    assert "AlignedComponent" in dir(aligned_dagster)
    assert AlignedComponent(contracts="contracts.py").contracts == "contracts.py"
    assert AlignedScaffolder.get_scaffold_params().__name__ == "NoParams"
    with pytest.raises(AttributeError, match="no attribute 'AlignedComponents'"):
        _ = aligned_dagster.AlignedComponents  # type: ignore[attr-defined]
