"""The directory in which Dagster keeps its runs, events and logs."""

from __future__ import annotations

import os
from pathlib import Path

from aligned_dagster.orchestration.project import ProjectSettings

SETTINGS = """\
# Dagster's own settings for this project; see its documentation of dagster.yaml.

telemetry:
  enabled: false

# No welcome and newsletter pop-ups.
nux:
  enabled: false

# A run that is asked for in the UI starts within a second, not within five.
run_queue:
  dequeue_interval_seconds: 1
  max_concurrent_runs: 4

# A run whose process is gone is told to have failed, also where everything that ran here was killed with it; it can then
# be re-executed from failure.
run_launcher:
  module: aligned_dagster.orchestration.run_launcher
  class: WatchedRunLauncher
run_monitoring:
  enabled: true
  poll_interval_seconds: 10

code_servers:
  wait_for_local_processes_on_shutdown: true
"""
"""What a new directory begins with."""


def use_home(settings: ProjectSettings) -> str:
    """Make Dagster's storage the project's own, unless DAGSTER_HOME says otherwise, and return its directory.

    Dagster wants it absolute and existing; a new one gets settings of its own.
    """
    home = Path(os.environ.get("DAGSTER_HOME") or settings.dagster_home).absolute()
    home.mkdir(parents=True, exist_ok=True)
    if not (home / "dagster.yaml").exists():
        (home / "dagster.yaml").write_text(SETTINGS, encoding="utf-8")
    os.environ["DAGSTER_HOME"] = str(home)
    return str(home)
