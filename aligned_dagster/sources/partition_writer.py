"""Writing partitions: rows are divided into files beside the directory, and published together."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

import polars as pl

from aligned_dagster.errors import PublishError
from aligned_dagster.quality.probes import Around
from aligned_dagster.request.retrieval_request import RetrievalRequest
from aligned_dagster.sources import publishing
from aligned_dagster.sources.conform import conform, stored_names
from aligned_dagster.sources.location import TreeWriter
from aligned_dagster.sources.partition_division import Division
from aligned_dagster.sources.partition_files import count_rows, footer, tag_of
from aligned_dagster.sources.partition_path import VALUE_FILE, partition_directory
from aligned_dagster.sources.partition_reader import Values
from aligned_dagster.sources.writing import Published, Staged, WriteMode, outside, refuse_outside, upserted

if TYPE_CHECKING:
    from aligned_dagster.sources.partitioned import PartitionedParquetSource

_FILE = "aligned: file"
"""The column with the path of a row's file, in queries that ask which files hold something."""


class StagedPartitions(Staged):
    """Finished files beside the directory that they will be moved to."""

    def __init__(
        self,
        source: PartitionedParquetSource,
        request: RetrievalRequest,
        writer: TreeWriter,
    ) -> None:
        self._source = source
        self._reader = source.reader
        self._request = request
        self._root = source.location.root
        self._writer = writer
        self._division = Division(source, request, writer.staging)
        self._new: list[Path] = []
        self._kept: list[PurePath] = []
        self._replaced: list[PurePath] = []
        self._beside: list[PurePath] = []
        self._sizes: dict[PurePath, int] = {}
        self._where: pl.Expr | None = None
        self._overwrites = False
        self._settled = False
        self._done = False

    @property
    def frame(self) -> pl.LazyFrame:
        """See `Staged.frame`."""
        if not self._overwrites:
            with publishing.writing(self._request.name, self._source.uri):
                self._settle()
        return self._reader.read([*self._kept, *self._new], self._request)

    @property
    def part(self) -> pl.LazyFrame:
        """See `Staged.part`. Only the files of partitions that change are read."""
        if self._overwrites:
            return self.frame
        rows = self._reader.read([*self._beside, *self._new], self._request)
        return rows if self._where is None else rows.filter(self._where)

    @property
    def around(self) -> Around | None:
        """See `Staged.around`."""
        if self._overwrites or self._where is not None or len(self._beside) == len(self._kept):
            return None
        return Around(lambda: self.frame, self._reader.keys)

    def undisturbed(self) -> AbstractContextManager[None]:
        """See `LocationWriter.undisturbed`."""
        return self._writer.undisturbed()

    def write(self, mode: WriteMode, frame: pl.LazyFrame, where: pl.Expr | None) -> None:
        """Stage rows.

        Args:
            mode: what becomes of the rows that are there.
            frame: the incoming rows.
            where: the condition of a replace.
        """
        rows = self._conformed(frame)
        self._where = where
        self._overwrites = mode == "overwrite"
        if mode == "overwrite":
            self._new = self._division.write(rows)
        elif mode == "insert":
            self._settle()
            self._new = self._division.write(rows)
            self._beside = self._reader.alike(self._kept, self._partitions(self._new), self._request)
            self._refuse_loss(self._beside)
        elif where is None:
            self._settle()
            self._upsert(rows)
        else:
            self._new = self._division.write(rows)
            refuse_outside(
                self._reader.read(self._new, self._request), where, self._request, self._source.uri
            )
            if not self._is_about_keys:
                self._settle()
                self._merge(where)

    def keep(self, rows: pl.LazyFrame) -> None:
        """See `Staged.keep`. Every partition is rewritten."""
        with self._restaging():
            if not self._overwrites:
                self._settle()
                self._refuse_loss(self._kept)
            self._new = self._division.write(self._conformed(rows))
            self._replaced, self._kept, self._beside = [*self._replaced, *self._kept], [], []

    def keep_part(self, rows: pl.LazyFrame) -> None:
        """See `Staged.keep_part`. Only the partitions that change are written again."""
        where = self._where
        if self._overwrites:
            self.keep(rows)
            return
        with self._restaging():
            if where is None:
                self._new = self._division.write(self._conformed(rows))
                self._rewrite(self._beside)
                self._beside = []
                return
            part = self._division.write(self._conformed(rows))
            refuse_outside(self._reader.read(part, self._request), where, self._request, self._source.uri)
            if not self._is_about_keys:
                rest = self._reader.read(self._new, self._request).filter(outside(where))
                part = self._division.write(pl.concat([rest, self._reader.read(part, self._request)]))
            self._new = part

    def publish(self) -> Published:
        """See `Staged.publish`."""
        if self._done:
            raise PublishError(f"{self._source.uri}: these rows were published or discarded before.")
        try:
            with publishing.writing(self._request.name, self._source.uri):
                self._settle()
                rows = count_rows(self._new) if self._overwrites else None
                size = sum(file.stat().st_size for file in self._new)
                size += sum(self._sizes[file] for file in self._kept)
                moves = self._moves()
                self._writer.publish(moves, self._replaced)
        finally:
            self.discard()
        readable = self._source.location.readable
        files = tuple(readable(target).address for _, target in moves if not target.name.startswith("."))
        return Published(self._source.uri, size, rows, files)

    def discard(self) -> None:
        """See `Staged.discard`."""
        if not self._done:
            self._done = True
            self._writer.close()

    @property
    def _is_about_keys(self) -> bool:
        """Whether the directories alone tell which rows are replaced."""
        return self._where is not None and set(self._where.meta.root_names()) <= set(self._reader.keys)

    def _settle(self) -> None:
        """Find out which files stay, and let no other writer change that until the rows are published."""
        if self._settled:
            return
        self._writer.begin()
        found = self._reader.files()
        self._sizes = {one.path: one.size for one in found}
        old = [one.path for one in found]
        if self._overwrites:
            self._replaced = old
        elif self._where is not None and self._is_about_keys:
            keys = self._reader.key_values(old, self._request)
            gone = keys.with_columns(self._where.fill_null(False).alias(_FILE))[_FILE]
            self._replaced = [file for file, is_gone in zip(old, gone, strict=True) if is_gone]
            self._kept = [file for file, is_gone in zip(old, gone, strict=True) if not is_gone]
        else:
            self._kept = old
        self._settled = True

    def _upsert(self, rows: pl.LazyFrame) -> None:
        incoming = self._division.staging / "incoming"
        rows.sink_parquet(incoming)
        rows = pl.scan_parquet(incoming, glob=False, hive_partitioning=False)
        key = self._request.schema.key
        touched = self._division.partitions(rows)
        if not set(self._reader.keys) <= set(key):  # else no row can be in another partition than before
            wanted = rows.select(key).unique()
            old = self._reader.read(self._kept, self._request.project(key), path_as=_FILE)
            touched |= self._partitions_of(old.join(wanted, on=key, how="semi", nulls_equal=True))
        self._rewrite(self._reader.alike(self._kept, touched, self._request))
        try:
            old = self._reader.read(self._replaced, self._request, extra_columns="raise")
            self._new = self._division.write(upserted(old, rows, key))
        except pl.exceptions.PolarsError as error:
            self._refuse_loss(self._replaced)  # which names a file that cannot be read, too
            if not isinstance(error, pl.exceptions.SchemaError):
                raise
            self._new = self._division.write(
                upserted(self._reader.read(self._replaced, self._request), rows, key)
            )

    def _merge(self, where: pl.Expr) -> None:
        """Put what stays of partitions that lose or receive rows beside the rows that they receive."""
        asked = self._request.project(dict.fromkeys(where.meta.root_names()))
        old = self._reader.read(self._kept, asked, path_as=_FILE)
        received = self._partitions(self._new)
        changed = self._partitions_of(old.filter(where)) | received
        self._rewrite(file for file in self._kept if self._reader.values(file) in changed)
        self._refuse_loss(self._replaced)
        mixed = self._partitions(self._replaced)
        arrived = [file for file in self._new if self._reader.values(file) in mixed]
        rest = self._reader.read(self._replaced, self._request).filter(outside(where))
        merged = pl.concat([rest, self._reader.read(arrived, self._request)])
        self._new = [*(file for file in self._new if file not in set(arrived)), *self._division.write(merged)]

    def _rewrite(self, files: Iterable[PurePath]) -> None:
        """These files go, and their rows are written again."""
        gone = dict.fromkeys(files)
        self._replaced += gone
        self._kept = [file for file in self._kept if file not in gone]

    def _partitions(self, files: Iterable[PurePath]) -> set[Values]:
        return {self._reader.values(file) for file in files}

    def _partitions_of(self, rows: pl.LazyFrame) -> set[Values]:
        """The partitions of rows that know their file."""
        try:
            found = rows.select(_FILE).unique().collect(engine="streaming")[_FILE]
        except pl.exceptions.ComputeError:
            for file in self._kept:  # polars does not name the file that it cannot read
                footer(self._reader.readable(file))
            raise
        return self._partitions(PurePath(file.rpartition("://")[2]) for file in found)

    def _conformed(self, frame: pl.LazyFrame) -> pl.LazyFrame:
        return conform(frame, self._request, source_label=f"the frame written to {self._source.uri}")

    @contextmanager
    def _restaging(self) -> Iterator[None]:
        try:
            with publishing.writing(self._request.name, self._source.uri):
                yield
        except BaseException:
            self.discard()
            raise

    def _moves(self) -> list[tuple[Path, PurePath]]:
        """Staged file to its place; a partition's only file is replaced under its own name, in one step."""
        before: dict[Values, list[PurePath]] = defaultdict(list)
        for file in self._replaced:
            before[self._reader.values(file)].append(file)
        moves: list[tuple[Path, PurePath]] = []
        for file in self._new:
            values = self._reader.values(file)
            known = before[values]
            place = partition_directory(self._root, dict(zip(self._reader.stored_keys, values, strict=True)))
            target: PurePath = place / file.name
            if len(known) == 1 and known[0].parent == place and tag_of(known[0]) in (None, tag_of(file)):
                target = known[0]
            moves.append((file, target))
            depth = len(values)
            for source, final in zip([*file.parents][:depth], [*target.parents][:depth], strict=True):
                moves += [(hidden, final / hidden.name) for hidden in source.glob(VALUE_FILE)]
        return list(dict.fromkeys(moves))

    def _refuse_loss(self, files: Iterable[PurePath]) -> None:
        known = {
            *stored_names(self._request, self._source.mapping_keys).values(),
            *self._reader.stored_keys,
        }
        for file in files:
            extra = [name for name in footer(self._reader.readable(file)) if name not in known]
            if extra:
                raise PublishError(
                    f"{file} has columns that {self._request.name!r} does not know and would lose: "
                    f"{', '.join(extra)}. Add them to the contract, or overwrite the whole directory."
                )


def stage_partitions(
    source: PartitionedParquetSource,
    frame: pl.LazyFrame,
    request: RetrievalRequest,
    mode: WriteMode,
    where: pl.Expr | None,
) -> StagedPartitions:
    """Write rows beside a partitioned directory; see `PartitionedParquetSource.stage`."""
    with publishing.writing(request.name, source.uri):
        staged = StagedPartitions(source, request, source.location.tree_writer())
    try:
        with staged.undisturbed(), publishing.writing(request.name, source.uri):
            staged.write(mode, frame, where)
    except BaseException:
        staged.discard()
        raise
    return staged
