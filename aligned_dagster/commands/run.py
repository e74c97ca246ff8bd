"""`aligned-dagster materialize`, `dummy` and `run`: the commands that run a project."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from aligned_dagster.commands.completing import complete_selection
from aligned_dagster.commands.terminal import (
    FAILED,
    INTERRUPTED,
    console,
    guarded,
    guarded_json,
    json_option,
    print_json,
    project,
)

if TYPE_CHECKING:
    from rich.console import Console

    from aligned_dagster.orchestration.summary import RunSummary

_NAMES = "assets"
_SELECT = "select"


def _selection(command: Callable[..., None]) -> Callable[..., None]:
    """The assets of a run, as arguments and as an option that mean the same: `select` holds both."""

    @functools.wraps(command)
    def with_both(**given: Any) -> None:
        assets, select = given.pop(_NAMES), given.pop(_SELECT)
        named = [*assets, *([select] if select is not None else [])]
        command(**given, select=",".join(named) if named else None)

    words = (
        "Only these assets, as ASSETS: 'flights', or '+flights' (with all upstream); commas between several."
    )
    option = click.option(f"--{_SELECT}", metavar="ASSETS", shell_complete=complete_selection, help=words)
    argument = click.argument(_NAMES, metavar="[ASSETS]...", nargs=-1, shell_complete=complete_selection)
    return argument(option(with_both))


@click.command(
    short_help="Compute, audit and publish.",
    epilog="\b\nExamples:\n  aligned-dagster materialize\n  aligned-dagster materialize +flights\n"
    "  aligned-dagster materialize --json | jq .success",
)
@_selection
@json_option
def materialize(select: str | None, as_json: bool) -> None:
    """Compute, audit and publish the contracts of the project, all partitions included; or only those of ASSETS.

    ASSETS are names of contracts, '+flights' for one with all upstream of it.

    Ends with 0 when everything was published, 1 when something failed, 130 on Ctrl-C. Warnings, quarantined rows and
    data older than their unacceptable_freshness are told, and leave it at 0, as the rows are published.
    """
    raise SystemExit(_materialize_json(select) if as_json else guarded(console(), lambda c: _run(c, select)))


@click.command(
    short_help="A run on made-up rows.",
    epilog="\b\nExamples:\n  aligned-dagster dummy\n  aligned-dagster dummy flights --json",
)
@_selection
@json_option
def dummy(select: str | None, as_json: bool) -> None:
    """Compute and audit the contracts of the project, or those of ASSETS, on made-up rows, in a Dagster storage of their own.

    No source is touched, nothing is published and no credential is needed. Ends as `materialize` does.
    """
    import os
    from pathlib import Path
    from tempfile import TemporaryDirectory

    from aligned_dagster.orchestration.project import DUMMY

    before = dict(os.environ)
    with TemporaryDirectory(prefix="aligned-dummy-") as home:
        (Path(home) / "dagster.yaml").write_text("telemetry:\n  enabled: false\n")
        os.environ.update({DUMMY: "1", "DAGSTER_HOME": home})
        try:
            code = _materialize_json(select) if as_json else guarded(console(), lambda c: _run(c, select))
        finally:
            os.environ.clear()
            os.environ.update(before)
    raise SystemExit(code)


@click.command(
    short_help="Materialise, then serve the Dagster UI.",
    epilog="\b\nExamples:\n  aligned-dagster run\n  aligned-dagster run --port 3001 --keep-going",
)
@click.option(
    "--port", default=3000, show_default=True, type=click.IntRange(1, 65_535), help="Port of the UI."
)
@click.option("--keep-going", is_flag=True, help="Serve the UI even if the run failed.")
@_selection
def run(port: int, keep_going: bool, select: str | None) -> None:
    """Materialise the project, or ASSETS of it, then serve its Dagster UI until Ctrl-C.

    Ends with 130 on Ctrl-C, with 1 when the run or the UI failed.
    """
    raise SystemExit(guarded(console(), lambda console: _serve(console, port, keep_going, select)))


def _serve(console: Console, port: int, keep_going: bool, select: str | None) -> int:
    from aligned_dagster.orchestration.serving import check_port, serve

    check_port(port)
    code = _run(console, select)
    if code != 0 and not keep_going:
        console.print("Nothing is served. Mend what failed, or use --keep-going to look at it in the UI.")
        return code
    try:
        serve(
            project(), port, lambda line: console.print(line, highlight=False, markup=False, soft_wrap=True)
        )
    except KeyboardInterrupt:
        console.print("The Dagster UI has ended.")
        return INTERRUPTED
    return 0


def _run(console: Console, select: str | None) -> int:
    from aligned_dagster.orchestration.progress import RunProgress, print_summary

    settings = project()
    with RunProgress(console) as progress:
        from aligned_dagster.orchestration import running
        from aligned_dagster.orchestration.project_definitions import check_loads

        running.use_home(settings)
        check_loads(settings)
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


def _materialize_json(select: str | None) -> int:
    """Run without a word but the summary; what contracts print goes to standard error."""

    def made() -> RunSummary:
        settings = project()
        from aligned_dagster.orchestration import running
        from aligned_dagster.orchestration.project_definitions import check_loads

        running.use_home(settings)
        check_loads(settings)
        return running.materialize(settings, select, begin=lambda _: None, observe=lambda *_: None)

    def told(summary: RunSummary) -> int:
        print_json(_form(summary))
        return 0 if summary.success else FAILED

    return guarded_json(made, told)


def _form(summary: RunSummary) -> dict[str, Any]:
    errors = [
        {"assets": [asset.key for asset in summary.of_step(step)], "words": words}
        for step, words in summary.errors.items()
    ]
    words = summary.error or next(iter(summary.errors.values()), None)
    form: dict[str, Any] = {"success": summary.success}
    if not summary.success:
        form["error"] = words or "The run did not end."
    return form | {
        "runs": summary.runs,
        "assets": [
            {
                "asset": asset.key,
                "state": asset.state,
                "rows": asset.rows,
                "bytes": asset.bytes,
                "partitions": asset.partitions,
                "checks": {"passed": asset.passed, "failed": asset.failed},
                "seconds": asset.seconds,
                "stored": asset.stored,
                "quarantined": [{"rows": rows, "uri": uri} for uri, rows in asset.aside.items()],
            }
            for asset in summary.assets.values()
        ],
        "failed_checks": [
            {
                "asset": check.asset,
                "check": check.check,
                "words": check.words,
                "blocks": check.blocks,
                "severity": "warning" if check.warns else "error",
                "quarantine": check.quarantine,
            }
            for check in summary.checks
        ],
        "errors": errors,
    }
