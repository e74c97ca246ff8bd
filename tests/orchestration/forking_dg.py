"""`dg` for many commands: all that it imports is imported once, and a child that knows no project is forked for each.

A line on stdin is a command in JSON: its `words`, its `directory`, its `variables`, the `paths` to import from, and the
files `told` and `errors` for what it prints. The line on stdout that answers is its exit code.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import entry_points


def run(
    program: Callable[[], object],
    *,
    words: Sequence[str],
    directory: str,
    variables: Mapping[str, str],
    paths: Sequence[str],
    told: str,
    errors: str,
) -> int:
    """The exit code of the program, which has this process for itself."""
    for number, file in ((1, told), (2, errors)):
        os.dup2(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
    os.chdir(directory)
    os.environ.clear()
    os.environ.update(variables)
    sys.path[1:1] = paths  # the first is where the program itself is, which Dagster passes over
    sys.argv = ["dg", *words]
    try:
        program()
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


def main() -> None:
    for entry in entry_points(group="dagster_dg_cli.registry_modules"):
        entry.load()
    from dagster_dg_cli.cli import main as dg

    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            code = run(dg, **json.loads(line))
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)  # noqa: T201  # it is the answer


if __name__ == "__main__":
    main()
