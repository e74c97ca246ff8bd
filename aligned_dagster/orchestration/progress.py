"""A run on the terminal: progress while it goes on, a table when it is over."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import ExitStack
from os.path import commonprefix
from types import TracebackType
from typing import TYPE_CHECKING, Self

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Table

from aligned_dagster.orchestration.summary import COMMENTS, AssetSummary, FailedCheck, RunSummary
from aligned_dagster.request.progress import watched

if TYPE_CHECKING:
    from dagster import DagsterEvent


class RunProgress:
    """Shows a run as it goes: a bar on a terminal, a line a step elsewhere. Use it in a `with` block.

    Args:
        console: where to write.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._bar: Progress | None = None
        self._task: TaskID | None = None
        self._title = ""
        self._watching = ExitStack()
        if console.is_terminal:
            self._bar = Progress(
                SpinnerColumn(),
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TimeElapsedColumn(),
                console=console,
                transient=True,
            )

    def __enter__(self) -> Self:
        if self._bar is not None:
            self._bar.start()
            self._watching.enter_context(watched(self._told))
            self._task = self._bar.add_task("loading the contracts", total=None)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._watching.close()
            self._bar.stop()

    def begin(self, run: RunSummary) -> None:
        """Announce the run."""
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, description="starting", total=run.steps)
        else:
            self._console.print(
                f"Materialising {run.steps} step{'' if run.steps == 1 else 's'}", highlight=False
            )

    def show(self, event: DagsterEvent, run: RunSummary) -> None:
        """Show what an event changed."""
        step = event.step_key or ""
        if event.is_step_start:
            if self._bar is not None and self._task is not None:
                self._title = _title(run, step)
                self._bar.update(self._task, description=escape(self._title))
        elif event.is_step_success or event.is_step_failure or event.is_step_skipped:
            for asset in run.of_step(step):
                self._console.print(_line(asset), highlight=False)
            if self._bar is not None and self._task is not None:
                self._bar.update(self._task, completed=run.done)

    def _told(self, now: str) -> None:
        """Show what is done now in a step, such as how many partitions of it are written."""
        if self._bar is not None and self._task is not None and self._title:
            self._bar.update(self._task, description=escape(f"{self._title}: {now}"))


def print_summary(console: Console, run: RunSummary) -> None:
    """Print the table of a run, the checks that failed, and the errors."""
    title = f"Run{'s' if len(run.runs) > 1 else ''} {', '.join(run_id[:8] for run_id in run.runs)}"
    table = Table(title=title, title_justify="left", header_style="bold")
    table.add_column("Asset", overflow="fold")
    divided = any(asset.partitions for asset in run.assets.values())
    for name in ("State", "Rows", *_PARTITIONS[:divided], "Bytes", "Checks\npassed", "\nfailed", "Seconds"):
        table.add_column(name, justify="left" if name == "State" else "right")
    for asset in sorted(run.assets.values(), key=lambda asset: (asset.state == "observed", asset.key)):
        table.add_row(
            escape(asset.key),
            f"[{_COLOURS.get(asset.state, 'white')}]{asset.state}[/]",
            "" if asset.rows is None else f"{asset.rows:,}",
            *[f"{asset.partitions:,}" if asset.partitions else ""][:divided],
            "" if asset.bytes is None else readable_bytes(asset.bytes),
            str(asset.passed) if asset.passed or asset.failed else "",
            f"[yellow]{asset.failed}[/]" if asset.failed else ("0" if asset.passed else ""),
            "" if asset.seconds is None else f"{asset.seconds:.2f}",
        )
    console.print(table)
    for place, number in stores(asset.stored for asset in run.assets.values()).items():
        words = f"{number:,} contract{'s' if number > 1 else ''} in {place}"
        console.print(f"[green]{'stored':<8}[/] {escape(words)}", highlight=False, soft_wrap=True)
    for check in run.warnings:
        colour, word = ("yellow", "warning") if check.warns else ("red", "failed")
        _say(console, colour, word, check.asset, check.words)
    told: set[str] = set()
    shown: dict[str, int] = {}
    for check in (check for check in run.checks if check.blocks):
        shown[check.asset] = shown.get(check.asset, 0) + 1
        if shown[check.asset] <= COMMENTS:
            new = check.quarantine is not None and check.quarantine not in told
            where = f" Bad rows: {check.quarantine}" if new else ""
            _say(console, "red", "blocked", check.asset, check.words + where)
            told.add(check.quarantine or "")
    for check in run.warnings:
        if check.quarantine is not None and check.quarantine not in told:
            _say(console, "yellow", "aside", check.asset, _kept(check, run))
            told.add(check.quarantine)
    for step, message in run.errors.items():
        assets = run.of_step(step)
        if not any(asset.key in shown for asset in assets):
            _say(console, "red", "failed", ", ".join(asset.key for asset in assets) or step, message)
    if not run.errors and run.error is not None:
        _say(console, "red", "failed", "the run", run.error)
    missing = [asset.key for asset in run.assets.values() if asset.state == "not run"]
    if missing and run.errors:
        _say(console, "dim", "not run", ", ".join(missing), "because of what failed upstream.")


