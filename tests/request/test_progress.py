"""Progress of long work: where it is shown, what it says, and that quick work says nothing."""

from __future__ import annotations

import asyncio
import io
import re
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from types import ModuleType, SimpleNamespace
from typing import Any

import polars as pl
import pytest

from aligned_dagster import RetrievalJob, show_progress
from aligned_dagster.errors import ConfigurationError, SourceNotFoundError
from aligned_dagster.features.dtypes import DataType
from aligned_dagster.features.schema import Column, Schema
from aligned_dagster.request import progress as progress_module
from aligned_dagster.request.progress import VARIABLE, progress, silent_where, told

SCHEMA = Schema((Column("id", DataType("int64"), "entity"),))


class Screen(io.StringIO):
    """What is written to stderr, from `use` on: pytest puts its own there between a fixture and its test."""

    is_terminal = False

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__()
        self.use = partial(monkeypatch.setattr, sys, "stderr", self)

    def isatty(self) -> bool:
        return self.is_terminal

    def wait_for(self, words: str) -> None:
        ends = time.monotonic() + 10
        while words not in self.getvalue():
            assert time.monotonic() < ends, f"{words!r} is not shown: {self.getvalue()!r}"
            time.sleep(0.005)


@pytest.fixture(autouse=True)
def _as_it_was(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(progress_module, "PATIENCE", 0.02)
    monkeypatch.setattr(progress_module, "_EVERY", 0.01)
    monkeypatch.setattr(progress_module, "_silent", [])
    monkeypatch.delenv(VARIABLE, raising=False)
    yield
    show_progress()


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> Screen:
    return Screen(monkeypatch)


def flights(seen: Callable[[], object]) -> RetrievalJob:
    def load() -> pl.LazyFrame:
        seen()
        return pl.LazyFrame({"id": [1, 2]})

    return RetrievalJob("flights", SCHEMA, load)


def unseen(words: str = "publishing flights") -> None:
    """Work that would be shown by now."""
    with progress(words):
        told("auditing")
        time.sleep(0.1)


def test_without_a_terminal_there_is_none(screen: Screen) -> None:
    screen.use()
    assert flights(lambda: time.sleep(0.1)).collect().height == 2
    assert not screen.getvalue()


def test_switched_on_it_is_shown_as_lines(screen: Screen, capsys: pytest.CaptureFixture[str]) -> None:
    screen.use()
    show_progress(True)
    with progress("publishing flights"):
        told("auditing")
        screen.wait_for("auditing")
        told("publishing")
        screen.wait_for(": publishing")
    started, later, ended = screen.getvalue().splitlines()
    assert re.fullmatch(r"publishing flights: auditing \(\d+(\.\d)? s\)", started)
    assert re.fullmatch(r"publishing flights: publishing \(\d+(\.\d)? s\)", later)
    assert re.fullmatch(r"publishing flights: done in \d+(\.\d)? s", ended)
    assert not capsys.readouterr().out


def test_the_environment_switches_it_and_the_process_has_the_last_word(
    screen: Screen, monkeypatch: pytest.MonkeyPatch
) -> None:
    screen.use()
    monkeypatch.setenv(VARIABLE, "ON")
    with progress("one"):
        screen.wait_for("one")
    before = screen.getvalue()
    show_progress(False)
    unseen()
    show_progress()
    monkeypatch.setenv(VARIABLE, "off")
    screen.is_terminal = True
    unseen()
    assert screen.getvalue() == before
    monkeypatch.setenv(VARIABLE, "maybe")
    with pytest.raises(ConfigurationError, match=r"ALIGNED_PROGRESS is 'maybe'\. Set it to on, off or auto"):
        unseen()


def test_quick_work_says_nothing(screen: Screen, monkeypatch: pytest.MonkeyPatch) -> None:
    screen.use()
    monkeypatch.setattr(progress_module, "PATIENCE", 60)
    show_progress(True)
    before = time.monotonic()
    unseen()
    assert time.monotonic() - before < 20, "nobody waits for what would have been shown"
    assert not screen.getvalue()


def test_a_terminal_has_a_line_that_goes_away(screen: Screen, monkeypatch: pytest.MonkeyPatch) -> None:
    screen.use()
    monkeypatch.setenv("TERM", "xterm")
    screen.is_terminal = True
    with progress("reading [b]flights"):  # brackets are no markup
        screen.wait_for("reading [b]flights (0.")
        told("12 rows")
        screen.wait_for("reading [b]flights: 12 rows")
    with progress("reading it again"):
        screen.wait_for("reading it again")
    assert "done in" not in screen.getvalue()


def test_a_notebook_has_a_line_that_changes(screen: Screen, monkeypatch: pytest.MonkeyPatch) -> None:
    screen.use()
    shown: list[tuple[str, str]] = []

    class Handle:
        def update(self, data: dict[str, str], *, raw: bool) -> None:
            assert raw
            shown.append(("update", data["text/plain"]))

    def display(data: dict[str, str], *, raw: bool, display_id: bool) -> Handle:
        assert raw and display_id
        shown.append(("new", data["text/plain"]))
        return Handle()

    def module(name: str, **held: Any) -> None:
        made = ModuleType(name)
        made.__dict__.update(held)
        monkeypatch.setitem(sys.modules, name, made)

    module("IPython", get_ipython=lambda: SimpleNamespace(kernel=object()))
    module("IPython.display", display=display)
    with progress("publishing flights"):
        told("auditing")
        while not shown:
            time.sleep(0.005)
    assert shown[0][0] == "new" and shown[0][1].startswith("publishing flights: auditing (")
    assert shown[-1][0] == "update" and shown[-1][1].startswith("publishing flights: done in ")
    before = len(shown)
    module("IPython", get_ipython=lambda: None)
    unseen()
    assert len(shown) == before, "IPython is imported and does not run"
    assert not screen.getvalue()


def test_what_fails_is_said_to_have_failed(screen: Screen) -> None:
    screen.use()
    show_progress(True)

    def failing() -> pl.LazyFrame:
        screen.wait_for("reading flights")
        raise SourceNotFoundError("no flights")

    with pytest.raises(SourceNotFoundError, match="no flights"):
        RetrievalJob("flights", SCHEMA, failing).collect()
    assert "reading flights: failed after " in screen.getvalue()
    with progress("publishing flights"):
        screen.wait_for("publishing flights")
    assert "publishing flights: done" in screen.getvalue(), "and nothing of it stays behind"


def test_work_inside_of_work_is_shown_as_that(screen: Screen) -> None:
    screen.use()
    show_progress(True)
    with progress("publishing flights"):
        flights(lambda: screen.wait_for("publishing")).collect()
    lines = screen.getvalue().splitlines()
    assert lines and all(line.startswith("publishing flights") for line in lines)


async def test_jobs_that_are_read_at_once_are_told_apart(screen: Screen) -> None:
    screen.use()
    show_progress(True)
    jobs = [replace(flights(lambda name=name: screen.wait_for(name)), name=name) for name in ("a 1", "b 2")]
    frames = await asyncio.gather(*(job.to_polars() for job in jobs))
    assert [frame.height for frame in frames] == [2, 2]
    assert {"reading a 1: done in", "reading b 2: done in"} <= set(
        re.findall(r"reading . \d: done in", screen.getvalue())
    )


def test_a_thread_tells_only_where_it_is_sure_of_the_work(screen: Screen) -> None:
    screen.use()
    show_progress(True)

    def elsewhere() -> None:
        thread = threading.Thread(target=told, args=("12 rows",))
        thread.start()
        thread.join()

    with progress("reading flights"):
        elsewhere()
        screen.wait_for("reading flights: 12 rows")
    started, going = threading.Event(), threading.Event()

    def other_work() -> None:
        with progress("reading planes"):
            started.set()
            going.wait(20)

    other = threading.Thread(target=other_work)
    other.start()
    started.wait(20)
    with progress("reading towns"):
        elsewhere()
        screen.wait_for("reading towns (")
        screen.wait_for("reading planes (")
    going.set()
    other.join()


def test_it_is_silent_where_a_condition_holds(screen: Screen) -> None:
    screen.use()
    show_progress(True)
    quiet = [True]
    silent_where(lambda: quiet[0])
    unseen()
    assert not screen.getvalue()
    quiet[0] = False
    with progress("reading flights"):
        screen.wait_for("reading flights")
