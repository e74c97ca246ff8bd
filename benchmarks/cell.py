"""One cell: a way of doing the work of a workload, run once in this fresh process and measured.

It needs the standard library only, so that it runs in the environment of every peer.
"""

from __future__ import annotations

import importlib
import json
import re
import resource
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Task:
    """What a cell is given.

    Args:
        data: the directory of the rows that the workload made; it is shared, so a cell only reads it.
        work: an empty directory of its own.
        args: further arguments of the group.
        figures: what the cell counts itself, by the heading of the column that it gets in the table.
    """

    data: Path
    work: Path
    args: dict[str, Any]
    figures: dict[str, float] = field(default_factory=dict)


Way = Callable[[Task], Callable[[], Any]]
"""Prepares what is not measured, and returns what is. That returns its answer: a polars frame, a Parquet file or a
directory of them, anything that JSON can hold, or a function that fetches the answer and is not measured."""


def own_peak() -> int:
    """Most bytes that this process held at once. Unlike `ru_maxrss` it does not begin with those of its parent."""
    status = Path("/proc/self/status")
    if not status.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    found = re.search(r"VmHWM:\s+(\d+) kB", status.read_text())
    assert found is not None
    return int(found[1]) * 1024


def measure(way: Way, task: Task) -> dict[str, Any]:
    """Run a way and tell its seconds, those of the processors, its peak, what it counted, and its answer."""
    run = way(task)
    before = _processors()
    began = time.perf_counter()
    answer = run()
    seconds = time.perf_counter() - began
    after = _processors()
    children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
    told: dict[str, Any] = {
        "seconds": seconds,
        "cpu": after - before,
        "peak": max(own_peak(), children),
        "figures": task.figures,
    }
    if callable(answer):
        answer = answer()
    if hasattr(answer, "write_parquet"):
        file = task.work / "answer.parquet"
        answer.write_parquet(file)
        return told | {"rows_at": str(file)}
    return told | ({"rows_at": str(answer)} if isinstance(answer, Path) else {"value": answer})


def _processors() -> float:
    told = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in told)


def main(order: str) -> None:
    """Carry out an order, which is a JSON file, and write the outcome beside it."""
    path = Path(order)
    asked = json.loads(path.read_text("utf-8"))
    way: Way = getattr(importlib.import_module(f"benchmarks.cells.{asked['module']}"), asked["function"])
    task = Task(Path(asked["data"]), Path(asked["work"]), asked["args"])
    path.with_suffix(".outcome").write_text(json.dumps(measure(way, task)), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1])
