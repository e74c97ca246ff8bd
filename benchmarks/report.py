"""The figures as Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from benchmarks.running import Cell, Measured
from benchmarks.workload import Goal, Workload


def table(measured: Measured) -> str:
    """The medians, each with its ratio to the first way of the group that is in the comparison."""
    extras = list(dict.fromkeys(name for cell in measured.cells for name in cell.figures))
    head = [
        "",
        "way",
        "seconds (min - max)",
        "ratio",
        "processor seconds",
        "ratio",
        "peak MB",
        "ratio",
        *extras,
    ]
    lines = [_row(head), _row(["---"] * len(head))]
    for _, members in groupby(measured.cells, key=lambda cell: cell.group):
        cells = list(members)
        base = next((cell for cell in cells if not cell.failure), None)
        lines += [_line(cell, base, extras) for cell in cells]
    return "\n".join(lines)


def goals(workload: Workload, measured: Measured) -> list[tuple[str, float, bool]]:
    """Each goal in each of its groups: in words, what was measured, and whether it is kept.

    A peer that was given up took at least as long as it was let.
    """
    found = []
    for goal in workload.goals:
        for group, members in groupby(measured.cells, key=lambda cell: cell.group):
            cells = {cell.way: cell for cell in members if not cell.failure or cell.given_up}
            done = [way for way, cell in cells.items() if not cell.failure]
            if goal.group not in group or goal.way not in done:
                continue
            base, ours = cells.get(goal.base or done[0]), cells[goal.way]
            if base is None or (base.given_up and goal.figure != "seconds"):
                continue
            theirs = base.given_up or base.median(goal.figure)
            value = ours.median(goal.figure) / (1 if goal.absolute else theirs)
            found.append((_words(goal, base, group), value, value <= goal.at_most))
    return found


def page(workload: Workload, measured: Measured, picture: str) -> str:
    """The whole page of a workload."""
    reached = [
        f"- {words}: **{ratio:.2f}**, {'kept' if kept else 'not kept'}"
        for words, ratio, kept in goals(workload, measured)
    ]
    return (
        f"# {workload.title}\n\n{workload.explain}\n\n"
        + ("\n".join(reached) + "\n\n" if reached else "")
        + f"{table(measured)}\n\n![{workload.title}]({picture})\n\n{conditions([measured])}\n"
    )


def summary(found: Sequence[tuple[Workload, Measured]]) -> str:
    """All goals in one table, with a link to each workload's page."""
    lines = ["| workload | goal | measured | |", "|---|---|---|---|"]
    for workload, measured in found:
        link = f"[{workload.title}]({workload.name}.md)"
        lines += [
            _row([link, words, f"{ratio:.2f}", "kept" if kept else "**not kept**"])
            for words, ratio, kept in goals(workload, measured)
        ] or [_row([link, "", "", ""])]
    told = conditions([measured for _, measured in found])
    return "# Benchmarks\n\n" + "\n".join(lines) + f"\n\n{told}\n"


def conditions(measured: Sequence[Measured]) -> str:
    """What it was measured on, and how."""
    machines = list(dict.fromkeys(one.machine for one in measured))
    load = [figure for one in measured for figure in one.load]
    repeats = sorted({one.repeats for one in measured})
    return (
        f"Medians of {' to '.join(str(n) for n in {repeats[0]: 0, repeats[-1]: 0})} interleaved repeats, each in a fresh "
        "process that takes the time from the first look at the data until the answer is there, imports apart. Rows and "
        "checksums are compared first: a wrong answer is no result. Ratios are those to the first way of a group. "
        f"{'; '.join(machines)}; load average {min(load):.1f} to {max(load):.1f} meanwhile. "
        "`make bench` makes this page."
    )


def _line(cell: Cell, base: Cell | None, extras: Sequence[str]) -> str:
    if cell.failure or base is None:
        return _row([cell.group, cell.way, cell.failure.replace("|", "/"), *[""] * (5 + len(extras))])
    shown = [cell.group, cell.way]
    seconds = cell.median("seconds")
    shown.append(f"{_seconds(seconds)} ({_seconds(min(cell.seconds))} - {_seconds(max(cell.seconds))})")
    shown.append(_ratio(seconds, base.median("seconds")))
    shown += [_seconds(cell.median("cpu")), _ratio(cell.median("cpu"), base.median("cpu"))]
    shown += [f"{cell.median('peak') / 1e6:,.0f}", _ratio(cell.median("peak"), base.median("peak"))]
    return _row(shown + [f"{cell.median(name):,.10g}" if name in cell.figures else "" for name in extras])


def _words(goal: Goal, base: Cell, group: str) -> str:
    figure = {"cpu": "processor seconds"}.get(goal.figure, goal.figure)
    whose = f"{base.way} ({base.failure.removeprefix('failed: ')})" if base.given_up else base.way
    limit = f"{goal.at_most:g}" if goal.absolute else f"{goal.at_most:g} x {whose}"
    return f"{group}: {figure} of {goal.way} <= {limit}"


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _seconds(value: float) -> str:
    return f"{value:.2f}" if value >= 1 else f"{value:.3f}"


def _ratio(value: float, base: float) -> str:
    return f"{value / base:.2f}" if base else ""
