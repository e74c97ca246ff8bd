"""Where in a user's file something was declared."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from types import FrameType

_LAYERS = ("features", "quality", "request", "sources", "contracts", "orchestration")
_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
_OURS = tuple(os.path.join(_PACKAGE, layer) + os.sep for layer in _LAYERS)


@dataclass(frozen=True)
class SourceLocation:
    """A line of a file."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


def caller() -> SourceLocation | None:
    """The innermost line on the stack that does not belong to this package."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        file = frame.f_code.co_filename
        if not file.startswith((*_OURS, "<frozen")):
            return SourceLocation(file, frame.f_lineno)
        frame = frame.f_back
    return None


def at(location: SourceLocation | None) -> str:
    """The location as the end of an error message, or an empty text."""
    return f" ({location})" if location else ""
