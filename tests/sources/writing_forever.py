"""A process that is there to be killed. It imports once and then forks, for each command, children that write.

Commands come on stdin, one a line: the name of a source, a way to write, and a number. For most ways one child writes
until it dies, beginning with that number. For `together`, `elsewhere` and `once` that many children write `UPSERTS` rows of
their own each: on this machine, or each as if on a machine of its own, or that way and without another try after a conflict.
Lines on stdout tell a child's process id, each finished write, each conflict, and that all have ended.
"""

from __future__ import annotations

import json
import os
import pickle
import sys
import tempfile
from pathlib import Path, PurePath
from typing import Any

import polars as pl

from aligned_dagster.errors import ConflictError
from aligned_dagster.request.retrieval_request import RetrievalRequest
from aligned_dagster.sources import (
    file_source,  # noqa: F401  # imported before the fork
    object_publishing,  # noqa: F401  # imported before the fork
    partitioned,  # noqa: F401  # imported before the fork
    roll_forward,  # noqa: F401  # imported before the fork
)
from aligned_dagster.sources.source import source_from_json

UPSERTS = 6
SEVERAL = ("together", "elsewhere", "once")


def tell(line: str) -> None:
    os.write(1, f"{line}\n".encode())


def write(source: Any, request: RetrievalRequest, rows: pl.DataFrame, way: str, number: int) -> None:
    new = rows.lazy().with_columns(count=pl.lit(number, pl.Int32))
    if way in ("overwrite", "upsert"):
        getattr(source, way)(new, request)
    else:
        part = pl.col("region").is_in(["0", "2", "4"]) if way == "partitions" else pl.col("day").is_null()
        source.replace(new.filter(part), request, part)


def write_forever(source: Any, request: RetrievalRequest, rows: pl.DataFrame, way: str, number: int) -> None:
    tell("ready")
    while True:
        write(source, request, rows, way, number)
        tell(f"wrote {number}")
        number += 1


def upsert_own(source: Any, request: RetrievalRequest, rows: pl.DataFrame, way: str, me: int) -> None:
    for number in range(me * UPSERTS, (me + 1) * UPSERTS):
        mine = rows.head(1).with_columns(station=pl.lit(number), region=pl.lit(str(number % 3)))
        try:
            if way == "once":
                with source.stage(mine.lazy(), request, "upsert") as staged:
                    staged.publish()
            else:
                source.upsert(mine.lazy(), request)
        except ConflictError:
            tell("conflict")
        else:
            tell(f"wrote {number}")


def child(source: Any, request: RetrievalRequest, rows: pl.DataFrame, way: str, number: int) -> None:
    try:
        if way in SEVERAL:
            if way != "together":
                tempfile.tempdir = tempfile.mkdtemp()  # no lock is shared with another machine
            upsert_own(source, request, rows, way, number)
        else:
            write_forever(source, request, rows, way, number)
    except BaseException as error:
        tell(f"failed {error!r}".replace("\n", " "))


def main() -> None:
    forms, request, rows = pickle.loads(Path(sys.argv[1]).read_bytes())
    sources: dict[str, Any] = {name: source_from_json(json.loads(form)) for name, form in forms.items()}
    for source in sources.values():
        source.location.readable(PurePath("clients/are/made/before/the/fork"))
    for line in sys.stdin:
        name, way, number = line.split()
        children: list[int] = []
        for first in range(int(number)) if way in SEVERAL else [int(number)]:
            process = os.fork()
            if process == 0:
                child(sources[name], request, rows, way, first)
                os._exit(1)
            children.append(process)
            tell(f"child {process}")
        for process in children:
            os.waitpid(process, 0)
        tell("ended")


if __name__ == "__main__":
    main()
