"""A process that is there to be killed, or to lose its connection. It imports once and then forks writers.

Commands come on stdin, one a line: a way to write, and the number to start with. A line on stdout tells the writer's
process id, one the number of each finished write, one the error with which it stopped, and one that it has ended.
"""

from __future__ import annotations

import os
import pickle
import sys
from pathlib import Path
from typing import Any

import adbc_driver_postgresql.dbapi  # noqa: F401  # imported before the fork
import polars as pl
import pyarrow as pa  # noqa: F401  # imported before the fork

from aligned_dagster.errors import SourceError
from aligned_dagster.sources.sql import quarantine, sql_source, staged_table, writes  # noqa: F401  # before the fork


def tell(line: str) -> None:
    os.write(1, f"{line}\n".encode())


def write(source: Any, request: Any, rows: pl.DataFrame, way: str, number: int) -> None:
    new = rows.lazy().with_columns(count=pl.lit(number, pl.Int32))
    if way == "replace":
        part = pl.col("region").is_in(["0", "2", "4"])
        source.replace(new.filter(part), request, part)
    elif way == "insert":
        source.insert(new.with_columns(pl.col("station") + number * rows.height), request)
    else:
        getattr(source, way)(new, request)


def write_forever(plan: Path, way: str, number: int) -> None:
    source, request, rows = pickle.loads(plan.read_bytes())
    tell("ready")
    while True:
        write(source, request, rows, way, number)
        tell(f"wrote {number}")
        number += 1


def main() -> None:
    for line in sys.stdin:
        way, number = line.split()
        child = os.fork()
        if child == 0:
            try:
                write_forever(Path(sys.argv[1]), way, int(number))
            except SourceError as error:
                tell(f"lost {str(error)[:500]}".replace("\n", " "))
            except BaseException as error:
                tell(f"failed {error!r}".replace("\n", " "))
            os._exit(1)
        tell(f"child {child}")
        os.waitpid(child, 0)
        tell("ended")


if __name__ == "__main__":
    main()
