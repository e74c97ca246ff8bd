"""A drawing of what contracts read: raw sources on the left, what is made of them to the right."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from aligned_dagster.contracts.lineage_layout import HEIGHT, Layout, laid_out
from aligned_dagster.contracts.model import ModelContract
from aligned_dagster.contracts.training_set import TrainingSet
from aligned_dagster.errors import RequestError
from aligned_dagster.features.html import Html, shown

if TYPE_CHECKING:
    from aligned_dagster.contracts.feature_view import FeatureView

Kind = Literal["source", "view", "virtual", "model", "set"]

_NOWHERE = ("memory", "frame", "random")
"""Kinds of sources whose address does not tell them apart."""
_LONGEST = 30
"""Characters of a name, of which more are cut."""
_BY_CHARACTER = 7.0
_FILLS: dict[Kind, str] = {
    "source": "#8a8f98", "view": "#5f7fdc", "virtual": "#5f7fdc", "model": "#a06bd0", "set": "#2f9e63",
}  # fmt: skip
_TOLD: dict[Kind, str] = {
    "source": "a source", "view": "a stored contract", "virtual": "a contract that is computed when it is read",
    "model": "a model contract", "set": "a training set",
}  # fmt: skip
# In a page the words have its colour; a file of its own brings a ground on which they can be read.
_STYLE = (
    ".adl text{font:12px sans-serif;fill:currentColor}.adl .s{font-size:10px;opacity:.75}"
    ".adl .l{fill:none;stroke:#8a8f98;stroke-width:1.3}"
)
_GROUND = (
    ".adl.own{color:#1f2430}.adl.own .g{fill:#fff}"
    "@media(prefers-color-scheme:dark){.adl.own{color:#eef0f5}.adl.own .g{fill:#171b24}}"
)


@dataclass(frozen=True)
class Node:
    """A box of the drawing.

    Args:
        name: what it is called.
        kind: what it is.
        words: below its name.
        about: what is shown where the pointer rests on it.
    """

    name: str
    kind: Kind
    words: str
    about: str


@dataclass(frozen=True)
class LineageDrawing:
    """A drawing that shows itself in a notebook, and can be kept in a file. Made by `View.plot_lineage()`.

    Args:
        nodes: key to box; of a contract the key is its name, of a source its address.
        edges: from what is read to what reads it; true where it is read, false where it is only referred to.
    """

    nodes: Mapping[str, Node]
    edges: Mapping[tuple[str, str], bool]

    def __repr__(self) -> str:
        names = [name for name, node in self.nodes.items() if node.kind != "source"]
        sources = len(self.nodes) - len(names)
        return (
            f"<lineage of {', '.join(names) or 'nothing'} from {sources} source{'' if sources == 1 else 's'}>"
        )

    def _repr_svg_(self) -> str:
        return self.svg()

    def _repr_html_(self) -> str:
        return f'<div style="overflow-x:auto">{self.svg(ground=False)}</div>'

    def svg(self, *, ground: bool = True) -> str:
        """The drawing as SVG, without scripts and without anything to load.

        Args:
            ground: whether it brings a ground of its own, as a file needs; without it words have the colour of the page.
        """
        layout = self._layout
        width, height = layout.width + 16, layout.height + 16
        style = f"<style>{_STYLE}{_GROUND if ground else ''}</style>"
        parts = [
            style,
            *([f'<rect class="g" width="{width:g}" height="{height:g}" rx="6"/>'] if ground else []),
        ]
        body = "".join([*self._lines(layout), *self._boxes(layout)])
        parts.append(f'<g transform="translate(8 8)">{body}</g>')
        label, look = shown(repr(self).strip("<>")), "adl own" if ground else "adl"
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" class="{look}" width="{width:g}" height="{height:g}" '
            f'viewBox="0 0 {width:g} {height:g}" role="img" aria-label="{label}">{"".join(parts)}</svg>'
        )

    def save(self, path: str | Path) -> Path:
        """Keep the drawing in a file.

        Args:
            path: of an .svg or .html file.

        Raises:
            RequestError: the path has another ending.
        """
        file = Path(path)
        if file.suffix not in (".svg", ".html"):
            raise RequestError(
                f"A lineage is drawn as SVG, and {file.name!r} does not end in .svg or .html. Write "
                f"save({file.with_suffix('.svg').name!r})."
            )
        whole = self.svg()
        if file.suffix == ".html":
            whole = f'<!doctype html><meta charset="utf-8"><title>Lineage</title>{whole}\n'
        file.write_text(whole, encoding="utf-8")
        return file

    @cached_property
    def _layout(self) -> Layout:
        widths = {
            key: 22 + max(_BY_CHARACTER * len(_cut(node.name)), 5.8 * len(_cut(node.words)))
            for key, node in self.nodes.items()
        }
        return laid_out(
            widths, self.edges, [key for key, node in self.nodes.items() if node.kind == "source"]
        )

    def _lines(self, layout: Layout) -> Iterator[Html]:
        for edge, points in layout.lines.items():
            drawn = [f"M{points[0][0]:.1f},{points[0][1]:.1f}"]
            for number, ((x, y), (to_x, to_y)) in enumerate(pairwise(points)):
                bend = max(abs(to_x - x) / 2, 20.0)
                straight = number % 2 == 1  # along a lane
                drawn.append(
                    f"L{to_x:.1f},{to_y:.1f}"
                    if straight
                    else f"C{x + bend:.1f},{y:.1f} {to_x - bend:.1f},{to_y:.1f} {to_x:.1f},{to_y:.1f}"
                )
            dashed = "" if self.edges[edge] else ' stroke-dasharray="4 3"'
            end_x, end_y = points[-1]
            yield Html(
                f'<path class="l" d="{"".join(drawn)}"{dashed}/>'
                f'<path d="M{end_x - 6:.1f},{end_y - 3.5:.1f}l6,3.5l-6,3.5z" fill="#8a8f98"/>'
            )

    def _boxes(self, layout: Layout) -> Iterator[Html]:
        for key, node in self.nodes.items():
            x, y, width = layout.boxes[key]
            fill = _FILLS[node.kind]
            dashed = ' stroke-dasharray="4 3"' if node.kind == "virtual" else ""
            yield Html(
                f"<g><title>{shown(node.about)}</title>"
                f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{HEIGHT:g}" rx="5" fill="{fill}" '
                f'fill-opacity=".18" stroke="{fill}"{dashed}/>'
                f'<text x="{x + 10:.1f}" y="{y + 16:.1f}">{shown(_cut(node.name))}</text>'
                f'<text class="s" x="{x + 10:.1f}" y="{y + 30:.1f}">{shown(_cut(node.words))}</text></g>'
            )


def drawing_of(views: Iterable[FeatureView[Any]]) -> LineageDrawing:
    """The drawing of contracts, of all that they read or refer to, and of the sources of those.

    Args:
        views: the contracts.

    >>> from aligned_dagster import InMemorySource, Int32, feature_view
    >>> @feature_view(source=InMemorySource.from_values({"id": [1, 2]}))
    ... class Person:
    ...     id = Int32().as_entity()
    >>> drawing_of([Person.filter("tall", lambda person: person.id > 1)])
    <lineage of tall, person from 1 source>
    """
    known = {view.name: view for view in views}
    waiting = list(known.values())
    nodes: dict[str, Node] = {}
    edges: dict[tuple[str, str], bool] = {}
    for view in waiting:  # grows by what they read
        nodes[view.name] = _node(view)
        for name, upstream in view.upstream_views.items():
            if name not in known:
                known[name] = upstream
                waiting.append(upstream)
            edges[name, view.name] = name in view.depends_on()
    for view in known.values():
        for source in view.raw_sources:
            if source.kind == "model":
                continue  # what predicts where no rows are known to predict over
            own = f" {id(source)}" if source.kind in _NOWHERE else ""
            key = f"source {source.uri}{own}"
            nodes.setdefault(
                key, Node(short(source.label), "source", source.kind, f"{_TOLD['source']}: {source.uri}")
            )
            edges[key, view.name] = True
    return LineageDrawing(nodes, edges)


def around(views: Mapping[str, FeatureView[Any]], name: str) -> list[FeatureView[Any]]:
    """A contract with those that read it or refer to it, directly or not; what it reads itself is found from them.

    Args:
        views: all contracts, by name.
        name: of the contract in the middle.
    """
    found = {name: views[name]}
    grew = True
    while grew:
        more = {
            other: view
            for other, view in views.items()
            if other not in found and any(up in found for up in view.upstream_views)
        }
        found |= more
        grew = bool(more)
    return list(found.values())


def _node(view: FeatureView[Any]) -> Node:
    number = len(view.schema.columns)
    columns = f"{number} column{'' if number == 1 else 's'}"
    kind: Kind = "virtual" if view.is_virtual else "view"
    words = f"{columns}, virtual" if view.is_virtual else f"{columns}, {view.storage.kind}"
    if isinstance(view, ModelContract):
        kind, words = "model", f"predicts {view.label.name}" if view.label else "predicts"
    elif isinstance(view, TrainingSet):
        kind, words = "set", f"{len(view.features)} features"
    about = [f"{view.name}: {_TOLD[kind]}", view.description, ", ".join(view.schema.names)]
    about += [] if view.is_virtual else [f"kept in {view.storage.uri}"]
    return Node(view.name, kind, words, "\n".join(part for part in about if part))


def short(label: str) -> str:
    """The end of a path or an address that fits into a box, from the start of one of its parts."""
    if len(label) <= _LONGEST:
        return label
    rest = label
    while len(rest) > _LONGEST - 2 and "/" in rest.rstrip("/"):
        rest = rest.partition("/")[2]
    return f"…/{rest}" if rest != label else label


def _cut(words: str) -> str:
    return words if len(words) <= _LONGEST else f"{words[: _LONGEST - 1]}…"
