"""Rows kept aside beside a file or a directory: one Parquet file a run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePath
from urllib.parse import quote, unquote

import polars as pl

from aligned_dagster.request.explain import explained
from aligned_dagster.sources.location import Location
from aligned_dagster.sources.publishing import writing
from aligned_dagster.sources.quarantine_run import QuarantineRun


def write_quarantine(frame: pl.LazyFrame, target: Location, contract: str, run_id: str) -> str:
    """Keep rows aside as `<target>.quarantine/<run_id>.parquet`, and return where that is.

    Args:
        frame: the rows.
        target: the file or directory that they were meant for.
        contract: its contract.
        run_id: names the file; characters that a file name cannot hold are escaped.
    """
    final = _file(target, run_id)
    with writing(contract, final.uri):
        writer = final.file_writer()
        try:
            staged = writer.staging / "rows.parquet"
            frame.sink_parquet(staged)
            writer.publish(staged)
        finally:
            writer.close()
    return final.uri


def read_quarantine(target: Location, run_id: str | None = None) -> pl.LazyFrame | None:
    """The rows that were kept aside by one run, or by all; None where there are none."""
    if run_id is not None:
        one = _file(target, run_id)
        return _scan(one, [one.root]) if one.what_is_there() == "file" else None
    kept = target.beside(".quarantine")
    files = [file for file in kept.files() if file.path.suffix == ".parquet"]
    if not files:
        return None
    return _scan(kept, [file.path for file in sorted(files, key=lambda one: one.modified)])


def quarantine_runs(target: Location) -> list[QuarantineRun]:
    """The runs that kept rows aside beside a file or directory, the oldest first.

    Args:
        target: the file or directory that the rows were meant for.
    """
    kept = target.beside(".quarantine")
    with explained(target.label, kept.uri):
        found = [
            QuarantineRun(
                run_id=unquote(file.path.stem),
                rows=int(_scan(kept, [file.path]).select(pl.len()).collect().item()),
                kept_at=file.modified,
                uri=kept.child(file.path.name).uri,
            )
            for file in kept.files()
            if file.path.suffix == ".parquet"
        ]
    return sorted(found, key=lambda one: (one.kept_at, one.run_id))


def remove_quarantine(target: Location, run_id: str) -> None:
    """Remove what one run kept aside; nothing happens where there is nothing.

    Args:
        target: the file or directory that the rows were meant for.
        run_id: the run.

    Raises:
        PublishError: it cannot be removed.
    """
    kept, one = target.beside(".quarantine"), _file(target, run_id)
    if one.what_is_there() != "file":
        return
    with writing(target.label, one.uri):
        writer = kept.tree_writer()
        try:
            writer.begin()
            writer.publish([], [one.root])
        finally:
            writer.close()


def _scan(place: Location, paths: Sequence[PurePath]) -> pl.LazyFrame:
    scans: list[pl.LazyFrame] = []
    for path in paths:
        file = place.readable(path)
        scans.append(pl.scan_parquet(file.address, glob=False, hive_partitioning=False, **file.options))
    return pl.concat(scans, how="diagonal_relaxed")


def _file(target: Location, run_id: str) -> Location:
    name = quote(run_id, safe="").replace(".", "%2E")[:200] or "%"
    if name.startswith("_"):  # such a file would be hidden
        name = f"%5F{name[1:]}"
    return target.beside(".quarantine").child(f"{name}.parquet")
