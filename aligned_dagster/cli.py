"""The command line: the commands that run a project, and those of `aligned_dagster.commands`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from aligned_dagster.commands.check import check
from aligned_dagster.commands.infer import infer
from aligned_dagster.commands.init import init
from aligned_dagster.commands.list_contracts import list_contracts
from aligned_dagster.commands.quarantine import quarantine
from aligned_dagster.commands.query import query
from aligned_dagster.commands.show import show
from aligned_dagster.commands.terminal import FAILED, console, guarded, json_option, project

if TYPE_CHECKING:
    from rich.console import Console

    from aligned_dagster.contracts.diff import Diff

_SELECT = click.option(
    "--select", metavar="ASSETS", help="Only these assets, as in 'flights' or '+flights' (with all upstream)."
)


@click.group(
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="\b\nExamples:\n  aligned-dagster init shop\n  aligned-dagster infer sales.csv\n"
    "\b\nCompletion in your shell (zsh and fish likewise):\n"
    '  eval "$(_ALIGNED_DAGSTER_COMPLETE=bash_source aligned-dagster)"',
)
@click.version_option(package_name="aligned-dagster")
def main() -> None:
    """Contracts on data, run by Dagster.

    Every command ends with 0 when all is well, 1 when something is wrong, 2 on a wrong option or argument.
    """


@main.command(
    epilog="\b\nExamples:\n  aligned-dagster materialize\n  aligned-dagster materialize --select +flights"
)
@_SELECT
def materialize(select: str | None) -> None:
    """Compute, audit and publish the contracts of the project, all partitions included.

    Ends with 0 when everything was published (warnings and quarantined rows included), 1 when something
    failed, 130 on Ctrl-C.
    """
    raise SystemExit(guarded(console(), lambda console: _materialize(console, select)))


@main.command(epilog="\b\nExample:\n  aligned-dagster run --port 3001")
@click.option(
    "--port", default=3000, show_default=True, type=click.IntRange(1, 65_535), help="Port of the UI."
)
@click.option("--keep-going", is_flag=True, help="Serve the UI even if the run failed.")
@_SELECT
def run(port: int, keep_going: bool, select: str | None) -> None:
    """Materialise the project, then serve its Dagster UI until Ctrl-C."""
    raise SystemExit(guarded(console(), lambda console: _run(console, port, keep_going, select)))


def _run(console: Console, port: int, keep_going: bool, select: str | None) -> int:
    from aligned_dagster.orchestration.serving import check_port, serve

    check_port(port)
    code = _materialize(console, select)
    if code != 0 and not keep_going:
        console.print("Nothing is served. Mend what failed, or use --keep-going to look at it in the UI.")
        return code
    serve(project(), port, lambda line: console.print(line, highlight=False, markup=False, soft_wrap=True))
    return 0


def _materialize(console: Console, select: str | None) -> int:
    settings = project()
    from aligned_dagster.orchestration.progress import RunProgress, print_summary

    with RunProgress(console) as progress:
        from aligned_dagster.orchestration import running

        running.use_home(settings)
        summary = running.materialize(settings, select, begin=progress.begin, observe=progress.show)
    print_summary(console, summary)
    if summary.success:
        return 0
    console.print(
        "[red]The run failed.[/] What was published before stays as it is. "
        "Mend the data or the contract named above, then run it again.",
        highlight=False,
        soft_wrap=True,
    )
    return FAILED


@main.command(epilog="\b\nExample:\n  aligned-dagster dummy --select flights")
@_SELECT
def dummy(select: str | None) -> None:
    """Compute and audit the contracts of the project on made-up rows, in a Dagster storage of their own.

    No source is touched, nothing is published and no credential is needed. Ends as `materialize` does.
    """
    raise SystemExit(guarded(console(), lambda console: _dummy(console, select)))


def _dummy(console: Console, select: str | None) -> int:
    import os
    from pathlib import Path
    from tempfile import TemporaryDirectory

    from aligned_dagster.orchestration.project import DUMMY

    with TemporaryDirectory(prefix="aligned-dummy-") as home:
        (Path(home) / "dagster.yaml").write_text("telemetry:\n  enabled: false\n")
        os.environ.update({DUMMY: "1", "DAGSTER_HOME": home})
        return _materialize(console, select)


@main.command(epilog="\b\nExample:\n  aligned-dagster lock")
def lock() -> None:
    """Write contracts.lock: what every contract promises now, and all schema versions that it had.

    Run it when a change is meant, and commit the file: `diff` holds the contracts against it.
    """
    raise SystemExit(guarded(console(), _lock))


def _lock(console: Console) -> int:
    settings = project()
    from aligned_dagster.contracts.diff import diff as compare
    from aligned_dagster.contracts.diff_table import print_diff
    from aligned_dagster.contracts.lock import LOCK_FILE, ContractsLock

    views = list(settings.load_store().views.values())
    before = ContractsLock.read(settings.root)
    print_diff(console, compare(views, before))
    after = before.with_contracts(views)
    if after.text == before.text and (settings.root / LOCK_FILE).is_file():
        console.print(f"{LOCK_FILE} is up to date.", highlight=False)
    else:
        after.write(settings.root)
        console.print(f"{LOCK_FILE} is written. Commit it with the contracts.", highlight=False)
    return 0


@main.command(epilog="\b\nExamples:\n  aligned-dagster diff\n  aligned-dagster diff --json")
@json_option
def diff(as_json: bool) -> None:
    """Compare the contracts with contracts.lock: what breaks, what is touched, what to materialise.

    Ends with 0 when nothing breaks, 1 on a breaking change that `aligned-dagster lock` has not acknowledged.
    """
    raise SystemExit(_diff_json() if as_json else guarded(console(), _diff))


def _diff(console: Console) -> int:
    from aligned_dagster.contracts.diff_table import print_verdict

    return print_verdict(console, _compared())


def _diff_json() -> int:
    import json

    from aligned_dagster.errors import AlignedError

    try:
        found = _compared()
    except AlignedError as error:
        click.echo(json.dumps({"error": str(error)}))
        return FAILED
    click.echo(json.dumps(found.to_json(), indent=2, ensure_ascii=False))
    return FAILED if found.is_breaking else 0


def _compared() -> Diff:
    settings = project()
    from aligned_dagster.contracts.diff import diff as compare
    from aligned_dagster.contracts.lock import ContractsLock

    return compare(settings.load_store().views.values(), ContractsLock.read(settings.root))


for command in (check, infer, init, list_contracts, quarantine, query, show):
    main.add_command(command)


if __name__ == "__main__":
    main()
