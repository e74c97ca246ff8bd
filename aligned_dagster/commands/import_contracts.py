"""`aligned-dagster import`: contracts of other tools as contracts in Python."""

from __future__ import annotations

from pathlib import Path

import click

from aligned_dagster.commands.terminal import json_option, write_answer


@click.command(
    "import",
    short_help="Contracts of other tools (ODCS) in Python.",
    epilog="\b\nExamples:\n  aligned-dagster import orders.odcs.yaml\n"
    "  aligned-dagster import orders.odcs.yaml --output contracts/orders.py",
)
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--output", "-o", type=click.Path(path_type=Path, dir_okay=False), help="A new file for the contracts."
)
@json_option
def import_contracts(file: Path, output: Path | None, as_json: bool) -> None:
    """Write the contracts of FILE, a document of the Open Data Contract Standard (YAML, version 3), in Python.

    The result imports and compiles. What could not be carried over stands above each contract as a comment.

    Ends with 0 when the contracts are written, 1 when FILE is no such document or the output is there already.
    """

    def text() -> str:
        from aligned_dagster.contracts.odcs_import import contracts_from_odcs
        from aligned_dagster.errors import SourceNotFoundError, UnreadableSourceError

        try:
            content = file.read_text("utf-8")
        except OSError as error:
            raise SourceNotFoundError(f"{file} cannot be read: {error.strerror}.") from error
        except UnicodeDecodeError as error:
            raise UnreadableSourceError(f"{file} is no text in UTF-8.") from error
        return contracts_from_odcs(content, file.name)

    words = "Read it: comments say what could not be carried over."
    raise SystemExit(write_answer(as_json, output, text, words))
