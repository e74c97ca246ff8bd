"""Part of the projects that are killed: a process waits at a named point of a publish until somebody ends it.

The file `stop` of the project names the point; `stopped`, which the process writes, holds its id; `go` lets it go on.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from aligned_dagster.sources.sql.connection import Session

COMMIT = "commit"


def arm(project: Path) -> None:
    """Wait before files that match the plan are put into place, or before a commit to a database."""
    if getattr(os.replace, "is_armed", False):
        return
    replace, commit = os.replace, Session.commit
    calls: dict[str, int] = {}

    def stop_at(place: str) -> None:
        try:
            plan, _, number = (project / "stop").read_text("utf-8").rpartition(" ")
        except FileNotFoundError:
            return
        if plan not in place:
            return
        calls[plan] = calls.get(plan, 0) + 1
        if calls[plan] != int(number):
            return
        draft = project / f".stopped-{os.getpid()}"
        draft.write_text(str(os.getpid()), "utf-8")
        replace(draft, project / "stopped")
        while not (project / "go").exists():
            time.sleep(0.02)

    def replace_or_wait(source: Any, target: Any, **options: Any) -> None:
        stop_at(str(target))
        replace(source, target, **options)

    def commit_or_wait(session: Session) -> None:
        stop_at(COMMIT)
        commit(session)

    vars(replace_or_wait)["is_armed"] = True
    for owner, name, function in ((os, "replace", replace_or_wait), (Session, "commit", commit_or_wait)):
        setattr(owner, name, function)
