"""Which files are opened below a directory, by whatever code does it: the kernel says so."""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_IN_OPEN = 0x20
_IN_ISDIR = 0x40000000
_EVENT = struct.Struct("iIII")


@contextmanager
def opened(root: Path) -> Iterator[set[Path]]:
    """The set that holds, after the block, every file below `root` that was opened within it."""
    libc = ctypes.CDLL(None, use_errno=True)
    handle = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
    assert handle >= 0, os.strerror(ctypes.get_errno())
    found: set[Path] = set()
    try:
        directories: dict[int, Path] = {}
        for directory, _, _ in os.walk(root):
            watch = libc.inotify_add_watch(handle, os.fsencode(directory), _IN_OPEN)
            assert watch >= 0, os.strerror(ctypes.get_errno())
            directories[watch] = Path(directory)
        _events(handle)
        yield found
        for watch, name in _events(handle):
            assert watch in directories, "the queue of the kernel ran over"
            found.add(directories[watch] / name)
    finally:
        os.close(handle)


def _events(handle: int) -> list[tuple[int, str]]:
    found: list[tuple[int, str]] = []
    while True:
        try:
            data = os.read(handle, 1 << 20)
        except BlockingIOError:
            return found
        while data:
            watch, mask, _, length = _EVENT.unpack_from(data)
            name = data[_EVENT.size : _EVENT.size + length].rstrip(b"\0")
            if not mask & _IN_ISDIR:
                found.append((watch, os.fsdecode(name)))
            data = data[_EVENT.size + length :]
