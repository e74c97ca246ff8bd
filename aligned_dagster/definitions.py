"""What `workspace.yaml` loads: the definitions of the project that `[tool.aligned_dagster]` describes."""

from __future__ import annotations

import gc

import dagster as dg

from aligned_dagster.contracts.lock import ContractsLock
from aligned_dagster.orchestration.definitions import build_definitions
from aligned_dagster.orchestration.project import ProjectSettings
from aligned_dagster.orchestration.translator import ContractTranslator, TranslatorSettings

gc.disable()  # all that is made here stays, and to look through it for garbage again and again takes a sixth of the time
_settings = ProjectSettings.find()

defs: dg.Definitions = build_definitions(
    _settings.load_store(),
    ContractTranslator(
        TranslatorSettings(
            quarantine_days=_settings.quarantine_days,
            automation_running=_settings.automation == "running",
            observe_every=_settings.observed_every(),
        )
    ),
    assets=_settings.load_assets(),
    executor=dg.in_process_executor if _settings.executor == "in_process" else dg.multiprocess_executor,
    lock=ContractsLock.read(_settings.root),
    git=_settings.git,
)
"""Every contract of the project as Dagster definitions."""

gc.freeze()
gc.enable()
