"""Places for the boxes of a graph: in columns from left to right, with few crossings, near to what they are joined to."""

from __future__ import annotations

from bisect import bisect_right, insort
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

HEIGHT = 38.0
"""Of a box, in pixels."""
_APART = 14.0
_LANE = 10.0
"""The height that a line needs where it passes a column."""
_BETWEEN = 56.0
"""The width between two columns of boxes."""
_SWEEPS = 12

Edge = tuple[str, str]


@dataclass(frozen=True)
class Layout:
    """Where boxes and lines are, in pixels.

    Args:
        boxes: name to left side, top and width.
        lines: for every edge the points that it passes, its two ends included.
        width: of the whole.
        height: of the whole.
    """

    boxes: Mapping[str, tuple[float, float, float]]
    lines: Mapping[Edge, tuple[tuple[float, float], ...]]
    width: float
    height: float


def laid_out(widths: Mapping[str, float], edges: Iterable[Edge], late: Iterable[str] = ()) -> Layout:
    """Lay out a graph; what is needed stands to the left of what needs it.

    An edge that closes a circle is drawn, and moves nothing.

    Args:
        widths: name to width of every box, in pixels.
        edges: from what is needed to what needs it; an edge to itself is left out.
        late: boxes that stand just before the first one that needs them, and not as far to the left as can be.

    >>> places = laid_out({"a": 40, "b": 60, "c": 50}, [("a", "b"), ("b", "c"), ("a", "c")])
    >>> [round(left) for left, _, _ in places.boxes.values()], len(places.lines["a", "c"])
    ([1, 97, 213], 4)
    """
    given = [edge for edge in dict.fromkeys(edges) if edge[0] != edge[1]]
    forward = _without_circles(list(widths), given)
    column = _columns(list(widths), forward, set(late))
    columns, chains = _with_lanes(column, given)
    steps = list(dict.fromkeys(step for chain in chains.values() for step in pairwise(chain)))
    columns = _ordered(columns, steps)
    middle = _heights(columns, steps, set(widths))
    high = min((middle[name] - HEIGHT / 2 for name in widths), default=0.0)
    high = min([high, *(middle[name] for name in middle if name not in widths)])
    low = max((middle[name] + HEIGHT / 2 for name in widths), default=0.0)
    low = max([low, *(middle[name] for name in middle if name not in widths)])
    lefts, wides, left = [], [], 1.0
    for names in columns:
        lefts.append(left)
        wides.append(max((widths[name] for name in names if name in widths), default=0.0))
        left += wides[-1] + _BETWEEN
    place = {name: number for number, names in enumerate(columns) for name in names}
    boxes = {
        name: (lefts[place[name]], middle[name] - HEIGHT / 2 - high + 1, wides[place[name]])
        for name in widths
    }
    lines = {}
    for edge, chain in chains.items():
        points = []
        for number, name in enumerate(chain):
            y, at, wide = middle[name] - high + 1, lefts[place[name]], wides[place[name]]
            if number > 0:
                points.append((at, y))
            if number < len(chain) - 1:
                points.append((at + wide, y))
        lines[edge] = tuple(points)
    return Layout(boxes, lines, max(left - _BETWEEN, 1.0) + 1, low - high + 2)


def _without_circles(names: Sequence[str], edges: Sequence[Edge]) -> list[Edge]:
    """The edges without those that lead back to where one came from."""
    after: dict[str, list[str]] = defaultdict(list)
    for start, end in edges:
        after[start].append(end)
    kept: list[Edge] = []
    state: dict[str, str] = {}
    for root in names:
        if root in state:
            continue
        state[root] = "open"
        waiting = [(root, iter(after[root]))]
        while waiting:
            name, rest = waiting[-1]
            for end in rest:
                if state.get(end) != "open":
                    kept.append((name, end))
                if end not in state:
                    state[end] = "open"
                    waiting.append((end, iter(after[end])))
                    break
            else:
                state[name] = "done"
                waiting.pop()
    return kept


def _columns(names: Sequence[str], edges: Sequence[Edge], late: set[str]) -> dict[str, int]:
    """The column of every box: right of all that it needs."""
    needs, after = defaultdict(set), defaultdict(set)
    for start, end in edges:
        needs[end].add(start)
        after[start].add(end)
    column: dict[str, int] = {}
    missing = {name: len(needs[name]) for name in names}
    ready = [name for name in names if not missing[name]]
    for name in ready:  # grows as boxes become ready
        column[name] = max((column[before] + 1 for before in needs[name]), default=0)
        for end in sorted(after[name]):
            missing[end] -= 1
            if not missing[end]:
                ready.append(end)
    for name in late:
        if after[name] and not needs[name]:
            column[name] = min(column[end] for end in after[name]) - 1
    return column


