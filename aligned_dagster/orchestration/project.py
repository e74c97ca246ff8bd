"""The settings of a project: the table `[tool.aligned_dagster]` of its pyproject.toml."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from glob import glob
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aligned_dagster.errors import ConfigurationError
from aligned_dagster.orchestration.code_references import GitLinks
from aligned_dagster.orchestration.engine_settings import checked_engine, spark_settings, with_engine
from aligned_dagster.orchestration.executors import Executor, checked_executor
from aligned_dagster.orchestration.observation_intervals import DEFAULT, Every
from aligned_dagster.orchestration.profiles import PROFILE, Profiles, checked_profiles, with_profile
from aligned_dagster.orchestration.project_table import (
    EXAMPLE,
    Automation,
    automation,
    chosen_profile,
    globs,
    observe_every,
    project_table,
    quarantine_days,
    refuse_unknown_settings,
)

if TYPE_CHECKING:
    from dagster import AssetsDefinition

    from aligned_dagster.contracts.store import ContractStore
    from aligned_dagster.features.engines.names import Engine
    from aligned_dagster.sources.engines.spark_config import SparkConfig

PROJECT = "ALIGNED_PROJECT"
"""The environment variable that names a project's directory, or its pyproject.toml."""

DUMMY = "ALIGNED_DUMMY"
"""The environment variable that puts a project on made-up rows: with `ALIGNED_DUMMY=1` no source is touched."""


