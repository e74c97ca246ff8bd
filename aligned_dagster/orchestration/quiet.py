"""No progress in runs: Dagster has a log of its own, and keeps what a step writes to stderr."""

from __future__ import annotations

import dagster as dg

from aligned_dagster.request.progress import silent_where


def no_progress_in_runs() -> None:
    """Show no progress of what Dagster runs in this process; what a person reads beside it is shown."""
    silent_where(in_a_run)


def in_a_run() -> bool:
    """Whether this is the inside of an asset, an op or a check that Dagster runs."""
    try:
        dg.OpExecutionContext.get()
    except dg.DagsterInvariantViolationError:
        return False
    return True
