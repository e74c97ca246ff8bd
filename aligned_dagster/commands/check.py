"""`aligned-dagster check`: whether everything is there before anything runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from aligned_dagster.commands.terminal import FAILED, answer, json_option, project

if TYPE_CHECKING:
    from rich.console import Console

    from aligned_dagster.contracts.checking import Finding

_TITLES = {
    "file": "Contracts",
    "credential": "Environment variables",
    "source": "Sources",
    "storage": "Storage",
}


@click.command(
    short_help="Whether everything is there before anything runs.",
    epilog="\b\nExamples:\n  aligned-dagster check\n  aligned-dagster check --json | jq .ok",
)
@json_option
def check(as_json: bool) -> None:
    """Check that all contracts load and fit each other, sources can be reached and credentials are there.

    Headers, footers and catalogs are looked at, and no row. Of a credential the name of its environment variable is
    told, and never what it holds.

    Ends with 0 when everything is there, 1 when something is not.
    """
    raise SystemExit(answer(as_json, _findings, _show, _form, _code))


def _findings() -> list[Finding]:
    settings = project()
    from aligned_dagster.contracts.checking import check_files, check_places

    store, found = check_files(settings.contract_globs())
    return [*found, *check_places(store)]


def _show(console: Console, found: list[Finding]) -> None:
    from rich.markup import escape
    from rich.table import Table

    for aspect, title in _TITLES.items():
        rows = [one for one in found if one.aspect == aspect]
        if not rows:
            continue
        table = Table(title=title, title_justify="left")
        for name in ("", "what", "needed by", "found"):
            table.add_column(name, overflow="fold")
        for one in rows:
            sign = "[green]ok[/]" if one.ok else "[red]wrong[/]"
            table.add_row(sign, escape(one.subject), escape(", ".join(one.contracts)), escape(one.words))
        console.print(table)
    wrong = sum(not one.ok for one in found)
    if wrong:
        console.print(f"[red]{wrong} of {len(found)} are wrong.[/]", highlight=False)
    else:
        console.print(f"All {len(found)} are as they should be.", highlight=False)


def _form(found: list[Finding]) -> dict[str, Any]:
    return {"ok": not _code(found), "findings": [one.to_json() for one in found]}


def _code(found: list[Finding]) -> int:
    return 0 if all(one.ok for one in found) else FAILED