def _kept(check: FailedCheck, run: RunSummary) -> str:
    """How many rows were kept aside, and where."""
    kept = run.assets[check.asset].aside.get(check.quarantine or "")
    if kept is None or check.rows is None:
        return f"Bad rows are kept in {check.quarantine}"
    return f"{kept:,} of {check.rows:,} rows kept in {check.quarantine}"


def _say(console: Console, colour: str, word: str, asset: str, words: str) -> None:
    """One finding on a line of its own, which only the terminal breaks, so that a path can be copied."""
    line = f"[{colour}]{word:<8}[/] {escape(asset)}: {escape(words)}"
    console.print(line, highlight=False, soft_wrap=True)


def stores(places: Iterable[str | None]) -> dict[str, int]:
    """Where rows are, in few words: what the addresses in each bucket, database or file system have in common.

    >>> stores(["/data/a.parquet", "s3://lake/demo/b.parquet", "s3://lake/demo/c/*/c.parquet", None])
    {'/data/a.parquet': 1, 's3://lake/demo': 2}
    """
    groups: dict[tuple[str, ...], list[list[str]]] = {}
    for place in places:
        if place is not None:
            parts = place.split("/")
            groups.setdefault(tuple(parts[:3]) if "://" in place else (), []).append(parts)
    shared = ((commonprefix(group), len(group)) for group in groups.values())  # noqa: RUF071  # of lists of parts
    return {"/".join(parts) or "/": number for parts, number in shared}


def readable_bytes(number: int) -> str:
    """A size in a unit that a person reads at a glance.

    >>> readable_bytes(900), readable_bytes(123_456), readable_bytes(5_000_000_000)
    ('900 B', '123.5 kB', '5.0 GB')
    """
    size = float(number)
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1_000:
            return f"{size:.0f} B" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1_000
    return f"{size:.1f} TB"


_PARTITIONS = ("Partitions",)
_COLOURS = {
    "published": "green",
    "audited": "green",
    "done": "green",
    "observed": "cyan",
    "failed": "red",
    "not run": "dim",
}


def _title(run: RunSummary, step: str) -> str:
    return ", ".join(asset.key for asset in run.of_step(step)) or step


def _line(asset: AssetSummary) -> str:
    facts = [f"{asset.rows:,} row{'' if asset.rows == 1 else 's'}"] if asset.rows is not None else []
    facts += (
        [f"{asset.partitions:,} partition{'s' if asset.partitions > 1 else ''}"] if asset.partitions else []
    )
    facts += [readable_bytes(asset.bytes)] if asset.bytes is not None else []
    facts += [f"{asset.passed} check{'' if asset.passed == 1 else 's'} passed"] if asset.passed else []
    facts += [f"{asset.failed} failed"] if asset.failed else []
    facts += [f"{asset.seconds:.2f} s"] if asset.seconds is not None else []
    colour = _COLOURS.get(asset.state, "white")
    return f"[{colour}]{asset.state:<9}[/] {escape(asset.key)}  [dim]{', '.join(facts)}[/]"