@dataclass(frozen=True)
class ProjectSettings:
    """Where a project keeps its contracts and how it runs.

    Args:
        root: the directory of its pyproject.toml; every other path is relative to it.
        contracts: globs of the files with contracts.
        assets: globs of the files with further assets of Dagster: those made by `@produces`, those that train models.
        definitions: the module whose `defs` Dagster loads.
        dagster_home: the directory of Dagster's own storage.
        workspace: the file that names the code locations for the UI.
        executor: "in_process" runs one step after another, each on all cores; "multiprocess" a process a
            step; "dask" and "celery" on their workers.
        quarantine_days: how long rows that were kept aside are kept; None for as long as nobody drops them.
        profiles: name of a deployment to the connections that it replaces, with the fields of what takes their place.
        profile: the one that is used, unless `ALIGNED_PROFILE` names another one.
        git: the repository to which the UI links contracts.
        file: that holds the settings, for errors; the pyproject.toml of the root if not given.
        automation: "running" has schedules, `automation` and the observation of sources on from the start; "stopped"
            leaves it to somebody in the UI.
        observe_every: asset key or glob of raw sources and models to how often they are looked at, in seconds; False is
            never, "default" is for the others.
        engine: "polars", "spark" or "duckdb": what computes and audits contracts that state no engine themselves, unless
            `ALIGNED_ENGINE` names another one; polars if not given.
        spark: how Spark is reached, as far as no environment variable says it.
    """

    root: Path
    contracts: tuple[str, ...]
    assets: tuple[str, ...] = ()
    definitions: str = "aligned_dagster.definitions"
    dagster_home: Path = Path("dagster_home")
    workspace: Path = Path("workspace.yaml")
    executor: Executor = "in_process"
    quarantine_days: float | None = None
    profiles: Profiles = field(default_factory=dict)
    profile: str | None = None
    git: GitLinks | None = None
    file: Path | None = None
    automation: Automation = "stopped"
    observe_every: Mapping[str, Every] = field(default_factory=dict)
    engine: Engine | None = None
    spark: SparkConfig | None = None

    @staticmethod
    def find(start: Path | None = None, environ: Mapping[str, str] | None = None) -> ProjectSettings:
        """The settings of the project that `ALIGNED_PROJECT` names, or of the one around a directory.

        Args:
            start: where the search upwards begins; the current directory if not given.
            environ: the environment; the process's own if not given.

        Raises:
            ConfigurationError: no pyproject.toml has the table, or a setting in it is wrong.
        """
        named = (os.environ if environ is None else environ).get(PROJECT)
        if named:
            path = Path(named).resolve()
            file = path / "pyproject.toml" if path.is_dir() else path
            if not file.is_file():
                raise ConfigurationError(f"{PROJECT} is {named!r}, but there is no file {file}.")
            table = project_table(file)
            if table is None:
                raise ConfigurationError(f"{file} has no table [tool.aligned_dagster]. Add:\n{EXAMPLE}")
            return _settings(table, file)
        directory = (start or Path.cwd()).resolve()
        for folder in (directory, *directory.parents):
            file = folder / "pyproject.toml"
            table = project_table(file) if file.is_file() else None
            if table is not None:
                return _settings(table, file)
        raise ConfigurationError(
            f"Neither {directory} nor a directory above it has a pyproject.toml with [tool.aligned_dagster]. "
            f"Change into the project, set {PROJECT} to its directory, or add to its pyproject.toml:\n"
            f"{EXAMPLE}"
        )

    def contract_globs(self) -> list[str]:
        """The globs of the files with contracts, absolute; those files may then import each other.

        Raises:
            ConfigurationError: a glob names no file.
        """
        return self._globs("contracts", self.contracts)

    def load_store(self) -> ContractStore:
        """The contracts in all files that the globs name, over the databases, buckets and accounts of the profile.

        Where `ALIGNED_DUMMY=1` is set they are on random rows. They are on the engine of the deployment.

        Raises:
            ConfigurationError: a glob names no file, or the profile or the engine is wrong.
            UnsupportedError: columns cannot be computed on the engine.
            ContractImportError: a file cannot be imported; the message says which and why.
            DuplicateNameError: two contracts have one name.
        """
        from aligned_dagster.contracts.store import ContractStore

        store = ContractStore()
        for pattern in self.contract_globs():
            store = store.combined_with(ContractStore.discover(pattern))
        store = with_profile(store, self.profiles, self.profile, self._where)
        return self.with_engine(store.dummy_store() if _on_made_up_rows() else store)

    def with_engine(self, store: ContractStore) -> ContractStore:
        """The contracts on the engine of the deployment.

        Args:
            store: the contracts.

        Raises:
            ConfigurationError: `ALIGNED_ENGINE` names no engine.
            UnsupportedError: columns cannot be computed on the engine; every one is listed with the reason.
        """
        return with_engine(store, self.engine, self.spark)

    def with_profile(self, store: ContractStore, name: str) -> ContractStore:
        """The contracts over the databases, buckets and accounts of one profile, whichever is used.

        Args:
            store: the contracts.
            name: of the profile.

        Raises:
            ConfigurationError: there is no such profile, or it does not fit the contracts.
        """
        return with_profile(store, self.profiles, None, self._where, environ={PROFILE: name})

    def load_assets(self) -> list[AssetsDefinition]:
        """The further assets in all files that the globs name; none on made-up rows, which nobody should train on.

        Raises:
            ConfigurationError: a glob names no file.
            ContractImportError: a file cannot be imported; the message says which and why.
        """
        from dagster import AssetsDefinition, load_assets_from_modules

        from aligned_dagster.contracts.discovery import contract_files, module_of

        if not self.assets or _on_made_up_rows():
            return []
        files = {file for pattern in self._globs("assets", self.assets) for file in contract_files(pattern)}
        found = load_assets_from_modules([module_of(file) for file in sorted(files)])
        return [asset for asset in found if isinstance(asset, AssetsDefinition)]

    @property
    def _where(self) -> str:
        return str(self.file) if self.file else f"[tool.aligned_dagster] of {self.root / 'pyproject.toml'}"

    def observed_every(self) -> Mapping[str, Every]:
        """How often sources are looked at; on made-up rows, whose sources have other names, the default alone."""
        if not _on_made_up_rows():
            return self.observe_every
        return {name: every for name, every in self.observe_every.items() if name == DEFAULT}

    def _globs(self, setting: str, patterns: tuple[str, ...]) -> list[str]:
        """The globs from the project's root, from which its files may import each other."""
        if str(self.root) not in sys.path:
            sys.path.insert(0, str(self.root))
        for pattern in patterns:
            if not glob(str(self.root / pattern), recursive=True):
                raise ConfigurationError(
                    f"No file matches {setting} = {pattern!r} of {self.file or self.root / 'pyproject.toml'}. "
                    "The glob is relative to that file."
                )
        return [str(self.root / pattern) for pattern in patterns]


def _on_made_up_rows() -> bool:
    return os.environ.get(DUMMY, "0") not in {"", "0"}


def _settings(table: Mapping[str, Any], file: Path) -> ProjectSettings:
    where = f"[tool.aligned_dagster] of {file}"
    refuse_unknown_settings(table, where)
    root = file.resolve().parent
    return ProjectSettings(
        root=root,
        contracts=globs(table, "contracts", where),
        assets=globs(table, "assets", where) if table.get("assets", []) != [] else (),
        definitions=str(table.get("definitions", "aligned_dagster.definitions")),
        dagster_home=root / str(table.get("dagster_home", "dagster_home")),
        workspace=root / str(table.get("workspace", "workspace.yaml")),
        executor=checked_executor(table.get("executor", "in_process"), where),
        quarantine_days=quarantine_days(table, where),
        automation=automation(table, where),
        observe_every=observe_every(table, where),
        profiles=checked_profiles(table.get("profiles", {}), where),
        profile=chosen_profile(table, where),
        engine=checked_engine(table.get("engine"), f"engine in {where}"),
        spark=spark_settings(table.get("spark"), where),
        git=GitLinks.of(table["git"], where, root) if "git" in table else None,
    )
