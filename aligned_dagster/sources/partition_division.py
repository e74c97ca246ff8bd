"""Dividing rows into one file a partition, in a staging directory."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl
from polars.io.partition import FileProviderArgs

from aligned_dagster.request.progress import told
from aligned_dagster.request.retrieval_request import RetrievalRequest
from aligned_dagster.sources.conform import stored_exprs
from aligned_dagster.sources.partition_files import new_name, schema_tag
from aligned_dagster.sources.partition_path import partition_directory, write_long_values
from aligned_dagster.sources.partition_reader import Values

if TYPE_CHECKING:
    from aligned_dagster.sources.partitioned import PartitionedParquetSource

_ONE_FILE = 2**62
"""Bytes in a file before polars starts another one: never, so that a partition is one file."""


class Division:
    """Writes rows of a contract to partitions below a staging directory.

    Args:
        source: what they are written to in the end.
        request: the contract, for all of its columns.
        staging: an empty directory.
    """

    def __init__(self, source: PartitionedParquetSource, request: RetrievalRequest, staging: Path) -> None:
        self.staging = staging
        self._source = source
        self._request = request
        self._keys = source.stored_keys
        self._written = 0

    def write(self, rows: pl.LazyFrame) -> list[Path]:
        """Write rows, streaming, and return the files: one for each partition that has a row."""
        root = self.staging / f"rows-{self._written}"
        self._written += 1
        root.mkdir()
        files: list[Path] = []
        stored = rows.select(**{**self._exprs(self._request), **self._key_texts()})
        schema = stored.collect_schema()
        tag = schema_tag({name: dtype for name, dtype in schema.items() if name not in self._keys})

        def place(args: FileProviderArgs) -> Path:
            values = dict(zip(self._keys, args.partition_keys.row(0), strict=True))
            directory = partition_directory(root, values)
            directory.mkdir(parents=True, exist_ok=True)
            write_long_values(directory, values)
            file = directory / new_name(tag)
            files.append(file)
            told(f"{len(files):,} partition{'' if len(files) == 1 else 's'} written")
            return file

        config = self._source.config
        stored.sink_parquet(
            pl.PartitionBy(
                root,
                key=list(self._keys),
                include_key=False,
                approximate_bytes_per_file=_ONE_FILE,
                file_path_provider=place,
            ),
            compression=config.compression or "uncompressed",
            row_group_size=config.row_group_size,
        )
        return sorted(files)

    def partitions(self, rows: pl.LazyFrame) -> set[Values]:
        """The partitions that rows belong to."""
        found = rows.select(**self._key_texts()).unique().collect(engine="streaming")
        return set(found.select(self._keys).rows())

    def _exprs(self, request: RetrievalRequest, as_text: bool = False) -> dict[str, pl.Expr]:
        source = self._source
        return stored_exprs(
            request, source.uri, source.mapping_keys, formatter=source.date_formatter, as_text=as_text
        )

    def _key_texts(self) -> dict[str, pl.Expr]:
        """Stored key to its value as text, as the directories hold it."""
        request = self._request.project(self._source.partition_keys)
        return {key: expr.cast(pl.String) for key, expr in self._exprs(request, as_text=True).items()}
