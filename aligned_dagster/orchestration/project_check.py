"""Whether the profiles and the engine of a project fit its contracts, and whether Dagster can load it."""

from __future__ import annotations

import os
from importlib.util import find_spec
from typing import TYPE_CHECKING

from aligned_dagster.contracts.checking import Finding
from aligned_dagster.contracts.engines import PACKAGES, engine_of, needs_session
from aligned_dagster.errors import AlignedError
from aligned_dagster.orchestration.engine_settings import ENGINE
from aligned_dagster.orchestration.profiles import PROFILE

if TYPE_CHECKING:
    from aligned_dagster.contracts.store import ContractStore
    from aligned_dagster.orchestration.project import ProjectSettings
    from aligned_dagster.sources.engines.session import SessionName


def check_profiles(settings: ProjectSettings, store: ContractStore) -> tuple[ContractStore, list[Finding]]:
    """Try every profile on the contracts: the one that is used must fit, another one that does not is a warning.

    Args:
        settings: the project.
        store: its contracts, without any profile.

    Returns:
        The contracts over the profile that is used, where it fits, and a finding for each profile.
    """
    chosen = os.environ.get(PROFILE) or settings.profile
    found: list[Finding] = []
    used = store
    for name in dict.fromkeys([*([chosen] if chosen else []), *settings.profiles]):
        try:
            changed = settings.with_profile(store, name)
        except AlignedError as error:
            ok = name != chosen
            found.append(Finding("profile", name, (), ok, str(error), warns=ok))
            continue
        replaced = ", ".join(settings.profiles[name]) or "nothing"
        state = "is used" if name == chosen else "is not used"
        found.append(Finding("profile", name, (), True, f"{state}, replaces {replaced}"))
        used = changed if name == chosen else used
    return used, found


def check_engines(settings: ProjectSettings, store: ContractStore) -> tuple[ContractStore, list[Finding]]:
    """Put the contracts on the engine of the deployment, which must be installed and be able to compute them.

    Args:
        settings: the project.
        store: its contracts, over the profile that is used.

    Returns:
        The contracts on their engines, where that can be, and a finding for each engine but polars.
    """
    chosen = os.environ.get(ENGINE) or settings.engine or "polars"
    try:
        changed = settings.with_engine(store)
    except AlignedError as error:
        return store, [Finding("engine", chosen, tuple(store.views), False, str(error))]
    used: dict[SessionName, list[str]] = {}
    for name, view in changed.views.items():
        engine = engine_of(view)
        if needs_session(engine):
            used.setdefault(engine, []).append(name)
    return changed, [_engine(engine, tuple(names)) for engine, names in used.items()]


def _engine(engine: SessionName, names: tuple[str, ...]) -> Finding:
    """Whether the packages of an engine are there; a session is not started, which takes Spark seconds."""
    missing = [package for package in ("narwhals", PACKAGES[engine]) if find_spec(package) is None]
    if missing:
        words = f"{' and '.join(missing)} is missing: pip install 'aligned-dagster[{engine}]'"
        return Finding("engine", engine, names, False, words)
    return Finding(
        "engine", engine, names, True, "computes and audits, and can do all that the contracts say"
    )


def check_definitions(settings: ProjectSettings, store: ContractStore) -> Finding:
    """Build the definitions, as Dagster does when it loads the project; no source is touched.

    Args:
        settings: the project.
        store: its contracts, over the profile that is used.
    """
    from aligned_dagster.orchestration.project_definitions import check_loads

    names = tuple(store.views)
    try:
        check_loads(settings, store)
    except AlignedError as error:
        return Finding("definitions", settings.definitions, names, False, str(error))
    return Finding("definitions", settings.definitions, names, True, "can be loaded by Dagster")
