"""Cells in turn, each in a fresh process, and the medians of what they told."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from benchmarks import answers, machine
from benchmarks.environments import python_of
from benchmarks.workload import Group, Way, Workload

ROOT = Path(__file__).resolve().parent.parent


class UnfinishedError(RuntimeError):
    """A cell was given up."""


@dataclass
class Cell:
    """What one way told in one group.

    Args:
        group: title of the group.
        way: name of the way.
        seconds: of each repeat, until the answer was there.
        cpu: seconds of all processors, of each repeat.
        peak: most bytes held at once, of each repeat.
        figures: what the cell counted itself, of each repeat.
        answer: rows and checksum, or what was answered.
        failure: why it is out of the comparison; nothing if it is not.
        given_up: seconds after which it was not done; 0 if it was.
    """

    group: str
    way: str
    seconds: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    peak: list[float] = field(default_factory=list)
    figures: dict[str, list[float]] = field(default_factory=dict)
    answer: str = ""
    failure: str = ""
    given_up: float = 0

    def median(self, figure: str) -> float:
        """The median of a figure."""
        told: list[float] = (
            getattr(self, figure) if figure in ("seconds", "cpu", "peak") else self.figures[figure]
        )
        return statistics.median(told)


@dataclass
class Measured:
    """All cells of a workload.

    Args:
        name: of the workload.
        cells: in the order of the groups and their ways.
        machine: what it was measured on.
        load: of the machine before, and after each round.
        repeats: how many rounds there were.
    """

    name: str
    cells: list[Cell]
    machine: str
    load: list[float]
    repeats: int

    def to_json(self) -> str:
        """Everything, to be read again."""
        return json.dumps(asdict(self), indent=1) + "\n"

    @staticmethod
    def from_json(text: str) -> Measured:
        """What `to_json` wrote."""
        form = json.loads(text)
        return Measured(**form | {"cells": [Cell(**cell) for cell in form["cells"]]})


def run_cell(group: Group, way: Way) -> tuple[dict[str, Any], str]:
    """Run a cell once: its outcome, and what it answered.

    Raises:
        RuntimeError: it failed, or took too long.
    """
    module, _, function = way.cell.partition(":")
    with tempfile.TemporaryDirectory(prefix="benchmark-") as name:
        folder = Path(name)
        (folder / "work").mkdir()
        order = folder / "order"
        form = {
            "module": module,
            "function": function,
            "data": str(group.data),
            "work": str(folder / "work"),
            "args": {**group.args, **way.args},
        }
        order.write_text(json.dumps(form), encoding="utf-8")
        environment = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "PYTHONHASHSEED": "0",
            "DAGSTER_DISABLE_TELEMETRY": "1",
        }
        environment.pop("DAGSTER_HOME", None)
        command = [str(python_of(way.peer)), "-m", "benchmarks.cell", str(order)]
        with (folder / "log").open("w+", encoding="utf-8") as log:
            try:
                done = subprocess.run(
                    command,
                    cwd=ROOT,
                    env=environment,
                    stdout=log,
                    stderr=log,
                    timeout=group.most_seconds,
                    check=False,
                )
            except subprocess.TimeoutExpired as error:
                raise UnfinishedError(f"not done after {group.most_seconds:g} s") from error
        if done.returncode != 0:
            lines = (folder / "log").read_text("utf-8").strip().splitlines()
            if os.environ.get("BENCHMARK_VERBOSE"):
                sys.stderr.write("\n".join(lines) + "\n")
            raise RuntimeError(lines[-1][:200] if lines else f"ended with {done.returncode}")
        outcome: dict[str, Any] = json.loads(order.with_suffix(".outcome").read_text("utf-8"))
        return outcome, answers.told(outcome)


def measure(workload: Workload, *, quick: bool, repeats: int, tell: Callable[[str], object]) -> Measured:
    """Run all cells of a workload in turn, so many times, and compare their answers.

    Args:
        workload: what is measured.
        quick: whether to take little data.
        repeats: how often, unless a group says otherwise.
        tell: is given a line after each cell.
    """
    with workload.serving(quick):
        groups = workload.groups(quick)
        cells = {
            (group.title, way.name): Cell(group.title, way.name) for group in groups for way in group.ways
        }
        load = [machine.load()]
        for turn in range(max(group.repeats or repeats for group in groups)):
            for group in groups:
                if turn < (group.repeats or repeats):
                    _round(group, cells, tell)
            load.append(machine.load())
    return Measured(workload.name, list(cells.values()), machine.described(), load, repeats)


def _round(group: Group, cells: dict[tuple[str, str], Cell], tell: Callable[[str], object]) -> None:
    for way in group.ways:
        cell = cells[group.title, way.name]
        if cell.failure:
            continue
        try:
            outcome, answer = run_cell(group, way)
        except RuntimeError as error:
            cell.failure = f"failed: {error}"
            cell.given_up = group.most_seconds if isinstance(error, UnfinishedError) else 0
        else:
            cell.answer = answer
            cell.failure = _disagreement(cell, group, cells)
            for figure in ("seconds", "cpu", "peak"):
                getattr(cell, figure).append(outcome[figure])
            for figure, value in outcome["figures"].items():
                cell.figures.setdefault(figure, []).append(value)
        told = (
            cell.failure or f"{cell.seconds[-1]:.2f} s, {cell.cpu[-1]:.2f} cpu, {cell.peak[-1] / 1e6:,.0f} MB"
        )
        tell(f"{group.title} | {way.name} | {told}")


def _disagreement(cell: Cell, group: Group, cells: dict[tuple[str, str], Cell]) -> str:
    """Why the answer cannot count: it is not that of the first way that has one."""
    known = [cells[group.title, way.name] for way in group.ways]
    first = next((other for other in known if other.answer and not other.failure), cell)
    if cell.answer == first.answer:
        return ""
    return f"wrong answer: {cell.answer} in place of {first.answer}"


def failures(measured: Measured, names: Sequence[str]) -> list[Cell]:
    """The cells of some ways that failed or answered wrongly."""
    return [
        cell for cell in measured.cells if cell.failure and any(cell.way.startswith(name) for name in names)
    ]
