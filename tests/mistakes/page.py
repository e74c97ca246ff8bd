"""Writes docs/errors.md: common mistakes and what is said of them. Run it by `python -m tests.mistakes.page`."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from tests.mistakes.asking import ASKING
from tests.mistakes.defining import DEFINING
from tests.mistakes.deriving import DERIVING
from tests.mistakes.mistake import IMPORTS, SHOWN, WRONG, Mistake, Told, made_in
from tests.mistakes.projects import PROJECTS
from tests.mistakes.sources import SOURCES

PAGE = Path(__file__).parents[2] / "docs" / "errors.md"
GROUPS = {
    "In a contract": DEFINING,
    "In derived columns and between contracts": DERIVING,
    "In sources": SOURCES,
    "In questions, and when rows are written": ASKING,
    "In a project and at the command line": PROJECTS,
}
MISTAKES = tuple(mistake for group in GROUPS.values() for mistake in group)
_HEAD = f"""\
# Mistakes and messages

Each of these mistakes is made by a test, and the messages are the ones that it got. The code is that of `contracts.py` in the
directory `{SHOWN}`, whose first line, `{IMPORTS}`, and an empty one are left out here. So a message that ends with
`({SHOWN}/contracts.py:6)` names the fourth line of the code.

A message says what is wrong and where it is (contract, column, file and line), shows a value where there is one, and says
what to do. All errors are listed under [exceptions](reference/exceptions.md).
"""


def page(told: dict[Mistake, str]) -> str:
    """The page.

    Args:
        told: mistake to what was said of it, the class of the error first.
    """
    parts = [_HEAD]
    for title, group in GROUPS.items():
        parts.append(f"## {title}\n")
        parts += [_section(mistake, told[mistake]) for mistake in group]
    return "\n".join(parts)


def said(mistake: Mistake, told: Told, folder: Path) -> str:
    """What the page shows of what was said."""
    words = told.shown(folder)
    return f"{told.kind}: {words}" if told.kind else words


def _section(mistake: Mistake, words: str) -> str:
    code = "\n".join(line.removesuffix(WRONG) for line in mistake.source.splitlines())
    command = f"```console\n$ aligned-dagster {' '.join(mistake.command)}\n```\n\n" if mistake.command else ""
    return f"### {mistake.title}\n\n```py\n{code}\n```\n\n{command}```text\n{words}\n```\n"


def main() -> None:
    """Make every mistake and write down what is said."""
    told = {}
    for mistake in MISTAKES:
        with TemporaryDirectory() as name:
            folder = Path(name).resolve()
            told[mistake] = said(mistake, made_in(mistake, folder), folder)
    PAGE.write_text(page(told))


if __name__ == "__main__":
    main()
