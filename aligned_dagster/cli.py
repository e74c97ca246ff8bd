"""The command line: materialise a project's contracts, and serve its Dagster UI."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from rich.console import Console

    from aligned_dagster.contracts.diff import Diff
    from aligned_dagster.orchestration.project import ProjectSettings

FAILED, INTERRUPTED = 1, 130

_SELECT = click.option(
    "--select", metavar="ASSETS", help="Only these assets, as in 'flights' or '+flights' (with all upstream)."
)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="aligned-dagster")
def main() -> None:
    """Contracts on data, run by Dagster."""


@main.command()
@_SELECT
def materialize(select: str | None) -> None:
    """Compute, audit and publish the contracts of the project, all partitions included.

    Ends with 0 when everything was published (warnings and quarantined rows included), 1 when something
    failed, 130 on Ctrl-C.
    """
    raise SystemExit(_guarded(_console(), lambda console: _materialize(console, select)))


@main.command()
@click.option(
    "--port", default=3000, show_default=True, type=click.IntRange(1, 65_535), help="Port of the UI."
)
@click.option("--keep-going", is_flag=True, help="Serve the UI even if the run failed.")
@_SELECT
def run(port: int, keep_going: bool, select: str | None) -> None:
    """Materialise the project, then serve its Dagster UI until Ctrl-C."""
    raise SystemExit(_guarded(_console(), lambda console: _run(console, port, keep_going, select)))


def _run(console: Console, port: int, keep_going: bool, select: str | None) -> int:
    from aligned_dagster.orchestration.serving import check_port, serve

    check_port(port)
    code = _materialize(console, select)
    if code != 0 and not keep_going:
        console.print("Nothing is served. Mend what failed, or use --keep-going to look at it in the UI.")
        return code
    serve(_project(), port, lambda line: console.print(line, highlight=False, markup=False, soft_wrap=True))
    return 0


def _materialize(console: Console, select: str | None) -> int:
    settings = _project()
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


@main.command()
@_SELECT
def dummy(select: str | None) -> None:
    """Compute and audit the contracts of the project on made-up rows, in a Dagster storage of their own.

    No source is touched, nothing is published and no credential is needed. Ends as `materialize` does.
    """
    raise SystemExit(_guarded(_console(), lambda console: _dummy(console, select)))


def _dummy(console: Console, select: str | None) -> int:
    import os
    from pathlib import Path
    from tempfile import TemporaryDirectory

    from aligned_dagster.orchestration.project import DUMMY

    with TemporaryDirectory(prefix="aligned-dummy-") as home:
        (Path(home) / "dagster.yaml").write_text("telemetry:\n  enabled: false\n")
        os.environ.update({DUMMY: "1", "DAGSTER_HOME": home})
        return _materialize(console, select)


@main.command()
def lock() -> None:
    """Write contracts.lock: what every contract promises now, and all schema versions that it had.

    Run it when a change is meant, and commit the file: `diff` holds the contracts against it.
    """
    raise SystemExit(_guarded(_console(), _lock))


def _lock(console: Console) -> int:
    settings = _project()
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


@main.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON for machines.")
def diff(as_json: bool) -> None:
    """Compare the contracts with contracts.lock: what breaks, what is touched, what to materialise.

    Ends with 0 when nothing breaks, 1 on a breaking change that `aligned-dagster lock` has not acknowledged.
    """
    raise SystemExit(_diff_json() if as_json else _guarded(_console(), _diff))


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
    settings = _project()
    from aligned_dagster.contracts.diff import diff as compare
    from aligned_dagster.contracts.lock import ContractsLock

    return compare(settings.load_store().views.values(), ContractsLock.read(settings.root))


def _project() -> ProjectSettings:
    """The project's settings; relative paths in its contracts are those of its directory."""
    import os

    from aligned_dagster.orchestration.project import ProjectSettings

    settings = ProjectSettings.find()
    os.chdir(settings.root)
    return settings


def _console() -> Console:
    """The terminal; where the output goes to a file, wide enough for a table."""
    import os
    import sys

    from rich.console import Console

    return Console(width=None if sys.stdout.isatty() or "COLUMNS" in os.environ else 140)


def _guarded(console: Console, command: Callable[[Console], int]) -> int:
    """The exit code of a command; its expected errors and Ctrl-C become a message."""
    from rich.markup import escape

    from aligned_dagster.errors import AlignedError

    try:
        return command(console)
    except AlignedError as error:
        console.print(f"[red]Error:[/] {escape(str(error))}", highlight=False, soft_wrap=True)
        return FAILED
    except KeyboardInterrupt:
        console.print(
            "Stopped. What was published stays; what was being written is discarded.", highlight=False
        )
        return INTERRUPTED


if __name__ == "__main__":
    main()
