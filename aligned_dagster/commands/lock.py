"""`aligned-dagster lock` and `diff`: what the contracts promised, and what has become of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from aligned_dagster.commands.terminal import FAILED, answer, json_option, project

if TYPE_CHECKING:
    from rich.console import Console

    from aligned_dagster.contracts.diff import Diff


@click.command(
    short_help="Write down what the contracts promise.",
    epilog="\b\nExamples:\n  aligned-dagster lock\n  aligned-dagster lock --json | jq .written",
)
@json_option
def lock(as_json: bool) -> None:
    """Write contracts.lock: what every contract promises now, and all schema versions that it had.

    Run it when a change is meant, and commit the file: `diff` holds the contracts against it.

    Ends with 0, or with 1 when the contracts cannot be loaded or the file is no lock.
    """
    raise SystemExit(answer(as_json, _locked, _show_lock, _lock_form))


@click.command(
    short_help="What has changed since contracts.lock.",
    epilog="\b\nExamples:\n  aligned-dagster diff\n  aligned-dagster diff --json",
)
@json_option
def diff(as_json: bool) -> None:
    """Compare the contracts with contracts.lock: what breaks, what is touched, what to materialise.

    Ends with 0 when nothing breaks, 1 on a breaking change that `aligned-dagster lock` has not acknowledged.
    """
    raise SystemExit(answer(as_json, _compared, _show_diff, lambda found: found.to_json(), _code))


def _locked() -> tuple[Diff, bool]:
    """What has changed since the last lock, and whether the file was written."""
    settings = project()
    from aligned_dagster.contracts.diff import diff as compare
    from aligned_dagster.contracts.lock import LOCK_FILE, ContractsLock

    views = list(settings.load_store().views.values())
    before = ContractsLock.read(settings.root)
    found = compare(views, before)
    after = before.with_contracts(views)
    if after.text == before.text and (settings.root / LOCK_FILE).is_file():
        return found, False
    after.write(settings.root)
    return found, True


def _show_lock(console: Console, made: tuple[Diff, bool]) -> None:
    from aligned_dagster.contracts.diff_table import print_diff
    from aligned_dagster.contracts.lock import LOCK_FILE

    found, written = made
    print_diff(console, found)
    words = "is written. Commit it with the contracts." if written else "is up to date."
    console.print(f"{LOCK_FILE} {words}", highlight=False)


def _lock_form(made: tuple[Diff, bool]) -> dict[str, Any]:
    from aligned_dagster.contracts.lock import LOCK_FILE

    return {"file": LOCK_FILE, "written": made[1], "diff": made[0].to_json()}


def _compared() -> Diff:
    settings = project()
    from aligned_dagster.contracts.diff import diff as compare
    from aligned_dagster.contracts.lock import ContractsLock

    return compare(settings.load_store().views.values(), ContractsLock.read(settings.root))


def _show_diff(console: Console, found: Diff) -> None:
    from aligned_dagster.contracts.diff_table import print_verdict

    print_verdict(console, found)


def _code(found: Diff) -> int:
    return FAILED if found.is_breaking else 0
