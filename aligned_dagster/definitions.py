"""What `workspace.yaml` loads: the definitions of the project that `[tool.aligned_dagster]` describes."""

from __future__ import annotations

import gc

import dagster as dg

from aligned_dagster.contracts.lock import ContractsLock
from aligned_dagster.orchestration.definitions import build_definitions
from aligned_dagster.orchestration.project import ProjectSettings
from aligned_dagster.orchestration.translator import ContractTranslator, TranslatorSettings


def _of_project(settings: ProjectSettings) -> dg.Definitions:
    return build_definitions(
        settings.load_store(),
        ContractTranslator(
            TranslatorSettings(
                quarantine_days=settings.quarantine_days,
                automation_running=settings.automation == "running",
                observe_every=settings.observed_every(),
            )
        ),
        assets=settings.load_assets(),
        executor=dg.in_process_executor if settings.executor == "in_process" else dg.multiprocess_executor,
        lock=ContractsLock.read(settings.root),
        git=settings.git,
    )


gc.disable()  # all that is made here stays; to look through it for garbage again and again takes a sixth of the time
try:
    defs: dg.Definitions = _of_project(ProjectSettings.find())
    """Every contract of the project as Dagster definitions."""
    gc.freeze()
finally:
    gc.enable()
