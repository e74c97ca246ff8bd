"""What a process and all that it starts hold and use, and a limit to it, as Linux tells and keeps them."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_PROCESSES = Path("/proc")
_EVERY = 0.02
_ANONYMOUS = re.compile(r"RssAnon:\s+(\d+) kB")
_SHARED = re.compile(r"RssShmem:\s+(\d+) kB")
_TICKS = os.sysconf("SC_CLK_TCK")
_GROUPS = Path("/sys/fs/cgroup")


@dataclass
class Family:
    """This process and all that descend from it, looked at again and again.

    Args:
        peak: most bytes that all held at once: memory of their own, without pages of files, which the kernel takes back.
        cpu: seconds of processors, of each by its process id.
    """

    peak: int
    cpu: dict[int, float]

    @property
    def processors(self) -> float:
        """Seconds of processors of all of them, from their beginning."""
        return sum(self.cpu.values())

    def look(self) -> None:
        """Note what all hold and have used now."""
        held = 0
        for process in _family():
            try:
                status = (_PROCESSES / str(process) / "status").read_text("utf-8")
                fields = (_PROCESSES / str(process) / "stat").read_text("utf-8").rpartition(")")[2].split()
            except (FileNotFoundError, ProcessLookupError):  # it has just ended
                continue
            kinds = (kind.search(status) for kind in (_ANONYMOUS, _SHARED))
            held += sum(int(kind[1]) * 1024 for kind in kinds if kind)
            self.cpu[process] = (int(fields[11]) + int(fields[12])) / _TICKS
        self.peak = max(self.peak, held)


@contextmanager
def watched() -> Iterator[Family]:
    """Look at this process and its descendants in the block."""
    family, over = Family(0, {}), threading.Event()

    def watch() -> None:
        while not over.wait(_EVERY):
            family.look()

    watcher = threading.Thread(target=watch, daemon=True)
    family.look()
    watcher.start()
    try:
        yield family
    finally:
        over.set()
        watcher.join()
        family.look()


def limit_memory(most: int) -> None:
    """Let this process and all that it starts hold so many bytes together; the kernel kills who asks for more.

    Args:
        most: bytes of memory of a control group, pages of files in it.

    Raises:
        RuntimeError: this user may not make a control group.
    """
    _remove_left_groups()
    one_tree = (_GROUPS / "cgroup.controllers").exists()  # as version 2 of control groups has
    group = (_GROUPS if one_tree else _GROUPS / "memory") / f"benchmark-{os.getpid()}"
    limit = "memory.max" if one_tree else "memory.limit_in_bytes"
    try:
        group.mkdir()
        (group / limit).write_text(str(most), "utf-8")
        (group / "cgroup.procs").write_text(str(os.getpid()), "utf-8")
    except OSError as error:
        raise RuntimeError(
            f"no control group for memory can be made here, which root may: {error}"
        ) from error


def _remove_left_groups() -> None:
    """Remove the groups of processes that have ended: none can remove its own."""
    for group in [*_GROUPS.glob("benchmark-*"), *(_GROUPS / "memory").glob("benchmark-*")]:
        try:
            group.rmdir()
        except OSError:  # somebody is in it
            continue


def _family() -> list[int]:
    parents = {}
    for entry in _PROCESSES.iterdir():
        if entry.name.isdigit():
            try:
                stat = (entry / "stat").read_text("utf-8")
            except (FileNotFoundError, ProcessLookupError):
                continue
            parents[int(entry.name)] = int(stat.rpartition(")")[2].split()[1])
    found, before = {os.getpid()}, 0
    while len(found) > before:
        before = len(found)
        found |= {process for process, parent in parents.items() if parent in found}
    return sorted(found)
