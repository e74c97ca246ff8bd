"""What a workload is: groups of ways that do the same work, the data they do it on, and what is asked of ours."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

OURS = "contracts"
"""The way that goals are set for, where they name no other."""


@dataclass(frozen=True)
class Way:
    """One way of doing the work.

    Args:
        name: in the table.
        cell: the function that does it, as "module:function" of `benchmarks.cells`.
        peer: the environment that it runs in; the project's own if not given.
        args: further arguments of it.
    """

    name: str
    cell: str
    peer: str | None = None
    args: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Group:
    """Ways that are to give the same answer. The first one is what the others are compared with.

    Args:
        title: what is done, on how many rows.
        ways: who does it.
        data: directory of the rows, as the workload's `make` returned it.
        args: arguments of all its cells.
        repeats: how often, where that differs from the rest of the run.
        most_seconds: after which a cell is given up.
    """

    title: str
    ways: tuple[Way, ...]
    data: Path
    args: Mapping[str, Any] = field(default_factory=dict)
    repeats: int | None = None
    most_seconds: float = 120


@dataclass(frozen=True)
class Goal:
    """A ratio, or a figure, that is asked for.

    Args:
        at_most: it.
        way: whose figure it is.
        base: by whose it is divided; by that of the first way of the group if not given.
        figure: "seconds", "cpu", "peak", or the heading of a figure that cells count themselves.
        absolute: whether the figure itself is asked for, and no ratio.
        group: part of the titles of the groups that it is asked in; all of them if not given.
    """

    at_most: float
    way: str = OURS
    base: str | None = None
    figure: str = "seconds"
    absolute: bool = False
    group: str = ""


@dataclass(frozen=True)
class Workload:
    """Work that is measured.

    Args:
        name: on the command line, and of its files.
        title: of its table.
        explain: what is compared, and under which conditions.
        groups: makes the data, where it is not there yet, and tells the groups; it is given whether it is to be quick.
        goals: what is asked for.
        serving: what has to run meanwhile, such as a server; it is given whether it is to be quick.
    """

    name: str
    title: str
    explain: str
    groups: Callable[[bool], Sequence[Group]]
    goals: tuple[Goal, ...] = ()
    serving: Callable[[bool], AbstractContextManager[object]] = nullcontext
