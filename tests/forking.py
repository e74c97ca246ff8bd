"""A program for many commands: all that it imports is imported once, and a child that knows no project is forked for each.

As a script, ``python -m tests.forking dg``: a line on stdin is a command in JSON, its `words`, its `directory`, its
`variables`, the `paths` to import from, and the files `told` and `errors` for what it prints (which may be one). The
line on stdout that answers is its exit code.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]


class Forks:
    """The process that runs the commands of one program. One that has to start imports for seconds."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process

    def run(
        self,
        words: Sequence[str],
        directory: Path,
        variables: Mapping[str, str],
        *,
        paths: Sequence[str] = (),
        told: Path,
        errors: Path | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """What the program printed in the directory, and its exit code.

        Args:
            words: the arguments of the program.
            directory: where it runs.
            variables: its whole environment.
            paths: further directories that it imports from.
            told: the file for what it prints.
            errors: the file for its errors; they are among what it prints if None.
        """
        command = {
            "words": list(words),
            "directory": str(directory),
            "variables": dict(variables),
            "paths": list(paths),
            "told": str(told),
            "errors": None if errors is None else str(errors),
        }
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(json.dumps(command) + "\n")
        self.process.stdin.flush()
        code = int(self.process.stdout.readline())
        complaints = errors.read_text("utf-8") if errors is not None else ""
        return subprocess.CompletedProcess(words, code, told.read_text("utf-8"), complaints)


@contextmanager
def forks_of(program: str) -> Iterator[Forks]:
    """Runs commands of `dg` or of `aligned-dagster` until the end of the block."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.forking", program],
        cwd=REPOSITORY,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
    ) as process:
        yield Forks(process)
        assert process.stdin is not None
        process.stdin.close()


def run(
    program: Callable[[], object],
    name: str,
    *,
    words: Sequence[str],
    directory: str,
    variables: Mapping[str, str],
    paths: Sequence[str],
    told: str,
    errors: str | None,
) -> int:
    """The exit code of the program, which has this process for itself."""
    os.dup2(os.open(told, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), 1)
    os.dup2(1 if errors is None else os.open(errors, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), 2)
    os.chdir(directory)
    os.environ.clear()
    os.environ.update(variables)
    sys.path[1:1] = paths  # the first is where the program itself is, which Dagster passes over
    sys.argv = [name, *words]
    try:
        program()
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


def _dg() -> Callable[[], object]:
    for entry in entry_points(group="dagster_dg_cli.registry_modules"):
        entry.load()
    from dagster_dg_cli.cli import main

    return main


def _aligned() -> Callable[[], object]:
    for module in ("contracts.store", "orchestration", "orchestration.running", "orchestration.serving"):
        import_module(f"aligned_dagster.{module}")
    from aligned_dagster.cli import main

    return main


def main(name: str) -> None:
    program = {"dg": _dg, "aligned-dagster": _aligned}[name]()
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            code = run(program, name, **json.loads(line))
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)  # noqa: T201  # it is the answer


if __name__ == "__main__":
    main(sys.argv[1])
