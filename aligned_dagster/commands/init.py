"""`aligned-dagster init`: a new project that runs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import click

from aligned_dagster.commands.terminal import answer, json_option

if TYPE_CHECKING:
    from rich.console import Console


@click.command(
    short_help="A new project that runs.",
    epilog="\b\nExamples:\n  aligned-dagster init shop\n  cd shop\n  aligned-dagster run\n"
    "  aligned-dagster init shop --json | jq -r '.files[]'",
)
@click.argument("directory", type=click.Path(path_type=Path, file_okay=False))
@json_option
def init(directory: Path, as_json: bool) -> None:
    """Make a new project in DIRECTORY: two contracts on a small CSV file, and what Dagster needs to run them.

    Ends with 0, or with 1 when one of its files is there already; then nothing is written.
    """
    raise SystemExit(
        answer(
            as_json,
            lambda: _made(directory),
            lambda told, files: _show(told, directory, files),
            lambda files: {"directory": str(directory), "files": files},
        )
    )


def _made(directory: Path) -> list[str]:
    """Write the files, and return their names.

    Raises:
        ConfigurationError: one of them is there already, or cannot be written.
    """
    from aligned_dagster.commands.new_project import files_of
    from aligned_dagster.errors import ConfigurationError

    root = directory.resolve()
    files = files_of(re.sub(r"[^A-Za-z0-9]+", "-", root.name).strip("-").lower() or "project")
    there = [name for name in files if (root / name).exists()]
    if there:
        raise ConfigurationError(f"{directory} has {', '.join(there)} already. Name a new directory.")
    try:
        for name, text in files.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(f"{directory} cannot be written: {error.strerror}.") from error
    return list(files)


def _show(told: Console, directory: Path, files: list[str]) -> None:
    for name in files:
        told.print(f"  {directory / name}", highlight=False, markup=False, soft_wrap=True)
    told.print(
        f"The project is ready. Next: cd {directory}, then `aligned-dagster run` for the Dagster UI, or "
        "`aligned-dagster materialize` alone. `aligned-dagster infer FILE` writes a contract for rows of your own.",
        highlight=False,
        markup=False,
        soft_wrap=True,
    )
