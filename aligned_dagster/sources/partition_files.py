"""The data files of partitions: their names, and what their footers say."""

from __future__ import annotations

import hashlib
import re
import uuid
from collections.abc import Mapping
from pathlib import Path, PurePath

import polars as pl

from aligned_dagster.errors import UnreadableSourceError
from aligned_dagster.sources.location import Readable

_NAME = re.compile(r"part-([0-9a-f]{8})-[0-9a-f]{12}\.parquet")


def schema_tag(stored: Mapping[str, pl.DataType]) -> str:
    """A short hash of the names and dtypes of stored columns.

    >>> schema_tag({"id": pl.Int64()})
    '17fd7301'
    """
    return hashlib.sha256(repr([(name, str(dtype)) for name, dtype in stored.items()]).encode()).hexdigest()[
        :8
    ]


def new_name(tag: str) -> str:
    """A name for a new file with the columns of that tag, so that nobody has to open it to know them."""
    return f"part-{tag}-{uuid.uuid4().hex[:12]}.parquet"


def tag_of(file: PurePath) -> str | None:
    """The tag of the stored columns of a file that we wrote; None for a file of others.

    >>> tag_of(Path("k=1") / new_name("17fd7301")), tag_of(Path("k=1/part-00000-c000.snappy.parquet"))
    ('17fd7301', None)
    """
    found = _NAME.fullmatch(file.name)
    return found.group(1) if found else None


def footer(file: Readable) -> Mapping[str, pl.DataType]:
    """The stored names and dtypes of a Parquet file.

    Raises:
        UnreadableSourceError: the file is damaged.
    """
    try:
        scan = pl.scan_parquet(file.address, glob=False, hive_partitioning=False, **file.options)
        return scan.collect_schema()
    except pl.exceptions.PolarsError as error:
        raise UnreadableSourceError(
            f"{file} is no readable Parquet file: {error}. It is left as it is."
        ) from error


def count_rows(files: list[Path]) -> int:
    """The number of rows of files of this machine, from the footers."""
    if not files:
        return 0
    scan = pl.scan_parquet(
        files,
        glob=False,
        hive_partitioning=False,
        schema={},
        extra_columns="ignore",
    )
    return int(scan.select(pl.len()).collect().item())
