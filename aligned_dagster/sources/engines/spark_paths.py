"""Paths that Spark takes for nothing but paths."""

from __future__ import annotations

from pathlib import Path


def path_text(path: Path) -> str:
    """A path of this machine, which is no pattern.

    >>> path_text(Path("/data/[a]"))
    'file:/data/\\\\[a\\\\]'
    """
    return "file:" + "".join(f"\\{sign}" if sign in "{}[]*?\\" else sign for sign in str(path))
