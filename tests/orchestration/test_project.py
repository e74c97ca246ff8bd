from __future__ import annotations

from pathlib import Path

import pytest

from aligned_dagster.errors import AlignedError, ConfigurationError, ContractImportError
from aligned_dagster.orchestration.project import ProjectSettings

CONTRACT = """
from aligned_dagster import InMemorySource, Int32, feature_view

@feature_view(source=InMemorySource.from_values({{"id": [1]}}))
class {name}:
    id = Int32().as_entity()
"""


@pytest.fixture
def project(tmp_path):
    def make(table: str = 'contracts = "contracts/*.py"') -> Path:
        (tmp_path / "pyproject.toml").write_text(f"[tool.aligned_dagster]\n{table}\n", encoding="utf-8")
        (tmp_path / "contracts").mkdir(exist_ok=True)
        return tmp_path

    return make


def test_settings_are_found_from_a_directory_below(project):
    root = project()
    (root / "a" / "b").mkdir(parents=True)

    found = ProjectSettings.find(root / "a" / "b", environ={})

    assert found.root == root
    assert found.contracts == ("contracts/*.py",)
    assert (found.dagster_home, found.workspace) == (root / "dagster_home", root / "workspace.yaml")
    assert (found.definitions, found.executor) == ("aligned_dagster.definitions", "in_process")


@pytest.mark.parametrize("named", ["", "pyproject.toml"])
def test_the_environment_variable_wins(project, tmp_path, named):
    root = project('contracts = ["a.py", "b/*.py"]\nexecutor = "multiprocess"\ndagster_home = "home"')

    found = ProjectSettings.find(Path("/"), environ={"ALIGNED_PROJECT": str(root / named)})

    assert found.contracts == ("a.py", "b/*.py")
    assert (found.executor, found.dagster_home) == ("multiprocess", root / "home")


def test_a_pyproject_without_the_table_is_passed_by(project, tmp_path):
    root = project()
    (root / "inner").mkdir()
    (root / "inner" / "pyproject.toml").write_text("[project]\nname = 'x'\n", encoding="utf-8")

    assert ProjectSettings.find(root / "inner", environ={}).root == root


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ('contract = "x"', "unknown setting 'contract'. Did you mean 'contracts'?"),
        ("", "needs contracts, a glob or a list of globs"),
        ("contracts = 3", "needs contracts, a glob or a list of globs"),
        ('contracts = "x"\nexecutor = "cellery"', "executor = 'cellery'. Did you mean 'celery'?"),
        ("contracts = ", "is no TOML file"),
    ],
)
def test_a_wrong_setting_is_named_with_its_file(project, table, words):
    root = project(table)
    with pytest.raises(ConfigurationError, match=r"pyproject\.toml") as caught:
        ProjectSettings.find(root, environ={})
    assert words in str(caught.value)


def test_no_project_says_what_to_add(tmp_path):
    with pytest.raises(
        ConfigurationError, match=r"ALIGNED_PROJECT.*\n\[tool.aligned_dagster\]\ncontracts = "
    ):
        ProjectSettings.find(tmp_path, environ={})
    with pytest.raises(ConfigurationError, match="there is no file"):
        ProjectSettings.find(tmp_path, environ={"ALIGNED_PROJECT": str(tmp_path / "absent")})


def test_contracts_of_several_globs_are_one_store(project):
    root = project('contracts = ["contracts/*.py", "more/**/*.py"]')
    (root / "more" / "deep").mkdir(parents=True)
    (root / "contracts" / "first.py").write_text(CONTRACT.format(name="First"), encoding="utf-8")
    (root / "more" / "deep" / "second.py").write_text(CONTRACT.format(name="Second"), encoding="utf-8")

    assert set(ProjectSettings.find(root, environ={}).load_store().views) == {"first", "second"}


def test_a_glob_without_files_is_an_error(project):
    with pytest.raises(ConfigurationError, match=r"contracts/\*\.py.*relative to that file"):
        ProjectSettings.find(project(), environ={}).load_store()


def test_a_file_that_cannot_be_imported_is_named_with_the_cause(project):
    root = project()
    (root / "contracts" / "broken.py").write_text("import aligned_dagster\nnonsense\n", encoding="utf-8")

    with pytest.raises(ContractImportError, match=r"broken\.py:2.*nonsense") as caught:
        ProjectSettings.find(root, environ={}).load_store()
    assert isinstance(caught.value, AlignedError)
