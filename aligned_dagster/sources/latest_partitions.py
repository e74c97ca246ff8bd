"""Which partitions can hold the newest row, told by the keys that are computed from its time."""

from __future__ import annotations

from pathlib import PurePath

import polars as pl

from aligned_dagster.features.expression import Call, ColumnRef, Expression
from aligned_dagster.request.retrieval_request import RetrievalRequest
from aligned_dagster.sources.partition_reader import PartitionReader

_ASCENDING = {"dt.year", "dt.date", "dt.truncate"}
"""Calls that give a later time no smaller a value."""
_WITHIN = {"dt.month": {"dt.year"}, "dt.day": {"dt.year", "dt.month"}}
"""Calls that do so among the times for which these give the same."""


def latest_files(
    reader: PartitionReader, files: list[PurePath], request: RetrievalRequest, time: str
) -> list[PurePath]:
    """The files that can hold the greatest value of a column of times; all of them where no key tells it.

    Args:
        reader: of the directory.
        files: below directories of its keys.
        request: the contract; its derivations say what keys are made of.
        time: the column.

    Raises:
        CastError: the value of a directory does not fit its column.
    """
    keys = telling_keys(reader.keys, dict(request.derivations), time)
    if not keys or not files:
        return files
    values = reader.key_values(files, request).select(keys).with_row_index("file")
    for key in keys:
        values = values.filter(pl.col(key) == pl.col(key).max())
    return [files[number] for number in values["file"]]


def telling_keys(keys: tuple[str, ...], derivations: dict[str, Expression], time: str) -> list[str]:
    """The keys whose greatest value, one after the other, leads to the greatest time.

    Args:
        keys: the partition keys.
        derivations: name to expression of the columns that are computed.
        time: the column of times.

    >>> year, month = (Call(f"dt.{unit}", ColumnRef("at")) for unit in ("year", "month"))
    >>> telling_keys(("month", "region", "year"), {"year": year, "month": month}, "at")
    ['year', 'month']
    >>> telling_keys(("month",), {"month": month}, "at")
    []
    """
    made = {
        key: tree.method
        for key in keys
        if isinstance(tree := derivations.get(key), Call) and tree.args[:1] == (ColumnRef(time),)
    }
    found = [key for key in keys if key == time or made.get(key) in _ASCENDING]
    for method, above in _WITHIN.items():
        if above <= {made.get(key) for key in found}:
            found += [key for key in keys if made.get(key) == method]
    return found
