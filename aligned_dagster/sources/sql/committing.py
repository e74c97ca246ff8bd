"""A commit, and what became of it where the answer was lost."""

from __future__ import annotations

import time

from aligned_dagster.errors import PublishError
from aligned_dagster.sources.sql.config import SqlConfig
from aligned_dagster.sources.sql.connection import Session
from aligned_dagster.sources.sql.sql_errors import said
from aligned_dagster.sources.sql.writes import Writes

PATIENCE = 15.0
"""Seconds in which to find out what became of a commit whose answer was lost."""


def commit(session: Session, writes: Writes, config: SqlConfig, contract: str, uri: str) -> None:
    """Make what was written last.

    Where the connection is lost meanwhile, the server is asked what became of the transaction.

    Args:
        session: the transaction.
        writes: has written in it.
        config: the database.
        contract: the contract whose rows were written.
        uri: the table.

    Raises:
        PublishError: nothing was written; or nobody can tell, and then the message says how to find out.
    """
    from adbc_driver_manager import Error

    mark = writes.mark(session)
    try:
        session.commit()
        return
    except (Error, OSError) as error:
        text = said(config.scrubbed(str(error)))
    until = time.monotonic() + PATIENCE
    outcome = writes.outcome(config, mark)
    while mark is not None and outcome in {None, "in progress"} and time.monotonic() < until:
        time.sleep(0.2)
        outcome = writes.outcome(config, mark)
    if outcome == "committed":
        return
    what = f"The rows of {contract!r} for {uri}"
    if outcome == "aborted":
        raise PublishError(
            f"{what} were not written: the commit failed: {text}. The old rows are still there. Try again."
        )
    raise PublishError(
        f"{what} are written, or none of them is: the connection was lost while they were committed: {text}. "
        f"{writes.ask(mark)} To write the same rows once more with upsert, overwrite or replace does no harm."
    )
