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
    "profile": "Profiles",
    "engine": "Engines",
    "definitions": "Definitions",
    "credential": "Environment variables",
    "source": "Sources",
    "storage": "Storage",
}

_NAMED = 8
"""The most contracts that are named as those that need one thing."""


@click.command(
    short_help="Whether everything is there before anything runs.",
    epilog="\b\nExamples:\n  aligned-dagster check\n  aligned-dagster check --json | jq .ok",
)
@json_option
def check(as_json: bool) -> None:
    """Check that all contracts load and fit each other, Dagster can load them, sources can be reached and credentials are
    there.

    Headers, footers and catalogs are looked at, and no row; they are those of the profile that is used. Of a credential
    the name of its environment variable is told, and never what it holds.

    Ends with 0 when everything is there, 1 when something is not. A profile that is not used and does not fit is a
    warning.
    """
    raise SystemExit(answer(as_json, _findings, _show, _form, _code))


def _findings() -> list[Finding]:
    settings = project()
    from aligned_dagster.contracts.checking import check_files, check_places
    from aligned_dagster.orchestration.project_check import check_definitions, check_engines, check_profiles

    store, files = check_files(settings.contract_globs())
    store, profiles = check_profiles(settings, store)
    store, engines = check_engines(settings, store)
    found = [*files, *profiles, *engines]
    if all(one.ok for one in found):  # otherwise it is known already why they cannot be loaded
        found.append(check_definitions(settings, store))
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
            sign = "[red]wrong[/]" if not one.ok else "[yellow]warning[/]" if one.warns else "[green]ok[/]"
            needed = _several(one.contracts)
            table.add_row(sign, escape(one.subject), escape(needed), escape(one.words))
        console.print(table)
    wrong, warned = sum(not one.ok for one in found), sum(one.warns for one in found)
    if wrong:
        console.print(
            f"[red]{wrong} of {len(found)} {'is' if wrong == 1 else 'are'} wrong.[/]", highlight=False
        )
    elif warned:
        told = "1 warning" if warned == 1 else f"{warned} warnings"
        console.print(f"Nothing of {len(found)} is wrong, with [yellow]{told}[/].", highlight=False)
    else:
        console.print(f"All {len(found)} are as they should be.", highlight=False)


def _several(contracts: tuple[str, ...]) -> str:
    """Names of contracts, or how many where a table has no room for them."""
    return ", ".join(contracts) if len(contracts) <= _NAMED else f"{len(contracts):,} contracts"


def _form(found: list[Finding]) -> dict[str, Any]:
    return {"ok": not _code(found), "findings": [one.to_json() for one in found]}


def _code(found: list[Finding]) -> int:
    return 0 if all(one.ok for one in found) else FAILED
