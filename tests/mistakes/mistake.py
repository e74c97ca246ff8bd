"""A mistake that a newcomer makes, and what he is told: the corpus behind tests/test_mistakes.py and docs/errors.md."""

from __future__ import annotations

import linecache
import os
import sys
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import dedent
from types import ModuleType
from typing import Any

IMPORTS = "from aligned_dagster import *"
"""The first line of every file with a mistake; the page shows what is below."""
SHOWN = "/shop"
"""How messages name the directory of the project on the page."""
PROJECTS = ("contracts", "aligned_dagster.definitions")
"""Modules that are another's in each project."""
WRONG = "  # wrong"
"""Ends the line that a message has to name."""

SALES = """\
order_id,shop,bought_at,amount
1,oslo,2024-05-01T09:30:00Z,12.50
2,rome,2024-05-02T08:15:00Z,99.90
"""


@dataclass(frozen=True, eq=False)
class Mistake:
    """A mistake as somebody makes it.

    Args:
        title: what was done, in a few words.
        code: of contracts.py, below its imports; a line that the message has to name ends with `WRONG`. Of a command, what
            contracts.py holds.
        error: the name of the error's class.
        says: what a newcomer needs, all of it in the message: what is wrong, where, the value, what to do.
        files: path to content of further files, or what makes it.
        command: arguments of `aligned-dagster`, where the mistake shows at the command line.
        needs_cause: whether the error that led to it is shown too, because it happened in a file of the user's.
    """

    title: str
    code: str
    error: str
    says: tuple[str, ...]
    files: Mapping[str, str | bytes] = field(default_factory=dict)
    command: tuple[str, ...] = ()
    needs_cause: bool = False

    @property
    def source(self) -> str:
        """The code without the indentation of this file."""
        return dedent(self.code).strip("\n")

    @property
    def wrong_line(self) -> int | None:
        """The number of the marked line in contracts.py."""
        lines = self.source.splitlines()
        return next((n for n, line in enumerate(lines, 3) if line.endswith(WRONG)), None)


@dataclass(frozen=True)
class Told:
    """What Python or the command line said.

    Args:
        message: the error's text, or what was printed.
        kind: the name of the error's class; empty for a command.
        kinds: the names of all its classes.
        noise: tracebacks before the error's own.
        exit_code: of a command.
    """

    message: str
    kind: str = ""
    kinds: tuple[str, ...] = ()
    noise: int = 0
    exit_code: int = 1

    def shown(self, folder: Path) -> str:
        """The message with the directory that the page names."""
        return self.message.replace(str(folder), SHOWN).strip()


class NothingSaidError(Exception):
    """Nobody noticed the mistake."""


def made_in(mistake: Mistake, folder: Path) -> Told:
    """Make the mistake in an empty directory, as the file contracts.py there, and listen.

    Args:
        mistake: which one.
        folder: the directory.

    Raises:
        NothingSaidError: there was no error.
    """
    for name, content in mistake.files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    file = folder / "contracts.py"
    code = f"{IMPORTS}\n\n{mistake.source}\n"
    file.write_text(code)
    with _inside(folder):
        return _commanded(mistake) if mistake.command else _executed(mistake, file, code)


def _executed(mistake: Mistake, file: Path, code: str) -> Told:
    module = ModuleType("contracts")
    module.__file__ = str(file)
    sys.modules["contracts"] = module
    try:
        exec(compile(code, str(file), "exec"), module.__dict__)
    except Exception as error:
        shown = "".join(traceback.format_exception(error))
        return Told(
            str(error),
            type(error).__name__,
            tuple(kind.__name__ for kind in type(error).__mro__),
            shown.count("Traceback (most recent call last)") - 1,
        )
    raise NothingSaidError(mistake.title)


def _commanded(mistake: Mistake) -> Told:
    from click.testing import CliRunner

    from aligned_dagster.cli import main

    result = CliRunner().invoke(main, list(mistake.command), prog_name="aligned-dagster")
    if result.exit_code == 0:
        raise NothingSaidError(f"{mistake.title}: {result.output}")
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return Told(result.output, exit_code=result.exit_code)


@contextmanager
def _inside(folder: Path) -> Iterator[None]:
    """Work in a directory whose modules can be imported, and forget them afterwards."""
    before, known, path = os.getcwd(), set(sys.modules), list(sys.path)
    held: dict[str, Any] = {name: sys.modules.pop(name) for name in PROJECTS if name in sys.modules}
    os.chdir(folder)
    sys.path.insert(0, str(folder))
    linecache.checkcache()
    try:
        yield
    finally:
        os.chdir(before)
        sys.path[:] = path  # Dagster leaves there the directories that it loaded definitions from
        for name in set(sys.modules) - known:
            if str(getattr(sys.modules[name], "__file__", None) or "").startswith(str(folder)):
                del sys.modules[name]
        for name in PROJECTS:
            sys.modules.pop(name, None)
        sys.modules.update(held)
