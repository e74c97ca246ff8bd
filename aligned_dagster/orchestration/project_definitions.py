"""The definitions of a project, and what is wrong where they cannot be built."""

from __future__ import annotations

import traceback
from typing import TYPE_CHECKING, Any

import dagster as dg
from dagster._core.definitions.reconstruct import ReconstructableRepository

from aligned_dagster.contracts.feature_view import FeatureView
from aligned_dagster.contracts.lock import ContractsLock
from aligned_dagster.errors import AlignedError, ConfigurationError
from aligned_dagster.features.location import at
from aligned_dagster.orchestration.definitions import build_definitions
from aligned_dagster.orchestration.executors import executor_named
from aligned_dagster.orchestration.project import ProjectSettings
from aligned_dagster.orchestration.translator import ContractTranslator
from aligned_dagster.orchestration.translator_settings import TranslatorSettings

if TYPE_CHECKING:
    from aligned_dagster.contracts.store import ContractStore

OWN = "aligned_dagster.definitions"
"""The module that projects load which have none of their own."""


def definitions_of(settings: ProjectSettings, store: ContractStore | None = None) -> dg.Definitions:
    """Every contract of a project as Dagster definitions.

    Args:
        settings: the project.
        store: its contracts; loaded if not given.

    Raises:
        AlignedError: a contract or a setting is wrong.
    """
    return build_definitions(
        settings.load_store() if store is None else store,
        ContractTranslator(
            TranslatorSettings(
                quarantine_days=settings.quarantine_days,
                automation_running=settings.automation == "running",
                observe_every=settings.observed_every(),
            )
        ),
        assets=settings.load_assets(),
        executor=executor_named(settings.executor),
        lock=ContractsLock.read(settings.root),
        git=settings.git,
    )


def check_loads(settings: ProjectSettings, store: ContractStore | None = None) -> None:
    """Make sure that Dagster can load a project, as its web server, its daemon and a run do.

    Args:
        settings: the project.
        store: its contracts, for a project whose definitions are those of its contracts alone; as the module of the
            definitions loads them if not given.

    Raises:
        AlignedError: a contract or a setting is wrong.
        ConfigurationError: something else goes wrong while the definitions are built; the contract is named where it is
            known.
    """
    try:
        if store is not None and settings.definitions == OWN:
            dg.Definitions.validate_loadable(definitions_of(settings, store))
        else:
            found = ReconstructableRepository.for_module(settings.definitions, "defs", str(settings.root))
            found.get_definition()
    except AlignedError:
        raise
    except Exception as error:
        raise ConfigurationError(_words(settings, error)) from error


def _words(settings: ProjectSettings, error: Exception) -> str:
    """What was built when something went wrong: the contract, or the module of the definitions."""
    reason = f"{type(error).__name__}: {' '.join(str(error).split())}"
    view = _concerned(error)
    if view is not None:
        return f"{view.name} cannot become an asset of Dagster: {reason}{at(view.location)}"
    frames = traceback.extract_tb(error.__traceback__)
    own = [one for one in frames if str(settings.root) in one.filename]
    where = f" ({own[-1].filename}:{own[-1].lineno})" if own else ""
    return f"The definitions of the project ({settings.definitions}) cannot be built: {reason}{where}"


def _concerned(error: Exception) -> FeatureView[Any] | None:
    """The contract that the innermost function at work was about."""
    views = [
        value
        for frame, _ in traceback.walk_tb(error.__traceback__)
        for value in (frame.f_locals.get("view"),)
        if isinstance(value, FeatureView)
    ]
    return views[-1] if views else None
