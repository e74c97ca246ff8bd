"""The environments of peers: each its own, of hashed requirements, made when it is first needed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

PEERS = Path(__file__).parent / "peers"
ENVIRONMENTS = Path(__file__).parent / ".envs"


def python_of(peer: str | None) -> Path:
    """The interpreter that has a peer; this one for none.

    Raises:
        RuntimeError: it could not be installed.
    """
    if peer is None:
        return Path(sys.executable)
    wanted = PEERS / f"{peer}.txt"
    folder = ENVIRONMENTS / peer
    python, stamp = folder / "bin" / "python", folder / "requirements.txt"
    if not stamp.exists() or stamp.read_bytes() != wanted.read_bytes():
        uv = Path(sys.executable).with_name("uv")
        commands = [
            [uv, "venv", "-q", "--clear", "--no-project", "--python", sys.executable, folder],
            [uv, "pip", "sync", "-q", "--python", python, "--require-hashes", wanted],
        ]
        for command in commands:
            done = subprocess.run(
                [str(part) for part in command], capture_output=True, text=True, check=False
            )
            if done.returncode != 0:
                raise RuntimeError(f"{peer} could not be installed: {done.stderr.strip()}")
        stamp.write_bytes(wanted.read_bytes())
    return python
