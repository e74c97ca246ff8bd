"""Where progress is shown: a spinner on a terminal, one line that changes in a notebook, lines elsewhere."""

from __future__ import annotations

import math
import threading
import time
from abc import ABC, abstractmethod
from importlib import import_module
from typing import TYPE_CHECKING, Any, TextIO

from aligned_dagster.request.progress import Work

if TYPE_CHECKING:
    from rich.status import Status

_terminal = threading.Lock()
"""Held by the one spinner of a terminal: rich draws no two."""


class Place(ABC):
    """Shows one work; nothing is written for one that is over before `show` was called."""

    @abstractmethod
    def show(self, work: Work) -> None:
        """Show what is done now; called several times a second."""

    @abstractmethod
    def end(self, words: str) -> None:
        """The work is over.

        Args:
            words: what it was, and how long it took.
        """


class Spinner(Place):
    """A line on a terminal that is gone in the end."""

    def __init__(self) -> None:
        self._status: Status | None = None

    def show(self, work: Work) -> None:
        """See `Place.show`."""
        from rich.markup import escape

        if self._status is not None:
            self._status.update(escape(work.text()))
        elif _terminal.acquire(blocking=False):
            from rich.console import Console

            self._status = Console(stderr=True).status(escape(work.text()))
            self._status.start()

    def end(self, words: str) -> None:
        """See `Place.end`."""
        if self._status is not None:
            self._status.stop()
            _terminal.release()


class OneLine(Place):
    """A line in a notebook that changes, and says in the end how long it took."""

    def __init__(self) -> None:
        self._handle: Any = None
        self._written = -math.inf

    def show(self, work: Work) -> None:
        """See `Place.show`; once a second is enough for a page that is sent over a network."""
        if (now := time.monotonic()) - self._written >= 1:
            self._written = now
            self._write(work.text())

    def end(self, words: str) -> None:
        """See `Place.end`."""
        if self._handle is not None:
            self._write(words)

    def _write(self, words: str) -> None:
        shown = {"text/plain": words}
        if self._handle is None:
            display = import_module("IPython.display").display
            self._handle = display(shown, raw=True, display_id=True)
        else:
            self._handle.update(shown, raw=True)


class Lines(Place):
    """A line whenever something else is done.

    Args:
        out: where to write.
    """

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._last: str | None = None

    def show(self, work: Work) -> None:
        """See `Place.show`."""
        if work.now != self._last:
            self._last = work.now
            self._out.write(f"{work.text()}\n")
            self._out.flush()

    def end(self, words: str) -> None:
        """See `Place.end`."""
        if self._last is not None:
            self._out.write(f"{words}\n")
            self._out.flush()
