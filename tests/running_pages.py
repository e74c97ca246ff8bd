"""The code of a page of Markdown, run in its order in a directory of its own, as its reader would.

- A block with `title="PATH"` (or `file=PATH`) is written to that file.
- `python` is executed here, with `await` at the top level, in one namespace for the page; `pycon` is a doctest in it.
- `bash` is executed; lines that are commands of `aligned-dagster` and no more run in a fork, which starts at once.
  After `<!-- exits with N -->` it has to end with N instead of 0.
- `text` directly after one of these is what it prints: each of these lines, in this order, maybe others between them.
  `...` in a line stands for any characters.
- `<!-- not run: REASON -->` on the line before a block: it is not run. All other blocks are shown only.

A block in an HTML comment runs too: it is set-up that a reader need not see.
"""

from __future__ import annotations

import ast
import asyncio
import doctest
import gc
import inspect
import io
import os
import re
import shlex
import subprocess
import sys
import textwrap
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.forking import REPOSITORY, Forks

FENCE = re.compile(
    r"^(?P<indent> *)```(?P<language>\w+)(?: (?P<note>[^\n]+))?\n(?P<code>.*?)^(?P=indent)```$",
    re.MULTILINE | re.DOTALL,
)
TITLE = re.compile(r'(?:title="([^"]+)"|file=(\S+))')
NOT_RUN = re.compile(r"<!-- not run: \S.* -->")
EXITS = re.compile(r"<!-- exits with (\d+) -->")
RUN = ("python", "pycon", "bash")
PATIENCE = 240
OURS = (str(REPOSITORY), sys.prefix, sys.base_prefix)
"""Where modules come from that no page has written."""


@dataclass(frozen=True)
class Block:
    """A fenced block of a page.

    Args:
        language: what stands behind the fence.
        note: what else stands there.
        code: what is in it.
        line: the number of its first line in the page.
        file: where it is to be written, if it is a file.
        runs: whether it is executed.
        code_at_end: the exit code that it ends with.
        printed: what it prints, where the page says it.
    """

    language: str
    note: str
    code: str
    line: int
    file: str | None
    runs: bool
    code_at_end: int = 0
    printed: str | None = None


def blocks_of(page: Path) -> list[Block]:
    """The blocks of a page, in their order."""
    text = page.read_text("utf-8")
    blocks: list[Block] = []
    end = 0
    for found in FENCE.finditer(text):
        between, end = text[end : found.start()], found.end()
        language, note = found["language"], found["note"] or ""
        code = textwrap.dedent(found["code"])
        if language == "text" and not note and blocks and blocks[-1].runs and not between.strip():
            blocks[-1] = Block(**{**vars(blocks[-1]), "printed": code})
            continue
        lines = between.rstrip().splitlines()
        before = lines[-1].strip() if lines else ""
        title = TITLE.search(note)
        file = (title[1] or title[2]) if title else None
        exits = EXITS.fullmatch(before)
        blocks.append(
            Block(
                language,
                note,
                code,
                line=text[: found.start("code")].count("\n") + 1,
                file=file,
                runs=language in RUN and file is None and not NOT_RUN.fullmatch(before),
                code_at_end=int(exits[1]) if exits else 0,
            )
        )
    return blocks


@contextmanager
def inside(folder: Path) -> Iterator[None]:
    """Work in this directory, whose modules can be imported until the end of the block."""
    before, paths = os.getcwd(), list(sys.path)
    os.chdir(folder)
    _forget_modules(folder)
    # A module anywhere on the path comes before a package without __init__.py, and Dagster leaves directories there.
    sys.path[:] = [str(folder), *(path for path in paths if path.startswith(OURS))]
    try:
        yield
    finally:
        sys.path[:] = paths
        _forget_modules(folder)
        os.chdir(before)


@contextmanager
def at_the_end_forgetting(names: dict[str, Any]) -> Iterator[None]:
    """Let go of what the page made, as the end of its reader's process would: here later tests would be warned of it."""
    yield
    names.clear()
    with warnings.catch_warnings():
        warnings.filterwarnings(
            "ignore", "Implicitly cleaning up", ResourceWarning
        )  # of Dagster's own instances
        gc.collect()


