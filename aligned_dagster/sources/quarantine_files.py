"""Rows kept aside beside a file or a directory: one Parquet file a run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePath
from urllib.parse import quote

import polars as pl

from aligned_dagster.sources.location import Location
from aligned_dagster.sources.publishing import writing


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


def _scan(place: Location, paths: Sequence[PurePath]) -> pl.LazyFrame:
    scans: list[pl.LazyFrame] = []
    for path in paths:
        file = place.readable(path)
        scans.append(pl.scan_parquet(file.address, glob=False, hive_partitioning=False, **file.options))
    return pl.concat(scans, how="diagonal_relaxed")


def _file(target: Location, run_id: str) -> Location:
    name = quote(run_id, safe="").replace(".", "%2E")[:200] or "%"
    return target.beside(".quarantine").child(f"{name}.parquet")