def _with_lanes(
    column: Mapping[str, int], edges: Sequence[Edge]
) -> tuple[list[list[str]], dict[Edge, tuple[str, ...]]]:
    """The columns with lanes for edges that pass them, one for all from the same box, and for every edge what it passes."""
    columns: list[list[str]] = [[] for _ in range(max(column.values(), default=0) + 1)]
    for name, number in column.items():
        columns[number].append(name)
    chains: dict[Edge, tuple[str, ...]] = {}
    known: set[str] = set()
    for start, end in edges:
        lanes = []
        for number in range(column[start] + 1, column[end]):
            lanes.append(f"{start}\n{number}")
            if lanes[-1] not in known:
                known.add(lanes[-1])
                columns[number].append(lanes[-1])
        chains[start, end] = (start, *lanes, end)
    return columns, chains


def _ordered(columns: list[list[str]], steps: Sequence[Edge]) -> list[list[str]]:
    """The columns in an order with few crossings: each box at the mean place of its neighbours, to and fro."""
    left, right = defaultdict(list), defaultdict(list)
    for start, end in steps:
        left[end].append(start)
        right[start].append(end)
    best, fewest = columns, _crossings(columns, right)
    for sweep in range(_SWEEPS):
        if not fewest:
            break
        beside = right if sweep % 2 else left
        columns = [list(names) for names in columns]
        place = {name: at for names in columns for at, name in enumerate(names)}
        for names in reversed(columns) if sweep % 2 else columns:
            mean = {
                name: sum(place[other] for other in beside[name]) / len(beside[name])
                if beside[name]
                else place[name]
                for name in names
            }
            names.sort(key=lambda name, mean=mean: mean[name])  # type: ignore[misc]  # mypy takes no default in a lambda
            place.update({name: at for at, name in enumerate(names)})
        crossings = _crossings(columns, right)
        if crossings < fewest:
            best, fewest = columns, crossings
    return best


def _crossings(columns: Sequence[Sequence[str]], right: Mapping[str, Sequence[str]]) -> int:
    place = {name: at for names in columns for at, name in enumerate(names)}
    found = 0
    for names in columns:
        ends = [sorted(place[end] for end in right.get(name, ())) for name in names]
        seen: list[int] = []
        for group in ends:
            found += sum(len(seen) - bisect_right(seen, end) for end in group)
            for end in group:
                insort(seen, end)
    return found


def _heights(columns: Sequence[Sequence[str]], steps: Sequence[Edge], boxes: set[str]) -> dict[str, float]:
    """The middle of every box and lane: near to those that it is joined to, in the order of its column."""
    beside = defaultdict(list)
    for start, end in steps:
        beside[start].append(end)
        beside[end].append(start)
    tall = {name: HEIGHT + _APART if name in boxes else _LANE for names in columns for name in names}
    offsets = []
    for names in columns:
        down, found = 0.0, []
        for name in names:
            found.append(down + tall[name] / 2)
            down += tall[name]
        offsets.append([at - down / 2 for at in found])
    middle = {
        name: at
        for names, found in zip(columns, offsets, strict=True)
        for name, at in zip(names, found, strict=True)
    }
    for sweep in range(_SWEEPS):
        pairs = list(zip(columns, offsets, strict=True))
        for names, found in reversed(pairs) if sweep % 2 else pairs:
            wanted = [
                sum(middle[other] for other in beside[name]) / len(beside[name])
                if beside[name]
                else middle[name]
                for name in names
            ]
            fitted = _rising([want - at for want, at in zip(wanted, found, strict=True)])
            middle.update({name: fit + at for name, fit, at in zip(names, fitted, found, strict=True)})
    return middle


def _rising(values: Sequence[float]) -> list[float]:
    """The numbers nearest to the given ones of which none is less than the one before.

    >>> _rising([3, 1, 2, 5])
    [2.0, 2.0, 2.0, 5.0]
    """
    groups: list[tuple[float, int]] = []
    for value in values:
        total, size = float(value), 1
        while groups and groups[-1][0] / groups[-1][1] > total / size:
            before, more = groups.pop()
            total, size = total + before, size + more
        groups.append((total, size))
    return [total / size for total, size in groups for _ in range(size)]