def run_page(page: Path, folder: Path, forks: Forks) -> None:
    """Run the code of a page.

    Args:
        page: the Markdown file.
        folder: an empty directory, in which all of it runs.
        forks: of `aligned-dagster`.

    Raises:
        AssertionError: a block ended or printed otherwise than the page says.
    """
    names: dict[str, Any] = {"__name__": "page"}
    with inside(folder), at_the_end_forgetting(names):
        for block in blocks_of(page):
            if block.file is not None:
                path = folder / block.file
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(block.code, "utf-8")
                _forget_modules(folder)
            if not block.runs:
                continue
            where = f"{page.name}:{block.line}"
            printed = _run(block, page, names, forks, where)
            if block.printed is not None:
                missing = first_missing(block.printed, printed)
                assert missing is None, f"{where} does not print {missing!r}, but\n{printed}"


def run_python(block: Block, page: Path, names: dict[str, Any]) -> str:
    """What a block of Python prints. A traceback names the lines of the page."""
    body = compile(
        "\n" * (block.line - 1) + block.code, str(page), "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    )
    printed = io.StringIO()
    with redirect_stdout(printed):
        if body.co_flags & inspect.CO_COROUTINE:
            asyncio.run(eval(body, names))
        else:
            exec(body, names)
    return printed.getvalue()


def first_missing(told: str, printed: str) -> str | None:
    """The first line that a page tells and a program did not print; None if all are there in this order."""
    lines = iter([" ".join(line.split()) for line in printed.splitlines()])
    for line in told.splitlines():
        pattern = re.compile(".*?".join(map(re.escape, " ".join(line.split()).split("..."))))
        if line.strip() not in ("", "...") and not any(pattern.fullmatch(found) for found in lines):
            return line
    return None


def _run(block: Block, page: Path, names: dict[str, Any], forks: Forks, where: str) -> str:
    if block.language == "python":
        return run_python(block, page, names)
    if block.language == "pycon":
        return _run_doctest(block, page, names)
    code, printed = _run_bash(block.code, forks)
    assert code == block.code_at_end, f"{where} ended with {code}:\n{printed}"
    return printed


def _run_doctest(block: Block, page: Path, names: dict[str, Any]) -> str:
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    test = doctest.DocTestParser().get_doctest(block.code, names, page.stem, str(page), block.line - 1)
    said: list[str] = []
    doctest.DocTestRunner(verbose=False, optionflags=flags).run(test, out=said.append, clear_globs=False)
    names.update(test.globs)
    assert not said, "".join(said)
    return ""


def _run_bash(code: str, forks: Forks) -> tuple[int, str]:
    variables = {**os.environ, "COLUMNS": "110", "NO_COLOR": "1"}
    variables.pop("DAGSTER_HOME", None)
    variables["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), variables["PATH"]])
    variables["PYTHONPATH"] = str(REPOSITORY)
    commands = [_command(line) for line in code.splitlines() if line.strip() and not line.startswith("#")]
    if not all(commands):
        ran = subprocess.run(
            ["bash", "-e", "-o", "pipefail", "-c", code],
            env=variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=PATIENCE,
        )
        return ran.returncode, ran.stdout
    printed = ""
    told = Path.cwd().with_name("told.txt")
    for own, words in filter(None, commands):
        done = forks.run(words, Path.cwd(), {**variables, **own}, told=told)
        printed += done.stdout
        if done.returncode:
            return done.returncode, printed
    return 0, printed


def _command(line: str) -> tuple[Mapping[str, str], list[str]] | None:
    """The variables and words of a line that is one command of `aligned-dagster`; None if it needs a shell."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    words = list(lexer)
    own = {}
    while words and re.match(r"[A-Z_]+=", words[0]):
        name, _, value = words.pop(0).partition("=")
        own[name] = value
    if not words or words.pop(0) != "aligned-dagster":
        return None
    plain = all(set(word) - set("();<>|&") for word in words) and not set(line) & set("$`")
    return (own, words) if plain else None


def _forget_modules(folder: Path) -> None:
    """Import what is in the directory anew, also where a module of another page's directory has the name."""
    own = {path.stem for path in folder.iterdir() if path.is_dir() or path.suffix == ".py"}
    for name, module in list(sys.modules.items()):
        path = [getattr(module, "__file__", None) or "", *getattr(module, "__path__", ())][-1]
        if name.partition(".")[0] in own and not path.startswith(OURS):
            del sys.modules[name]
