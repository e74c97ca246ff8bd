"""Imports, in a process that has imported the standard library only."""

from __future__ import annotations

import time
from collections.abc import Callable
from importlib import import_module
from typing import Any

from benchmarks.cell import Task


def imported(task: Task) -> Callable[[], Any]:
    """Import modules one after the other, and tell the milliseconds that came after the first.

    A module may be followed by the names that are taken from it, as in "package:this,that".
    """

    def run() -> Any:
        first, *others = task.args["modules"]
        import_module(first)
        began, processor = time.perf_counter(), time.process_time()
        for name in others:
            module, _, names = name.partition(":")
            loaded = import_module(module)
            for used in filter(None, names.split(",")):
                getattr(loaded, used)
        task.figures["ms beyond polars"] = round((time.perf_counter() - began) * 1000, 1)
        task.figures["processor ms beyond polars"] = round((time.process_time() - processor) * 1000, 1)

    return run
