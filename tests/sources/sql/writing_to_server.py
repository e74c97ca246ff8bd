"""As `writing_forever`, for writers to a server that are there to be killed, or to lose their connection.

The plan holds sources by their names. A line tells the error with which a writer stopped.
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
from aligned_dagster.request.retrieval_request import RetrievalRequest
from aligned_dagster.sources.s3_client import access_to
from aligned_dagster.sources.sql import (  # noqa: F401  # imported before the fork
    committing,
    predicate,
    redshift_staging,
    redshift_writes,
    sql_source,
    staged_table,
)
from tests.sources.writing_forever import tell, write


def write_forever(source: Any, request: RetrievalRequest, rows: pl.DataFrame, way: str, number: int) -> None:
    tell("ready")
    while True:
        if way == "insert":
            new = rows.lazy().with_columns(pl.lit(number, pl.Int32).alias("count"))
            source.insert(new.with_columns(pl.col("station") + number * rows.height), request)
        else:
            write(source, request, rows, way, number)
        tell(f"wrote {number}")
        number += 1


def main() -> None:
    sources, request, rows = pickle.loads(Path(sys.argv[1]).read_bytes())
    for source in sources.values():
        if getattr(source.config, "s3", None) is not None:
            access_to(source.config.s3.config)  # clients are made before the fork
    for line in sys.stdin:
        name, way, number = line.split()
        child = os.fork()
        if child == 0:
            try:
                write_forever(sources[name], request, rows, way, int(number))
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
