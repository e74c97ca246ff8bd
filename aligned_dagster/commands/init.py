"""`aligned-dagster init`: a new project that runs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import click

from aligned_dagster.commands.terminal import FAILED, console, guarded

if TYPE_CHECKING:
    from rich.console import Console


@click.command(epilog="\b\nExample:\n  aligned-dagster init shop\n  cd shop\n  aligned-dagster run")
@click.argument("directory", type=click.Path(path_type=Path, file_okay=False))
def init(directory: Path) -> None:
    """Make a new project in DIRECTORY: two contracts on a small CSV file, and what Dagster needs to run them.

    Ends with 0, or with 1 when one of its files is there already; then nothing is written.
    """
    raise SystemExit(guarded(console(), lambda told: _init(told, directory)))


def _init(told: Console, directory: Path) -> int:
    from aligned_dagster.commands.new_project import files_of

    root = directory.resolve()
    files = files_of(re.sub(r"[^A-Za-z0-9]+", "-", root.name).strip("-").lower() or "project")
    there = [name for name in files if (root / name).exists()]
    if there:
        told.print(
            f"[red]Error:[/] {directory} has {', '.join(there)} already. Name a new directory.",
            highlight=False,
            soft_wrap=True,
        )
        return FAILED
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")
        told.print(f"  {directory / name}", highlight=False, soft_wrap=True)
    told.print(
        f"The project is ready. Next: cd {directory}, then `aligned-dagster run` for the Dagster UI, or "
        "`aligned-dagster materialize` alone. `aligned-dagster infer FILE` writes a contract for rows of your own.",
        highlight=False,
        soft_wrap=True,
    )
    return 0
