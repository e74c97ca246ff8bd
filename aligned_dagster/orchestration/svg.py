"""Pictures in metadata: SVG in the address of an image, which the asset pages draw where Markdown stands.

An image of less than a thousand characters is drawn in place, a larger one on a click. An image runs no script and loads
nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from urllib.parse import quote
from xml.sax.saxutils import escape

import dagster as dg

IN_PLACE = 1_000
"""Characters of Markdown from which on the UI shows it on a click."""

# An image does not know the theme of the page, only that of the browser: it brings its own ground, on which its words can be
# read in either.
_STYLE = (
    "<style>text{font:12px sans-serif;fill:#1f2430}.m{fill:#5b6472}.s{font-size:11px}.h{font-weight:600;font-size:13px}"
    ".g{fill:#fff}.e{fill:#e4e7ee}.b{fill:#4f62c9}.w{fill:#d9822b}.l{stroke:#c3c9d5;fill:none}"
    "@media(prefers-color-scheme:dark){text{fill:#eef0f5}.m{fill:#a9b1c0}.g{fill:#171b24}.e{fill:#2b3140}.b{fill:#8796f0}"
    ".w{fill:#f0a55b}.l{stroke:#4a5264}}</style>"
)
_SAFE = "/:=',;-+."


def picture(parts: Iterable[str], width: float, height: float, words: str) -> dg.MarkdownMetadataValue:
    """An image of the given parts on a ground of its own.

    Args:
        parts: elements of SVG.
        width: in pixels.
        height: in pixels.
        words: what it shows, for those who do not see it.

    >>> image = picture([text(4, 16, "a < b")], 100, 20, "an example").md_str
    >>> image.startswith("![an example](data:image/svg+xml,%3Csvg"), "<" in image
    (True, False)
    """
    ground = f"<rect class='g' width='{width:g}' height='{height:g}' rx='6'/>"
    return _image([_STYLE, ground, *parts], width, height, words)


def small_picture(parts: Iterable[str], width: float, height: float, words: str) -> dg.MarkdownMetadataValue:
    """An image without words and ground in colours for any, short enough to be drawn in place where the parts are few.

    Args:
        parts: elements of SVG, which bring their own colours.
        width: in pixels.
        height: in pixels.
        words: what it shows, for those who do not see it.
    """
    return _image(parts, width, height, words)


def text(x: float, y: float, words: str, kind: str = "", *, end: bool = False, longest: int = 40) -> str:
    """Words at a place.

    Args:
        x: where they begin, or end.
        y: their line.
        words: escaped and cut.
        kind: "h" for a heading, "m" for what matters less, "s" for small ones; several with spaces between.
        end: whether they end at `x`.
        longest: characters after which they are cut.

    >>> text(4, 16, "a < b", "h")
    "<text x='4' y='16' class='h'>a &lt; b</text>"
    """
    words = words if len(words) <= longest else f"{words[: longest - 1]}…"
    printable = re.sub(r"[\x00-\x1f\x7f\ud800-\udfff\ufffe\uffff]", " ", words)
    attributes = f" class='{kind}'" if kind else ""
    attributes += " text-anchor='end'" if end else ""
    return f"<text x='{_number(x)}' y='{_number(y)}'{attributes}>{escape(printable)}</text>"


def columns(
    shares: Sequence[float], x: float, y: float, width: float, height: float, *, gap: float = 1
) -> str:
    """The outline of upright bars, the greatest share as high as can be, as the data of a path.

    Args:
        shares: their heights, from the left; of nothing there is no bar.
        x: where the first one begins.
        y: the line on which they stand.
        width: of all of them.
        height: of the greatest.
        gap: between two of them, in pixels.

    >>> columns([0.5, 0, 1.0], 0, 10, 30, 10)
    'M0,10v-5h9v5zM20,10v-10h9v10z'
    """
    top = max(shares, default=0) or 1.0
    step = width / max(len(shares), 1)
    drawn = []
    for number, share in enumerate(shares):
        if share > 0:
            high = _number(max(1.0, share / top * height))
            wide = _number(max(step - gap, 0.5))
            drawn.append(f"M{_number(x + number * step)},{_number(y)}v-{high}h{wide}v{high}z")
    return "".join(drawn)


def bar(x: float, y: float, width: float, height: float, kind: str) -> str:
    """A rectangle of one of the kinds "b" (what there is), "e" (what could be), "w" (what is to be looked at)."""
    return (
        f"<rect class='{kind}' x='{_number(x)}' y='{_number(y)}' "
        f"width='{_number(width)}' height='{_number(height)}'/>"
    )


def _image(parts: Iterable[str], width: float, height: float, words: str) -> dg.MarkdownMetadataValue:
    size = f"width='{width:g}' height='{height:g}'"
    drawn = f"<svg xmlns='http://www.w3.org/2000/svg' {size}>{''.join(parts)}</svg>"
    plain = re.sub(r"[^\w ,.%:/-]", " ", words)
    return dg.MetadataValue.md(f"![{plain}](data:image/svg+xml,{quote(drawn, safe=_SAFE)})")


def _number(value: float) -> str:
    """A length with a digit after the point, where it has one."""
    return f"{value:.1f}".removesuffix(".0")
