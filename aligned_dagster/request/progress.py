"""Progress of long work: what is read or published, what is done of it now, and for how long.

It is shown on a terminal and in a notebook when work takes longer than a second, and nowhere else. `show_progress` and the
environment variable `ALIGNED_PROGRESS` switch it. In a run of Dagster there is none: its own log tells.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from functools import partial
from typing import TYPE_CHECKING

from aligned_dagster.errors import ConfigurationError

if TYPE_CHECKING:
    from aligned_dagster.request.progress_display import Place

VARIABLE = "ALIGNED_PROGRESS"
"""The environment variable: "on", "off" or "auto"."""

PATIENCE = 1.0
"""Seconds of work before anything is shown."""

_SETTINGS = {"on": True, "1": True, "off": False, "0": False, "auto": None, "": None}
_EVERY = 0.2


class Work:
    """Something that may take long.

    Args:
        words: what it is, as in "publishing flights".
    """

    def __init__(self, words: str) -> None:
        self.words = words
        self.now = ""
        self.started = time.monotonic()

    def text(self) -> str:
        """What is done of it now, and since when."""
        now = f": {self.now}" if self.now else ""
        return f"{self.words}{now} ({seconds(time.monotonic() - self.started)})"


_chosen: bool | None = None
_silent: list[Callable[[], bool]] = []
_watchers: list[Callable[[str], None]] = []
_lock = threading.Lock()
_works: list[Work] = []
_inside: ContextVar[Work | None] = ContextVar("aligned_dagster_work", default=None)


def show_progress(on: bool | None = None) -> None:
    """Switch the progress of long work on or off, for this process.

    Args:
        on: True shows it also where there is neither a terminal nor a notebook, as lines on stderr; False never; None
            leaves it to the environment variable `ALIGNED_PROGRESS` ("on", "off" or "auto"), and without one to where
            the process runs.

    >>> show_progress(False)
    >>> show_progress()
    """
    global _chosen
    _chosen = on


def silent_where(condition: Callable[[], bool]) -> None:
    """Show no progress where a condition holds, as in a run of Dagster."""
    if condition not in _silent:
        _silent.append(condition)


@contextmanager
def watched(watcher: Callable[[str], None]) -> Iterator[None]:
    """Hand on all that is told in this process, also where no progress is shown.

    Args:
        watcher: takes what is done now, in whatever thread it is done.
    """
    _watchers.append(watcher)
    try:
        yield
    finally:
        _watchers.remove(watcher)


@contextmanager
def progress(words: str) -> Iterator[None]:
    """Show that work goes on, if it takes long. Work inside of other work is shown as that.

    Args:
        words: what it is, as in "publishing flights".

    Raises:
        ConfigurationError: `ALIGNED_PROGRESS` is set to something else than "on", "off" or "auto".
    """
    place = None if _inside.get() is not None else _place()
    if place is None:
        yield
        return
    work = Work(words)
    before = _inside.set(work)
    with _lock:
        _works.append(work)
    done = threading.Event()
    # a kernel finds the cell that an output belongs to in the context
    show = partial(copy_context().run, _show, work, place, done)
    shower = threading.Thread(target=show, name="aligned-progress", daemon=True)
    shower.start()
    ended = "failed after"
    try:
        yield
        ended = "done in"
    finally:
        done.set()
        shower.join()
        with _lock:
            _works.remove(work)
        _inside.reset(before)
        place.end(f"{work.words}: {ended} {seconds(time.monotonic() - work.started)}")


def told(now: str) -> None:
    """Say what is done now of the work that goes on here, if there is any.

    A thread of polars does not know for which work it runs; where several go on, it says nothing.

    Args:
        now: as in "auditing" or "12 partitions written".
    """
    for watcher in _watchers:
        watcher(now)
    work = _inside.get()
    if work is None:
        with _lock:
            work = _works[0] if len(_works) == 1 else None
    if work is not None:
        work.now = now


def seconds(passed: float) -> str:
    """A time that passed, as it is read while it goes on.

    >>> seconds(0.42), seconds(12.7), seconds(75), seconds(3_725)
    ('0.4 s', '12 s', '1:15 min', '1:02:05 h')
    """
    whole = int(passed)
    if whole < 10:
        return f"{passed:.1f} s"
    if whole < 60:
        return f"{whole} s"
    if whole < 3_600:
        return f"{whole // 60}:{whole % 60:02} min"
    return f"{whole // 3_600}:{whole // 60 % 60:02}:{whole % 60:02} h"


def _show(work: Work, place: Place, done: threading.Event) -> None:
    if done.wait(PATIENCE):
        return
    while True:
        place.show(work)
        if done.wait(_EVERY):
            return


def _place() -> Place | None:
    """Where progress is shown; None where it is not."""
    if any(condition() for condition in _silent):
        return None
    wanted = _chosen if _chosen is not None else _from_environment()
    if wanted is False:
        return None
    in_notebook = _in_notebook()
    on_terminal = sys.stderr is not None and sys.stderr.isatty()
    if not (wanted or in_notebook or on_terminal):
        return None
    from aligned_dagster.request import progress_display

    if in_notebook:
        return progress_display.OneLine()
    return progress_display.Spinner() if on_terminal else progress_display.Lines(sys.stderr)


def _from_environment() -> bool | None:
    value = os.environ.get(VARIABLE, "").strip().lower()
    if value not in _SETTINGS:
        raise ConfigurationError(f"{VARIABLE} is {value!r}. Set it to on, off or auto.")
    return _SETTINGS[value]


def _in_notebook() -> bool:
    """Whether IPython runs in a kernel, as it does for a notebook."""
    interactive = sys.modules.get("IPython")
    shell = interactive.get_ipython() if interactive is not None else None
    return shell is not None and getattr(shell, "kernel", None) is not None
