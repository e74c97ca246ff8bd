"""Rows that wait on the local disk until they are sent to a server.

A query that fails half-way, and a frame that reads the very table that it is written to, are done with before the
server hears of the first row. Batches are read back while the server stores the ones before them.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from aligned_dagster.sources.publishing import STALE_AFTER

if TYPE_CHECKING:
    import pyarrow as pa

BATCH_ROWS = 50_000
"""Rows that are sent at once: enough for speed, few enough for the server to work while the next ones are encoded."""

_PREFIX = "aligned-spool-"


class Spool:
    """A directory of the user's own that holds rows, uncompressed and mapped into memory when they are read.

    >>> spool = Spool()
    >>> spool.write(pl.LazyFrame({"a": [1, 2]}))
    >>> spool.count, [batch.num_rows for batch in spool.batches({"b": "a"})]
    (2, [2])
    >>> spool.remove()
    """

    def __init__(self) -> None:
        _remove_stale()
        self._directory = Path(tempfile.mkdtemp(prefix=_PREFIX))
        self._generation = 0

    @property
    def rows(self) -> pl.LazyFrame:
        """What was written last."""
        return pl.scan_ipc(self._path)

    @property
    def count(self) -> int:
        """The number of rows."""
        return int(self.rows.select(pl.len()).collect().item())

    def write(self, rows: pl.LazyFrame) -> None:
        """Hold these rows in place of the ones that are held, which they may be made of.

        Args:
            rows: any frame; what was held stays when it cannot be computed.
        """
        target = self._directory / f"{self._generation + 1}.arrow"
        rows.sink_ipc(target, compression="uncompressed", compat_level=pl.CompatLevel.oldest())
        before = self._path
        self._generation += 1
        before.unlink(missing_ok=True)

    def batches(self, columns: dict[str, str]) -> Iterator[pa.Table]:
        """The rows as they lie on the disk, some at a time.

        Args:
            columns: name to give to a column, to the name that it has here.
        """
        import pyarrow as pa

        with pa.memory_map(str(self._path)) as mapped, pa.ipc.open_file(mapped) as file:
            for number in range(file.num_record_batches):
                held = pa.Table.from_batches([file.get_batch(number)]).select(list(columns.values()))
                batch = held.rename_columns(list(columns))
                for start in range(0, batch.num_rows, BATCH_ROWS):
                    yield batch.slice(start, BATCH_ROWS)

    def remove(self) -> None:
        """Let go of the rows; nothing happens when they are gone already."""
        shutil.rmtree(self._directory, ignore_errors=True)

    @property
    def _path(self) -> Path:
        return self._directory / f"{self._generation}.arrow"


def _remove_stale() -> None:
    """Remove what processes that were killed a day ago or earlier left behind."""
    for left in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        with suppress(OSError):
            if left.stat().st_uid == os.getuid() and time.time() - left.stat().st_mtime > STALE_AFTER:
                shutil.rmtree(left)
