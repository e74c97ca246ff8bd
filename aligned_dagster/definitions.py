"""What `workspace.yaml` loads: the definitions of the project that `[tool.aligned_dagster]` describes."""

from __future__ import annotations

import gc

import dagster as dg

from aligned_dagster.orchestration.project import ProjectSettings
from aligned_dagster.orchestration.project_definitions import definitions_of

gc.disable()  # all that is made here stays; to look through it for garbage again and again takes a sixth of the time
try:
    defs: dg.Definitions = definitions_of(ProjectSettings.find())
    """Every contract of the project as Dagster definitions."""
    gc.freeze()
finally:
    gc.enable()
