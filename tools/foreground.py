"""Run a command for make: ``python -m tools.foreground [--storage NAME] COMMAND [ARGUMENT ...]``.

Ctrl-C reaches the command, which says what it stopped; make then has no error to report. A request to end
(SIGTERM) is handed on, so that no server outlives make. Any other exit code is the command's own. With a
storage, its server runs as long as the command does.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

from tools.storage import StorageError, storage

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import FrameType

INTERRUPTED = (-signal.SIGINT, 128 + signal.SIGINT)


def run(command: list[str], environ: Mapping[str, str]) -> int:
    """Run ``command`` to its end, with these variables too, and return the exit code that make is to see."""
    asked_to_end = False

    def end(_number: int, _frame: FrameType | None) -> None:
        nonlocal asked_to_end
        asked_to_end = True
        if process is not None:
            process.terminate()

    process: subprocess.Popen[bytes] | None = None
    signal.signal(signal.SIGINT, lambda _number, _frame: None)
    signal.signal(signal.SIGTERM, end)
    process = subprocess.Popen(command, env={**os.environ, **environ})
    if asked_to_end:
        process.terminate()
    code = process.wait()
    if code in INTERRUPTED:
        return 0
    return code if code >= 0 else 128 - code


def main(arguments: list[str]) -> int:
    """Run the command of the command line, beside the server of its storage."""
    name, command = ("files", arguments) if arguments[:1] != ["--storage"] else (arguments[1], arguments[2:])
    signal.signal(signal.SIGTERM, _stop_starting)
    try:
        with storage(name) as environ:
            return run(command, environ)
    except StorageError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    except KeyboardInterrupt:  # before the command ran
        return 0


def _stop_starting(_number: int, _frame: FrameType | None) -> None:
    """End this process by way of its `with` blocks, which end the servers."""
    sys.exit(128 + signal.SIGTERM)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
