"""What is shipped as dagster.yaml finds runs that are dead."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import dagster as dg
import pytest

from aligned_dagster.orchestration.home import SETTINGS
from aligned_dagster.orchestration.run_launcher import WatchedRunLauncher, is_alive

HERE = Path(__file__).parents[2] / "dagster_home" / "dagster.yaml"


@pytest.mark.parametrize("settings", [SETTINGS, HERE.read_text("utf-8")], ids=["a new project", "the demo"])
def test_runs_are_watched(settings: str, tmp_path: Path) -> None:
    (tmp_path / "dagster.yaml").write_text(settings, "utf-8")
    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        assert isinstance(instance.run_launcher, WatchedRunLauncher)
        assert instance.run_monitoring_enabled
        run = instance.create_run_for_job(dg.GraphDefinition(name="elsewhere").to_job())
        assert instance.run_launcher.check_run_worker_health(run).status.value == "RUNNING"


def test_a_process_is_told_from_a_later_one_of_its_number() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        assert is_alive(process.pid, time.time())
        assert not is_alive(process.pid, time.time() - 3600)
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert not is_alive(process.pid, time.time()), "it has ended, though nobody has waited for it"
    assert not is_alive(process.pid, time.time())
