"""Writers of one table at the same time, and commits whose answer is lost: what must hold of every server."""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest
from adbc_driver_manager import OperationalError

from aligned_dagster.errors import PublishError
from aligned_dagster.sources.sql.connection import Session
from aligned_dagster.sources.sql.sql_source import SqlTableSource

from .conftest import request

SCRIPT = """
import pickle, sys, polars as pl
source, request = pickle.loads(open(sys.argv[1], "rb").read())
me = int(sys.argv[2])
for number in range(20):
    rows = pl.LazyFrame({"id": [me * 100 + number, -1], "writer": [me, me]})
    source.upsert(rows, request)
"""
WRITERS = 8


def upsert_at_once(source: SqlTableSource, directory: Path) -> None:
    """Let processes upsert rows of their own and one that they share: none is lost, and the shared one is one row."""
    wanted = request(id="entity int64", writer="int64")
    plan = directory / "plan.pickle"
    plan.write_bytes(pickle.dumps((source, wanted)))
    writers = [
        subprocess.Popen([sys.executable, "-c", SCRIPT, str(plan), str(number)]) for number in range(WRITERS)
    ]
    assert [writer.wait(200) for writer in writers] == [0] * WRITERS
    found = source.all_data(wanted).collect()
    assert sorted(found["id"]) == [-1, *(me * 100 + number for me in range(WRITERS) for number in range(20))]


def lose_answers(patch: pytest.MonkeyPatch, came_through: bool | None) -> None:
    """Let every commit lose its answer: after it was done, or in place of it; None for one that goes on."""
    commit = Session.commit

    def lose(self: Session) -> None:
        if came_through:
            commit(self)
        elif came_through is not None:
            self.rollback()
        raise OperationalError("server closed the connection unexpectedly", status_code=10)

    patch.setattr(Session, "commit", lose)


def find_out_about_commits(
    source: SqlTableSource, monkeypatch: pytest.MonkeyPatch, came_through: bool
) -> None:
    """What became of a commit is found out where its answer is lost."""
    wanted = request(id="entity int64")
    source.overwrite(pl.LazyFrame({"id": [1]}), wanted)
    lose_answers(monkeypatch, came_through)
    if came_through:
        source.insert(pl.LazyFrame({"id": [2]}), wanted)
    else:
        with pytest.raises(
            PublishError, match=r"were not written: the commit failed.*old rows are still there"
        ):
            source.insert(pl.LazyFrame({"id": [2]}), wanted)
    assert source.all_data(wanted).collect()["id"].to_list() == ([1, 2] if came_through else [1])
