"""What all commands share: the terminal, the project, errors as messages, answers for people and for machines."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext, redirect_stdout
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import Console

    from aligned_dagster.orchestration.project import ProjectSettings

FAILED, INTERRUPTED = 1, 130
"""Exit codes; click itself ends with 2 on a wrong option or argument."""
_STOPPED = "Stopped. What was published stays; what was being written is discarded."

T = TypeVar("T")

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON for machines.")


def project() -> ProjectSettings:
    """The project's settings; relative paths in its contracts are those of its directory."""
    import os

    from aligned_dagster.orchestration.project import ProjectSettings

    settings = ProjectSettings.find()
    os.chdir(settings.root)
    return settings


def console() -> Console:
    """The terminal; where the output goes to a file, wide enough for a table."""
    import os
    import sys

    from rich.console import Console

    return Console(width=None if sys.stdout.isatty() or "COLUMNS" in os.environ else 140)


def guarded(console: Console, command: Callable[[Console], int]) -> int:
    """The exit code of a command; its expected errors and Ctrl-C become a message."""
    from rich.markup import escape

    try:
        return command(console)
    except KeyboardInterrupt:
        console.print(_STOPPED, highlight=False)
        return INTERRUPTED
    except Exception as error:
        words = _expected(error)
        if words is None:
            raise
        console.print(f"[red]Error:[/] {escape(words)}", highlight=False, soft_wrap=True)
        return FAILED


def _expected(error: Exception) -> str | None:
    """The words of an error of ours or of Dagster's; None for any other, of which the traceback tells more."""
    from aligned_dagster.errors import AlignedError

    if isinstance(error, AlignedError):
        return str(error)
    of_dagster = {kind.__module__.partition(".")[0] for kind in type(error).__mro__}
    if of_dagster & {"dagster", "dagster_shared"}:
        return f"Dagster: {type(error).__name__}: {error}"
    return None


def answer(
    as_json: bool,
    find: Callable[[], T],
    show: Callable[[Console, T], None],
    form: Callable[[T], Any],
    code: Callable[[T], int] = lambda _: 0,
) -> int:
    """Find something, print it for people or as JSON, and return the exit code.

    Args:
        as_json: whether JSON is wanted; an expected error is then `{"error": "..."}`.
        find: what is printed.
        show: prints it for people.
        form: its JSON form.
        code: the exit code that it means.
    """
    if not as_json:

        def told(console: Console) -> int:
            with console.status("Looking") if console.is_terminal else nullcontext():
                found = find()
            show(console, found)
            return code(found)

        return guarded(console(), told)

    def printed(found: T) -> int:
        print_json(form(found))
        return code(found)

    return guarded_json(find, printed)


def guarded_json(find: Callable[[], T], told: Callable[[T], int]) -> int:
    """The exit code of a command that prints JSON: nothing else gets to standard output.

    Args:
        find: what is told; what it prints goes to standard error, an expected error becomes `{"error": "..."}`.
        told: prints it and says the exit code.
    """
    import sys

    try:
        with redirect_stdout(sys.stderr):
            found = find()
    except KeyboardInterrupt:
        print_json({"error": _STOPPED})
        return INTERRUPTED
    except Exception as error:
        words = _expected(error)
        if words is None:
            raise
        print_json({"error": words})
        return FAILED
    return told(found)


def write_answer(
    as_json: bool, output: Path | None, find: Callable[[], str], words: str, doing: str = ""
) -> int:
    """Find a text in Python, print it or write it to a new file, and return the exit code.

    Args:
        as_json: whether JSON is wanted: `{"file": ..., "python": ...}`.
        output: the file; None prints the text.
        find: makes the text.
        words: what is told of a file that is written.
        doing: what is told meanwhile, on a terminal.
    """
    from rich.console import Console

    told = Console(stderr=True)

    def made() -> str:
        from aligned_dagster.errors import ConfigurationError

        if output is not None and output.exists():
            raise ConfigurationError(f"{output} is there already. Name another file, or remove it.")
        with told.status(doing) if doing and told.is_terminal and not as_json else nullcontext():
            text = find()
        if output is not None:
            try:
                output.parent.mkdir(parents=True, exist_ok=True)
                output.write_text(text, encoding="utf-8")
            except OSError as error:
                raise ConfigurationError(f"{output} cannot be written: {error.strerror}.") from error
        return text

    def shown(text: str) -> int:
        if as_json:
            print_json({"file": str(output) if output else None, "python": text})
        elif output is None:
            click.echo(text, nl=False)
        else:
            told.print(f"{output} is written. {words}", highlight=False, soft_wrap=True)
        return 0

    return guarded_json(made, shown) if as_json else guarded(told, lambda _: shown(made()))


def print_json(form: Any) -> None:
    """Print a JSON value, indented, with all letters as they are."""
    import json

    click.echo(json.dumps(form, indent=2, ensure_ascii=False))
