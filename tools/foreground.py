"""Run a command for make: ``foreground.py COMMAND [ARGUMENT ...]``.

Ctrl-C reaches the command, which says what it stopped; make then has no error to report. A request to end
(SIGTERM) is handed on, so that no server outlives make. Any other exit code is the command's own.
"""

from __future__ import annotations

import signal
import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import FrameType

INTERRUPTED = (-signal.SIGINT, 128 + signal.SIGINT)


def run(command: list[str]) -> int:
    """Run ``command`` to its end and return the exit code that make is to see."""
    asked_to_end = False

    def end(_number: int, _frame: FrameType | None) -> None:
        nonlocal asked_to_end
        asked_to_end = True
        if process is not None:
            process.terminate()

    process: subprocess.Popen[bytes] | None = None
    signal.signal(signal.SIGINT, lambda _number, _frame: None)
    signal.signal(signal.SIGTERM, end)
    process = subprocess.Popen(command)
    if asked_to_end:
        process.terminate()
    code = process.wait()
    if code in INTERRUPTED:
        return 0
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
