"""The runner of pages finds what a page says wrongly; otherwise none of the pages' tests would show anything."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.forking import Forks, forks_of
from tests.running_pages import blocks_of, first_missing, run_page


@pytest.fixture(scope="module")
def forks() -> Iterator[Forks]:
    with forks_of("aligned-dagster") as found:
        yield found


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "project").mkdir()
    return tmp_path / "project"


def page_of(tmp_path: Path, text: str) -> Path:
    page = tmp_path / "page.md"
    page.write_text(text.replace("'''", "```"), "utf-8")
    return page


RIGHT = """
'''python title="numbers/few.py"
FEW = [1, 2]
'''

<!--
'''python
import asyncio
hidden = await asyncio.sleep(0, "known")
'''
-->

'''python
from numbers.few import FEW
print(hidden, FEW)
'''

'''text
known [1, ...]
'''

=== "Indented"

    '''bash
    ls numbers
    '''

    '''text
    few.py
    '''

'''pycon
>>> FEW[0] + 1
2
'''

<!-- not run: it would never end -->
'''bash
sleep infinity
'''

<!-- exits with 2 -->
'''bash
COLUMNS=80 aligned-dagster show # needs a name
'''

'''text
Error: Missing argument 'VIEW'.
'''
"""


@pytest.mark.parametrize(
    ("wrong", "complaint"),
    [
        ("'''python\nprint(1)\n'''\n\n'''text\n2\n'''", "page.md:2 does not print '2'"),
        ("'''bash\nfalse\n'''", "page.md:2 ended with 1"),
        ("'''bash\naligned-dagster show\n'''", "page.md:2 ended with 2"),
        ("<!-- exits with 1 -->\n'''bash\ntrue\n'''", "page.md:3 ended with 0"),
        ("<!-- not run: -->\n'''bash\nfalse\n'''", "page.md:3 ended with 1"),
        ("'''pycon\n>>> 1 + 1\n3\n'''", "Expected:"),
    ],
)
def test_what_a_page_says_wrongly_fails(
    wrong: str, complaint: str, tmp_path: Path, folder: Path, forks: Forks
) -> None:
    with pytest.raises(AssertionError, match=complaint):
        run_page(page_of(tmp_path, wrong), folder, forks)


def test_a_page_runs_in_its_order(tmp_path: Path, folder: Path, forks: Forks) -> None:
    run_page(page_of(tmp_path, RIGHT.replace("numbers", "some_numbers")), folder, forks)


def test_an_error_of_python_names_the_line_of_the_page(tmp_path: Path, folder: Path, forks: Forks) -> None:
    page = page_of(tmp_path, "Text.\n\n'''python\nfine = 1\n1 / 0\n'''\n")
    with pytest.raises(ZeroDivisionError) as found:
        run_page(page, folder, forks)
    assert (str(found.traceback[-1].path), found.traceback[-1].lineno + 1) == (str(page), 5)


def test_blocks_know_what_becomes_of_them(tmp_path: Path) -> None:
    blocks = blocks_of(page_of(tmp_path, RIGHT))
    assert [(block.language, block.file, block.runs, block.code_at_end) for block in blocks] == [
        ("python", "numbers/few.py", False, 0),
        ("python", None, True, 0),
        ("python", None, True, 0),
        ("bash", None, True, 0),
        ("pycon", None, True, 0),
        ("bash", None, False, 0),
        ("bash", None, True, 2),
    ]


@pytest.mark.parametrize(
    ("told", "missing"),
    [
        ("a  1\nc", None),
        ("a 1\n...\nc", None),
        ("a ...\nc", None),
        ("c\na 1", "a 1"),
        ("a", "a"),
        ("b 1...", "b 1..."),
    ],
)
def test_lines_are_looked_for_in_their_order(told: str, missing: str | None) -> None:
    assert first_missing(told, "a    1\nb 2\nc\n") == missing
