"""HTML that objects show themselves with in a notebook: small, escaped, without scripts, and readable on any ground.

Words have the colour of the page. Lines and bars are translucent or of a colour that stands out on white and on black, as
a notebook does not say which of the two it has.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Sequence
from typing import Literal

Look = Literal["good", "look", "bad", "plain"]
"""What a colour says: all is well, have a look, something is wrong, nothing of these."""

_COLOURS: dict[Look, str] = {"good": "#2f9e63", "look": "#d9822b", "bad": "#dc5050", "plain": "#5f7fdc"}
_STYLE = (
    "<style>.adg{font-size:13px;line-height:1.45;overflow-x:auto}.adg p{margin:.2em 0}.adg table{border-collapse:collapse;"
    "margin:.4em 0}.adg.adg table th,.adg.adg table td{text-align:left;vertical-align:top;padding:.15em .9em .15em .3em;"
    "border:0;border-bottom:1px solid rgba(128,128,128,.3);max-width:32em;overflow-wrap:break-word}.adg.adg table .n"
    "{text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums}.adg th,.adg .m{opacity:.7}.adg th"
    "{font-weight:600}.adg .t{display:inline-block;width:6em;height:.6em;background:rgba(128,128,128,.3)}.adg .t i"
    "{display:block;height:100%}.adg summary{cursor:pointer}.adg ul{margin:.1em 0}.adg code{white-space:pre-wrap;"
    "overflow-wrap:anywhere}.adg .w,.adg .w code{white-space:nowrap}.adg .e{display:inline-block;min-width:20em}"
    "</style>"
)
_SHORT = 24
_LONGEST = 300
"""Characters of a value, after which it is cut."""


class Html(str):
    """Text that is HTML already, and is not escaped again."""

    __slots__ = ()


Part = object
"""HTML, or anything else, which is shown as text and escaped."""


def shown(part: Part, longest: int = _LONGEST) -> Html:
    """The part as HTML: itself, or its escaped text. Characters that no page can have become spaces.

    Args:
        part: HTML or a value.
        longest: characters of a text, after which it is cut.

    >>> shown("<b>"), shown(Html("<b>"))
    ('&lt;b&gt;', '<b>')
    """
    if isinstance(part, Html):
        return part
    words = "" if part is None else str(part)
    words = words if len(words) <= longest else f"{words[: longest - 1]}…"
    return Html(html.escape(re.sub(r"[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff\ufffe\uffff]", " ", words)))


def joined(parts: Iterable[Part], between: str = "") -> Html:
    """Parts one after another.

    >>> joined(["a < b", Html("<i>c</i>")], ", ")
    'a &lt; b, <i>c</i>'
    """
    return Html(html.escape(between).join(shown(part) for part in parts))


def bold(words: Part) -> Html:
    """Words that stand out."""
    return Html(f"<b>{shown(words)}</b>")


def muted(words: Part) -> Html:
    """Words that matter less."""
    return Html(f'<span class="m">{shown(words)}</span>') if words else Html("")


def code(words: Part) -> Html:
    """A type or an address."""
    return Html(f"<code>{shown(words)}</code>") if words else Html("")


def expression(words: str) -> Html:
    """A piece of code, which is broken into lines and has room for them.

    >>> expression("a > 1"), expression("when(a > 1).then('one and more')")[:24]
    ('<code>a &gt; 1</code>', '<span class="e"><code>wh')
    """
    return code(words) if len(words) <= _SHORT else Html(f'<span class="e">{code(words)}</span>')


def line(*parts: Part) -> Html:
    """A line of its own."""
    return Html(f"<p>{joined(parts, ' ')}</p>")


def marked(words: Part, look: Look) -> Html:
    """Words after a dot in the colour of what they say; the words say it too.

    >>> marked("passed", "good")
    '<span class="w"><span style="color:#2f9e63">●</span> passed</span>'
    """
    return Html(f'<span class="w"><span style="color:{_COLOURS[look]}">●</span> {shown(words)}</span>')


def bar(share: float, words: Part, look: Look = "plain") -> Html:
    """A share as a bar with its number beside it.

    Args:
        share: 0 to 1.
        words: the number.
        look: its colour.

    >>> "width:25.0%" in bar(0.25, "25 %")
    True
    """
    width = min(max(share, 0.0), 1.0) * 100
    filled = f'<i style="width:{width:.1f}%;background:{_COLOURS[look]}"></i>'
    return Html(f'<span class="w"><span class="t">{filled}</span> {shown(words)}</span>')


def number(value: float | None) -> str:
    """A number as a person reads it: few digits, thousands apart; nothing for none.

    >>> number(12345), number(0.123456), number(None), number(1e9)
    ('12,345', '0.1235', '', '1,000,000,000')
    """
    if value is None:
        return ""
    if isinstance(value, int) or (abs(value) < 1e15 and value == int(value)):
        return f"{int(value):,}"
    return f"{value:,.2f}" if 1000 <= abs(value) < 1e9 else f"{value:.4g}"


def values(names: Sequence[str], rows: Iterable[Sequence[object]]) -> Html:
    """Rows of data as they are, with nulls.

    Args:
        names: of the columns.
        rows: their values.
    """
    shorter = ([muted("null") if cell is None else shown(cell, 80) for cell in row] for row in rows)
    return table(names, shorter)


def whole(words: Part) -> Html:
    """Words that stay on one line."""
    return Html(f'<span class="w">{shown(words)}</span>') if words else Html("")


def items(words: Iterable[Part]) -> Html:
    """A list with a dot before each."""
    return Html("<ul>" + "".join(f"<li>{shown(one)}</li>" for one in words) + "</ul>")


def table(head: Sequence[str], rows: Iterable[Sequence[Part]], numbers: Iterable[str] = ()) -> Html:
    """A table; a column without a value in any row is left out.

    Args:
        head: names of the columns.
        rows: the cells, as many a row as there are columns.
        numbers: the columns that are set to the right.

    >>> table(["a", "b", "c"], [[1, "", "<"]], ["a"]).partition("<tbody>")[2]
    '<tr><td class="n">1</td><td>&lt;</td></tr></tbody></table>'
    """
    cells = [[shown(cell) for cell in row] for row in rows]
    kept = [place for place in range(len(head)) if not cells or any(row[place] for row in cells)]
    right = set(numbers)
    kind = {place: ' class="n"' if head[place] in right else "" for place in kept}
    top = "".join(f"<th{kind[place]}>{shown(head[place])}</th>" for place in kept)
    body = "".join(
        "<tr>" + "".join(f"<td{kind[place]}>{row[place]}</td>" for place in kept) + "</tr>" for row in cells
    )
    return Html(f"<table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>")


def folded(title: Part, inside: Html, *, is_open: bool = False) -> Html:
    """What is shown on a click on its title."""
    return Html(f"<details{' open' if is_open else ''}><summary>{shown(title)}</summary>{inside}</details>")


def page(*parts: Part) -> str:
    """The whole of what an object shows, as `_repr_html_` returns it."""
    return f'<div class="adg">{_STYLE}{joined(parts)}</div>'
