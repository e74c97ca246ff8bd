"""`aligned-dagster export`: contracts in the forms that others read."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import click

from aligned_dagster.commands.completing import complete_contract
from aligned_dagster.commands.terminal import guarded, guarded_json, json_option, print_json, project

Form = dict[str, Any]
_ENDINGS = {"json": "json", "json-schema": "schema.json", "odcs": "odcs.yaml"}


@click.command(
    short_help="Contracts as JSON, JSON Schema or ODCS.",
    epilog="\b\nExamples:\n  aligned-dagster export flights --format json-schema\n"
    "  aligned-dagster export flights --format odcs -o flights.odcs.yaml\n"
    "  aligned-dagster export --format odcs -o catalog/",
)
@click.argument("views", metavar="[VIEW]...", nargs=-1, shell_complete=complete_contract)
@click.option(
    "--format",
    "form",
    type=click.Choice(list(_ENDINGS)),
    default="odcs",
    show_default=True,
    help="The contract itself as JSON, a JSON Schema of its rows, or YAML of the Open Data Contract Standard.",
)
@click.option(
    "--output",
    "-o",
    metavar="PATH",
    help="A file; or a directory, there already or ending in a slash, for a file for each contract.",
)
@json_option
def export(views: tuple[str, ...], form: str, output: str | None, as_json: bool) -> None:
    """Write contracts for other tools: each VIEW, or all contracts of the project if none is named.

    Several contracts are one JSON object by their names, or one YAML document after another. No secret is in any of
    them. With --json the forms are printed as JSON by the names of the contracts or, with --output, the files written.

    Ends with 0, or with 1 when there is no such contract or the files cannot be written.
    """
    here = Path.cwd()

    def made() -> tuple[dict[str, Form], list[str]]:
        forms = _forms(views, form)
        return forms, [] if output is None else _written(forms, form, here, output)

    def told(found: tuple[dict[str, Form], list[str]]) -> int:
        forms, files = found
        if as_json:
            print_json({"files": files} if output is not None else forms)
        elif output is None:
            click.echo(_text(forms, form), nl=False)
        else:
            for file in files:
                click.echo(f"{file} is written.", err=True)
        return 0

    if as_json:
        raise SystemExit(guarded_json(made, told))
    from rich.console import Console

    raise SystemExit(guarded(Console(stderr=True), lambda _: told(made())))


def _forms(names: tuple[str, ...], form: str) -> dict[str, Form]:
    store = project().load_store()
    views = [store.view(name) for name in names] if names else list(store.views.values())
    if form == "json":
        return {view.name: view.to_json() for view in views}
    if form == "json-schema":
        return {view.name: view.json_schema() for view in views}
    return {view.name: view.to_odcs() for view in views}


def _text(forms: dict[str, Form], form: str) -> str:
    if form == "odcs":
        from aligned_dagster.contracts.odcs import to_yaml

        return to_yaml(list(forms.values()))
    content = next(iter(forms.values())) if len(forms) == 1 else forms
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def _written(forms: dict[str, Form], form: str, here: Path, output: str) -> list[str]:
    """Write one file, or one for each contract, and return the paths.

    Raises:
        ConfigurationError: a file cannot be written.
    """
    from aligned_dagster.errors import ConfigurationError

    target = here / output
    in_directory = target.is_dir() or output.endswith(("/", os.sep))
    texts = (
        {target / f"{name}.{_ENDINGS[form]}": _text({name: one}, form) for name, one in forms.items()}
        if in_directory
        else {target: _text(forms, form)}
    )
    try:
        for file, text in texts.items():
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(f"{output} cannot be written: {error.strerror}.") from error
    return [str(file) for file in texts]
