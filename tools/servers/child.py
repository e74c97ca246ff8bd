"""Become a server that ends with its parent: ``child.py SIGNAL PARENT UID GID COMMAND [ARGUMENT ...]``.

A program of its own, since Python warns of code that runs between fork and exec in a process with threads.
Gives up root for UID and GID first where they are not -1. Imports nothing of this project: the server's user
may not be allowed to read it.
"""

from __future__ import annotations

import ctypes
import os
import sys

PR_SET_PDEATHSIG = 1


def become(end_signal: int, parent: int, uid: int, gid: int, command: list[str]) -> None:
    """Replace this process with ``command``, which gets ``end_signal`` when the thread that started it is gone."""
    if uid >= 0:
        os.setgroups([])
        os.setgid(gid)
        os.setuid(uid)
    if sys.platform == "linux":  # after the change of user, which takes the request back
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, end_signal, 0, 0, 0)
        if os.getppid() != parent:
            sys.exit("The process that wanted this server is gone.")
    os.execv(command[0], command)


if __name__ == "__main__":
    signal_, parent_, uid_, gid_ = (int(number) for number in sys.argv[1:5])
    become(signal_, parent_, uid_, gid_, sys.argv[5:])
