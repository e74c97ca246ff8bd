"""The figures as a picture: a bar for each cell, as long as its median."""

from __future__ import annotations

from html import escape
from itertools import groupby

from benchmarks.running import Cell, Measured
from benchmarks.workload import OURS

LABEL, BAR, RIGHT, LINE = 260, 420, 200, 22
OWN, OTHER = "#0b7285", "#adb5bd"


def bars(measured: Measured, title: str) -> str:
    """An SVG with the seconds of every cell, group by group, each group on a scale of its own."""
    shown: list[str] = []
    y = 40
    for group, members in groupby(measured.cells, key=lambda cell: cell.group):
        cells = list(members)
        longest = max((cell.median("seconds") for cell in cells if not cell.failure), default=1.0)
        shown.append(f'<text x="12" y="{y + 14}" font-weight="bold">{escape(group)}</text>')
        y += LINE
        for cell in cells:
            shown.append(_bar(cell, longest, y))
            y += LINE
        y += LINE // 2
    width, height = LABEL + BAR + RIGHT, y + 4
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
        f'font-family="sans-serif" font-size="12" role="img" aria-label="{escape(title)}">\n'
        f'<rect width="{width}" height="{height}" fill="white"/>\n'
        f'<text x="12" y="24" font-size="16">{escape(title)}: seconds, less is better</text>\n'
        + "\n".join(shown)
        + "\n</svg>\n"
    )


def _bar(cell: Cell, longest: float, y: int) -> str:
    label = f'<text x="{LABEL - 8}" y="{y + 14}" text-anchor="end">{escape(cell.way)}</text>'
    if cell.failure:
        return f'{label}<text x="{LABEL}" y="{y + 14}" fill="#c92a2a">{escape(cell.failure[:80])}</text>'
    seconds = cell.median("seconds")
    length = max(1.0, BAR * seconds / longest)
    colour = OWN if cell.way.startswith(OURS) else OTHER
    peak = f"{cell.median('peak') / 1e6:,.0f} MB"
    return (
        f'{label}<rect x="{LABEL}" y="{y + 2}" width="{length:.1f}" height="{LINE - 6}" fill="{colour}"/>'
        f'<text x="{LABEL + length + 6:.1f}" y="{y + 14}">{seconds:.3g} s, {peak}</text>'
    )
