"""Whether the profiles of a project fit its contracts, and whether Dagster can load it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from aligned_dagster.contracts.checking import Finding
from aligned_dagster.errors import AlignedError
from aligned_dagster.orchestration.profiles import PROFILE

if TYPE_CHECKING:
    from aligned_dagster.contracts.store import ContractStore
    from aligned_dagster.orchestration.project import ProjectSettings


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
