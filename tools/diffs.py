"""The diffs of CONTRIBUTING.md, and whether they still apply: ``python -m tools.diffs``."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
_BLOCK = re.compile(r"^```(?P<language>diff|bash)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
_HEADING = re.compile(r"^### (.+)$", re.MULTILINE)


@dataclass(frozen=True)
class Example:
    """A change that CONTRIBUTING.md shows.

    Args:
        name: the heading above it.
        diff: the change, as `git diff` writes it.
        proof: the commands below it that prove it.
    """

    name: str
    diff: str
    proof: tuple[str, ...]


def examples(page: Path = ROOT / "CONTRIBUTING.md") -> Iterator[Example]:
    """The changes of the page, in its order, each with the commands of the first `bash` block that follows it."""
    text = page.read_text(encoding="utf-8")
    blocks = list(_BLOCK.finditer(text))
    for block, following in zip(blocks, [*blocks[1:], None], strict=True):
        if block["language"] == "diff":
            name = _HEADING.findall(text[: block.start()])[-1]
            proof = following["text"] if following is not None and following["language"] == "bash" else ""
            yield Example(name, block["text"], tuple(proof.splitlines()))


def apply(example: Example, folder: Path, *, check: bool = False) -> str:
    """Apply a change to the files of a folder, and return why it does not apply; empty where it does.

    Args:
        example: the change.
        folder: a copy of the sources.
        check: only look whether it would.
    """
    command = ["git", "apply", *(["--check"] if check else []), "-"]
    done = subprocess.run(
        command, cwd=folder, input=example.diff, capture_output=True, text=True, check=False
    )
    return "" if done.returncode == 0 else done.stderr


def main() -> int:
    """Say which of the changes do not apply any more."""
    failed = {example.name: told for example in examples() if (told := apply(example, ROOT, check=True))}
    for name, told in failed.items():
        sys.stderr.write(f"CONTRIBUTING.md, {name}: the diff does not apply: {told}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
