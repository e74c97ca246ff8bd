"""A process that is there to be killed. It imports once and then forks, for each command, a child that writes until it dies.

Commands come on stdin, one a line: the name of a source, a way to write, and the number to start with. A line
on stdout tells the child's process id, one the number of each finished write, and one that the child has ended.
"""

from __future__ import annotations

import json
import os
import pickle
import sys
from pathlib import Path

import polars as pl

from aligned_dagster.sources import file_source, partitioned, roll_forward  # noqa: F401  # imported before the fork
from aligned_dagster.sources.source import WritableSource, source_from_json


def tell(line: str) -> None:
    os.write(1, f"{line}\n".encode())


def write_forever(plan: Path, name: str, way: str, number: int) -> None:
    forms, request, rows = pickle.loads(plan.read_bytes())
    source = source_from_json(json.loads(forms[name]))
    assert isinstance(source, WritableSource)
    tell("ready")
    while True:
        new = rows.lazy().with_columns(count=pl.lit(number, pl.Int32))
        if way == "overwrite":
            source.overwrite(new, request)
        elif way == "upsert":
            source.upsert(new, request)
        else:
            part = pl.col("region").is_in(["0", "2", "4"]) if way == "partitions" else pl.col("day").is_null()
            source.replace(new.filter(part), request, part)
        tell(f"wrote {number}")
        number += 1


def main() -> None:
    for line in sys.stdin:
        name, way, number = line.split()
        child = os.fork()
        if child == 0:
            try:
                write_forever(Path(sys.argv[1]), name, way, int(number))
            except BaseException as error:
                tell(f"failed {error!r}")
            os._exit(1)
        tell(f"child {child}")
        os.waitpid(child, 0)
        tell("ended")


if __name__ == "__main__":
    main()
