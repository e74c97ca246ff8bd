"""Rows of a fixed seed, made once and kept for the next time."""

from __future__ import annotations

import hashlib
import inspect
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

CACHE = Path(os.environ.get("BENCHMARK_CACHE") or Path(tempfile.gettempdir()) / "aligned_dagster_benchmarks")
"""Where rows are kept; the environment variable BENCHMARK_CACHE names another directory."""


def cached(make: Callable[..., None], *sizes: Any) -> Path:
    """The directory that a function has filled, for these sizes; it is filled anew when the function's module changes.

    Args:
        make: is given an empty directory and the sizes.
        sizes: numbers that decide what is made.
    """
    module = inspect.getmodule(make)
    assert module is not None
    digest = hashlib.sha256(f"{inspect.getsource(module)}{sizes}".encode()).hexdigest()[:12]
    folder = CACHE / f"{make.__module__.rpartition('.')[2]}-{make.__name__}-{digest}"
    if not folder.exists():
        unfinished = folder.with_name(f"{folder.name}.unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(parents=True)
        make(unfinished, *sizes)
        unfinished.rename(folder)
    return folder
