"""A diff of contracts as a table for people."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from aligned_dagster.contracts.diff import ContractDiff, Diff, Verdict

if TYPE_CHECKING:
    from rich.console import Console

_COLOURS: dict[Verdict, str] = {
    "unchanged": "dim",
    "compatible": "green",
    "breaking": "red",
    "added": "cyan",
    "removed": "red",
}
_SHOWN = 6


def print_diff(console: Console, diff: Diff) -> None:
    """Print a table of the contracts that changed, and what to materialise.

    Args:
        console: where to.
        diff: what `aligned_dagster.contracts.diff.diff` found.
    """
    from rich.markup import escape
    from rich.table import Table

    same = sum(contract.verdict == "unchanged" for contract in diff.contracts)
    changed = [contract for contract in diff.contracts if contract.verdict != "unchanged"]
    if changed:
        table = Table("contract", "verdict", "changes", "stored", "touched downstream", show_lines=True)
        for contract in changed:
            verdict = f"[{_COLOURS[contract.verdict]}]{contract.verdict}[/]"
            cells = (_changes(contract), _stored(contract), _downstream(contract))
            table.add_row(contract.name, verdict, *(escape(cell) for cell in cells))
        console.print(table)
    if same:
        console.print(f"{same} unchanged {'contract' if same == 1 else 'contracts'}.", highlight=False)
    if diff.materialize:
        console.print(
            f"To materialise, in this order: {', '.join(diff.materialize)}", highlight=False, soft_wrap=True
        )


def print_verdict(console: Console, diff: Diff) -> int:
    """Print a diff and what to do about it, and return the exit code: 1 where something breaks, else 0."""
    print_diff(console, diff)
    if diff.is_breaking:
        names = ", ".join(contract.name for contract in diff.contracts if contract.is_breaking)
        console.print(
            f"[red]Breaking, and not acknowledged:[/] {names}. Take the change back, or run "
            "`aligned-dagster lock` to acknowledge it, and tell those who read it.",
            highlight=False,
            soft_wrap=True,
        )
    elif not diff.is_unchanged:
        console.print("Nothing breaks. Run `aligned-dagster lock` to lock the new state.", highlight=False)
    return int(diff.is_breaking)


def _changes(contract: ContractDiff) -> str:
    if contract.verdict == "removed":
        return "no file defines it any more"
    lines = [f"{'! ' if change.breaking else '  '}{change}" for change in contract.changes]
    if contract.locked and contract.version and contract.locked != contract.version:
        lines.append(f"  schema version {contract.version}, was {contract.locked}")
    return "\n".join(lines) or "a new contract"


def _stored(contract: ContractDiff) -> str:
    lines = [
        f"{part.name} ({part.modified:%Y-%m-%d}) {part.words}"
        if part.modified
        else f"{part.name} {part.words}"
        for part in contract.stored
    ]
    return _some(lines, "parts")


def _downstream(contract: ContractDiff) -> str:
    return _some(
        [f"{one.contract}.{one.column} (of {_names(one.of)})" for one in contract.downstream], "columns"
    )


def _some(lines: Sequence[str], what: str) -> str:
    shown = [*lines[:_SHOWN]]
    if len(lines) > _SHOWN:
        shown.append(f"... and {len(lines) - _SHOWN} more {what}")
    return "\n".join(shown)


def _names(names: Iterable[str]) -> str:
    every = list(names)
    return ", ".join(every[:3]) + (", ..." if len(every) > 3 else "")
